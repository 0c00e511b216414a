"""What a tracker is told, sent in order by a thread of its own: one that is slow or down never holds up a training."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from discerna.settings.secrets import masked

LOG = logging.getLogger("discerna")

PAUSE = 15.0
"""Seconds until a tracker that is down is tried again."""

Job = Callable[[], None]


def cause_of(error: BaseException) -> str:
    """What lies at the bottom of an error, in one line: libraries wrap `Connection refused` many times."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    lines = str(error).strip().splitlines()
    told = lines[0] if lines else ""
    if not told or isinstance(error, LookupError):  # whose text is but the key
        told = f"{type(error).__name__}: {told}".removesuffix(": ")
    return str(masked(told))[:200]


class Outbox:
    """Jobs for a tracker called `name`, done one after the other while the training goes on."""

    def __init__(self, name: str, where: str, hopeless: Callable[[Exception], bool]) -> None:
        """`hopeless` says whether an error will come again however often the job is tried."""
        self._name = name
        self._where = where
        self._hopeless = hopeless
        self._jobs: deque[Job] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._warned = False
        self._thread = threading.Thread(target=self._work, name=f"discerna-{name}", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Have something done, soon."""
        with self._news:
            self._jobs.append(job)
            self._news.notify()

    def close(self) -> None:
        """Wait until all is done; a tracker that is down is tried once more, and then left."""
        with self._news:
            self._closing = True
            if self._jobs:
                LOG.info("%s: sending the rest", self._name)
            self._news.notify()
        self._thread.join()
        if self._jobs:
            LOG.warning("%s (%s) did not get everything; the run folder has it", self._name, self._where)

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._jobs and not self._closing:
                    self._news.wait()
                if not self._jobs:
                    return
                job = self._jobs[0]
            if not self._done(job):
                if self._closing:
                    return
                with self._news:
                    self._news.wait_for(lambda: self._closing, timeout=PAUSE)
                continue
            with self._news:
                self._jobs.popleft()

    def _done(self, job: Job) -> bool:
        """Do a job; False where it should be tried again."""
        try:
            job()
        except Exception as error:  # whatever a tracker's library raises, the training is worth more
            told = cause_of(error)
            hopeless = self._hopeless(error)
            if hopeless or not self._warned:
                after = "it is left out" if hopeless else "the training goes on, and it is tried again"
                LOG.warning("%s (%s) failed: %s; %s", self._name, self._where, told, after)
            self._warned = True
            return hopeless
        return True
