"""The figures of an epoch; the one place that imports torchmetrics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy


class LossMean:
    """The mean loss over pictures, each counted once on any number of processes.

    Not torchmetrics' own: in mid-epoch that one asks other processes only where it has been updated since, which a
    process without a share of the last step has not. No buffers: a moving average of the weights would average them.
    """

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        """The sum of the losses, and their number, of this process; a tensor, as asking a GPU would make it wait."""

    def update(self, losses: Tensor) -> None:
        """Add the loss of each picture of a batch."""
        own = torch.stack([losses.sum(), losses.new_full((), losses.numel())])
        self._sums = own if self._sums is None else self._sums + own

    def sums(self, device: torch.device) -> dict[str, float]:
        """What has been added up so far, over all processes; all must ask."""
        sums = torch.zeros(2, device=device) if self._sums is None else self._sums.clone()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        total, count = sums.tolist()
        return {"total": total, "count": count}

    def compute(self, device: torch.device) -> float:
        """The mean over all processes."""
        sums = self.sums(device)
        return sums["total"] / sums["count"] if sums["count"] else math.nan

    def go_on_from(self, sums: Mapping[str, float], device: torch.device) -> None:
        """Begin with what `sums` has told; in one process only."""
        self._sums = torch.tensor([sums["total"], sums["count"]], device=device)

    def reset(self) -> None:
        """Begin anew."""
        self._sums = None


class ValidationFigures(nn.Module):
    """valid_loss, valid_accuracy and, beyond five labels, valid_top5."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.loss = LossMean()
        self.accuracy = _accuracy(labels, 1)
        # With five labels or fewer the answer is always among the first five.
        self.top5 = _accuracy(labels, 5) if labels > 5 else None

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Add a batch."""
        self.loss.update(losses)
        self.accuracy.update(logits, labels)
        if self.top5 is not None:
            self.top5.update(logits, labels)

    def compute(self) -> dict[str, float]:
        """The figures over all processes."""
        device = self.accuracy.device
        figures = {"valid_loss": self.loss.compute(device), "valid_accuracy": float(self.accuracy.compute())}
        if self.top5 is not None:
            figures["valid_top5"] = float(self.top5.compute())
        return figures

    def reset(self) -> None:
        """Begin anew."""
        self.loss.reset()
        self.accuracy.reset()
        if self.top5 is not None:
            self.top5.reset()


def _accuracy(labels: int, top_k: int) -> Metric:
    return MulticlassAccuracy(num_classes=labels, top_k=top_k, average="micro", validate_args=False)
