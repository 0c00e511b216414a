"""The hidden file in a converted directory by which every picture is traced to where it came from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from discerna.version import __version__

RECORD = ".convert.jsonl"


class Record:
    """JSON lines: what was converted, a line for each picture, a line for each file left out."""

    def __init__(self, folder: Path, given: Path) -> None:
        # ASCII escapes: a name of bytes that are no UTF-8 must come back as it was.
        self._file = (folder / RECORD).open("w", encoding="ascii")
        self._line({"discerna": __version__, "command": "convert", "input": str(given)})

    def picture(self, file: str, origin: str, archive: str | None) -> None:
        """`file` in the output is `origin` in the input, or in this archive of several."""
        self._line({"file": file, "from": origin, **({"archive": archive} if archive else {})})

    def finish(self, left_out: Path) -> None:
        """End with the lines of what was left out."""
        with left_out.open(encoding="ascii") as lines:
            shutil.copyfileobj(lines, self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, value: dict[str, str]) -> None:
        self._file.write(json.dumps(value) + "\n")


def is_ours(folder: Path) -> bool:
    """Whether a folder holds what a conversion wrote and nothing else, or is empty."""
    try:
        if folder.is_symlink() or not folder.is_dir():
            return False
        if not any(folder.iterdir()):
            return True
        written = _files(folder / RECORD)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    for top, _, names in os.walk(folder):
        prefix = os.path.relpath(top, folder)
        for name in names:
            if os.path.normpath(os.path.join(prefix, name)) not in written:  # noqa: PTH118
                return False
    return True


def _files(record: Path) -> set[str]:
    with record.open(encoding="ascii") as file:
        if json.loads(file.readline())["command"] != "convert":
            raise ValueError
        return {RECORD, *(line["file"] for line in map(json.loads, file) if "file" in line)}
