"""Whether this process is discerna's alone, as that of a command is: a program that imports us keeps its ways."""

from __future__ import annotations

_claimed: list[bool] = []


def claim() -> None:
    """Say that this process does nothing but what discerna does."""
    _claimed.append(True)


def is_ours() -> bool:
    """Whether somebody has said so."""
    return bool(_claimed)
