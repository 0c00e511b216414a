"""How much of a picture a training looks at: more need neither be decoded nor kept."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from PIL import Image

from discerna.images.decode import decode
from discerna.images.preprocessing import RESAMPLING
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing

MOST = 2
"""Random crops see up to so many times the detail that scoring sees; beyond, it is their own enlargement."""


@dataclass(frozen=True)
class Detail:
    """Larger pictures are made smaller, to this size, when they are decoded."""

    side: int
    """Pixels of the short side, or with `longest` of the long one."""
    longest: bool
    interpolation: str

    def size_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """What a picture of that size becomes."""
        shrink = min(1.0, self.side / (max(size) if self.longest else min(size)))
        width, height = (max(1, round(length * shrink)) for length in size)
        return width, height


def needed(spec: Preprocessing, augmentation: AugmentationSettings | None) -> Detail | None:
    """What a preprocessing, and random crops of it, make use of; None: all, as no pixel may be a mean of others."""
    if spec.interpolation == "nearest":
        return None
    seen = spec.resize if spec.fit == "crop" else spec.inner
    least = 1.0 if augmentation is None else float(augmentation.crop_scale[0])
    cropped = math.ceil(spec.size / math.sqrt(max(least, 1 / MOST**2)))
    return Detail(max(seen, cropped), spec.fit == "pad", spec.interpolation)


def decode_detail(path: str | os.PathLike[str], detail: Detail | None) -> Image.Image:
    """The picture as RGB as `decode` gives it, but not larger than `detail`; always the same for the same file."""
    if detail is None:
        return decode(path)
    image = decode(path, at_least=lambda size: min(detail.size_of(size)))
    size = detail.size_of(image.size)
    # The gap: what is far larger is first brought near by whole factors, which takes a fifth of the time.
    return (
        image
        if size == image.size
        else image.resize(size, RESAMPLING[detail.interpolation], reducing_gap=2.0)
    )
