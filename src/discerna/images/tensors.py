"""Pictures as tensors: 8 bits until they are on the device, normalised there."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from discerna.settings.preprocessing import Preprocessing


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB picture as uint8 [3, height, width], in memory of its own."""
    # np.array copies always; where one side is 1 pixel, ascontiguousarray would hand out Pillow's
    # read-only bytes, which torch warns of.
    return torch.from_numpy(np.array(np.asarray(image).transpose(2, 0, 1), order="C"))


def normalise(pictures: torch.Tensor, spec: Preprocessing) -> torch.Tensor:
    """Pictures [n, 3, height, width] in uint8 as float32, scaled to 0..1, minus mean, over std."""
    return standardised(scaled(pictures), spec)


def scaled(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in uint8 as float32 in 0..1."""
    return pictures.to(torch.float32).div_(255)


def standardised(pictures: torch.Tensor, spec: Preprocessing) -> torch.Tensor:
    """Pictures in 0..1, minus mean, over std, in place."""
    mean, std = (of_colours(tuple(values), pictures.device) for values in (spec.mean, spec.std))
    return pictures.sub_(mean).div_(std)


@lru_cache(maxsize=32)
def of_colours(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """A number for red, green and blue each, as [3, 1, 1]; a GPU that is sent them in each step waits each time."""
    with torch.inference_mode(mode=False):  # whoever asks first, others may learn with it
        return torch.tensor(values, device=device).view(3, 1, 1)
