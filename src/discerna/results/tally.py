"""The arithmetic of an evaluation: batches of probabilities in, figures out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from discerna.results.figures import Calibration, CalibrationBin, Evaluation, LabelFigures, Means
from discerna.results.ranking import Ranking

SMALLEST = 1e-12
"""In the loss, a true label's probability counts as this at least: a single 0 would make it infinite."""

BINS = 15
"""Of the highest probability, for its calibration; the number in the papers on it."""


class Tally:
    """Sums over the pictures seen so far, of at most `pictures`, and what `Ranking` keeps of them."""

    def __init__(self, labels: Sequence[str], pictures: int) -> None:
        self.labels = list(labels)
        self.pictures = 0
        self._loss = 0.0
        self._brier = 0.0
        self._top5 = 0
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._ranking = Ranking(len(labels), pictures)
        self._confidence = _Confidence()

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> None:
        """Count in the pictures with these probabilities [n, labels] and true labels [n]."""
        each = np.arange(len(truth))
        of_truth = probabilities[each, truth]
        before = np.arange(len(self.labels)) < truth[:, None]
        # Equally probable labels stand in the model's order, here as in the label that is predicted.
        ahead = (probabilities > of_truth[:, None]) | ((probabilities == of_truth[:, None]) & before)
        predicted = probabilities.argmax(1)
        distance = probabilities.astype(np.float64)
        distance[each, truth] -= 1
        self.pictures += len(truth)
        self._loss -= float(np.log(np.clip(of_truth.astype(np.float64), SMALLEST, 1)).sum())
        self._brier += float((distance**2).sum())
        self._top5 += int((ahead.sum(1) < 5).sum())
        self._pairs.update(zip(truth.tolist(), predicted.tolist(), strict=True))
        self._ranking.add(probabilities, truth)
        self._confidence.add(probabilities[each, predicted], predicted == truth)

    def evaluation(self, skipped: list[tuple[str, str]]) -> Evaluation:
        """The figures of all that was counted in, which is one picture or more."""
        right = [self._pairs[i, i] for i in range(len(self.labels))]
        support, given = [0] * len(self.labels), [0] * len(self.labels)
        for (true, predicted), count in self._pairs.items():
            support[true] += count
            given[predicted] += count
        ranks = list(self._ranking.figures())
        per_label = [
            LabelFigures(
                label=label,
                precision=_share(right[i], given[i]),
                recall=_share(right[i], support[i]),
                f1=_share(2 * right[i], given[i] + support[i]),
                auroc=ranks[i].auroc,
                average_precision=ranks[i].average_precision,
                support=support[i],
            )
            for i, label in enumerate(self.labels)
        ]
        borne = [figures for figures in per_label if figures.support]
        mcc, kappa = _agreement(sum(right), support, given)
        return Evaluation(
            labels=self.labels,
            pictures=self.pictures,
            skipped=skipped,
            accuracy=sum(right) / self.pictures,
            loss=self._loss / self.pictures,
            top5=self._top5 / self.pictures if len(self.labels) > 5 else None,
            brier=self._brier / self.pictures,
            mcc=mcc,
            kappa=kappa,
            per_label=per_label,
            macro=_means(borne, [1] * len(borne)),
            weighted=_means(borne, [figures.support for figures in borne]),
            auroc_margin=max(rank.margin for rank in ranks),
            calibration=self._confidence.calibration(),
            confusions={pair: count for pair, count in sorted(self._pairs.items()) if count},
        )


class _Confidence:
    """Pictures, right answers and highest probabilities in bins of the latter."""

    def __init__(self) -> None:
        self.edges = np.linspace(0, 1, BINS + 1)
        self.pictures = np.zeros(BINS, np.int64)
        self.right = np.zeros(BINS, np.int64)
        self.highest = np.zeros(BINS)

    def add(self, highest: NDArray[np.float32], right: NDArray[np.bool_]) -> None:
        bins = np.searchsorted(self.edges[1:-1], highest.astype(np.float64), side="left")
        self.pictures += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins[right], minlength=BINS)
        self.highest += np.bincount(bins, highest.astype(np.float64), minlength=BINS)

    def calibration(self) -> Calibration:
        gaps = np.abs(self.highest - self.right)  # of each bin, times its pictures
        used = self.pictures > 0
        bins = [
            CalibrationBin(
                above=float(self.edges[i]),
                upto=float(self.edges[i + 1]),
                pictures=count,
                confidence=_share(float(self.highest[i]), count),
                accuracy=_share(int(self.right[i]), count),
            )
            for i, count in enumerate(self.pictures.tolist())
        ]
        return Calibration(
            error=float(gaps.sum() / self.pictures.sum()),
            max_error=float((gaps[used] / self.pictures[used]).max()),
            bins=bins,
        )


def _agreement(right: int, support: Sequence[int], given: Sequence[int]) -> tuple[float | None, float | None]:
    """Matthews' correlation and Cohen's kappa, from whole numbers until the last division."""
    pairs = sum(support) ** 2
    chance = sum(true * predicted for true, predicted in zip(support, given, strict=True))
    above = right * sum(support) - chance
    spread = (pairs - sum(n * n for n in support)) * (pairs - sum(n * n for n in given))
    return (above / spread**0.5 if spread else None), _share(above, pairs - chance)


def _means(borne: Sequence[LabelFigures], weights: Sequence[int]) -> Means:
    aurocs = [(f.auroc, weight) for f, weight in zip(borne, weights, strict=True) if f.auroc is not None]
    return Means(
        precision=_mean([f.precision for f in borne], weights),
        recall=_mean([f.recall for f in borne], weights),
        f1=_mean([f.f1 for f in borne], weights),
        auroc=_mean([auroc for auroc, _ in aurocs], [weight for _, weight in aurocs]) if aurocs else None,
        average_precision=_mean([f.average_precision for f in borne], weights),
    )


def _mean(figures: Sequence[float | None], weights: Sequence[int]) -> float:
    return sum((f or 0.0) * weight for f, weight in zip(figures, weights, strict=True)) / sum(weights)


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
