"""Jobs of a sweep handed to submitit: on SLURM, or as processes of this machine to try that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discerna import launch
from discerna.errors import MissingExtraError, SettingsError
from discerna.sweeps.launchers import SETTING, Launcher

EVERYWHERE = frozenset(
    {"timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "mem_gb", "name", "setup"}
    | {"stderr_to_stdout", "signal_delay_s"}
)
"""Settings that submitit knows for every cluster; the rest are SLURM's, which it calls slurm_NAME."""


class SubmittedJobs:
    """Each a job of the cluster's, with one task, which starts the processes of its training."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        try:
            import submitit
        except ImportError:
            raise MissingExtraError.of("submitit", "slurm", f"hydra/launcher={launcher.name}") from None
        self._running: dict[int, Any] = {}
        cluster = launcher.name.removeprefix("submitit_")
        settings = dict(launcher.settings)
        restarts = settings.pop("max_num_timeout", 3)
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
                accepted=" ".join(str(error).split())[:300],
                remedy="its documentation names what it takes",
            ) from None

    def start(self, number: int, process: launch.Process) -> None:
        """Submit a job. Secrets reach it by the environment, never by the file that submitit writes."""
        job = Submitted(process.command, process.folder.path, process.devices)
        before = os.environ.get(launch.SECRETS)
        try:
            if process.secrets:
                os.environ[launch.SECRETS] = json.dumps(process.secrets)
            self._running[number] = self._executor.submit(job)
        finally:
            if before is not None:
                os.environ[launch.SECRETS] = before
            else:
                os.environ.pop(launch.SECRETS, None)

    def ended(self) -> list[tuple[int, str]]:
        """Jobs that have ended since the last call; what they leave for submitit, a pickle, is never read."""
        found = [(number, str(job.state)) for number, job in self._running.items() if job.done()]
        for number, _ in found:
            del self._running[number]
        return found

    def signal(self, number: int) -> None:
        """Cancel every job: it is told so, and has some time to write a checkpoint."""
        for job in self._running.values():
            job.cancel(check=False)

    def close(self) -> None:
        """The cluster ends what it was told to end."""
        self.signal(signal.SIGTERM)
        self._running.clear()


class Submitted:
    """What a job of the cluster's does: start the training, and hand on the news that its time is over."""

    def __init__(self, command: list[str], run: Path, devices: Mapping[str, str]) -> None:
        self._command = command
        self._run = run
        self._devices = dict(devices)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the training to its end; how that came about stands in its folder."""
        environment = {k: v for k, v in os.environ.items() if k not in launch.LAUNCH_VARIABLES}
        environment |= self._devices
        with (self._run / launch.CONSOLE).open("ab") as console:
            process = subprocess.Popen(
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._process = process
        try:
            process.wait()
        except BaseException:  # Ctrl-C, as submitit's local jobs are cancelled
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise

    def checkpoint(self) -> Any:
        """Called by submitit when the job's time is nearly over: write a checkpoint, go on in the next one."""
        import submitit

        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        return submitit.helpers.DelayedSubmission(Submitted(self._command, self._run, self._devices))
