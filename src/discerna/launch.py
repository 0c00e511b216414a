"""A training as one process, or as several under torch's own launcher.

Several processes never parse a command line again: each is `python -m discerna.worker RUN/settings.json`.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from discerna import console, machine, resumption, slurm
from discerna.directories.checkpoint_files import newest_whole
from discerna.directories.file_lock import FileLock
from discerna.directories.publishing import refuse_existing_output, refuse_inside
from discerna.directories.run_folder import RunFolder
from discerna.directories.run_result import RunResult
from discerna.directories.run_status import end_of
from discerna.errors import DiscernaError, OutputError, ProcessError, ProcessKilledError, Terminated
from discerna.progress import Progress
from discerna.settings.train import TrainSettings
from discerna.wording import as_typed, shown

REJOINING = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
"""Without it torch 2.15 never tells a machine that comes back where the others are; they wait in vain."""

CONSOLE = "console.log"
"""In the run folder of a job of a sweep: what its processes print, the words of a crash among it."""

SECRETS = "DISCERNA_SECRETS"
"""The environment variable by which secrets reach workers."""


@dataclass(frozen=True)
class PreparedRun:
    """A run that waits to be started by a launcher of the user's."""

    folder: RunFolder
    processes: int
    modules: list[str]

    def summary(self) -> str:
        """What to type on each machine."""
        line = ["-m", "discerna.worker", as_typed(self.folder.settings)]
        for module in self.modules:
            line += ["--networks-module", module]
        torchrun = [
            "env",
            REJOINING,
            "torchrun",
            "--nnodes=2",
            f"--nproc-per-node={max(1, self.processes // 2)}",
        ]
        torchrun += ["--rdzv-backend=c10d", "--rdzv-endpoint=HOST:29400", "--rdzv-id=1", "--max-restarts=3"]
        return "\n".join(
            [
                f"run    {shown(as_typed(self.folder.path))} is prepared; on each machine start one of",
                f"       {shown(shlex.join([*torchrun, *line]))}",
                f"       {shown(shlex.join(['srun', 'python', *line]))}",
                "       with your numbers of machines and of processes on each (docs/several-machines.md)",
            ]
        )


def prepare_only(settings: TrainSettings) -> PreparedRun | RunResult:
    """Write the run folder of a training that others start; what came of it where it has ended already."""
    if (already := resumption.finished(settings)) is not None:
        return already
    folder, settings, hidden = _let_wait(settings)
    if hidden:
        console.LOG.warning("secrets are in no file; each worker takes them from %s as JSON", SECRETS)
    return PreparedRun(folder, machine.processes(settings.trainer).value, settings.networks.modules)


def _let_wait(settings: TrainSettings) -> tuple[RunFolder, TrainSettings, dict[str, Any]]:
    """A run folder that a process of its own begins, or goes on with."""
    folder, settings, hidden = prepare(settings)
    assert folder.lock is not None
    try:
        folder.end("prepared", "waits to be started")
    finally:
        folder.lock.release()
    return folder, settings, hidden


@dataclass(frozen=True)
class Process:
    """A training that is ready to be started as a process tree which answers for itself."""

    folder: RunFolder
    command: list[str]
    secrets: dict[str, Any]
    """They are in no file."""
    devices: dict[str, str]
    """Variables that name the devices it may use."""

    @property
    def environment(self) -> dict[str, str]:
        """That of the process tree, where this process starts it."""
        return {**_environment(self.secrets), **self.devices}


def process_of_sweep(
    settings: TrainSettings, *, again: bool, cores: Sequence[int], devices: dict[str, str]
) -> Process:
    """What to start for a job of a sweep, `again` where it has begun; it writes by itself how it ended."""
    # Whatever stands where a job begins is the sweep's own: a model whose run folder was taken away.
    settings = replace(settings, resume=resumption.AUTO if again else None, overwrite=not again)
    folder, settings, hidden = _let_wait(settings)
    count = machine.processes(settings.trainer).value
    command = [*_worker_command(folder, count, settings.networks.modules), "--of-sweep"]
    if cores:
        command += ["--cores", ",".join(map(str, cores))]
    return Process(folder, command, hidden, devices)


