"""Which pictures make up which step, on which process: pure arithmetic, the same everywhere."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from discerna.errors import SettingsError
from discerna.images.keys import mix


@dataclass(frozen=True)
class Share:
    """What one process takes of one piece of an optimizer step."""

    pictures: list[int]
    """Positions among the pictures; a picture's second turn in an epoch is its position plus their number."""
    step_size: int
    """How many pictures the whole step has, over all pieces and processes."""
    stand_ins: list[int]
    """What is computed without weight where the process has none of the piece: the others wait for it.

    Pictures of the same piece, since GPUs that share batch statistics count these too.
    """


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The epoch's pictures cut into steps of `batch_size`, each step into `pieces`, each piece among `processes`.

    Every picture is used once an epoch, unless labels are `balanced`. Which pictures make up a step follows from
    their number, `batch_size` and `smallest` alone. With batch normalisation (`smallest=2`) a single last picture
    joins the step before it. A small last step has fewer pieces, and its pieces may be shared by the first
    processes only, so that no share has fewer than `smallest` pictures; the first process always has a share.
    """

    pictures: int
    batch_size: int
    pieces: int = 1
    processes: int = 1
    smallest: int = 1
    balanced: Sequence[int] | None = None
    """The label of each picture, where each label is to be drawn equally often."""

    def __post_init__(self) -> None:
        needed = self.smallest * self.processes * self.pieces
        reason = (
            "batch normalisation needs 2 pictures a process"
            if self.smallest > 1
            else "each process needs a picture"
        )
        if self.batch_size < needed:
            raise SettingsError(
                "the batch is too small",
                where=f"batch_size={self.batch_size}",
                accepted=f"{reason}: {needed} or more here",
                remedy=f"use batch_size={needed}"
                + (
                    " or a network without it, such as vit_b_16 or convnext_tiny" if self.smallest > 1 else ""
                ),
            )
        if self.pictures < self.smallest:
            raise SettingsError(
                "no training step would run",
                where=f"{self.pictures} training picture",
                accepted="batch normalisation needs 2",
                remedy="use more pictures",
            )

    def steps(self) -> list[list[int]]:
        """How many pictures each piece of each step of the epoch has."""
        count, rest = divmod(self.pictures, self.batch_size)
        # Lightning steps after each `pieces` batches and at the epoch's end: only the last step may have fewer.
        steps = [_cut(self.batch_size, self.pieces)] * count
        if rest and steps and rest < self.smallest:
            steps[-1] = _cut(self.batch_size + rest, self.pieces)
        elif rest:
            whole = -(-self.batch_size // self.pieces)  # pictures of an ordinary piece
            steps.append(_cut(rest, max(1, min(-(-rest // whole), rest // self.smallest))))
        return steps

    def piece_sizes(self) -> list[int]:
        """How many pictures each piece of the epoch has."""
        return [size for step in self.steps() for size in step]

    def order(self, seed: int, epoch: int) -> list[int]:
        """The pictures of an epoch, shuffled: a function of seed and epoch alone."""
        draw = random.Random(mix("shuffle", seed, epoch))
        positions = list(range(self.pictures)) if self.balanced is None else self._balanced(draw)
        draw.shuffle(positions)
        return positions

    def _balanced(self, draw: random.Random) -> list[int]:
        """As many positions as there are pictures, of each label equally many; rare labels take turns again."""
        assert self.balanced is not None
        of_label: dict[int, list[int]] = {}
        for position, label in enumerate(self.balanced):
            of_label.setdefault(label, []).append(position)
        labels = list(of_label.values())
        draw.shuffle(labels)  # which label has one more where they do not come out even
        chosen = []
        for number, own in enumerate(labels):
            wanted = (self.pictures + number) // len(labels)
            turns, rest = divmod(wanted, len(own))
            chosen += [p + turn * self.pictures for turn in range(turns) for p in own]
            chosen += [p + turns * self.pictures for p in draw.sample(own, rest)]
        return chosen

    def shares(self, seed: int, epoch: int, process: int) -> list[Share]:
        """What `process` takes in this epoch, piece by piece; a share may be empty."""
        order = self.order(seed, epoch)
        shares = []
        start = 0
        for step in self.steps():
            for size in step:
                piece = order[start : start + size]
                takers = min(self.processes, size // self.smallest)
                low, high = process * size // takers, (process + 1) * size // takers
                mine = piece[low:high] if process < takers else []
                shares.append(Share(mine, sum(step), piece[: self.smallest]))
                start += size
        return shares


def _cut(size: int, parts: int) -> list[int]:
    return [(part + 1) * size // parts - part * size // parts for part in range(parts)]
