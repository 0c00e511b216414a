"""Ranges for settings, written in the type: `epochs: Annotated[int, AtLeast(1)]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SMALLEST_DOUBLE = 5e-324
"""The original's lower bound for the learning rate (double.Epsilon)."""


class Range(Protocol):
    """A set of numbers that a setting accepts."""

    def holds(self, value: float) -> bool:
        """Whether `value` is accepted."""
        ...


@dataclass(frozen=True)
class AtLeast:
    """Numbers from `low` upwards."""

    low: float

    def holds(self, value: float) -> bool:
        """Whether `value` is accepted."""
        return value >= self.low

    def __str__(self) -> str:
        return "above 0" if self.low == SMALLEST_DOUBLE else f"{self.low:g} or more"


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, both accepted."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` is accepted."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Below:
    """Numbers from `low` up to, but not including, `high`."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` is accepted."""
        return self.low <= value < self.high

    def __str__(self) -> str:
        return f"{self.low:g} or more, below {self.high:g}"


@dataclass(frozen=True)
class Verbatim:
    """Marks a text that is meant literally, whatever signs it holds; `accepted` describes it."""

    accepted: str

    def __str__(self) -> str:
        return self.accepted


@dataclass(frozen=True)
class ModelReference:
    """Marks a model directory, or a registered model; with `names`, what is no path may be a network's name."""

    names: bool = True
