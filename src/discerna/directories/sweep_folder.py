"""The folder of a sweep: its jobs, each with a run folder and a model directory, and what is known of all."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.metrics_file import read_rows
from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder

_OURS = re.compile(
    r"sweep\.(json|csv|html|lock)|ledger\.json|study\.db(-journal|-wal|-shm)?|(winner|mlflow)\.json|model|\.submitit|\.winner"
    r"|\.discerna-.*|\d+(\.run)?"
)


ENDED = ("finished", "stopped early", "pruned")
"""States of a job in which nothing is left to do."""


@dataclass(frozen=True)
class SweepFolder:
    """Where everything of a sweep lies but the model that won."""

    path: Path

    @property
    def lock_file(self) -> Path:
        """Locked while a process runs the sweep."""
        return self.path / "sweep.lock"

    @property
    def ledger(self) -> Path:
        """Which number each job has."""
        return self.path / "ledger.json"

    @property
    def table(self) -> Path:
        """How all jobs stand, for programs."""
        return self.path / "sweep.json"

    @property
    def csv(self) -> Path:
        """The same as a table."""
        return self.path / "sweep.csv"

    @property
    def page(self) -> Path:
        """The same to look at."""
        return self.path / "sweep.html"

    @property
    def study(self) -> Path:
        """What a search knows."""
        return self.path / "study.db"

    @property
    def winner(self) -> Path:
        """By which sum a model directory is told to be the one that this sweep has published."""
        return self.path / "winner.json"

    def output(self, number: int) -> Path:
        """The model directory of a job."""
        return self.path / str(number)

    def run(self, number: int) -> RunFolder:
        """The run folder of a job."""
        return RunFolder(self.path / f"{number}.run")

    def models(self) -> list[Path]:
        """The model directories of all jobs that have one."""
        return [path for path in self.path.glob("[0-9]*") if path.name.isdecimal()]

    def foreign(self) -> Path | None:
        """What lies here that is not of a sweep, if anything."""
        return next((path for path in self.path.iterdir() if not _OURS.fullmatch(path.name)), None)

    def clear(self) -> None:
        """Remove everything but the lock."""
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self.lock_file:
                path.unlink()


def curves_of_others(run: Path, monitor: str) -> list[dict[int, float]]:
    """The curves of all jobs of the sweep but the one with the run folder `run`."""
    folder = SweepFolder(run.parent)
    curves = []
    try:
        for job in read_object(folder.table)["jobs"]:
            other = folder.run(int(job["number"]))
            if other.path.name == run.name:
                continue
            # Of one that has ended the table has all; of the others it may be some seconds old.
            known = {int(epoch): float(value) for epoch, value in job["curve"]}
            curves.append(known if known and job["state"] in ENDED else curve(other, monitor))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [found for found in curves if found]


def curve(run: RunFolder, monitor: str) -> dict[int, float]:
    """The value of `monitor` at each epoch of a run so far."""
    try:
        rows = read_rows(run.metrics)
    except (OSError, ValueError):
        return {}
    return {int(row["epoch"]): row[monitor] for row in rows if monitor in row}
