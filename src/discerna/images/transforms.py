"""Augmentation: one random view of a picture, which follows from a key alone."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from discerna.images.keys import mix
from discerna.images.preprocessing import RESAMPLING, fit_picture, ground_colour
from discerna.images.tensors import scaled, to_tensor
from discerna.images.variation import draw, varies, vary
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing

MIXED = {"mixup": 0.0, "cutmix": 0.0}
"""What concerns whole batches, and is left to the training."""


def augment(
    image: Image.Image, spec: Preprocessing, settings: AugmentationSettings, key: int
) -> torch.Tensor:
    """The RGB picture as uint8 [3, size, size], varied as `settings` say; the same key gives the same view."""
    view = view_of(image, spec, settings, key)
    if not varies(settings):
        return view
    drawn = torch.tensor([draw(settings, spec.size, key)])
    varied: torch.Tensor = vary(scaled(view[None]), drawn, settings, spec)[0]
    return varied.mul_(255).round_().to(torch.uint8)


def view_of(
    image: Image.Image, spec: Preprocessing, settings: AugmentationSettings, key: int
) -> torch.Tensor:
    """The same before what is left to the device (`variation`)."""
    used = {**vars(settings), **MIXED}
    del used["name"]
    assert "auto" not in used.values(), "the recipe decides what auto stands for"
    view = _flipped(_placed(image, spec, settings, key), settings, key)
    transforms = list(_transforms(spec, settings))
    if not transforms:
        return to_tensor(view)
    changing: Any = view
    with _torchs_generator():
        for name, transform in transforms:
            # A seed for each, so that switching one off does not shift what the others draw.
            torch.default_generator.manual_seed(mix(key, name))
            changing = transform(changing)
    return to_tensor(changing)


def _placed(image: Image.Image, spec: Preprocessing, settings: AugmentationSettings, key: int) -> Image.Image:
    """The square that is looked at further: a random part, the whole at a random place, or what scoring sees."""
    if _crops(settings):
        whole = _croppable(image, spec)
        scale = [float(share) for share in settings.crop_scale]
        box = _random_box(whole.size, scale, random.Random(mix(key, "crop")))
        return whole.resize((spec.size, spec.size), RESAMPLING[spec.interpolation], box=box)
    if settings.random_crop:
        draw = random.Random(mix(key, "random_crop"))
        return fit_picture(image, spec, draw.random(), draw.random())
    return fit_picture(image, spec)


def _flipped(image: Image.Image, settings: AugmentationSettings, key: int) -> Image.Image:
    for name, probability, turn in (
        ("flip", settings.flip, Image.Transpose.FLIP_LEFT_RIGHT),
        ("vertical_flip", settings.vertical_flip, Image.Transpose.FLIP_TOP_BOTTOM),
    ):
        if probability and random.Random(mix(key, name)).random() < float(probability):
            image = image.transpose(turn)
    return image


TRIES = 10
RATIOS = math.log(3 / 4), math.log(4 / 3)
"""Width over height of random crops: between these, in logarithms."""


def _random_box(
    size: tuple[int, int], scale: Sequence[float], draw: random.Random
) -> tuple[float, float, float, float]:
    """A part of a picture as torchvision's RandomResizedCrop draws it, in fractions of pixels.

    So the same key takes the same part of a picture, in whatever size that comes.
    """
    width, height = size
    for _ in range(TRIES):
        area, ratio = width * height * draw.uniform(*scale), math.exp(draw.uniform(*RATIOS))
        across, down = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if across <= width and down <= height:
            left, top = draw.uniform(0, width - across), draw.uniform(0, height - down)
            return left, top, min(left + across, width), min(top + down, height)
    # Long pictures have no such part: the largest one in the middle that is not too long.
    low, high = map(math.exp, RATIOS)
    across, down = min(width, height * high), min(height, width / low)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


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
    if settings.padding:
        margin = round(float(settings.padding) * spec.size)
        yield "padding", _made(v2.RandomCrop, spec.size, padding=margin, fill=ground)
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
    if settings.trivial:
        yield "trivial", _made(v2.TrivialAugmentWide, interpolation=filter_, fill=ground)


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


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def _torchs_generator() -> Iterator[None]:
    """Torchvision draws from torch's own generator: one thread at a time, and afterwards as if nothing had been drawn.

    torch.random.fork_rng does the same in four times the time.
    """
    with _ONE_AT_A_TIME:
        state = torch.get_rng_state()
        try:
            yield
        finally:
            torch.set_rng_state(state)
