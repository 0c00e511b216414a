"""`python -m discerna.worker RUN/settings.json`: one training, started from its settings and not from argv.

With `--processes N` this process is the agent: torch's own launcher starts N workers of the same line. A user's own
`torchrun`, on this machine or on several, or `srun`, may start them instead.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from discerna import console, launch, machine, own_process, ranks, slurm
from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder
from discerna.errors import (
    DiscernaError,
    OutOfMemoryError,
    Preempted,
    ProcessError,
    ProcessHangError,
    ProcessKilledError,
    Terminated,
)
from discerna.progress import SILENT
from discerna.settings.train import TrainSettings

Action = Callable[[RunFolder, argparse.Namespace], None]

GRACE = 10
"""Seconds that the others have to end when one process has failed; one that hangs, or waits for a GPU, never would."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the agent or a worker; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m discerna.worker")
    parser.add_argument("settings", type=Path, help="settings.json of a run folder")
    parser.add_argument("--processes", type=int, default=1, help="start this many workers on this machine")
    parser.add_argument("--networks-module", action="append", default=[], help="import this module first")
    parser.add_argument(
        "--quiet", action="store_true", help="leave an error to error.json; who started this tells it"
    )
    parser.add_argument("--of-sweep", action="store_true", help="end when the sweep that started this ends")
    parser.add_argument("--cores", type=_numbers, default=[], help="use these cores only, as in 0,1")
    given = parser.parse_args(arguments)
    if given.cores:  # before torch counts them
        os.sched_setaffinity(0, given.cores)
    folder = RunFolder(given.settings.absolute().parent)
    console.configure()
    of_agent = given.processes == 1 and "TORCHELASTIC_RUN_ID" in os.environ
    if given.quiet or of_agent or given.of_sweep:
        # Without the agent its workers have nobody to answer to; an agent or a lone worker keeps what it has first.
        _end_with_parent(signal.SIGKILL if of_agent else signal.SIGTERM)
    action = _be_agent if given.processes > 1 else _be_worker
    return console.guard(lambda: _answered_for(folder, given, action), telling=not given.quiet)


def _answered_for(folder: RunFolder, given: argparse.Namespace, action: Action) -> None:
    """Do the work; write how the run ended, unless who started this process does."""
    if given.quiet or not ranks.is_first_process():
        action(folder, given)
        return
    folder = folder.restarted()
    with launch.recorded(folder, given.networks_module, requeue=not given.of_sweep):
        action(folder, given)


def _be_agent(folder: RunFolder, given: argparse.Namespace) -> None:
    """Start the workers; again where that can help."""
    if slurm.is_slurm():  # the workers have heard it as well, or who started this agent tells them
        signal.signal(slurm.ANNOUNCEMENT, lambda number, frame: None)
    left = _settings(folder, given).launch.max_restarts
    while True:
        decided = _decided(folder)
        try:
            _run_workers(folder, given)
            return
        except DiscernaError as error:
            # Else a worker has decided how it will go better.
            if not isinstance(error, OutOfMemoryError) or _decided(folder) == decided:
                if not isinstance(error, ProcessKilledError | ProcessHangError) or not left:
                    folder.write_error(error)  # for who started this agent
                    raise
                left -= 1
                console.LOG.warning("%s; all processes start again (%d more times)", error, left)
        folder.forget_end()


def _decided(folder: RunFolder) -> Any:
    """Into how many pieces each batch is cut, which workers decide when memory runs out."""
    try:
        return read_object(folder.decisions).get("pieces")
    except (OSError, ValueError):
        return None


