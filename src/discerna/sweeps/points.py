"""What varies in a sweep: points, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Ending = Literal["done", "pruned", "failed"]


@dataclass(frozen=True)
class Point:
    """One combination of settings; with `sweep.repeats` it is trained several times."""

    number: int
    overrides: Mapping[str, str]
    """All settings of a training as typed, `{"++learning_rate": "0.01"}`, ready for composition."""
    varying: Mapping[str, str]
    """Those that differ from point to point, for people: `{"learning_rate": "0.01"}`."""


class Points(Protocol):
    """Where the points of a sweep come from. What it said before a restart, it says again, in the same order."""

    total: int | None
    """How many there will be, where that is known."""

    known: int
    """So many of the first points are known now; a search finds the others in its course."""

    def ask(self) -> Point | None:
        """The next point; None where there are no more."""
        ...

    def tell(self, point: Point, ending: Ending, value: float | None, curve: Mapping[int, float]) -> None:
        """Hear how a point came out: the value of `monitor`, and its course over the epochs.

        It may be told again of a point that it knew before a restart.
        """
        ...
