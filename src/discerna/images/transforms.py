"""Augmentation: one random view of a picture, which follows from a key alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture, ground_colour
from discerna.images.tensors import to_tensor
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing

MIXED = {"mixup": 0.0, "cutmix": 0.0}
"""What concerns whole batches, and is left to the training."""


def augment(
    image: Image.Image, spec: Preprocessing, settings: AugmentationSettings, key: int
) -> torch.Tensor:
    """The RGB picture as uint8 [3, size, size], varied as `settings` say; the same key gives the same view."""
    used = {**vars(settings), **MIXED}
    del used["name"]
    assert "auto" not in used.values(), "the recipe decides what auto stands for"
    view: Any = image
    if _crops(settings):
        view = _croppable(image, spec)
    elif not settings.random_crop:
        view = fit_picture(image, spec)
    with _generator_kept():
        for name, transform in _transforms(spec, settings):
            # A seed for each, so that switching one off does not shift what the others draw.
            torch.default_generator.manual_seed(mix(key, name))
            view = transform(view)
    assert isinstance(view, torch.Tensor)
    return view


def _crops(settings: AugmentationSettings) -> bool:
    return list(settings.crop_scale) != [1, 1]


def _croppable(image: Image.Image, spec: Preprocessing) -> Image.Image:
    """What random parts are taken of: the picture, or what scoring makes of it, in up to twice the detail."""
    if spec.fit == "crop" and not spec.border:
        return image.convert("L").convert("RGB") if spec.grayscale else image
    return fit_picture(image, spec.scaled(min(max(spec.size, *image.size), 2 * spec.size)))


def _transforms(
    spec: Preprocessing, settings: AugmentationSettings
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """The transforms that are switched on, each with a name of its own, in their order."""
    ground = ground_colour(spec)
    if _crops(settings):
        scale = tuple(settings.crop_scale)
        filter_ = InterpolationMode(spec.interpolation)
        yield "crop", _made(v2.RandomResizedCrop, spec.size, scale=scale, interpolation=filter_)
    elif settings.random_crop:
        yield "random_crop", partial(_placed_anywhere, spec=spec)
    if settings.padding:
        margin = round(float(settings.padding) * spec.size)
        yield "padding", _made(v2.RandomCrop, spec.size, padding=margin, fill=ground)
    if settings.flip:
        yield "flip", _made(v2.RandomHorizontalFlip, settings.flip)
    if settings.vertical_flip:
        yield "vertical_flip", _made(v2.RandomVerticalFlip, settings.vertical_flip)
    # Pillow turns and slants by these filters only.
    filter_ = InterpolationMode("bicubic" if spec.interpolation == "lanczos" else spec.interpolation)
    if settings.rotation:
        turn = _made(v2.RandomRotation, settings.rotation, interpolation=filter_, fill=ground)
        yield "rotation", turn
    if settings.affine:
        yield "affine", _affine(float(settings.affine), filter_, ground)
    if settings.perspective and spec.size > 1:  # a single pixel has no corners to move
        angle = _made(v2.RandomPerspective, p=settings.perspective, interpolation=filter_, fill=ground)
        yield "perspective", angle
    if settings.jitter:
        yield "jitter", _made(v2.ColorJitter, settings.jitter, settings.jitter, settings.jitter)
    if settings.grayscale:
        yield "grayscale", _made(v2.RandomGrayscale, settings.grayscale)
    if settings.trivial:
        yield "trivial", _made(v2.TrivialAugmentWide, interpolation=filter_, fill=ground)
    yield "tensor", to_tensor
    if settings.erasing:
        yield "erasing", _made(v2.RandomErasing, settings.erasing, value=ground, inplace=True)


def _placed_anywhere(image: Image.Image, spec: Preprocessing) -> Image.Image:
    across, down = torch.rand(2).tolist()
    return fit_picture(image, spec, across, down)


def _affine(share: float, filter_: InterpolationMode, ground: tuple[int, int, int]) -> Any:
    """Shift, zoom and slant, each of which moves no part of the picture by more than about `share` of its side."""
    slant = math.degrees(math.atan(share))
    return _made(
        v2.RandomAffine,
        0,
        translate=(share, share),
        scale=(1 - share, 1 + share),
        shear=(-slant, slant, -slant, slant),
        interpolation=filter_,
        fill=ground,
    )


@lru_cache(maxsize=64)
def _made(transform: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The transform, made once: making one takes longer than to draw from it."""
    return transform(*arguments, **named)


@contextmanager
def _generator_kept() -> Iterator[None]:
    """Torchvision draws from torch's own generator, which must go on afterwards as if nothing had been drawn.

    torch.random.fork_rng does the same in four times the time.
    """
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
