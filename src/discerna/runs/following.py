"""The log of a run that goes on, line by line as it is written, until the run has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

from discerna.runs.run import Run
from discerna.wording import shown

PAUSE = 0.2


def follow(run: Run) -> Iterator[str]:
    """Pieces of the log, whole lines each; ends when the run has."""
    position, rest = 0, b""
    while True:
        going_on = Run(run.path).state == "running"  # asked before reading, so that its last lines are read
        try:
            with run.folder.log.open("rb") as file:
                file.seek(position)
                piece = file.read()
        except OSError:  # not written yet
            piece = b""
        position += len(piece)
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield _text(lines)
        if not going_on:
            if rest:
                yield _text(rest)
            return
        time.sleep(PAUSE)


def _text(lines: bytes) -> str:
    """Lines of a log, without what a terminal would take for commands."""
    return "\n".join(shown(line) for line in lines.decode("utf-8", "replace").split("\n"))
