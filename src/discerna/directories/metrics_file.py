"""metrics.csv of a run folder: a row an epoch, which others may read while the training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from discerna.directories.plain_reading import read_plain
from discerna.directories.write_aside import written_whole

FIELDS = [
    "epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_top5", "learning_rate", "pictures_per_second",
]  # fmt: skip
"""Columns of metrics.csv, the same for every run."""


def write_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write metrics.csv anew: whatever stands there of epochs that are trained again, or half of a row, is gone."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with written_whole(path) as aside:
        for row in rows:
            append_row(aside, dict(row))


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to metrics.csv; a reader that follows the file sees whole lines."""
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        if fresh:
            writer.writeheader()
        writer.writerow({**row, "epoch": int(row["epoch"])})


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows so far, finite figures only; OSError or ValueError where the file is missing or damaged."""
    try:
        text = read_plain(path).decode("utf-8")
        rows = [_numbers(line) for line in csv.DictReader(io.StringIO(text, newline=""))]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [row for row in rows if "epoch" in row]


def _numbers(row: Mapping[Any, Any]) -> dict[str, float]:
    numbers = {}
    for name, text in row.items():
        try:
            numbers[str(name)] = float(text)
        except (TypeError, ValueError):  # an empty cell, or a line that is being written
            continue
    return finite_figures(numbers)


def finite_figures(values: Any) -> dict[str, float]:
    """The finite numbers of a mapping; empty where it is none."""
    if not isinstance(values, Mapping):
        return {}
    return {str(k): float(v) for k, v in values.items() if type(v) in (int, float) and abs(v) < _MOST}


_MOST = 1e300
"""Beyond this, and NaN, no figure of a run is one."""
