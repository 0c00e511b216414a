"""How good a trained model is on labelled pictures: each counts once, by the exact path."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import label_positions
from discerna.errors import InvalidDatasetError
from discerna.progress import SILENT, Progress
from discerna.results.predictor import Predictor, ScoredBatch
from discerna.results.scores import reason, unicode_text
from discerna.wording import align, counted, listed, shown, width

LOG = logging.getLogger("discerna")

SMALLEST = 1e-12
"""In the loss, a true label's probability counts as this at least: a single 0 would make it infinite."""

MATRIX_LIMIT = 20
"""With more labels, the terminal shows the most frequent confusions instead of the matrix."""
HEADS_WIDTH = 80
SHOWN = 10


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
    support: int
    """How many pictures bear it."""


@dataclass(frozen=True)
class MacroFigures:
    """Means over the labels that some picture bears; the precision of one never given counts as 0."""

    precision: float
    recall: float
    f1: float


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
    """Mean of -ln(probability of the true label), that probability taken as 1e-12 or more."""
    top5: float | None
    """Share of the pictures whose label is among the five most probable; None with five labels or fewer."""
    per_label: list[LabelFigures]
    macro: MacroFigures
    confusions: dict[tuple[int, int], int]
    """(true, predicted) -> pictures, where there are any; by position in `labels`."""

    @property
    def confusion(self) -> list[list[int]]:
        """The confusion matrix: a row for each true label, a column for each predicted one."""
        matrix = [[0] * len(self.labels) for _ in self.labels]
        for (true, predicted), count in self.confusions.items():
            matrix[true][predicted] = count
        return matrix

    def headline(self) -> dict[str, float]:
        """The figures that say most: accuracy, loss and, if it has a value, top5."""
        figures = {"accuracy": self.accuracy, "loss": self.loss}
        return figures if self.top5 is None else {**figures, "top5": self.top5}

    def as_json(self) -> dict[str, Any]:
        """All figures, as evaluation.json has them."""
        return {
            "pictures": self.pictures,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "top5": self.top5,
            "macro": asdict(self.macro),
            "labels": [unicode_text(label) for label in self.labels],
            "per_label": [asdict(f) | {"label": unicode_text(f.label)} for f in self.per_label],
            "confusion": self.confusion,
            "skipped": [{"file": unicode_text(name), "reason": why} for name, why in self.skipped],
        }

    def table(self) -> str:
        """All figures for a terminal."""
        parts = [self._overall(), self._per_label()]
        parts.append(self._matrix() if len(self.labels) <= MATRIX_LIMIT else self._most_frequent())
        if self.skipped:
            parts.append(self._skipped())
        return "\n\n".join(parts)

    def _overall(self) -> str:
        told = f"accuracy {self.accuracy:.2%}, loss {self.loss:.4f}"
        if self.top5 is not None:
            told += f", top-5 {self.top5:.2%}"
        return f"{told}, {counted(self.pictures, 'picture')}"

    def _per_label(self) -> str:
        rows: list[tuple[str, ...]] = [("label", "precision", "recall", "f1", "pictures")]
        for f in self.per_label:
            rows.append((shown(f.label), *map(_figure, (f.precision, f.recall, f.f1)), str(f.support)))
        macro = self.macro
        rows.append(("mean", *map(_figure, (macro.precision, macro.recall, macro.f1)), str(self.pictures)))
        return align(rows, "<>>>>")

    def _matrix(self) -> str:
        names = [shown(label) for label in self.labels]
        heads = names
        if sum(width(name) + 2 for name in names) > HEADS_WIDTH:
            heads = [str(number) for number in range(1, len(names) + 1)]
            names = [f"{number} {name}" for number, name in zip(heads, names, strict=True)]
        rows = [["true \\ predicted", *heads]]
        for name, counts in zip(names, self.confusion, strict=True):
            rows.append([name, *(str(count) if count else "." for count in counts)])
        return align(rows, "<" + ">" * len(names))

    def _most_frequent(self) -> str:
        wrong = [(count, pair) for pair, count in self.confusions.items() if pair[0] != pair[1]]
        if not wrong:
            return "no confusions"
        wrong.sort(key=lambda item: (-item[0], item[1]))
        rows = [("most frequent confusions: true", "predicted", "pictures")]
        for count, (true, predicted) in wrong[:SHOWN]:
            rows.append((shown(self.labels[true]), shown(self.labels[predicted]), str(count)))
        return align(rows, "<<>")

    def _skipped(self) -> str:
        rows = [(shown(name), shown(why)) for name, why in self.skipped[:SHOWN]]
        more = len(self.skipped) - len(rows)
        head = f"{counted(len(self.skipped), 'picture')} cannot be read and count nowhere"
        tail = f"\n  and {more} more" if more else ""
        return f"{head}\n{align(rows, indent='  ')}{tail}"


