"""Names in messages: on one line, quoted, and not too many of them."""

from __future__ import annotations

from collections.abc import Sequence


def shown(name: str) -> str:
    r"""`name` fit for a message: newlines, and bytes that are no UTF-8, as escapes (`\n`, `\udcff`)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def listed(names: Sequence[str], limit: int = 20) -> str:
    """The names, each in quotes since it may hold commas and spaces; beyond `limit` only their number."""
    text = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    more = len(names) - limit
    return f"{text} … and {more} more" if more > 0 else text


def counted(number: int, noun: str) -> str:
    """`1 label`, `2 labels`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