def _run_workers(folder: RunFolder, given: argparse.Namespace) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import PContext, SignalException, SubprocessContext
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):  # each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)  # we tell what happens

    def end_soon(context: PContext, how: signal.Signals | None = None, patience: int = GRACE) -> None:
        PContext.close(context, how, patience)

    SubprocessContext.close = end_soon  # type: ignore[assignment, method-assign]
    logs = tempfile.TemporaryDirectory(
        prefix="discerna-"
    )  # torch wants a folder, though nothing is put there
    # So long workers may take to finish a step and write a checkpoint once they are told to stop.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=given.processes,
        run_id=secrets.token_hex(8),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port of this machine
        max_restarts=0,  # whether and how to start again is decided here
        monitor_interval=0.2,
        logs_specs=DefaultLogsSpecs(log_dir=logs.name),
    )
    command = ["-m", "discerna.worker", str(folder.settings), "--quiet"]
    for module in given.networks_module:
        command += ["--networks-module", module]
    try:
        elastic_launch(config, sys.executable)(*command)
        if (pruned := folder.read_stopped()) is not None:
            raise pruned
    except SignalException as stopped:
        raise (
            folder.read_stopped() or (KeyboardInterrupt() if stopped.sigval == 2 else Terminated())
        ) from None
    except ChildFailedError as failed:
        if (ended := folder.read_stopped()) is not None:  # the signal has reached the workers only
            raise ended from None
        # Seen at the same time, the one that was killed is why the other failed.
        rank, first = min(
            failed.failures.items(),
            key=lambda found: (found[1].timestamp, found[1].exitcode != -signal.SIGKILL),
        )
        killed = first.exitcode == -signal.SIGKILL
        kind = ProcessKilledError if killed else ProcessError
        raise folder.read_error() or kind(
            "a process of the training " + ("was killed" if killed else "failed"),
            where=f"process {rank} of {given.processes}",
            accepted="SIGKILL, as of kill -9 or for want of memory"
            if killed
            else f"exit code {first.exitcode}",
            remedy="if it was memory, use a smaller batch_size or fewer loading.workers"
            if killed
            else f"its messages stand above and in {folder.log}",
        ) from None
    finally:
        logs.cleanup()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _settings(folder: RunFolder, given: argparse.Namespace) -> TrainSettings:
    return folder.read_settings(json.loads(os.environ.get(launch.SECRETS, "{}")), given.networks_module)


def _be_worker(folder: RunFolder, given: argparse.Namespace) -> None:
    settings = machine.as_started(_settings(folder, given))
    first = ranks.is_first_process()
    if not first:
        console.LOG.setLevel("WARNING")  # one log, one display
    own_process.claim()
    work = launch.work_of(settings)
    try:
        if first:
            launch.run_here(settings, folder, console.progress())
        else:
            work(settings, folder, SILENT)
    except Preempted as stopped:
        if first:
            folder.write_stopped(stopped)
        raise
    except DiscernaError as error:
        folder.write_error(error)
        raise
    except Exception as error:
        # On the way out after a signal, connections to processes that are gone already break.
        if (behind := _signal_behind(error)) is not None:
            raise behind from None
        # When a process ends with an error, the others lose their connection to it: that is no fault of theirs.
        if given.quiet and _appears(folder.error):
            raise ProcessError("another process of the training failed") from None
        if ranks.launched() > 1 and (told := _of_connection(error, settings)) is not None:
            if isinstance(told, ProcessHangError):
                folder.write_error(told)
            raise told from None
        raise


def _of_connection(error: BaseException, settings: TrainSettings) -> ProcessError | None:
    """What a broken connection, or a silent one, says of another process."""
    text = str(error)
    if any(sign in text for sign in ("Timed out waiting", "timed out", "timeout", "Timeout")):
        return ProcessHangError(
            "a process of the training hangs",
            where=f"process {ranks.rank()} of {ranks.launched()} waited in vain for another",
            accepted=f"it did not answer for launch.hang_timeout={settings.launch.hang_timeout:g} minutes",
            remedy="look at what the others do, as with py-spy dump; launch.max_restarts=3 would start again by itself",
        )
    for sign in ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL"):
        if sign in text:
            console.LOG.debug("%s", text)
            return ProcessError(
                "another process of the training, or the connection to it, is gone",
                where=f"process {ranks.rank()} of {ranks.launched()} says {sign}",
                remedy="the other one, or the system's log of its machine, tells why",
            )
    return None


def _signal_behind(error: BaseException) -> BaseException | None:
    """The Ctrl-C or SIGTERM in whose course an error arose."""
    context: BaseException | None = error
    while context is not None:
        if isinstance(context, KeyboardInterrupt | Terminated):
            return context
        context = context.__context__
    return None


def _appears(path: Path) -> bool:
    """Whether a file is there, or will be within two seconds."""
    deadline = time.monotonic() + 2
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return path.exists()


def _end_with_parent(how: int) -> None:
    """Ask Linux to end this process when the one that started it is gone, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, how)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    sys.exit(main())
