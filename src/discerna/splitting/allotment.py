"""Groups of pictures shared out among parts by fractions, each label by itself. Numbers only: no files, no chance."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

_NOISE = 1e-9
"""30 * 0.1 is a little more than 3."""


class Group(NamedTuple):
    """Pictures that stay together."""

    key: int
    """Groups are taken in the order of their keys."""
    counts: tuple[tuple[int, int], ...]
    """How many pictures of which label it holds."""

    @property
    def size(self) -> int:
        """Its pictures."""
        return sum(count for _, count in self.counts)


def allot(groups: Sequence[Group], fractions: Sequence[float]) -> list[int]:
    """The part of each group; `fractions` are those of the parts, and sum to 1.

    A label with as many groups as there are parts has one in each; one with fewer has them in the first parts.
    Where groups span labels, this can be impossible, and is then kept as far as it goes.
    """
    return _Allotment(groups, fractions).done()


class _Allotment:
    def __init__(self, groups: Sequence[Group], fractions: Sequence[float]) -> None:
        self.groups = groups
        self.fractions = fractions
        self.parts = [-1] * len(groups)
        self.spanning: list[int] = []
        self.own: defaultdict[int, list[int]] = defaultdict(list)
        """Label -> the groups of it alone."""
        self.sizes: Counter[int] = Counter()
        self.left: Counter[int] = Counter()
        """Label -> how many groups with pictures of it have no part yet."""
        for i, group in enumerate(groups):
            for label, count in group.counts:
                self.sizes[label] += count
                self.left[label] += 1
            if len(group.counts) == 1:
                self.own[group.counts[0][0]].append(i)
            else:
                self.spanning.append(i)
        self.wanted = {label: min(number, len(fractions)) for label, number in self.left.items()}
        """Label -> in how many of the parts, from the first on, it is to be."""
        self.placed = {label: [0] * len(fractions) for label in self.sizes}

    def done(self) -> list[int]:
        """Groups of several labels first, since they are the hardest to place; the others make up for them."""
        rarest = {i: min(self.left[label] for label, _ in self.groups[i].counts) for i in self.spanning}
        for i in sorted(self.spanning, key=lambda i: (rarest[i], self.groups[i].key, i)):
            self._place(i, self._best_part(self.groups[i]))
        owed = [0.0] * len(self.fractions)
        # Small labels first: what rounding does to them the large ones balance.
        for label, size in sorted(self.sizes.items(), key=lambda item: (item[1], item[0])):
            self._fill(label, rounded(size, self.fractions, owed, self.wanted[label]))
            for part, fraction in enumerate(self.fractions):
                owed[part] += size * fraction - self.placed[label][part]
        return self.parts

    def _place(self, i: int, part: int) -> None:
        self.parts[i] = part
        for label, count in self.groups[i].counts:
            self.placed[label][part] += count
            self.left[label] -= 1

    def _lacking(self, label: int) -> list[int]:
        return [part for part in range(self.wanted[label]) if not self.placed[label][part]]

    def _best_part(self, group: Group) -> int:
        """Where it saves most labels from being absent, and else comes nearest to the fractions of its labels."""
        scarce = [
            lacking for label, _ in group.counts if self.left[label] <= len(lacking := self._lacking(label))
        ]

        def merit(part: int) -> tuple[int, float]:
            # Half of the change in the sum of (placed - ideal)² / ideal
            change = sum(
                count
                * ((self.placed[label][part] + count / 2) / (self.sizes[label] * self.fractions[part]) - 1)
                for label, count in group.counts
            )
            return sum(part in lacking for lacking in scarce), -change

        return max(range(len(self.fractions)), key=merit)

    def _fill(self, label: int, goal: Sequence[int]) -> None:
        """Place the groups of this label alone: by their order, into each part as many as it has room for.

        The first part takes the rest. One picture more in the directory so moves one or two others, not all.
        """
        rest = sorted(self.own[label], key=lambda i: (self.groups[i].key, i))
        for part in range(1, self.wanted[label]):
            lacking = self._lacking(label)
            others = sum(other != part for other in lacking)
            most = max(len(rest) - others, int(part in lacking and len(rest) > (0 in lacking)))
            taken = self._fitting(rest, goal[part] - self.placed[label][part], most, part in lacking)
            for i in taken:
                self._place(i, part)
            rest = [i for i in rest if i not in taken]
        for i in rest:
            self._place(i, 0)

    def _fitting(self, rest: Sequence[int], room: int, most: int, needed: bool) -> set[int]:
        """Groups of together `room` pictures, or near it; at most so many groups, and one if it is `needed`."""
        taken: set[int] = set()
        for i in rest:
            if room <= 0 or len(taken) >= most:
                break
            if self.groups[i].size <= room:
                taken.add(i)
                room -= self.groups[i].size
        others = [i for i in rest if i not in taken] if room > 0 or not taken else []
        if others and len(taken) < most:
            smallest = min(others, key=lambda i: self.groups[i].size)
            if self.groups[smallest].size < 2 * room or (needed and not taken):
                taken.add(smallest)
        return taken


def rounded(size: int, fractions: Sequence[float], owed: Sequence[float], wanted: int) -> list[int]:
    """`size` pictures of a label in whole numbers: by the largest remainders, to which is added what a part is owed.

    The first `wanted` parts get one at least, the others none.
    """
    ideal = [size * fraction for fraction in fractions]
    goal = [math.floor(number + _NOISE) for number in ideal]
    open_parts = [part for part, number in enumerate(ideal) if number - goal[part] > _NOISE]
    open_parts.sort(key=lambda part: goal[part] - ideal[part] - owed[part])
    for part in open_parts[: size - sum(goal)]:
        goal[part] += 1
    for part in range(wanted, len(goal)):
        goal[0] += goal[part]
        goal[part] = 0
    for part in range(wanted):
        if not goal[part]:
            goal[goal.index(max(goal))] -= 1
            goal[part] = 1
    return goal
