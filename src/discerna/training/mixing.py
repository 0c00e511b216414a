"""MixUp and CutMix: pictures of a batch mixed with one another, and their labels likewise."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchvision.transforms import v2

from discerna.settings.augmentation import AugmentationSettings


class Mixing:
    """Each batch is mixed in one of the ways that are switched on; draws from torch's generator."""

    def __init__(self, settings: AugmentationSettings, labels: int) -> None:
        ways = [
            way(alpha=float(alpha), num_classes=labels)
            for way, alpha in ((v2.MixUp, settings.mixup), (v2.CutMix, settings.cutmix))
            if alpha
        ]
        self._transform: Any = v2.RandomChoice(ways) if ways else None

    def __call__(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in float and the targets of the loss; one picture alone is left as it is."""
        if self._transform is None or len(labels) < 2:
            return pictures, labels
        mixed, targets = self._transform(pictures, labels)
        return mixed, targets
