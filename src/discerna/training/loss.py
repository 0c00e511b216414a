"""The loss of each picture: smoothed and weighted by label as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from discerna.settings.train import LabelWeights

_POWERS = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


def weights_of_labels(counts: Sequence[int], how: LabelWeights) -> list[float]:
    """A weight for each label, the higher the rarer; over all pictures their mean is 1."""
    raw = [count ** -_POWERS[how] for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / sum(counts)
    return [weight / mean for weight in raw]


class PictureLoss(nn.Module):
    """Cross-entropy for whole labels and for the mixtures that MixUp and CutMix make."""

    def __init__(self, counts: Mapping[str, int], how: LabelWeights, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing
        weights = None if how == "none" else torch.tensor(weights_of_labels(list(counts.values()), how))
        self.register_buffer("weights", weights, persistent=False)
        self.weights: Tensor | None

    def forward(self, answers: Tensor, targets: Tensor) -> Tensor:
        """The loss of each picture, in fp32; `targets` are positions of labels, or shares of every label."""
        weights = None if self.weights is None else self.weights.float()
        targets = targets.float() if targets.is_floating_point() else targets
        return cross_entropy(
            answers.float(), targets, weights, reduction="none", label_smoothing=self.smoothing
        )
