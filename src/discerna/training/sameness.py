"""Whether a run that goes on learns from what it began with."""

from __future__ import annotations

import logging
from typing import Any

from discerna.directories.model_dir import ModelDirectory
from discerna.directories.model_files import MANIFEST, file_digest
from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder, write_json
from discerna.errors import DiscernaError, InvalidDatasetError, InvalidModelDirectoryError
from discerna.settings.train import TrainSettings
from discerna.training.data_module import PictureData
from discerna.wording import listed

LOG = logging.getLogger("discerna")


def is_extended(folder: RunFolder, settings: TrainSettings) -> bool:
    """Whether the run has more epochs than it was planned for when it began."""
    try:
        return settings.epochs > int(read_object(folder.data)["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def check_same(
    folder: RunFolder, settings: TrainSettings, data: PictureData, directory: ModelDirectory | None
) -> None:
    """Refuse pictures, labels or a model that have changed since the run began; remember those of a fresh run."""
    now = {
        "labels": data.labels,
        "train_data": {"pictures": len(data.train), "fingerprint": data.train.fingerprint()},
        "valid_data": {"pictures": len(data.valid), "fingerprint": data.valid.fingerprint()},
        "model": file_digest(directory.path / MANIFEST) if directory else settings.model,
    }
    try:
        before = read_object(folder.data)
    except (OSError, ValueError):
        before = now
    for field, value in now.items():
        if before.get(field, value) == value:
            continue
        error = _changed(field, before[field], value, settings)
        if not settings.force:
            raise error
        LOG.warning("%s: %s; force=true goes on all the same", error.problem, error.where)
    write_json(folder.data, {**now, "epochs": before.get("epochs", settings.epochs)})


def _changed(field: str, before: Any, now: Any, settings: TrainSettings) -> DiscernaError:
    if field == "labels":
        gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
        return InvalidDatasetError(
            "the labels have changed since the run began",
            where=f"train_data={settings.train_data}",
            accepted="; ".join(
                f"{what} {listed(names)}" for what, names in (("gone", gone), ("new", new)) if names
            ),
            remedy="bring them back, or begin a new run with another output",
        )
    if field == "model":
        return InvalidModelDirectoryError(
            "the model that training begins from has changed since the run began",
            where=f"model={settings.model}",
            remedy="bring it back, begin a new run, or add force=true",
        )
    return InvalidDatasetError(
        "the pictures have changed since the run began",
        where=f"{field}={getattr(settings, field)}",
        accepted=f"{before['pictures']} pictures then, {now['pictures']} now, or others under the same names",
        remedy="bring them back, begin a new run, or add force=true",
    )
