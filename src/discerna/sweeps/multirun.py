"""`discerna train -m`: the jobs of a sweep, each a process tree of its own, and what came of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from discerna import slurm
from discerna.directories.checkpoint_files import remove_left_over
from discerna.directories.file_lock import FileLock, is_locked
from discerna.directories.publishing import refuse_existing_output, refuse_inside
from discerna.directories.run_status import State, end_of
from discerna.directories.sweep_folder import SweepFolder
from discerna.directories.write_aside import disk_failures
from discerna.errors import OutputError
from discerna.overrides import Source
from discerna.progress import Progress
from discerna.sweeps.launchers import Jobs, Launcher
from discerna.sweeps.local_jobs import LocalJobs
from discerna.sweeps.placement import Places
from discerna.sweeps.plan import SweepPlan, plan
from discerna.sweeps.summary import SweepResult
from discerna.sweeps.supervision import Supervision
from discerna.sweeps.winner import has_published, publish_winner
from discerna.tracking.mlflow_sweep import SweepTracker
from discerna.wording import as_typed, counted, shown

LOG = logging.getLogger("discerna")


def run(typed: Sequence[str], source: Source, progress: Progress) -> SweepResult:
    """Check every job, then run those that are not done; a failing one does not stop the others."""
    with slurm.announced_end():
        return _run(plan(typed, source, progress), progress)


def _run(sweep: SweepPlan, progress: Progress) -> SweepResult:
    parallel = sweep.launcher.parallel(sweep.first.sweep)
    if parallel is not None and sweep.launcher.is_here:
        places = Places(parallel)
        for settings in [sweep.first, *(settings for _, settings in sweep.grid.values())]:
            places.check(settings.trainer)
    sweep.check_inputs()
    _refuse_output(sweep)
    folder = sweep.folder
    lock = _begin(folder, sweep.first.overwrite)
    try:
        remove_left_over(folder.path)
        jobs = _jobs(sweep.launcher, folder)
        tracker = SweepTracker(
            [settings for _, settings in sweep.grid.values()] or [sweep.first], folder.path
        )
        supervision = Supervision(sweep, jobs, parallel, tracker.child, progress)
        _tell_start(sweep, supervision.total, parallel)
        try:
            with disk_failures(str(folder.path)):
                result = supervision.run()
                _publish(sweep, result)
                result.write()
        except BaseException as error:
            told = supervision.result(ended=False)
            tracker.end(told.best_figures, folder.table, end_of(error)[0])
            _tell_how_to_go_on(sweep, told)
            raise
        state: State = "failed" if result.failed else "killed" if result.stopped else "finished"
        tracker.end(result.best_figures, folder.table, state)
        return result
    finally:
        lock.release()


def _refuse_output(sweep: SweepPlan) -> None:
    """Refuse an output that could not be written in the end; one that this sweep has put there may be replaced."""
    overwrite, output, folder = sweep.first.overwrite, sweep.output, sweep.folder.path
    places = sorted(sweep.inputs.places)
    refuse_inside(output, places)
    removed = [given for given in places if given.resolve().is_relative_to(folder.resolve())]
    if overwrite and removed:
        raise OutputError(
            "an input lies in the sweep's folder",
            where=str(removed[0]),
            accepted="overwrite=true begins anew and removes what is there",
            remedy="choose another output, or leave out overwrite=true",
        )
    if output.parent == folder:
        return
    if os.path.lexists(output) and sweep.folder.ledger.is_file() and not overwrite:
        if not has_published(sweep.folder, output):
            raise OutputError(
                "the output exists and is not of this sweep",
                where=f"output={shown(str(output))}",
                accepted="the jobs that are done are kept",
                remedy="move it away, and the same command goes on; overwrite=true would begin anew",
            )
        overwrite = True
    refuse_existing_output(output, overwrite)


def _begin(folder: SweepFolder, overwrite: bool) -> FileLock:
    """The sweep's folder, locked; with `overwrite` whatever was there is gone."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.lock_file.touch()
        lock = FileLock.take(folder.lock_file)  # ends with this process
        if lock is None:
            raise _going_on(folder, folder.lock_file)
        if overwrite:
            held = next(filter(is_locked, folder.path.glob("*.run/run.lock")), None)
            if held is not None:
                lock.release()
                raise _going_on(folder, held)
            folder.clear()
    except OSError as error:
        raise OutputError(
            "the sweep's folder cannot be written",
            where=str(folder.path),
            accepted=str(error.strerror),
            remedy="choose another output, or make room and grant the right to write",
        ) from None
    return lock


def _going_on(folder: SweepFolder, lock: Path) -> OutputError:
    return OutputError(
        "a sweep is going on in the folder",
        where=str(folder.path),
        accepted=f"{lock.name} of {lock.parent.name} is held",
        remedy="choose another output, or wait for it to end",
    )


def _jobs(launcher: Launcher, folder: SweepFolder) -> Jobs:
    if launcher.name.startswith("submitit"):
        from discerna.sweeps.submitted_jobs import SubmittedJobs

        return SubmittedJobs(folder.path / ".submitit", launcher)
    return LocalJobs()


def _tell_start(sweep: SweepPlan, total: int, parallel: int | None) -> None:
    jobs = counted(total, "job")
    if sweep.left_out:
        left = counted(sweep.left_out, "combination")
        jobs += f" ({left} left out by sweep.max_jobs={sweep.first.sweep.max_jobs})"
    at_once = (
        "all at once" if parallel is None else "one at a time" if parallel == 1 else f"{parallel} at once"
    )
    LOG.info("sweep %s: %s, %s", as_typed(sweep.folder.path), jobs, at_once)


def _publish(sweep: SweepPlan, result: SweepResult) -> None:
    best = result.best
    if best is not None:
        publish_winner(sweep.folder, best.job.number, sweep.output, sweep.first.overwrite)


def _tell_how_to_go_on(sweep: SweepPlan, result: SweepResult) -> None:
    done = sum(row.standing.has_ended for row in result.rows)
    typed = ""
    if sweep.first.output is None:  # by which the folder is found again
        typed = f" with output={as_typed(sweep.folder.path.with_suffix(''))}"
    LOG.info("%s done; to go on: the same command%s", counted(done, "job"), typed)
