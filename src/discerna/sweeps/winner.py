"""The model of the best job becomes that of the sweep."""

from __future__ import annotations

import shutil
from pathlib import Path

from discerna.directories.model_dir import ModelDirectory
from discerna.directories.model_files import MANIFEST, file_digest
from discerna.directories.plain_reading import read_object
from discerna.directories.publishing import publish
from discerna.directories.run_folder import write_json
from discerna.directories.sweep_folder import SweepFolder
from discerna.errors import InvalidModelDirectoryError, OutputError


def publish_winner(folder: SweepFolder, number: int, output: Path, overwrite: bool) -> None:
    """Let a copy of the job's model stand at `output`, whole; nothing to do where it stands there already."""
    model = folder.output(number)

    def fill(whole: Path) -> None:
        for file in model.iterdir():
            shutil.copyfile(file, whole / file.name)
        ModelDirectory.open(whole)  # verifies every sum

    def remember(whole: Path) -> None:
        write_json(folder.winner, {"manifest": file_digest(whole / MANIFEST)})

    if is_same(model, output):  # as after a kill, or when a sweep is begun anew
        remember(output)
        return
    try:
        ModelDirectory.open(model)
    except InvalidModelDirectoryError as error:
        raise OutputError(
            "the model of the best job is damaged",
            where=str(model),
            accepted=error.accepted,
            remedy="remove that directory: the same command makes it again",
        ) from None
    aside = folder.path / ".winner"
    shutil.rmtree(aside, ignore_errors=True)  # a kill may have left it
    publish(output, fill, overwrite=overwrite or has_published(folder, output), aside=aside, before=remember)


def has_published(folder: SweepFolder, output: Path) -> bool:
    """Whether the model directory at `output` was put there by this sweep."""
    try:
        if read_object(folder.winner)["manifest"] == file_digest(output / MANIFEST):
            return True
    except (OSError, ValueError, KeyError):
        pass
    # A kill between the note and the exchange leaves the winner of before, which is the model of a job.
    return any(is_same(model, output) for model in folder.models())


def is_same(model: Path, output: Path) -> bool:
    """Whether two model directories hold the same."""
    try:
        return file_digest(model / MANIFEST) == file_digest(output / MANIFEST)
    except OSError:
        return False
