"""How well each label's probability puts the pictures that bear it before the others: AUROC, average precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT = 64_000_000
"""So many probabilities are kept, 256 MB, and ranked exactly; of more, only counts in bins are kept."""

CELLS = 2**25
"""The bins of all labels together, 128 MB, and the probabilities that wait to be counted, as much again."""

LEAST = np.float32(2**-40)
"""In bins, probabilities below this, 1e-12, count as equal."""
LOWEST, HALF = (int(number.view(np.uint32)) for number in (LEAST, np.float32(0.5)))


class RankFigures(NamedTuple):
    """How well one label's probability ranks; None where a figure has no value."""

    auroc: float | None
    """The chance that a picture of this label is above one of another; a tie counts half."""
    average_precision: float | None
    """The mean, over the pictures of this label, of its share among all that are as probable or more."""
    margin: float
    """The exact AUROC is at most so far away; 0 where the probabilities were kept."""


class _Groups(NamedTuple):
    """Pictures of a label by rank, lowest first: those whose probabilities count as equal are one group."""

    own: NDArray[np.int64]
    """How many of each group bear the label: 1 or more."""
    below: NDArray[np.int64]
    """How many of all pictures are lower."""
    upto: NDArray[np.int64]
    """How many of all pictures are lower or in the group."""


class Ranking:
    """Takes the probabilities of a known number of pictures, of which some may never come."""

    def __init__(self, labels: int, pictures: int) -> None:
        self._pictures = 0
        self._truth = np.empty(pictures, np.int32)
        self._of_truth = np.empty(pictures, np.float32)
        self._bins: _Bins | None = None
        room = pictures
        if labels * pictures > KEPT:
            self._bins = _Bins(labels)
            room = min(pictures, max(1, CELLS // labels))
        self._kept = np.empty((labels, room), np.float32)
        self._end = 0

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> None:
        """Take in the pictures with these probabilities [n, labels] and true labels [n]."""
        new = slice(self._pictures, self._pictures + len(truth))
        self._truth[new] = truth
        self._of_truth[new] = probabilities[np.arange(len(truth)), truth]
        self._pictures = new.stop
        while len(probabilities):
            fit = probabilities[: self._kept.shape[1] - self._end]
            self._kept[:, self._end : self._end + len(fit)] = fit.T
            self._end += len(fit)
            probabilities = probabilities[len(fit) :]
            if self._bins is not None and self._end == self._kept.shape[1]:
                self._count(self._bins)

    def figures(self) -> Iterator[RankFigures]:
        """Of each label, in order."""
        if self._bins is not None:
            self._count(self._bins)
        truth = self._truth[: self._pictures]
        order = np.argsort(truth, kind="stable")
        ends = np.searchsorted(truth[order], np.arange(1, len(self._kept)))
        for label, own in enumerate(np.split(self._of_truth[order], ends)):
            yield self._of_label(label, own) if len(own) else RankFigures(None, None, 0.0)

    def _count(self, bins: _Bins) -> None:
        """Leave the kept probabilities to the bins."""
        for label, kept in enumerate(self._kept):
            bins.add(label, kept[: self._end])
        self._end = 0

    def _of_label(self, label: int, borne: NDArray[np.float32]) -> RankFigures:
        if self._bins is None:
            own, below, upto = _exact_groups(self._kept[label, : self._end], borne)
        else:
            own, below, upto = self._bins.groups(label, borne)
        own_below = np.cumsum(own) - own
        precision = (len(borne) - own_below) / (self._pictures - below)
        average = float((own * precision).sum() / len(borne))
        others = self._pictures - len(borne)
        if not others:
            return RankFigures(None, average, 0.0)
        tied = upto - below - own
        pairs = len(borne) * others
        auroc = float((own * (below - own_below + tied / 2)).sum() / pairs)
        return RankFigures(auroc, average, float((own * tied).sum() / 2 / pairs) if self._bins else 0.0)


def _exact_groups(every: NDArray[np.float32], borne: NDArray[np.float32]) -> _Groups:
    """By a label's probability in every picture, and in those that bear it."""
    ordered = np.sort(every)
    distinct, own = np.unique(borne, return_counts=True)
    below, upto = np.searchsorted(ordered, distinct), np.searchsorted(ordered, distinct, side="right")
    return _Groups(own, below, upto)


class _Bins:
    """How many probabilities lie in each of many bins: narrow ones near 0 and near 1, where most lie.

    A bin is a run of consecutive 32-bit floats: of the probability up to 0.5, above it of what is missing to 1.
    """

    def __init__(self, labels: int) -> None:
        self._shift = 0
        while (2 * (HALF - LOWEST) >> self._shift) * labels >= CELLS:
            self._shift += 1
        self._counts = np.zeros((labels, (2 * (HALF - LOWEST) >> self._shift) + 1), np.uint32)

    def add(self, label: int, probabilities: NDArray[np.float32]) -> None:
        """Count in a label's probabilities."""
        counts = self._counts[label]
        counts += np.bincount(self._bin(probabilities), minlength=len(counts)).astype(np.uint32)

    def groups(self, label: int, borne: NDArray[np.float32]) -> _Groups:
        """As `_exact_groups`; those of a bin count as equal."""
        bins, own = np.unique(self._bin(borne), return_counts=True)
        upto = np.cumsum(self._counts[label], dtype=np.int64)[bins]
        return _Groups(own, upto - self._counts[label, bins], upto)

    def _bin(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        high = probabilities > 0.5
        # Positive floats are in the order of their bits, and 1 - p is exact for p from 0.5 to 1.
        part = np.maximum(np.where(high, 1 - probabilities, probabilities), LEAST)
        bits = part.view(np.uint32).astype(np.int64) - LOWEST
        found: NDArray[np.int64] = np.where(high, 2 * (HALF - LOWEST) - bits, bits) >> self._shift
        return found
