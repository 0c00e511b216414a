"""`plan=true`: a few steps of a training in a folder that goes with them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from discerna import launch, resumption, slurm
from discerna.directories.plan_result import PlanResult
from discerna.directories.publishing import refuse_existing_output
from discerna.directories.run_folder import RunFolder
from discerna.directories.write_aside import unwritable
from discerna.errors import SettingsError
from discerna.progress import Progress
from discerna.settings.train import TrainSettings
from discerna.wording import shown


def plan(settings: TrainSettings, progress: Progress) -> PlanResult:
    """What the training would take; refuses what the training would refuse."""
    _refuse_earlier(settings)
    settings, run = launch.placed(settings)
    output = launch.outcome(settings)
    refuse_existing_output(output, settings.overwrite)
    RunFolder(run).refuse_old(settings.overwrite)
    with slurm.announced_end(requeue=False), _folder_beside(output) as room:
        own = replace(settings, plan=True, output=room / "model", resume=None, overwrite=False)
        folder, hidden = RunFolder.begin(room / "model.run", own)
        try:
            launch.run(own, folder, hidden, progress)
        finally:
            assert folder.lock is not None
            folder.lock.release()
        return PlanResult.read(folder.plan)


def _refuse_earlier(settings: TrainSettings) -> None:
    """Refuse to plan what has begun: how far it has come nobody asks here."""
    earlier = resumption.earlier_run(settings) if settings.resume else None
    if earlier is not None:
        raise SettingsError(
            "a plan is of a training from its start",
            where=f"plan=true resume={settings.resume}",
            accepted=f"{shown(str(earlier.path))} has begun",
            remedy="leave out resume, and give another output",
        )


@contextmanager
def _folder_beside(output: Path) -> Iterator[Path]:
    """A hidden folder on the disk that the model will be on."""
    place = next(folder for folder in output.parents if folder.is_dir())
    try:
        room = Path(tempfile.mkdtemp(prefix=".discerna-plan-", dir=place))
    except OSError as error:
        raise unwritable(output, error) from None
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