def train(settings: TrainSettings, progress: Progress) -> RunResult:
    """Run a training to its end, in this process or in several."""
    if (already := resumption.finished(settings)) is not None:
        settle(RunFolder(already.run))
        console.LOG.info("%s: finished already; nothing to do", already.run)
        return already
    folder, settings, hidden = prepare(settings)
    with recorded(folder, settings.networks.modules):
        run(settings, folder, hidden, progress)
    return RunResult.read(folder.result)


def run(settings: TrainSettings, folder: RunFolder, hidden: dict[str, Any], progress: Progress) -> None:
    """The training, or the plan of one, in as many processes as it has; what came of it is in the folder."""
    count = machine.processes(settings.trainer).value
    if count == 1:
        run_here(settings, folder, progress)
    else:
        _run_several(settings, folder, hidden, count)


@contextmanager
def recorded(folder: RunFolder, modules: Sequence[str] = (), requeue: bool = True) -> Iterator[None]:
    """Write how the run of the block ended, and let go of its folder; after a kill -9 its lock tells.

    `modules` register networks of the user's own, which the command to go on must name again. `requeue`: a job of
    SLURM that is told of its end goes into the queue again.
    """
    try:
        try:
            with slurm.announced_end(requeue):
                yield
        except BaseException as error:
            _end_badly(folder, error, modules)
            raise
        try:
            _end_well(folder)
        except OSError as error:
            console.LOG.warning("%s: not written: %s", folder.status_file, error.strerror)
    finally:
        if folder.lock is not None:
            folder.lock.release()


def _end_badly(folder: RunFolder, error: BaseException, modules: Sequence[str]) -> None:
    told = end_of(error)
    with suppress(OSError):  # what went wrong is told, not that a full disk cannot hold it
        if isinstance(error, DiscernaError):
            folder.write_error(error)
    # A signal that comes while a tracker is told the rest does not undo the training.
    if told[0] == "killed" and folder.result.is_file():
        with suppress(OSError):
            _end_well(folder)
        return
    with suppress(OSError):
        folder.end(*told)
    if folder.has_checkpoint():
        console.LOG.info("to go on: %s", resumption.command(folder.path, modules))


def _end_well(folder: RunFolder) -> None:
    result = RunResult.read(folder.result)
    folder.end(
        result.state,
        result.stopped,
        figures=result.figures,
        best_epoch=result.best_epoch,
        epochs_trained=result.epochs_trained,
        best=result.best_row,
    )


def settle(folder: RunFolder) -> None:
    """Finish what a process left that was killed after its model was done."""
    with suppress(OSError, OutputError):  # the result stands, whatever this comes to
        owned = folder.owned()
        assert owned.lock is not None
        try:
            owned.remove_left_over()
            status = owned.status()
            if status is not None and status.state not in ("finished", "stopped early"):
                _end_well(owned)
        finally:
            owned.lock.release()


def prepare(settings: TrainSettings) -> tuple[RunFolder, TrainSettings, dict[str, Any]]:
    """Decide where the run goes, refuse what is in the way, and write its settings."""
    earlier = resumption.earlier_run(settings) if settings.resume else None
    return _begun(settings) if earlier is None else _gone_on(earlier, settings)


def _gone_on(folder: RunFolder, settings: TrainSettings) -> tuple[RunFolder, TrainSettings, dict[str, Any]]:
    """A run that goes on in its folder."""
    folder = folder.owned()
    output, lock = settings.output, folder.lock
    assert output is not None and lock is not None
    try:
        changed = resumption.told(settings, folder)
        settings = resumption.agreed(settings, folder)
        refuse_existing_output(output, overwrite=settings.overwrite or folder.has_published(output))
        folder, hidden = RunFolder.go_on(folder, settings)
    except BaseException:
        lock.release()
        raise
    start = newest_whole(folder.checkpoints)
    console.LOG.info(
        "%s: going on from %s%s",
        folder.path,
        start.name if start else "the start: no checkpoint yet",
        changed,
    )
    return folder, settings, hidden


def _begun(settings: TrainSettings) -> tuple[RunFolder, TrainSettings, dict[str, Any]]:
    """A fresh run."""
    settings, run = placed(settings)
    refuse_existing_output(outcome(settings), overwrite=settings.overwrite)
    folder, hidden = RunFolder.begin(run, settings)
    return folder, settings, hidden


