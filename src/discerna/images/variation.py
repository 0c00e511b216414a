"""What is varied on whole batches, on the device: colours, and parts painted over.

What happens to a picture is drawn from its key where it is read; the device has only to compute it.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from discerna.images.keys import mix
from discerna.images.preprocessing import ground_colour
from discerna.images.tensors import of_colours
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing

DRAWN = 8
"""Numbers a picture: brightness, contrast, saturation, whether it loses its colours; top, left, bottom, right."""

UNIT = 10_000
"""They are whole parts of 1: a trainer that computes in bf16 rounds whatever is a fraction, places as well."""

GREY = (0.299, 0.587, 0.114)
"""How much red, green and blue are seen."""

AREA, RATIO, TRIES = (0.02, 0.33), (0.3, 3.3), 10
"""Of a part that is painted over, as torchvision's RandomErasing draws it: share of the picture, height over width."""


def varies(settings: AugmentationSettings) -> bool:
    """Whether there is anything to do."""
    return bool(settings.jitter or settings.grayscale or settings.erasing)


def draw(settings: AugmentationSettings, side: int, key: int) -> list[int]:
    """What happens to the picture of a key, in DRAWN numbers; switching one part off does not shift the others."""
    share = float(settings.jitter)
    colours = random.Random(mix(key, "jitter"))
    factors = [colours.uniform(max(0.0, 1 - share), 1 + share) for _ in range(3)]
    grey = random.Random(mix(key, "grayscale")).random() < float(settings.grayscale)
    parts = random.Random(mix(key, "erasing"))
    part = _part(side, parts) if parts.random() < float(settings.erasing) else (0, 0, 0, 0)
    return [round(UNIT * number) for number in (*factors, grey, *part)]


def _part(side: int, draw: random.Random) -> tuple[int, int, int, int]:
    for _ in range(TRIES):
        area = side * side * draw.uniform(*AREA)
        ratio = math.exp(draw.uniform(*map(math.log, RATIO)))
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if height < side and width < side:
            top, left = draw.randrange(side - height + 1), draw.randrange(side - width + 1)
            return top, left, top + height, left + width
    return 0, 0, 0, 0


def vary(pictures: Tensor, drawn: Tensor, settings: AugmentationSettings, spec: Preprocessing) -> Tensor:
    """Pictures [n, 3, height, width] in 0..1, changed in place, each as its row of `drawn` says."""
    if settings.jitter:
        factors = drawn[:, :3].to(pictures.dtype) / UNIT
        brightness, contrast, saturation = (factors[:, i].view(-1, 1, 1, 1) for i in range(3))
        pictures.mul_(brightness).clamp_(0, 1)
        _away_from(pictures, _grey(pictures).mean((2, 3), keepdim=True), contrast)
        _away_from(pictures, _grey(pictures), saturation)
    if settings.grayscale:
        _away_from(pictures, _grey(pictures), 1 - (drawn[:, 3] // UNIT).view(-1, 1, 1, 1))
    if settings.erasing:
        top, left, bottom, right = ((drawn[:, i] // UNIT).view(-1, 1, 1, 1) for i in range(4, DRAWN))
        rows = torch.arange(pictures.shape[2], device=pictures.device).view(1, 1, -1, 1)
        columns = torch.arange(pictures.shape[3], device=pictures.device).view(1, 1, 1, -1)
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        ground = of_colours(tuple(part / 255 for part in ground_colour(spec)), pictures.device)
        pictures = torch.where(inside, ground, pictures)
    return pictures


def _grey(pictures: Tensor) -> Tensor:
    return (pictures * of_colours(GREY, pictures.device)).sum(1, keepdim=True)


def _away_from(pictures: Tensor, middle: Tensor, factor: Tensor) -> None:
    pictures.sub_(middle).mul_(factor).add_(middle).clamp_(0, 1)
