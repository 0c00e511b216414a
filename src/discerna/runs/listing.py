"""Many runs: the ones that are meant, in order, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from discerna.errors import SettingsError
from discerna.runs.conditions import check_key, conditions, number
from discerna.runs.finding import find_runs
from discerna.runs.run import Run
from discerna.wording import align, as_typed, shown

DEFAULT_ORDER = "began"

PERCENT = ("accuracy", "balanced_accuracy", "top5", "valid_accuracy", "valid_top5")


def chosen(folder: Path, where: str | None, sort: str, limit: int | None) -> list[Run]:
    """The runs below `folder` that meet `where`, ordered by the value `sort` names (`-NAME`: the largest first)."""
    if not folder.is_dir():
        raise SettingsError(
            "no such folder", where=f"folder={shown(as_typed(folder))}", remedy="check the path"
        )
    found = find_runs(folder)
    holds = conditions(where, found)
    key, descending = sort.removeprefix("-"), sort.startswith("-")
    check_key(key, "sort", found)
    runs = ordered([run for run in found if holds(run)], key, descending)
    if limit is not None:  # the newest of a list whose newest stand last
        runs = runs[-limit:] if sort == DEFAULT_ORDER else runs[:limit]
    return runs


def ordered(runs: Sequence[Run], key: str, descending: bool) -> list[Run]:
    """Sorted by a value; runs without it come last."""
    values = {run: run.value(key) for run in runs}
    known = [run for run in runs if values[run] is not None]
    # Numbers before texts, so that a value of both kinds has an order too.
    known.sort(key=lambda run: _order(values[run]), reverse=descending)
    return [*known, *(run for run in runs if values[run] is None)]


def _order(value: Any) -> tuple[int, float, str]:
    figure = number(value) if isinstance(value, int | float) else None
    return (1, 0.0, str(value)) if figure is None else (0, figure, "")


def run_table(runs: Sequence[Run], columns: Sequence[str] = ()) -> str:
    """A line for each run; `columns` are further values to show."""
    several = len({run.value("experiment_name") for run in runs}) > 1
    monitors = list(dict.fromkeys(run.value("monitor") for run in runs))
    names = ["run"] + ["experiment_name"] * several + ["model", "state", "epoch"]
    names += [name for name in monitors if name] + ["accuracy", "began", "time"]
    names += [name for name in columns if name not in names]
    rows = [["experiment" if name == "experiment_name" else name for name in names]]
    rows += [[cell(run, name) for name in names] for run in runs]
    figures = {"epoch", "accuracy", "time", *filter(None, monitors), *columns}
    return align(rows, "".join(">" if name in figures else "<" for name in names))


def cell(run: Run, name: str) -> str:
    """A value of a run for people."""
    if name == "epoch":
        trained, asked = run.value("epochs_trained"), run.value("epochs")
        return f"{trained or 0}/{asked}" if asked else str(trained or 0)
    if name == "time":
        return duration(run.value("seconds"))
    value = run.value(name)
    if value is None:
        return "-"
    if name in ("began", "ended"):
        return local(str(value))
    if name in PERCENT and isinstance(value, int | float):
        return f"{value:.2%}"
    return f"{value:.4g}" if isinstance(value, float) else shown(str(value))


def local(time: str) -> str:
    """A time of ISO 8601 in this machine's zone, without seconds."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return shown(time)


def duration(seconds: float | None) -> str:
    """`42 s`, `7:05`, `1:02:03`."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
