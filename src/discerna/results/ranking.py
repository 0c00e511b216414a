"""How well each label's probability puts the pictures that bear it before the others: AUROC, average precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

KEPT = 64_000_000
"""So many probabilities are kept, 256 MB, and ranked exactly; of more, only counts in bins are kept."""

CELLS = 2**25
"""The bins of all labels together, 128 MB: 32,256 a label with 1,000 labels."""


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


class _Store(Protocol):
    exact: bool

    def add(self, probabilities: NDArray[np.float32]) -> None: ...

    def groups(self, label: int, own: NDArray[np.float32]) -> _Groups: ...


class Ranking:
    """Takes the probabilities of a known number of pictures, of which some may never come."""

    def __init__(self, labels: int, pictures: int) -> None:
        self._labels = labels
        self._seen = 0
        self._truth = np.empty(pictures, np.int32)
        self._of_truth = np.empty(pictures, np.float32)
        kept = labels * pictures <= KEPT
        self._store: _Store = _Kept(labels, pictures) if kept else _Binned(labels)

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> None:
        """Take in the pictures with these probabilities [n, labels] and true labels [n]."""
        new = slice(self._seen, self._seen + len(truth))
        self._truth[new] = truth
        self._of_truth[new] = probabilities[np.arange(len(truth)), truth]
        self._store.add(probabilities)
        self._seen = new.stop

    def figures(self) -> Iterator[RankFigures]:
        """Of each label, in order."""
        truth = self._truth[: self._seen]
        order = np.argsort(truth, kind="stable")
        ends = np.searchsorted(truth[order], np.arange(1, self._labels))
        for label, own in enumerate(np.split(self._of_truth[order], ends)):
            if len(own):
                yield self._of_label(len(own), self._store.groups(label, own))
            else:
                yield RankFigures(None, None, 0.0)

    def _of_label(self, borne: int, groups: _Groups) -> RankFigures:
        own, below, upto = groups
        own_below = np.cumsum(own) - own
        precision = (borne - own_below) / (self._seen - below)
        average = float((own * precision).sum() / borne)
        others = self._seen - borne
        if not others:
            return RankFigures(None, average, 0.0)
        tied = upto - below - own
        # As floats: the pairs of a million pictures with a million others are near the end of int64.
        pairs = float(borne) * others
        auroc = float((own * (below - own_below + tied / 2)).sum() / pairs)
        return RankFigures(
            auroc, average, 0.0 if self._store.exact else float((own * tied).sum() / 2 / pairs)
        )


class _Kept:
    """Every probability, a row for each label."""

    exact = True

    def __init__(self, labels: int, pictures: int) -> None:
        self._scores = np.empty((labels, pictures), np.float32)
        self._seen = 0

    def add(self, probabilities: NDArray[np.float32]) -> None:
        end = self._seen + len(probabilities)
        self._scores[:, self._seen : end] = probabilities.T
        self._seen = end

    def groups(self, label: int, own: NDArray[np.float32]) -> _Groups:
        every = np.sort(self._scores[label, : self._seen])
        distinct, counts = np.unique(own, return_counts=True)
        return _Groups(
            counts,
            np.searchsorted(every, distinct, side="left"),
            np.searchsorted(every, distinct, side="right"),
        )


class _Binned:
    """How many probabilities lie in each of many bins: narrow ones near 0 and near 1, where most lie.

    A bin is a run of consecutive 32-bit floats: of the probability up to 0.5, above it of what is missing to 1.
    """

    exact = False
    HALF = int(np.float32(0.5).view(np.uint32))

    def __init__(self, labels: int) -> None:
        self._shift = 0
        while self._bins * labels > CELLS:
            self._shift += 1
        self._counts = np.zeros(labels * self._bins, np.uint32)
        self._starts = np.arange(labels) * self._bins

    @property
    def _bins(self) -> int:
        return (2 * self.HALF >> self._shift) + 1

    def add(self, probabilities: NDArray[np.float32]) -> None:
        np.add.at(self._counts, (self._bin(probabilities) + self._starts).reshape(-1), 1)

    def groups(self, label: int, own: NDArray[np.float32]) -> _Groups:
        first = self._starts[label]
        upto = np.cumsum(self._counts[first : first + self._bins], dtype=np.int64)
        bins, counts = np.unique(self._bin(own), return_counts=True)
        below = np.where(bins > 0, upto[bins - 1], 0)
        return _Groups(counts, below, upto[bins])

    def _bin(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        low = np.clip(probabilities, 0, 1)
        high = low > 0.5
        # Floats of one sign are in the order of their bits, and 1 - p is exact for p of 0.5 or more.
        bits = np.where(high, 1 - low, low).view(np.uint32).astype(np.int64)
        key: NDArray[np.int64] = np.where(high, 2 * self.HALF - bits, bits) >> self._shift
        return key
