"""Where a model comes from: its own training.json, and the run folder beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from discerna.directories import model_files as files
from discerna.directories.model_dir import ModelDirectory
from discerna.registry.version import Lineage
from discerna.runs.run import SUFFIX, Run
from discerna.settings.build import flat

_NOT_DECISIVE = {"model", "train_data", "valid_data", "transforms"}
"""Settings that training.json has by their last part only; what they led to is in the lineage itself."""


def lineage_of(model: ModelDirectory, relative_to: Path | None) -> Lineage:
    """What is known; the run's path is told from the folder `relative_to` where there is one."""
    training = model.training or {}
    run = _run_of(model)
    status = {} if run is None else run.facts
    data = training.get("data") or {}
    settings = flat(training.get("settings") or {})
    figures = {} if run is None else run.result.get("figures", {})
    return Lineage(
        run=None if run is None else _told(run.path, relative_to),
        experiment_name=status.get("experiment_name"),
        began=status.get("began"),
        parent=None if run is None else _parent(run),
        weights_from=model.spec.weights_from,
        train_data=data.get("train"),
        valid_data=data.get("valid"),
        figures=dict(figures),
        settings={key: value for key, value in settings.items() if key not in _NOT_DECISIVE},
        git=None if run is None else run.environment.get("git"),
        packages=training.get("packages") or {},
    )


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
