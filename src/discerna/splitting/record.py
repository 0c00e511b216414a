"""split.csv: for every picture that was found, the part that it went to or the reason why it went to none."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from discerna.splitting.division import Division
from discerna.splitting.naming import file_names

RECORD = "split.csv"

_COLUMNS = ["file", "label", "part", "group", "error"]


def write_record(division: Division, folder: Path) -> None:
    """A row for each picture; `group` is the first of those that must stay together, empty for one that is free."""
    directory = division.directory
    sizes: dict[int, int] = {}
    for first in division.group:
        sizes[first] = sizes.get(first, 0) + 1
    # Bytes that are no UTF-8 become escapes, as in the scores.
    with (folder / RECORD).open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for i, part in enumerate(division.part):
            name = "" if part is None else division.names[part]
            group = directory.name(division.group[i]) if sizes[division.group[i]] > 1 else ""
            table.writerow([directory.name(i), directory.label(i), name, group, division.reasons.get(i, "")])


def is_ours(folder: Path) -> bool:
    """Whether a folder holds what a split wrote and nothing else, or is empty."""
    try:
        if folder.is_symlink() or not folder.is_dir():
            return False
        if not any(folder.iterdir()):
            return True
        written = _files(folder)
    except (OSError, ValueError, csv.Error):
        return False
    for top, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(f"{top}/{name}")]  # noqa: PTH114
        for name in names + links:
            path = os.path.relpath(f"{top}/{name}", folder)
            if path.encode("utf-8", "backslashreplace").decode() not in written:
                return False
    return True


def _files(folder: Path) -> set[str]:
    """The files that a split wrote, by its record."""
    with (folder / RECORD).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        if rows.fieldnames != _COLUMNS:
            raise ValueError
        used = [(row["part"], row["label"], row["file"]) for row in rows if row["part"]]
    parts = {part for part, _, _ in used}
    if not any((folder / part).exists() for part in parts):
        return {RECORD, *(f"{part}.csv" for part in parts)}
    names = file_names([(label, file) for _, label, file in used])
    return {RECORD, *(f"{part}/{label}/{name}" for (part, label, _), name in zip(used, names, strict=True))}