def evaluate(
    predictor: Predictor,
    data: ImageDirectory,
    *,
    setting: str,
    batch_size: int,
    workers: int,
    progress: Progress = SILENT,
    on_batch: Callable[[ScoredBatch], None] | None = None,
) -> Evaluation:
    """Measure the model on all pictures of `data`, which the user gave as `setting`.

    Labels are matched by name; the model may know more of them. `on_batch` sees every batch of scores as
    it is made, so that they need not be made twice.
    """
    positions = label_positions(data, predictor.labels, setting=setting, allow_missing=True)
    present = set(data.labels)
    absent = [label for label in predictor.labels if label not in present]
    if absent:
        LOG.info("%s has no picture of %s: %s", setting, counted(len(absent), "label"), listed(absent, SHOWN))
    tally = _Tally(len(predictor.labels))
    skipped: list[tuple[str, str]] = []
    stream = predictor.stream(data, batch_size=batch_size, workers=workers, progress=progress)
    with closing(stream) as batches:
        for batch in batches:
            truth = np.array([positions[data.label_index(i)] for i in batch.indices], np.int64)
            tally.add(batch.probabilities, truth)
            skipped += [(data.name(i), reason(error)) for i, error in batch.errors]
            if on_batch is not None:
                on_batch(batch)
    if not tally.pictures:
        raise InvalidDatasetError(
            "no picture can be read",
            where=f"{setting}={shown(str(data.root))}",
            accepted=f"all {len(data)} are damaged, such as {_told(skipped[:1])}",
            remedy="give it pictures that open",
        )
    if skipped:
        more = f" … and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        told = _told(skipped[:SHOWN]) + more
        LOG.warning("%s: %s not counted: %s", setting, counted(len(skipped), "unreadable picture"), told)
    return tally.evaluation(predictor.labels, skipped)


class _Tally:
    """Sums over the pictures seen so far; a few numbers for each label, none for each picture."""

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self.pictures = 0
        self.loss = 0.0
        self.top5 = 0
        self.pairs: Counter[tuple[int, int]] = Counter()

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> None:
        """Count in the pictures with these probabilities [n, labels] and true labels [n]."""
        of_truth = probabilities[np.arange(len(truth)), truth]
        before = np.arange(self.labels) < truth[:, None]
        # Equally probable labels stand in the model's order, here as in the label that is predicted.
        ahead = (probabilities > of_truth[:, None]) | ((probabilities == of_truth[:, None]) & before)
        self.pictures += len(truth)
        self.loss -= float(np.log(np.maximum(of_truth.astype(np.float64), SMALLEST)).sum())
        self.top5 += int((ahead.sum(1) < 5).sum())
        self.pairs.update(zip(truth.tolist(), probabilities.argmax(1).tolist(), strict=True))

    def evaluation(self, labels: Sequence[str], skipped: list[tuple[str, str]]) -> Evaluation:
        """The figures of all that was counted in."""
        right = [self.pairs[i, i] for i in range(self.labels)]
        support, given = [0] * self.labels, [0] * self.labels
        for (true, predicted), count in self.pairs.items():
            support[true] += count
            given[predicted] += count
        per_label = [
            LabelFigures(
                label=label,
                precision=_share(right[i], given[i]),
                recall=_share(right[i], support[i]),
                f1=_share(2 * right[i], given[i] + support[i]),
                support=support[i],
            )
            for i, label in enumerate(labels)
        ]
        borne = [figures for figures in per_label if figures.support]
        return Evaluation(
            labels=list(labels),
            pictures=self.pictures,
            skipped=skipped,
            accuracy=sum(right) / self.pictures,
            loss=self.loss / self.pictures,
            top5=self.top5 / self.pictures if self.labels > 5 else None,
            per_label=per_label,
            macro=MacroFigures(
                precision=_mean([figures.precision for figures in borne]),
                recall=_mean([figures.recall for figures in borne]),
                f1=_mean([figures.f1 for figures in borne]),
            ),
            confusions={pair: count for pair, count in sorted(self.pairs.items()) if count},
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(figures: Sequence[float | None]) -> float:
    return sum(figure or 0.0 for figure in figures) / len(figures)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _told(skipped: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{shown(name)} ({why})" for name, why in skipped)
