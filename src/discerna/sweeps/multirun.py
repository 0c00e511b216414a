"""`discerna train -m`: the jobs of a sweep one after another, each a process of its own."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from discerna import launch, machine, overrides
from discerna.composition import compose_prepared
from discerna.directories.file_lock import FileLock, is_locked
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import check_labels
from discerna.directories.model_dir import ModelDirectory
from discerna.directories.run_folder import write_json
from discerna.directories.run_result import RunResult
from discerna.directories.run_status import end_of
from discerna.errors import DiscernaError, OutputError, ProcessError, SettingsError
from discerna.overrides import Source
from discerna.progress import Progress
from discerna.settings.build import absolute
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.sweeps.expansion import expand
from discerna.tracking.mlflow_sweep import SweepTracker
from discerna.wording import align, shown

LOG = logging.getLogger("discerna")

LOCK = "sweep.lock"


@dataclass(frozen=True)
class Job:
    """One training of a sweep."""

    number: int
    varying: dict[str, str]
    settings: TrainSettings


@dataclass(frozen=True)
class JobRecord:
    """How a job ended."""

    number: int
    varying: dict[str, str]
    state: str
    value: float | None
    accuracy: float | None
    seconds: float
    output: str
    error: str


@dataclass(frozen=True)
class SweepResult:
    """How all jobs ended."""

    folder: Path
    monitor: str
    records: list[JobRecord]

    @property
    def best(self) -> JobRecord | None:
        """The job with the best value of the monitor."""
        done = [record for record in self.records if record.value is not None]
        pick = min if METRIC_MODES[self.monitor] == "min" else max
        return pick(done, key=lambda record: record.value or 0.0) if done else None

    @property
    def best_figures(self) -> dict[str, float]:
        """Those of the best job that are known."""
        best = self.best
        known = {self.monitor: best.value, "accuracy": best.accuracy} if best else {}
        return {name: value for name, value in known.items() if value is not None}

    def summary(self) -> str:
        """The table of the jobs, and the best."""
        keys = list(dict.fromkeys(key for record in self.records for key in record.varying))
        head = ["job", *keys, self.monitor, "accuracy", "time", "state"]
        rows = [head] + [
            [
                str(record.number),
                *(shown(record.varying.get(key, "")) for key in keys),
                "-" if record.value is None else f"{record.value:.4f}",
                "-" if record.accuracy is None else f"{record.accuracy:.2%}",
                f"{record.seconds:.0f} s",
                record.state,
            ]
            for record in self.records
        ]
        best = self.best
        told = f"best  job {best.number}: {shown(best.output)}" if best else "best  none: every job failed"
        return align(rows, right=">" + "<" * len(keys) + ">>>") + "\n" + told

    def raise_failures(self) -> None:
        """An error that names the jobs that failed, if any did."""
        failed = [record for record in self.records if record.state != "done"]
        if failed:
            told = "".join(f"\n  - job {record.number}: {record.error}" for record in failed)
            raise ProcessError(f"{len(failed)} of {len(self.records)} jobs failed{told}")


def run(typed: Sequence[str], source: Source, progress: Progress) -> SweepResult:
    """Check every job, then run them in order; a failing one does not stop the others."""
    folder, jobs = plan(typed, source)
    _check_inputs([job.settings for job in jobs])
    if folder.exists():
        _refuse_live(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / LOCK).touch()
    lock = FileLock.take(folder / LOCK)  # ends with this process
    monitor = jobs[0].settings.monitor
    tracker = SweepTracker([job.settings for job in jobs], folder)
    records: list[JobRecord] = []
    result = SweepResult(folder, monitor, records)
    try:
        for job in jobs:
            told = " ".join(f"{key}={value}" for key, value in job.varying.items())
            LOG.info("job %d of %d: %s", job.number + 1, len(jobs), told)
            records.append(_run_job(replace(job, settings=tracker.child(job.settings))))
            write_json(
                folder / "sweep.json", {"monitor": monitor, "jobs": [asdict(record) for record in records]}
            )
        well = all(record.state == "done" for record in records)
        tracker.end(result.best_figures, folder / "sweep.json", "finished" if well else "failed")
    except BaseException as error:
        tracker.end(result.best_figures, folder / "sweep.json", end_of(error)[0])
        raise
    finally:
        if lock is not None:
            lock.release()
    return result


def _refuse_live(folder: Path) -> None:
    """Refuse to replace a sweep that goes on, or whose job does."""
    for lock in (folder / LOCK, *folder.glob("*.run/run.lock")):
        if is_locked(lock):
            raise OutputError(
                "a sweep is going on in the folder",
                where=str(folder),
                accepted=f"{lock.name} of {lock.parent.name} is held",
                remedy="choose another output, or wait for it to end",
            )


def plan(typed: Sequence[str], source: Source) -> tuple[Path, list[Job]]:
    """The sweep's folder and its jobs, the settings of all checked; nothing is written yet."""
    prepared = overrides.prepare_overrides("train", typed, source, multirun=True)
    expanded = expand(prepared, overrides.available_groups(source))
    varying = {key for job in expanded for key in job if len({other[key] for other in expanded}) > 1}
    if "output" in varying:
        raise SettingsError(
            "the output cannot vary in a sweep",
            where="output=...,...",
            accepted="each job has a folder of its own in <output>.sweep",
            remedy="give one output",
        )
    registered: dict[tuple[str, str | None], Path] = {}  # an alias may move while jobs are composed
    settings = [compose_prepared("train", job, source, registered) for job in expanded]
    first = settings[0]
    if first.resume is not None:
        raise SettingsError(
            "a sweep is not gone on with in this version",
            where=f"-m resume={first.resume}",
            remedy="go on with single jobs: resume=SWEEP/0.run",
        )
    if first.output is None:
        folder = Path("runs").absolute() / (datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + ".sweep")
    else:
        folder = first.output.with_name(f"{first.output.name}.sweep")
    if folder.exists():
        ours = all(
            re.fullmatch(r"sweep\.json|sweep\.lock|\d+(\.run)?", path.name) for path in folder.iterdir()
        )
        if not first.overwrite or not ours:
            raise OutputError(
                "the sweep's folder exists",
                where=str(folder),
                remedy="add overwrite=true to replace it" if ours else "choose another output",
            )
    jobs = []
    for number, (job, own) in enumerate(zip(expanded, settings, strict=True)):
        shown = {key.lstrip("+"): overrides.unquoted(value) for key, value in job.items() if key in varying}
        jobs.append(Job(number, shown, replace(own, output=absolute(folder / str(number)), overwrite=False)))
    return folder, jobs


