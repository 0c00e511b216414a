"""The figures of an epoch; the one place that imports torchmetrics."""

from __future__ import annotations

from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassAccuracy


class LossMean(nn.Module):
    """The mean loss over pictures, each counted once on any number of processes."""

    def __init__(self) -> None:
        super().__init__()
        self.total = SumMetric()
        self.count = SumMetric()

    def update(self, losses: Tensor, weights: Tensor) -> None:
        """Add the loss of each picture; a weight of 0 leaves one out."""
        self.total.update((losses * weights).sum())
        self.count.update(weights.sum())

    def compute(self) -> float:
        """The mean over all processes."""
        return float(self.total.compute() / self.count.compute())

    def reset(self) -> None:
        """Begin anew."""
        self.total.reset()
        self.count.reset()


class ValidationFigures(nn.Module):
    """valid_loss, valid_accuracy and, beyond five labels, valid_top5."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.loss = LossMean()
        accuracies: dict[str, Metric] = {"valid_accuracy": _accuracy(labels, 1)}
        if labels > 5:  # with five labels or fewer the answer is always among the first five
            accuracies["valid_top5"] = _accuracy(labels, 5)
        self.accuracies = nn.ModuleDict(accuracies)

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor, weights: Tensor) -> None:
        """Add a batch; pictures of weight 0 are not counted."""
        self.loss.update(losses, weights)
        counted = weights > 0
        for accuracy in self.accuracies.values():
            if bool(counted.any()):
                accuracy.update(logits[counted], labels[counted])

    def compute(self) -> dict[str, float]:
        """The figures over all processes."""
        figures = {"valid_loss": self.loss.compute()}
        return figures | {name: float(accuracy.compute()) for name, accuracy in self.accuracies.items()}

    def reset(self) -> None:
        """Begin anew."""
        self.loss.reset()
        for accuracy in self.accuracies.values():
            accuracy.reset()


def _accuracy(labels: int, top_k: int) -> Metric:
    return MulticlassAccuracy(num_classes=labels, top_k=top_k, average="micro", validate_args=False)
