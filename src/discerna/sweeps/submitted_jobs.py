"""Jobs of a sweep handed to submitit: on SLURM, or as processes of this machine to try that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from discerna import launch
from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import write_json
from discerna.errors import MissingExtraError, ProcessError, SettingsError
from discerna.sweeps.launchers import SETTING, Launcher

EVERYWHERE = frozenset(
    {"timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "mem_gb", "name", "setup"}
    | {"stderr_to_stdout", "signal_delay_s"}
)
"""Settings that submitit knows for every cluster; the rest are SLURM's, which it calls slurm_NAME."""

OURS = frozenset({"array_parallelism", "max_num_timeout"})
"""Settings that are told to submitit in another way, or decide how many jobs are submitted at once."""

LOOKING = 5.0
"""Seconds between two looks at a cluster, whose answers and shared disks are slow."""

TICKET = "submitted.json"
"""In the run folder of a job: by which number the cluster knows it."""

GPUS = "CUDA_VISIBLE_DEVICES"


class SubmittedJobs:
    """Each a job of the cluster's, with one task, which starts the processes of its training."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        try:
            import submitit
        except ImportError:
            raise MissingExtraError.of("submitit", "slurm", f"hydra/launcher={launcher.name}") from None
        self._running: dict[int, Any] = {}
        self._gone: dict[int, str] = {}
        self._looked = 0.0
        self._cancelled = False
        self._folder = folder
        self._cluster = cluster = launcher.name.removeprefix("submitit_")
        settings = {key: value for key, value in launcher.settings.items() if key not in OURS}
        restarts = launcher.settings.get("max_num_timeout", 100)  # each goes on from a checkpoint
        try:
            folder.mkdir(exist_ok=True)
            self._executor = submitit.AutoExecutor(
                folder=folder, cluster=cluster, **{f"{cluster}_max_num_timeout": restarts}
            )
            named = {
                key
                if key in EVERYWHERE or cluster != "slurm"
                else f"slurm_{key.removeprefix('slurm_')}": value
                for key, value in settings.items()
            }
            self._executor.update_parameters(**{"timeout_min": 24 * 60, **named})
        except (NameError, ValueError, TypeError, RuntimeError, AssertionError) as error:
            raise SettingsError(
                "submitit cannot start jobs so",
                where=" ".join(f"{SETTING}{key}={value}" for key, value in launcher.settings.items())
                or f"hydra/launcher={launcher.name}",
                accepted=_cause(error),
                remedy="its documentation names what it takes",
            ) from None

    def start(self, number: int, process: launch.Process) -> None:
        """Submit a job. Secrets reach it by the environment, never by the file that submitit writes."""
        devices = process.devices
        if self._cluster == "local" and GPUS in os.environ:
            devices = {GPUS: os.environ[GPUS], **devices}
        job = Submitted(process.command, process.folder.path, devices, local=self._cluster == "local")
        before = os.environ.get(launch.SECRETS)
        try:
            if process.secrets:
                os.environ[launch.SECRETS] = json.dumps(process.secrets)
            submitted = self._executor.submit(job)
            write_json(process.folder.path / TICKET, {"cluster": self._cluster, "job": submitted.job_id})
        except (RuntimeError, OSError) as error:  # submitit's are RuntimeErrors: what sbatch has refused
            raise ProcessError(
                "a job cannot be submitted",
                where=str(process.folder.path),
                accepted=_cause(error),
                remedy="the same command tries it again",
            ) from None
        finally:
            if before is not None:
                os.environ[launch.SECRETS] = before
            else:
                os.environ.pop(launch.SECRETS, None)
        self._running[number] = submitted

    def adopt(self, number: int, run: Path) -> bool:
        """Take over a job that an earlier sweep has submitted and that still waits or runs."""
        if self._cluster != "slurm":
            return False
        try:
            ticket = read_object(run / TICKET)
        except (OSError, ValueError):
            return False
        if ticket.get("cluster") != "slurm" or not str(ticket.get("job", "")).isdecimal():
            return False
        import submitit

        job: Any = submitit.SlurmJob(self._folder, str(ticket["job"]))
        if job.watcher.is_done(job.job_id, mode="force"):
            return False
        self._running[number] = job
        return True

    def ended(self) -> dict[int, str]:
        """Jobs that have ended; what they leave for submitit, a pickle, is never read."""
        pause = LOOKING if self._cluster == "slurm" else 0.0
        if time.monotonic() >= self._looked + pause:
            self._looked = time.monotonic()
            if self._cancelled and self._cluster == "slurm" and self._running:
                next(iter(self._running.values())).watcher.update()  # by itself it asks every ten minutes
            for number, job in self._running.items():
                if number not in self._gone and job.done():
                    self._gone[number] = str(job.state)
        return dict(self._gone)

    def forget(self, number: int) -> None:
        """The end of the job was heard."""
        del self._running[number]
        del self._gone[number]

    def signal(self, number: int) -> None:
        """Cancel every job: it is told so, and has some time to write a checkpoint."""
        self._cancelled = True
        for job in self._running.values():
            job.cancel(check=False)

    def close(self) -> None:
        """The cluster ends what it was told to end."""
        self.signal(signal.SIGTERM)
        self._running.clear()


class Submitted:
    """What a job of the cluster's does: start the training, and hand on the news that its time is over."""

    def __init__(self, command: list[str], run: Path, devices: Mapping[str, str], local: bool) -> None:
        """`local`: a process of this machine, from which submitit hides the GPUs."""
        self._command = command
        self._run = run
        self._devices = dict(devices)
        self._local = local
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the training to its end; how that came about stands in its folder."""
        hidden = {*launch.LAUNCH_VARIABLES, *([GPUS] if self._local else [])}
        environment = {k: v for k, v in os.environ.items() if k not in hidden} | self._devices
        with (self._run / launch.CONSOLE).open("ab") as console:
            # SLURM sends the signal to all processes; only this one knows what it means, and says it in its own way.
            announced = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            try:
                self._process = subprocess.Popen(
                    self._command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                )
            finally:
                signal.signal(signal.SIGUSR2, announced)
        try:
            _wait(self._process.pid)
        except BaseException:  # Ctrl-C, as submitit's local jobs are cancelled
            self._end()
            raise

    def checkpoint(self) -> Any:
        """Called by submitit, in a signal's handler, when the job's time is nearly over: go on in the next one."""
        import submitit

        self._end()
        again = Submitted(self._command, self._run, self._devices, self._local)
        return submitit.helpers.DelayedSubmission(again)

    def _end(self) -> None:
        """Let the training finish its step and write a checkpoint."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
            _wait(self._process.pid)


def _wait(pid: int) -> None:
    """Wait for the process, and leave it to be waited for: `Popen.wait` within itself, as in a handler, never ends."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _cause(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
