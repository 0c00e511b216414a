"""What a sweep came to: which job is best, as a table, as files for programs, and as a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from discerna.directories.sweep_folder import SweepFolder
from discerna.directories.write_aside import written_whole
from discerna.errors import ProcessError
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.sweeps.job import Job, brief
from discerna.sweeps.page import page
from discerna.sweeps.points import Point
from discerna.sweeps.standing import Standing
from discerna.version import __version__
from discerna.wording import align, as_typed, counted, shown

SHOWN = 40
"""More jobs than that are not listed on the terminal: the best ones are, and all are in sweep.csv."""


@dataclass(frozen=True)
class JobRow:
    """How a job came out."""

    job: Job
    standing: Standing
    seconds: float
    """That its processes ran, over all starts of the sweep that saw them end."""


@dataclass(frozen=True)
class PointRow:
    """How a point came out: the mean over its jobs that are done."""

    point: Point
    rows: list[JobRow]

    @property
    def values(self) -> list[float]:
        """Those of the jobs that are done."""
        return [r.standing.value for r in self.rows if r.standing.is_done and r.standing.value is not None]

    @property
    def value(self) -> float | None:
        """Their mean."""
        return mean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Their standard deviation; None of a single one."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def is_whole(self) -> bool:
        """Whether all of its jobs are done."""
        return len(self.values) == self.rows[0].job.settings.sweep.repeats


@dataclass(frozen=True)
class SweepResult:
    """How all jobs stand."""

    folder: Path
    output: Path
    """Where the model of the best job stands, if any is done."""
    first: TrainSettings
    """Of any job, for what they have in common."""
    rows: list[JobRow]
    began: str
    seconds: float
    ended: bool
    stopped: str = ""
    """Why it ended before all jobs had been run."""

    @property
    def monitor(self) -> str:
        """By which jobs are compared."""
        return self.first.monitor

    @property
    def points(self) -> list[PointRow]:
        """In the order of their numbers."""
        by_number: dict[int, list[JobRow]] = {}
        for row in self.rows:
            by_number.setdefault(row.job.point.number, []).append(row)
        return [PointRow(rows[0].job.point, rows) for _, rows in sorted(by_number.items())]

    @property
    def ranked(self) -> list[PointRow]:
        """Points with a value, the best first; those of which a job is missing come last."""
        sign = 1 if METRIC_MODES[self.monitor] == "min" else -1
        known = [point for point in self.points if point.values]
        return sorted(known, key=lambda point: (not point.is_whole, sign * (point.value or 0.0)))

    @property
    def best(self) -> JobRow | None:
        """The best job of the best point."""
        if not self.ranked:
            return None
        pick = min if METRIC_MODES[self.monitor] == "min" else max
        done = [row for row in self.ranked[0].rows if row.standing.is_done and row.standing.value is not None]
        return pick(done, key=lambda row: row.standing.value or 0.0)

    @property
    def best_figures(self) -> dict[str, float]:
        """Those of the best job that are known."""
        best = self.best
        known = {self.monitor: best.standing.value, "accuracy": best.standing.accuracy} if best else {}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def failed(self) -> list[JobRow]:
        """Jobs that something went wrong with."""
        # What a sweep has stopped is only cut.
        wrong = ("failed",) if self.stopped else ("failed", "killed", "preempted")
        return [row for row in self.rows if row.standing.state in wrong]

    @property
    def varying(self) -> list[str]:
        """The settings that differ, in the order in which they were typed."""
        return list(dict.fromkeys(key for row in self.rows for key in row.job.point.varying))

    def summary(self) -> str:
        """The table of the jobs, and the best."""
        listed = self.rows if len(self.rows) <= SHOWN else self._best_rows()
        lines = [_job_table(listed, self.varying, self.monitor)]
        if len(listed) < len(self.rows):
            lines.append(f"… and {len(self.rows) - len(listed)} more in {shown(as_typed(self._files.csv))}")
        if self.first.sweep.repeats > 1 and self.ranked:
            lines += ["", _point_table(self.ranked[:SHOWN], self.varying, self.monitor), ""]
        best = self.best
        if best is None:
            lines.append("best    none: no job is done")
        else:
            lines.append(f"best    job {best.job.number}  {shown(best.job.told)}".rstrip())
            lines.append(f"model   {shown(as_typed(self.output))}")
        lines.append(f"sweep   {shown(as_typed(self.folder))}  (sweep.html, sweep.csv, a run folder a job)")
        if self.stopped:
            lines.append(f"ended   {self.stopped}; the same command goes on")
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """An error that names the jobs that failed, if any did."""
        if self.failed:
            told = "".join(
                f"\n  - job {row.job.number}: {row.standing.reason}  [{as_typed(self._files.run(row.job.number).path)}]"
                for row in self.failed
            )
            raise ProcessError(
                f"{len(self.failed)} of {counted(len(self.rows), 'job')} failed{told}"
                "\nthe same command runs these again, and no other"
            )

    def write(self) -> None:
        """Bring sweep.json, sweep.csv and sweep.html up to date."""
        table = self.as_json()
        with written_whole(self._files.table) as aside:
            aside.write_text(
                json.dumps(table) + "\n", "utf-8"
            )  # compact: curves are long, and it is written often
        with written_whole(self._files.page) as aside:
            aside.write_text(page(table), "utf-8", newline="\n")
        with (
            written_whole(self._files.csv) as aside,
            aside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["job", *self.varying, "random_seed", self.monitor, "accuracy", "best_epoch",
                             "epochs_trained", "seconds", "state", "reason", "output"])  # fmt: skip
            for row in self.rows:
                told, seed = row.standing, row.job.settings.random_seed
                writer.writerow(
                    [row.job.number, *(row.job.point.varying.get(key, "") for key in self.varying), seed,
                     told.value, told.accuracy, told.best_epoch, told.epochs_trained, f"{row.seconds:.1f}",
                     told.state, told.reason, row.job.settings.output if told.is_done else ""]
                )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """What sweep.json holds."""
        best = self.best
        return {
            "discerna": __version__,
            "command": "sweep",
            "monitor": self.monitor,
            "mode": METRIC_MODES[self.monitor],
            "search": self.first.sweep.name,
            "early_termination": self.first.early_termination.name,
            "began": self.began,
            "ended": datetime.now().astimezone().isoformat(timespec="seconds") if self.ended else None,
            "seconds": round(self.seconds, 1),
            "varying": self.varying,
            "repeats": self.first.sweep.repeats,
            "best": None if best is None else best.job.number,
            "output": None if best is None else str(self.output),
            "stopped": self.stopped,
            "jobs": [_job_json(row) for row in self.rows],
            "points": [
                {
                    "number": point.point.number,
                    "varying": dict(point.point.varying),
                    "jobs": [row.job.number for row in point.rows],
                    "value": point.value,
                    "spread": point.spread,
                }
                for point in self.points
            ],
        }

    @property
    def _files(self) -> SweepFolder:
        return SweepFolder(self.folder)

    def _best_rows(self) -> list[JobRow]:
        rows = [row for point in self.ranked for row in point.rows][:SHOWN]
        return rows or self.rows[:SHOWN]


def _job_json(row: JobRow) -> dict[str, Any]:
    job, told = row.job, row.standing
    return {
        "number": job.number,
        "point": job.point.number,
        "varying": dict(job.point.varying),
        "random_seed": job.settings.random_seed,
        "state": told.state,
        "reason": told.reason,
        "value": told.value,
        "accuracy": told.accuracy,
        "best_epoch": told.best_epoch,
        "epochs_trained": told.epochs_trained,
        "epochs": job.settings.epochs,
        "seconds": round(row.seconds, 1),
        "output": str(job.settings.output),
        "error": told.reason if told.state in ("failed", "killed") else "",
        "curve": [[epoch, value] for epoch, value in sorted(told.curve.items())],
    }


def _job_table(rows: Sequence[JobRow], keys: Sequence[str], monitor: str) -> str:
    repeated = any(row.job.settings.sweep.repeats > 1 for row in rows)
    seed = ["random_seed"] if repeated else []
    head = ["job", *keys, *seed, monitor, "accuracy", "epochs", "time", "state"]
    table = [head] + [
        [
            str(row.job.number),
            *(shown(brief(row.job.point.varying.get(key, ""))) for key in keys),
            *([str(row.job.settings.random_seed)] if repeated else []),
            "-" if row.standing.value is None else f"{row.standing.value:.4g}",
            "-" if row.standing.accuracy is None else f"{row.standing.accuracy:.2%}",
            f"{row.standing.epochs_trained}/{row.job.settings.epochs}",
            f"{row.seconds:.0f} s",
            row.standing.state,
        ]
        for row in rows
    ]
    return align(table, right=">" + "<" * (len(keys) + len(seed)) + ">>>>")


def _point_table(points: Sequence[PointRow], keys: Sequence[str], monitor: str) -> str:
    head = [*keys, f"{monitor}, mean", "spread", "jobs"]
    table = [head] + [
        [
            *(shown(brief(point.point.varying.get(key, ""))) for key in keys),
            f"{point.value:.4g}",
            "-" if point.spread is None else f"± {point.spread:.4g}",
            str(len(point.values)),
        ]
        for point in points
    ]
    return align(table, right="<" * len(keys) + ">>>")
