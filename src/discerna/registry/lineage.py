"""Where a model comes from: its own training.json, and the run folder beside it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discerna.directories import model_files as files
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import SettingsError
from discerna.registry.version import Lineage
from discerna.runs.run import SUFFIX, Run
from discerna.settings.build import build, flat

_NOT_DECISIVE = {"model", "train_data", "valid_data", "transforms"}
"""Settings that training.json has by their last part only; what they led to is in the lineage itself."""


def lineage_of(model: ModelDirectory, relative_to: Path | None) -> Lineage:
    """What is known; the run's path is told from the folder `relative_to` where there is one."""
    training, run = model.training or {}, _run_of(model)
    data, settings = training.get("data"), training.get("settings")
    sides = data if isinstance(data, Mapping) else {}
    decisive = flat(settings) if isinstance(settings, Mapping) else {}
    told: dict[str, Any] = {
        "run": None if run is None else _told(run.path, relative_to),
        "experiment_name": None if run is None else run.value("experiment_name"),
        "began": None if run is None else run.value("began"),
        "parent": None if run is None else _parent(run),
        "weights_from": model.spec.weights_from,
        "train_data": sides.get("train"),
        "valid_data": sides.get("valid"),
        "figures": {} if run is None else run.result.get("figures"),
        "settings": {key: value for key, value in decisive.items() if key not in _NOT_DECISIVE},
        "git": None if run is None else run.environment.get("git"),
        "packages": training.get("packages"),
    }
    # A file that somebody has changed costs what it tells, not the model its registration.
    return build(
        Lineage, {name: value if _fits(name, value) else _NOTHING[name] for name, value in told.items()}
    )


_NOTHING: dict[str, Any] = {
    field.name: {} if field.name in ("figures", "settings", "packages") else None
    for field in dataclasses.fields(Lineage)
}


def _fits(name: str, value: Any) -> bool:
    try:
        build(Lineage, {**_NOTHING, name: value})
    except SettingsError:
        return False
    return True


def _run_of(model: ModelDirectory) -> Run | None:
    """The run that wrote the very model; None where it is not beside it, or has written another since."""
    path = model.path
    digest = files.file_digest(path / files.MANIFEST)
    for place in (path.with_name(f"{path.name}{SUFFIX}"), path.parent):
        run = Run(place)
        if run.folder.is_run() and run.result.get("model_sha256") == digest:
            return run
    return None


def _parent(run: Run) -> str | None:
    """The registered model that the training began from: its directory lies in one."""
    began_from = Path(str(run.settings.get("model", "")))
    try:
        told: Any = json.loads((began_from.parent / "version.json").read_text("utf-8"))
        return f"{told['name']}:{told['number']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _told(path: Path, relative_to: Path | None) -> str:
    return path.name if relative_to is None else os.path.relpath(path, relative_to)
