"""Text for people: names made safe for a message, counts, paths, and rows in columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path


def shown(name: str) -> str:
    r"""`name` fit for a message: newlines, and bytes that are no UTF-8, as escapes (`\n`, `\udcff`)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def short(text: str, limit: int = 100) -> str:
    """The beginning of a text out of a stranger's file, fit for a message: it may have megabytes."""
    return shown(text[:limit]) + ("…" if len(text) > limit else "")


def unicode_text(text: str) -> str:
    r"""The text as a file in UTF-8 can hold it: bytes that are none as escapes, `caf\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def listed(names: Sequence[str], limit: int = 20) -> str:
    """The names, each in quotes since it may hold commas and spaces; beyond `limit` only their number."""
    text = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    more = len(names) - limit
    return f"{text} … and {more} more" if more > 0 else text


def counted(number: int, noun: str) -> str:
    """`1 label`, `2 labels`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{round(minutes)} min"
    return f"{minutes / 60:.1f} h"


def amount(size: int) -> str:
    """A rough number of bytes: `45 MiB`, `1.9 GiB`."""
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"


def as_typed(path: Path) -> str:
    """The path as a person in this folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def width(text: str) -> int:
    """How many terminal cells the text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def align(rows: Sequence[Sequence[str]], right: str = "", indent: str = "") -> str:
    """The rows, their columns aligned; column i is flush right where `right[i]` is `>`."""
    widths = [
        max(width(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows), default=0))
    ]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            space = " " * (widths[i] - width(cell))
            cells.append(space + cell if right[i : i + 1] == ">" else cell + space)
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
