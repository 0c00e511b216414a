"""`python -m discerna.worker RUN/settings.json`: one training, started from its settings and not from argv.

With `--processes N` this process is the agent: torch's own launcher starts N workers of the same line. A user's own
`torchrun` on this machine may start them instead; several machines are not in this version.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from discerna import console, launch, machine
from discerna.directories.run_folder import RunFolder
from discerna.errors import DiscernaError, ProcessError, ProcessKilledError, Terminated
from discerna.progress import SILENT

Action = Callable[[RunFolder, argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the agent or a worker; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m discerna.worker")
    parser.add_argument("settings", type=Path, help="settings.json of a run folder")
    parser.add_argument("--processes", type=int, default=1, help="start this many workers on this machine")
    parser.add_argument("--networks-module", action="append", default=[], help="import this module first")
    parser.add_argument(
        "--quiet", action="store_true", help="leave an error to error.json; who started this tells it"
    )
    given = parser.parse_args(arguments)
    folder = RunFolder(given.settings.absolute().parent)
    console.configure()
    if given.quiet:
        _end_with_parent()
    action = _be_agent if given.processes > 1 else _be_worker
    return console.guard(lambda: _answered_for(folder, given, action), telling=not given.quiet)


def _answered_for(folder: RunFolder, given: argparse.Namespace, action: Action) -> None:
    """Do the work; write how the run ended, unless who started this process does."""
    if given.quiet or not machine.is_first_process():
        action(folder, given)
        return
    folder = folder.restarted()
    with launch.recorded(folder):
        action(folder, given)


def _be_agent(folder: RunFolder, given: argparse.Namespace) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logs = tempfile.TemporaryDirectory(
        prefix="discerna-"
    )  # torch wants a folder, though nothing is put there
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=given.processes,
        run_id=secrets.token_hex(8),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port of this machine
        max_restarts=0,
        monitor_interval=0.2,
        logs_specs=DefaultLogsSpecs(log_dir=logs.name),
    )
    command = ["-m", "discerna.worker", str(folder.settings), "--quiet"]
    for module in given.networks_module:
        command += ["--networks-module", module]
    try:
        elastic_launch(config, sys.executable)(*command)
    except SignalException as stopped:
        raise (KeyboardInterrupt if stopped.sigval == 2 else Terminated) from None
    except ChildFailedError as failed:
        rank, first = failed.get_first_failure()
        killed = first.exitcode == -signal.SIGKILL
        kind = ProcessKilledError if killed else ProcessError
        error = folder.read_error() or kind(
            "a process of the training " + ("was killed" if killed else "failed"),
            where=f"process {rank} of {given.processes}",
            accepted="SIGKILL" if killed else f"exit code {first.exitcode}",
            remedy=f"its messages stand above and in {folder.log}",
        )
        folder.write_error(error)  # for who started this agent
        raise error from None
    finally:
        logs.cleanup()


def _be_worker(folder: RunFolder, given: argparse.Namespace) -> None:
    settings = folder.read_settings(json.loads(os.environ.get(launch.SECRETS, "{}")), given.networks_module)
    first = machine.is_first_process()
    if not first:
        console.LOG.setLevel("WARNING")  # one log, one display
    with console.held_signals():
        from discerna.commands.train import run

    try:
        if first:
            launch.run_here(settings, folder, console.progress())
        else:
            run(settings, folder, SILENT)
    except DiscernaError as error:
        folder.write_error(error)
        raise
    except Exception as error:
        # On the way out after a signal, connections to processes that are gone already break.
        if (stopped := _signal_behind(error)) is not None:
            raise stopped from None
        # When a process ends with an error, the others lose their connection to it: that is no fault of theirs.
        if given.quiet and _appears(folder.error):
            raise ProcessError("another process of the training failed") from None
        raise


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


def _end_with_parent() -> None:
    """Ask Linux to terminate this process when the one that started it is gone, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    sys.exit(main())
