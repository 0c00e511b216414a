"""The points of a grid: every combination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from discerna.sweeps.points import Ending, Point


class GridPoints:
    """Points that are known beforehand, in their order."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.total: int | None = len(points)
        self.known = len(points)
        self._coming = list(points)

    def ask(self) -> Point | None:
        """The next point."""
        return self._coming.pop(0) if self._coming else None

    def tell(self, point: Point, ending: Ending, value: float | None, curve: Mapping[int, float]) -> None:
        """A grid does not learn."""
