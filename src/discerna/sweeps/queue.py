"""Which job of a sweep is next, and what the search hears of those that have ended."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

from discerna.errors import DiscernaError
from discerna.sweeps.job import Job, key_of_job
from discerna.sweeps.ledger import Ledger
from discerna.sweeps.plan import SweepPlan
from discerna.sweeps.points import Point
from discerna.sweeps.standing import Standing

LOG = logging.getLogger("discerna")


class JobQueue:
    """The jobs of a sweep in their order, made of its points as they are asked for."""

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._points = plan.points()
        self._ledger = Ledger(plan.folder)
        self._waiting: deque[Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._ended: dict[int, Standing] = {}
        self._open: list[tuple[Point, list[int]]] = []
        """Points of which the search has not heard how they came out, with the numbers of their jobs."""
        for _ in range(self._points.known):
            if (point := self._points.ask()) is not None:
                self._take(point)

    @property
    def total(self) -> int:
        """How many jobs there will be; 0: not known."""
        return (self._points.total or 0) * self._plan.first.sweep.repeats

    def __iter__(self) -> Iterator[Job]:
        """All jobs so far."""
        return iter(self._jobs.values())

    @property
    def waiting(self) -> list[Job]:
        """Those that nobody has taken yet."""
        return list(self._waiting)

    def take_out(self, job: Job) -> None:
        """Nobody needs to take it."""
        self._waiting.remove(job)

    def next(self) -> Job | None:
        """Take the next job; None where there is none (any more)."""
        while not self._waiting:
            point = self._points.ask()
            if point is None:
                return None
            self._take(point)
        return self._waiting.popleft()

    def put_back(self, job: Job) -> None:
        """It is the next one after all."""
        self._waiting.appendleft(job)

    def ended(self, job: Job, found: Standing) -> None:
        """Let the search hear of points whose jobs have all ended."""
        self._ended[job.number] = found
        self._tell_points()

    def _take(self, point: Point) -> None:
        repeats = self._plan.first.sweep.repeats
        try:
            settings = self._plan.compose(point)
            facts = self._plan.inputs.facts(settings)
        except DiscernaError as error:  # settings of a search that do not go together
            LOG.warning("point %d cannot be trained: %s", point.number, error)
            self._points.tell(point, "failed", None, {})
            return
        own, keys = [], []
        for repeat in range(repeats):
            seed = None if settings.random_seed is None else settings.random_seed + repeat
            own.append(replace(settings, random_seed=seed, overwrite=False))
            # Without a seed trainings differ by their number only.
            keys.append(key_of_job(own[-1], point.varying, facts, repeat if seed is None else 0))
        numbers = self._ledger.numbers([(key, point.varying) for key in keys])
        for number, settings in zip(numbers, own, strict=True):
            if number not in self._jobs:  # else another point came to the same settings
                job = Job(number, point, replace(settings, output=self._plan.folder.output(number)))
                self._jobs[number] = job
                self._waiting.append(job)
        self._open.append((point, numbers))
        self._tell_points()

    def _tell_points(self) -> None:
        for point, numbers in list(self._open):
            found = [self._ended[number] for number in numbers if number in self._ended]
            # One that was cut goes on when the sweep does.
            if len(found) == len(numbers) and not any(one.is_cut for one in found):
                self._open.remove((point, numbers))
                self._tell(point, found)

    def _tell(self, point: Point, found: list[Standing]) -> None:
        done = [one for one in found if one.is_done and one.value is not None]
        pruned = [one for one in found if one.state == "pruned"]
        if pruned:
            self._points.tell(point, "pruned", pruned[0].value, pruned[0].curve)
        elif done:
            value = mean(one.value for one in done if one.value is not None)
            self._points.tell(point, "done", value, done[0].curve)
        else:
            self._points.tell(point, "failed", None, {})