def placed(settings: TrainSettings) -> tuple[TrainSettings, Path]:
    """The settings with an output and a seed, and the place of the run folder; refuses an output among the inputs."""
    if settings.output is None:
        base = Path("runs").absolute() / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        run = base
        serial = 1
        while run.exists():  # two runs in the same second
            serial += 1
            run = base.with_name(f"{base.name}_{serial}")
        settings = replace(settings, output=run / "model")
    else:
        run = settings.output.with_name(f"{settings.output.name}.run")
    if settings.random_seed is None:
        settings = replace(settings, random_seed=secrets.randbits(63))
    inputs = [settings.train_data, settings.valid_data]
    inputs += [Path(settings.model)] if settings.model_is_directory else []
    inputs += [settings.transforms] if settings.transforms else []
    refuse_inside(outcome(settings), inputs)
    return settings, run


def outcome(settings: TrainSettings) -> Path:
    """Where the model goes, which is settled."""
    assert settings.output is not None
    return settings.output


def work_of(settings: TrainSettings) -> Callable[[TrainSettings, RunFolder, Progress], object]:
    """What a process of a training does."""
    with console.heavy_imports():
        from discerna.commands import plan, train
    return plan.run if settings.plan else train.run


def run_here(settings: TrainSettings, folder: RunFolder, progress: Progress) -> None:
    """The training in this process, its notes also in the run folder."""
    work = work_of(settings)
    handler = console.log_to(folder.log)
    try:
        work(settings, folder, progress)
    except DiscernaError as error:
        console.LOG.debug("failed: %s", error)
        raise
    finally:
        console.stop_logging(handler)


def _worker_command(folder: RunFolder, count: int, modules: list[str]) -> list[str]:
    """The command line of a process tree of its own."""
    command = [sys.executable, "-m", "discerna.worker", str(folder.settings)]
    if count > 1:
        command += ["--processes", str(count)]
    for module in modules:
        command += ["--networks-module", module]
    return command


def _environment(hidden: dict[str, Any]) -> dict[str, str]:
    """That of a process tree of its own."""
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    return {**environment, SECRETS: json.dumps(hidden)} if hidden else environment


def _run_job(command: list[str], hidden: dict[str, Any], lock: FileLock | None = None) -> int:
    """Run a job to its end and hand our signals on to it, each once; its exit code, negative for a signal.

    Killed, this process leaves `lock` to the job, which still writes a checkpoint then.
    """
    # Away from the terminal, whose Ctrl-C would reach it a second time: that means to stop at once.
    job = subprocess.Popen(
        command,
        env=_environment(hidden),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[lock.descriptor] if lock else [],
    )
    try:
        return job.wait()
    except BaseException as stopped:
        job.send_signal(signal.SIGINT if isinstance(stopped, KeyboardInterrupt) else signal.SIGTERM)
        job.wait()  # it finishes its step and writes a checkpoint; another Ctrl-C ends this
        raise
    finally:  # its processes end with it
        job.kill()
        job.wait()


LAUNCH_VARIABLES = frozenset(
    {
        *("LOCAL_RANK", "RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK"),
        *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
        *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"),
    }
)
"""What a surrounding launcher leaves in the environment; a job must not take itself for one of its workers."""


def _run_several(settings: TrainSettings, folder: RunFolder, hidden: dict[str, Any], count: int) -> None:
    command = [*_worker_command(folder, count, settings.networks.modules), "--quiet"]
    try:
        code = _run_job(command, hidden, folder.lock)
    except (KeyboardInterrupt, Terminated):
        if (stopped := folder.read_stopped()) is not None:
            raise stopped from None
        raise
    if code != 0:
        raise _failure(folder, code)


def _failure(folder: RunFolder, code: int) -> BaseException:
    """Why a job failed: the error that it left, or its exit code."""
    interrupted, terminated = code in (130, -signal.SIGINT), code in (143, -signal.SIGTERM)
    if interrupted or terminated:
        return folder.read_stopped() or (KeyboardInterrupt() if interrupted else Terminated())
    error = folder.read_error()
    if error is not None:
        return error
    found = f"its messages stand above and in {folder.log}"
    if code < 0:
        return ProcessKilledError(
            "the main process of the training was killed",
            where=signal.Signals(-code).name,
            accepted="any others have ended with it",
            remedy=found,
        )
    return ProcessError("a process of the training failed", where=f"exit code {code}", accepted=found)
