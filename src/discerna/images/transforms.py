"""Augmentation: one random view of a picture, drawn from a generator that the caller has keyed."""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageEnhance

from discerna.images.preprocessing import RESAMPLING, fit_picture
from discerna.settings.augmentation import AugmentationSettings, NoAugmentationSettings
from discerna.settings.preprocessing import Preprocessing

_TRIES = 10
_RATIOS = (3 / 4, 4 / 3)
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)

Box = tuple[int, int, int, int]


def augment(
    image: Image.Image, spec: Preprocessing, settings: AugmentationSettings, key: Random
) -> Image.Image:
    """The RGB picture as a square of `spec.size` pixels, varied as `settings` say.

    light: a random part of the picture, perhaps mirrored, with other brightness, contrast and saturation.
    """
    if isinstance(settings, NoAugmentationSettings):
        return fit_picture(image, spec)
    # All draws first, and always as many: an option that is switched off must not shift those of another.
    crop = [key.random() for _ in range(2 * _TRIES + 2)]
    mirror = key.random()
    factors = [1 + settings.jitter * (2 * key.random() - 1) for _ in _ENHANCERS]

    box = _crop_box(image.width, image.height, settings.crop_scale, crop)
    view = image.resize((spec.size, spec.size), RESAMPLING[spec.interpolation], box=box)
    if mirror < settings.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if settings.jitter:
        for enhancer, factor in zip(_ENHANCERS, factors, strict=True):
            view = enhancer(view).enhance(factor)
    return view


def _crop_box(width: int, height: int, scale: list[float], draws: list[float]) -> Box:
    """The part to keep: a share of the area, an aspect ratio and a place, as RandomResizedCrop draws them."""
    low, high = (math.log(ratio) for ratio in _RATIOS)
    for attempt in range(_TRIES):
        area = width * height * (scale[0] + (scale[1] - scale[0]) * draws[2 * attempt])
        ratio = math.exp(low + (high - low) * draws[2 * attempt + 1])
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draws[-2] * (width - w + 1)), int(draws[-1] * (height - h + 1))
            return left, top, left + w, top + h
    # A picture so long that no such part fits: the middle of it, of an aspect ratio that is allowed.
    w = min(width, max(1, round(height * _RATIOS[1])))
    h = min(height, max(1, round(width / _RATIOS[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
