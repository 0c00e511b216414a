"""The network of `scripts/bench speed`, and the size of its work."""

from __future__ import annotations

from typing import Any

LABELS, BATCH, SIDE = 4, 16, 224


def make_network() -> Any:
    """An untrained resnet18; torch is imported only now."""
    from torchvision.models import resnet18

    return resnet18(num_classes=LABELS)
