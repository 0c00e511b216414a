"""What a conversion does not take: counted by reason, with the first names; the whole list goes to a file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from discerna.wording import shown

_EXAMPLES = 3

UNSUPPORTED = "unsupported_format"


class LeftOut:
    """The files that are not taken; `path` gets a line of JSON for each."""

    def __init__(self, path: Path) -> None:
        self.ignored = 0
        self.reasons: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self._file = path.open("w", encoding="ascii")

    def add(self, name: str, reason: str, archive: str | None = None) -> None:
        """One more, `name` as the input or the archive has it."""
        self.reasons[reason] += 1
        if reason == UNSUPPORTED:
            self._kinds[os.path.splitext(name)[1].lower() or "no extension"] += 1  # noqa: PTH122
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(name)
        told = {"left_out": name, "reason": reason, **({"archive": archive} if archive else {})}
        self._file.write(json.dumps(told) + "\n")

    def close(self) -> None:
        """Finish the list."""
        self._file.close()

    def lines(self) -> list[str]:
        """A line for each reason, the most frequent first."""
        told = []
        for reason, count in self.reasons.most_common():
            if reason == UNSUPPORTED:
                some, more = (
                    (f"{shown(kind)} {n}" for kind, n in self._kinds.most_common(5)),
                    len(self._kinds) > 5,
                )
            else:
                names = self._examples[reason]
                some, more = (f"'{shown(name)}'" for name in names), count > len(names)
            told.append(f"{count} {reason}: {', '.join(some)}{', …' if more else ''}")
        return told


def write_list(path: Path, entries: Iterable[tuple[str, str]]) -> None:
    """Keep what one archive's unpacking left out, for a later call."""
    with path.open("w", encoding="ascii") as file:
        for entry in entries:
            file.write(json.dumps(entry) + "\n")


def read_list(path: Path) -> Iterator[tuple[str, str]]:
    """What `write_list` wrote."""
    with path.open(encoding="ascii") as file:
        yield from map(json.loads, file)
