"""A network that computes next to nothing, so that all else shows."""

from __future__ import annotations

from torch import nn

from discerna.networks import register


@register("bench_linear", image_size=8)
def linear(num_labels: int) -> nn.Module:
    """One layer over the pixels of small pictures."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, num_labels))
