"""The names of pictures as they are found, already in the compact form in which an index keeps them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence


class Gathered:
    """One block of names, where each starts, and runs of names that have the same label.

    A run without a label holds pictures whose label is not known.
    """

    def __init__(self) -> None:
        self.names = bytearray()
        """Each ends with a zero byte, which no name can hold."""
        self.starts = array("Q", [0])
        self.runs: list[tuple[str | None, int]] = []

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[bytes]:
        return (bytes(self.names[self.starts[i] : self.starts[i + 1] - 1]) for i in range(len(self)))

    def add(self, label: str | None, names: Sequence[bytes]) -> None:
        """Append a run."""
        end, put = len(self.names), self.starts.append
        for name in names:
            end += len(name) + 1
            put(end)
        if names:
            self.names += b"\0".join(names) + b"\0"
        self.runs.append((label, len(names)))

    def absorb(self, other: Gathered) -> None:
        """Append all of another, which must not be used any more: nothing is copied where this one is empty."""
        if not self.runs:
            self.names, self.starts, self.runs = other.names, other.starts, other.runs
            return
        before = len(self.names)
        self.names += other.names
        self.starts.extend(before + end for end in other.starts[1:])
        self.runs += other.runs

    def forget_labels(self) -> None:
        """Make all pictures ones whose label is not known."""
        self.runs = [(None, count) for _, count in self.runs]
