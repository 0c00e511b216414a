"""Runs the jobs of a sweep: starts what is missing, goes on with what was cut, hears how each ends."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from discerna import launch
from discerna.directories.plain_reading import read_object
from discerna.errors import DiscernaError
from discerna.progress import Progress
from discerna.settings.train import TrainSettings
from discerna.sweeps.job import Job
from discerna.sweeps.launchers import Jobs
from discerna.sweeps.placement import Place, Places
from discerna.sweeps.plan import SweepPlan
from discerna.sweeps.queue import JobQueue
from discerna.sweeps.running import Running
from discerna.sweeps.standing import Standing, standing
from discerna.sweeps.summary import JobRow, SweepResult

LOG = logging.getLogger("discerna")

PAUSE = 0.1
"""Seconds between two looks at the processes."""

LOOKING = 0.5
"""Seconds between two looks at what the jobs write."""

WRITING = 2.0
"""Seconds, at least, between two times that the sweep's files are written."""

COST = 20
"""At least so many times as long as writing them takes: of a thousand jobs that is seconds."""


class Supervision:
    """One sweep from here to its end; whatever it knows stands in the sweep's folder."""

    def __init__(
        self,
        plan: SweepPlan,
        jobs: Jobs,
        parallel: int | None,
        child: Callable[[TrainSettings], TrainSettings],
        progress: Progress,
    ) -> None:
        """`child` makes a job known to a tracker as a part of the sweep; `parallel` None: all at once."""
        self._plan = plan
        self._jobs = jobs
        self._parallel = parallel
        self._child = child
        self._progress = progress
        self._monitor = plan.first.monitor
        self._queue = JobQueue(plan)
        self._places = Places(parallel or 1) if plan.launcher.is_here else None
        self._running: dict[int, Running] = {}
        self._rows: dict[int, JobRow] = {}
        self._before: dict[int, Standing] = {}
        """How far jobs had come when this sweep was started."""
        self._stopped = ""
        self._began = time.monotonic()
        self._looked = self._written = 0.0
        self._interval = WRITING
        self._disk_failed = False
        self._earlier = _written_before(plan)
        self._seconds = {job["number"]: float(job["seconds"]) for job in self._earlier.get("jobs", [])}
        """That earlier starts of the sweep have given to each job."""
        hours = plan.first.sweep.max_hours
        self._deadline = None if hours is None else self._began + hours * 3600

    @property
    def total(self) -> int:
        """How many jobs there will be."""
        return self._queue.total

    def run(self) -> SweepResult:
        """Until nothing is left to do."""
        with ExitStack() as bars:
            self._advance = bars.enter_context(self._progress.task("jobs", self._queue.total))
            try:
                self._settle()
                self._loop()
            except BaseException as stopped:
                by_hand = isinstance(stopped, KeyboardInterrupt)
                self._stopped = "by Ctrl-C" if by_hand else "by SIGTERM or an error"
                self._stop(signal.SIGINT if by_hand else signal.SIGTERM)
                raise
            finally:
                self._jobs.close()
                self._write()
        return self.result(ended=True)

    def result(self, ended: bool) -> SweepResult:
        """How all jobs stand now."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        return SweepResult(
            folder=self._plan.folder.path,
            output=self._plan.output,
            first=self._plan.first,
            rows=sorted(map(self._row, self._queue), key=lambda row: row.job.number),
            began=str(self._earlier.get("began") or now),
            seconds=float(self._earlier.get("seconds") or 0.0) + time.monotonic() - self._began,
            ended=ended,
            stopped=self._stopped,
        )

    def _row(self, job: Job) -> JobRow:
        if job.number in self._rows:
            return self._rows[job.number]
        if job.number in self._running:
            since = time.monotonic() - self._running[job.number].began
            return JobRow(job, self._standing(job), self._seconds_before(job) + since)
        return JobRow(job, self._before.get(job.number, Standing("waiting")), self._seconds_before(job))

    def _standing(self, job: Job) -> Standing:
        return standing(self._plan.folder, job.number, self._monitor)

    def _settle(self) -> None:
        """Find what is done, before anything starts: whatever ends this sweep, it is known and compared."""
        for job in self._queue.waiting:
            found = self._standing(job)
            if self._needs_nothing(found):
                self._queue.take_out(job)
                self._already_done(job, found)
            else:
                self._before[job.number] = found
        self._write()

    def _needs_nothing(self, found: Standing) -> bool:
        """A job that was ended early trains on when that is no longer wanted."""
        kept = found.state == "pruned" and self._plan.first.early_termination.name != "none"
        return found.is_done or kept

    def _already_done(self, job: Job, found: Standing) -> None:
        self._end(job, found, self._seconds_before(job))
        LOG.info("%s already done%s", self._name(job), self._came_to(found))

    def _loop(self) -> None:
        while True:
            if self._deadline is not None and time.monotonic() >= self._deadline and not self._stopped:
                self._stopped = f"by sweep.max_hours={self._plan.first.sweep.max_hours:g}"
                LOG.info("stopped %s; the jobs that run write a checkpoint", self._stopped)
                self._jobs.signal(signal.SIGTERM)
            while not self._stopped and self._has_room() and self._start_next():
                pass
            if not self._running:
                return
            time.sleep(PAUSE)
            self._look()

    def _has_room(self) -> bool:
        return self._parallel is None or len(self._running) < self._parallel

    def _start_next(self) -> bool:
        """Start a job, or find that one needs none; False where there is nothing to do for now."""
        job = self._queue.next()
        if job is None:
            return False
        found = self._standing(job)
        if self._needs_nothing(found):  # a search has come to it again
            self._already_done(job, found)
        elif self._jobs.adopt(job.number, self._plan.folder.run(job.number).path):
            LOG.info("%s was submitted before this sweep was started: waiting for it", self._name(job))
            self._show(job, Place(0, None, ()))
        elif found.state == "running":
            LOG.info("%s runs since before this sweep was started: waiting for it", self._name(job))
            self._show(job, None)
        else:
            return self._start(job)
        return True

    def _start(self, job: Job) -> bool:
        """Start a job; False where it has to wait for devices."""
        place = None
        try:
            place = Place(0, None, ()) if self._places is None else self._places.take(job.settings.trainer)
            if place is None:
                self._queue.put_back(job)
                return False
            LOG.info("%s starts", self._name(job))
            process = launch.process_of_sweep(
                self._child(job.settings),
                again=self._plan.folder.run(job.number).is_run(),
                cores=place.cores,
                devices=place.environment,
            )
            self._jobs.start(job.number, process)
        except DiscernaError as error:
            if place is not None:
                self._give_back(place)
            self._end(job, Standing("failed", str(error)), self._seconds_before(job))
            LOG.warning("%s failed%s", self._name(job), self._came_to(self._rows[job.number].standing))
            return True
        self._show(job, place)
        self._write(self._interval)
        return True

    def _show(self, job: Job, place: Place | None) -> None:
        self._running[job.number] = Running(job, place, self._plan.folder, self._progress)

    def _look(self) -> None:
        """Hear of epochs, and of jobs that have ended."""
        ended = self._jobs.ended()
        if not ended and time.monotonic() < self._looked + LOOKING:
            return
        self._looked = time.monotonic()
        for number, running in list(self._running.items()):
            running.tell_epochs()
            if running.place is not None and number in ended:
                self._hear(running, ended[number])
            elif running.place is None and self._standing(running.job).state != "running":  # its lock tells
                self._let_go(running)
                self._queue.put_back(running.job)
        self._write(self._interval)

    def _hear(self, running: Running, how: str) -> None:
        """The process of a job has ended."""
        found, place = self._outcome(running.job, how), running.place
        if found.state == "running":  # another process has the run now
            running.place = None
        else:
            self._let_go(running)  # first: a Ctrl-C from here on must not wait for it
        if place is not None:
            self._give_back(place)
        self._jobs.forget(running.job.number)
        if found.state == "running":
            return
        seconds = self._seconds_before(running.job) + time.monotonic() - running.began
        self._end(running.job, found, seconds)
        level = logging.INFO if found.has_ended or self._stopped else logging.WARNING
        state = "done" if found.is_done else "stopped" if found.is_cut and self._stopped else found.state
        LOG.log(level, "%s %s%s, %.0f s", self._name(running.job), state, self._came_to(found), seconds)

    def _let_go(self, running: Running) -> None:
        running.close()
        del self._running[running.job.number]

    def _give_back(self, place: Place) -> None:
        if self._places is not None:
            self._places.give_back(place)

    def _outcome(self, job: Job, how: str) -> Standing:
        """How a job stands whose process has ended; one that had not begun has failed, unless it was called off."""
        found = self._standing(job)
        if found.state != "waiting" or self._stopped:
            return found
        run = self._plan.folder.run(job.number)
        told = f"it ended before it began ({how}); its messages are in {run.path / launch.CONSOLE}"
        run.end("failed", told)
        return self._standing(job)

    def _end(self, job: Job, found: Standing, seconds: float) -> None:
        """A job has come to an end, or had come to it before."""
        self._rows[job.number] = JobRow(job, found, seconds)
        self._queue.ended(job, found)
        self._advance(1, "")

    def _write(self, unless_within: float = 0.0) -> None:
        """Bring the sweep's own files up to date; each job's folder is what counts."""
        began = time.monotonic()
        if began < self._written + unless_within:
            return
        try:
            self.result(ended=False).write()
        except OSError as error:  # a full disk: the jobs are worth more, and some may have room
            if not self._disk_failed:
                LOG.warning("%s: not written: %s", self._plan.folder.table, error.strerror)
            self._disk_failed = True
        self._written = time.monotonic()
        self._interval = max(WRITING, COST * (self._written - began))

    def _stop(self, number: int) -> None:
        """Let all jobs write a checkpoint; a second Ctrl-C does not wait for it."""
        if self._running:
            again = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
            LOG.info("jobs that run stop after this step%s", again)
        self._jobs.signal(number)
        while any(running.place is not None for running in self._running.values()):
            time.sleep(PAUSE)
            self._look()

    def _name(self, job: Job) -> str:
        """`job 3 (learning_rate=0.01)`."""
        return f"job {job.number}" + (f" ({job.told})" if job.told else "")

    def _came_to(self, found: Standing) -> str:
        """How many have ended, and how this one did."""
        told = found.told(self._monitor)
        if found.is_cut:
            return f": {told}"
        ended = sum(not row.standing.is_cut for row in self._rows.values())
        return f", {ended} of {self._queue.total or '?'}: {told}"

    def _seconds_before(self, job: Job) -> float:
        return self._seconds.get(job.number, 0.0)


def _written_before(plan: SweepPlan) -> dict[str, Any]:
    """What an earlier start of the sweep has written; nothing, if that cannot be read."""
    try:
        told = read_object(plan.folder.table)
        for job in told["jobs"]:
            float(job["seconds"]), int(job["number"])
        float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return told