def _check_inputs(jobs: Sequence[TrainSettings]) -> None:
    """What is wrong with data or a model for every job is told before the first one starts."""
    data = ((job.train_data, job.valid_data, job.loading.nested) for job in jobs)
    for train_data, valid_data, nested in dict.fromkeys(data):
        train = ImageDirectory.open(train_data, setting="train_data", nested=nested)
        check_labels(train, ImageDirectory.open(valid_data, setting="valid_data", nested=nested))
    for model in dict.fromkeys(job.model for job in jobs if job.model_is_directory):
        ModelDirectory.open(model)


def _run_job(job: Job) -> JobRecord:
    began = time.monotonic()
    output = job.settings.output
    assert output is not None

    def record(state: str, result: RunResult | None = None, error: str = "") -> JobRecord:
        value = result.epochs[result.best_epoch - 1].get(job.settings.monitor) if result else None
        accuracy = result.accuracy if result else None
        seconds = time.monotonic() - began
        return JobRecord(job.number, job.varying, state, value, accuracy, seconds, str(output), error)

    try:
        folder, settings, hidden = launch.prepare(job.settings)
        modules = settings.networks.modules
        with launch.recorded(folder, modules):
            count = machine.processes(settings.trainer).value
            launch.run_to_end(folder, launch.worker_command(folder, count, modules), hidden)
        return record("done", RunResult.read(folder.result))
    except DiscernaError as error:
        LOG.warning("job %d failed: %s", job.number, error)
        return record("failed", error=str(error))
