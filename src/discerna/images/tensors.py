"""Pictures as tensors: 8 bits until they are on the device, normalised there."""

from __future__ import annotations

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
    mean = torch.tensor(spec.mean, device=pictures.device).view(3, 1, 1)
    std = torch.tensor(spec.std, device=pictures.device).view(3, 1, 1)
    return pictures.to(torch.float32).div_(255).sub_(mean).div_(std)
