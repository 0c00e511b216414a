"""Rows of text in columns, also with wide letters such as 写真."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


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


def printable(text: str) -> str:
    """The text with control characters and undecodable bytes shown as escapes, safe for any terminal."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()
