"""The figures of a model on labelled pictures: what they are, for Python and for evaluation.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from discerna.results.evaluation_table import evaluation_table
from discerna.wording import unicode_text


@dataclass(frozen=True)
class LabelFigures:
    """How well one label is told apart; None where a figure has no value."""

    label: str
    precision: float | None
    """Of the pictures given this label, the share that bear it; None where none was given it."""
    recall: float | None
    """Of the pictures that bear this label, the share given it; None where none bears it."""
    f1: float | None
    """The harmonic mean of the two; None where no picture bears the label or was given it."""
    auroc: float | None
    """The chance that this label is more probable in a picture that bears it than in one that does not.

    A tie counts half; None where none bears it, or all do.
    """
    average_precision: float | None
    """The mean, over the pictures that bear it, of the precision with the threshold at that picture.

    None where none bears it.
    """
    support: int
    """How many pictures bear it."""


@dataclass(frozen=True)
class Means:
    """Means over the labels that some picture bears; the precision of one never given counts as 0."""

    precision: float
    recall: float
    f1: float
    auroc: float | None
    """Over the labels that have one; None where none has."""
    average_precision: float


@dataclass(frozen=True)
class CalibrationBin:
    """The pictures whose highest probability lies in `above` < p <= `upto`."""

    above: float
    upto: float
    pictures: int
    confidence: float | None
    """The mean of their highest probabilities; None without pictures."""
    accuracy: float | None
    """The share of them that are right; None without pictures."""


@dataclass(frozen=True)
class Calibration:
    """Whether the highest probability is the chance to be right, in bins of equal width."""

    error: float
    """The expected calibration error: the mean of |confidence - accuracy| of a picture's bin."""
    max_error: float
    """The largest |confidence - accuracy| of a bin."""
    bins: list[CalibrationBin]
    """A reliability diagram's points."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on labelled pictures."""

    labels: list[str]
    """The model's, in its order."""
    pictures: int
    """How many were measured."""
    skipped: list[tuple[str, str]]
    """The name of each picture that cannot be read, and why; these count nowhere."""
    accuracy: float
    loss: float
    """Mean of -ln(probability of the true label), that probability taken as 1e-12 or more: the log-loss."""
    top5: float | None
    """Share of the pictures whose label is among the five most probable; None with five labels or fewer."""
    brier: float
    """Mean of the squared distance between the probabilities and the truth: from 0, the best, to 2."""
    mcc: float | None
    """Matthews' correlation of truth and prediction; None where one of them is the same for all pictures."""
    kappa: float | None
    """Cohen's: agreement beyond chance; None where truth and prediction are one label for all pictures."""
    per_label: list[LabelFigures]
    macro: Means
    """Each label counts the same."""
    weighted: Means
    """Each label counts by the pictures that bear it."""
    auroc_margin: float
    """The exact figure is at most so far from each AUROC; 0 unless probabilities were counted in bins."""
    calibration: Calibration
    confusions: dict[tuple[int, int], int]
    """(true, predicted) -> pictures, where there are any; by position in `labels`."""

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the labels that some picture bears."""
        return self.macro.recall

    @property
    def azure(self) -> dict[str, float]:
        """The figures of the Azure ML designer's Evaluate Model, under its names.

        Its macro means are over the labels that some picture bears or was given; what is undefined counts as 0.
        Its micro figures are the accuracy, as each picture bears one label and is given one.
        """
        seen = [figures for figures in self.per_label if figures.f1 is not None]
        return {
            "Overall_Accuracy": self.accuracy,
            "Micro_Precision": self.accuracy,
            "Macro_Precision": sum(figures.precision or 0.0 for figures in seen) / len(seen),
            "Micro_Recall": self.accuracy,
            "Macro_Recall": sum(figures.recall or 0.0 for figures in seen) / len(seen),
        }

    @property
    def confusion(self) -> list[list[int]]:
        """The confusion matrix: a row for each true label, a column for each predicted one."""
        matrix = [[0] * len(self.labels) for _ in self.labels]
        for (true, predicted), count in self.confusions.items():
            matrix[true][predicted] = count
        return matrix

    def headline(self) -> dict[str, float]:
        """The figures that say most: accuracy, balanced accuracy, loss and, if it has a value, top5."""
        figures = {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "loss": self.loss,
        }
        return figures if self.top5 is None else {**figures, "top5": self.top5}

    def as_json(self) -> dict[str, Any]:
        """All figures, as evaluation.json has them."""
        return {
            "pictures": self.pictures,
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "loss": self.loss,
            "top5": self.top5,
            "brier": self.brier,
            "mcc": self.mcc,
            "kappa": self.kappa,
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "azure": self.azure,
            "auroc_margin": self.auroc_margin,
            "labels": [unicode_text(label) for label in self.labels],
            "per_label": [asdict(f) | {"label": unicode_text(f.label)} for f in self.per_label],
            "calibration": asdict(self.calibration),
            "confusion": self.confusion,
            "skipped": [{"file": unicode_text(name), "reason": why} for name, why in self.skipped],
        }

    def table(self) -> str:
        """The figures for a terminal."""
        return evaluation_table(self)
