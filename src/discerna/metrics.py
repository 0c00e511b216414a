"""The figures of an epoch; the one place that imports torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassAccuracy


class LossMean(nn.Module):
    """The mean loss over pictures, each counted once on any number of processes."""

    def __init__(self) -> None:
        super().__init__()
        # A loss that is not finite stops the run elsewhere; looking for one here would make a GPU wait.
        self.total = SumMetric(nan_strategy="disable")
        self.count = SumMetric(nan_strategy="disable")

    def update(self, losses: Tensor) -> None:
        """Add the loss of each picture of a batch."""
        self.total.update(losses.sum())
        self.count.update(float(losses.numel()))

    def compute(self) -> float:
        """The mean over all processes."""
        return float(self.total.compute() / self.count.compute())

    def sums(self) -> dict[str, float]:
        """What has been added up so far, over all processes; all must ask."""
        return {"total": float(self.total.compute()), "count": float(self.count.compute())}

    def go_on_from(self, sums: Mapping[str, float]) -> None:
        """Begin with what `sums` has told; in one process only."""
        self.reset()
        self.total.update(sums["total"])
        self.count.update(sums["count"])

    def reset(self) -> None:
        """Begin anew."""
        self.total.reset()
        self.count.reset()


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
        figures = {"valid_loss": self.loss.compute(), "valid_accuracy": float(self.accuracy.compute())}
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
