"""Several processes that score together, each with the model on a device of its own and a share of the pictures.

They are plain processes over a socket each, and not of `multiprocessing`, which would run the user's own program again
in each of them. This one reads the directory, and takes the batches in its order: batch b comes from process b modulo
their number, so whole batches are the same as in one process, and what is not yet taken waits in the sockets.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import ProcessError, ProcessKilledError
from discerna.progress import SILENT, Progress
from discerna.results.pool_worker import TERMINATED, Order
from discerna.results.predictor import ScoredBatch

PATIENCE = 10.0
"""Seconds in which a process that was told to end may do so."""

# -P: a file of the user's called like a library must not take the library's place.
COMMAND = [sys.executable, "-P", "-m", "discerna.results.pool_worker"]

LOOKING = 0.2
"""Seconds after which a wait for a batch looks whether all processes live."""


class PredictorPool:
    """A trained model in several processes; scores as a `Predictor` does, in the same order."""

    def __init__(
        self,
        directory: ModelDirectory,
        *,
        device: str,
        gpus: Sequence[int | None],
        threads: int,
        views: str = "one",
        modules: Sequence[str] = (),
    ) -> None:
        """`gpus`: of each process the number of its GPU, None on other devices; `modules` register networks."""
        self.labels = list(directory.spec.labels)
        self._directory = directory
        self._device = device
        self._gpus = list(gpus)
        self._threads = threads
        self._views = views
        self._modules = list(modules)

    def stream(
        self, index: ImageDirectory, *, batch_size: int, workers: int, progress: Progress = SILENT
    ) -> Generator[ScoredBatch, None, None]:
        """Score all pictures of an image directory in its order; `workers` of each process decode them."""
        orders = [
            Order(
                parent=os.getpid(),
                search_path=list(sys.path),
                modules=self._modules,
                model=self._directory.path,
                device=self._device,
                gpu=gpu,
                threads=self._threads,
                views=self._views,
                pictures=index,
                batch_size=batch_size,
                workers=workers,
                number=number,
                processes=len(self._gpus),
            )
            for number, gpu in enumerate(self._gpus)
        ]
        batches = -(-len(index) // batch_size)
        with progress.task("scoring", len(index)) as advance, _started(orders) as members:
            for batch in range(batches):
                # The others' next ones: whose share is done may end as it likes.
                coming = range(batch, min(batch + len(members), batches))
                scored = _next([members[b % len(members)] for b in coming])
                yield scored
                advance(len(scored.indices) + len(scored.errors), "")


@dataclass(frozen=True)
class _Member:
    """A process of the pool."""

    process: subprocess.Popen[bytes]
    connection: Connection
    name: str
    """`process 0 of 2`"""


@contextmanager
def _started(orders: Sequence[Order]) -> Iterator[list[_Member]]:
    """The processes, which have ended when the block has, however that ends."""
    members: list[_Member] = []
    done = False
    try:
        with _deaf_to_interrupts():
            for order in orders:
                members.append(_start(f"process {order.number} of {order.processes}"))
        for order, member in zip(orders, members, strict=True):
            with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: told when its turn comes
                member.connection.send(order)
        yield members
        done = True
    finally:
        _end(members, at_once=not done)


def _start(name: str) -> _Member:
    ours, theirs = Pipe()
    with theirs:
        descriptor = theirs.fileno()
        try:
            process = subprocess.Popen(
                [*COMMAND, str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # ours may hold the rows; what user modules print, they have printed here
                pass_fds=[descriptor],
            )
        except BaseException:
            ours.close()
            raise
    return _Member(process, ours, name)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process that is started in the block never hears Ctrl-C, which a terminal sends to all: this one ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(members: Sequence[_Member], at_once: bool) -> None:
    """Wait until all have ended; `at_once`: tell them to."""
    deadline = time.monotonic() + PATIENCE
    try:
        for member in members:
            member.connection.close()  # whoever would still send learns so
            if at_once:
                member.process.terminate()
        for member in members:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(max(0.0, deadline - time.monotonic()))
    finally:  # also after a second Ctrl-C
        for member in members:
            member.process.kill()
            member.process.wait()


def _next(members: Sequence[_Member]) -> ScoredBatch:
    """The next batch of the first of these; raises what went wrong there, and when another was killed meanwhile."""
    first = members[0]
    try:
        while not first.connection.poll(LOOKING):
            for other in members:
                if _signal_of(other.process.poll()) is not None:
                    raise _failure(other)
        answer = first.connection.recv()
    except (EOFError, OSError):
        raise _failure(first) from None
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, ScoredBatch)
    return answer


def _failure(member: _Member) -> ProcessError:
    """The error for a member that ended without a word."""
    with suppress(subprocess.TimeoutExpired):  # the end of its connection comes a little before its own
        member.process.wait(PATIENCE)
    code = member.process.poll()
    where = f"{member.name}, id {member.process.pid}"
    number = _signal_of(code)
    if number in (signal.SIGKILL, signal.SIGTERM):
        return ProcessKilledError(
            "a process that scores pictures was killed",
            where=where,
            accepted=f"{signal.Signals(number).name}, as the system sends it when memory runs out",
            remedy="use a smaller batch_size, or fewer devices, if it was memory",
        )
    return ProcessError(
        "a process that scores pictures failed",
        where=where,
        accepted=f"exit code {code}" if number is None else signal.Signals(number).name,
        remedy="its messages stand above",
    )


def _signal_of(code: int | None) -> int | None:
    """The signal that ended a process."""
    if code == TERMINATED:
        return signal.SIGTERM
    return -code if code is not None and code < 0 else None
