"""How long work tells that it advances, without knowing who shows it.

Commands take a `Progress`; `console` has the one that draws on a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int, str], None]
"""Called with how many units are done since the last call, and a short text to show beside the bar."""


class Progress(Protocol):
    """Shows how far a piece of work has come."""

    def task(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Show a bar named `name` of `total` units while the block runs."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Advance]:
        """Show nothing while the block runs."""
        yield lambda count, text: None


SILENT = Silent()
