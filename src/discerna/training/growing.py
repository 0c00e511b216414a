"""Progressive picture size: small and fast in the first epochs, whole in the last."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

STEP = 32
"""Most networks halve the sides five times, so sizes in between gain nothing."""


def growing(start: int | None, full: int, epochs: int) -> Callable[[int], int] | None:
    """The picture side of each epoch: from `start` up to `full`, where the last third stays; None: always full."""
    if start is None or start >= full:
        return None
    climbing = epochs - -(-epochs // 3)
    return partial(_side, start, full, climbing)  # and no inner function, which could not be sent to workers


def _side(start: int, full: int, climbing: int, epoch: int) -> int:
    if epoch >= climbing:
        return full
    between = start + (full - start) * epoch / climbing
    return min(full, max(start, round(between / STEP) * STEP))
