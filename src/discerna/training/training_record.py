"""training.json: enough to repeat a run, nothing about who ran it and where."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from discerna.settings.build import plain
from discerna.settings.secrets import masked
from discerna.settings.train import TrainSettings
from discerna.training.preparation import Preparation
from discerna.training.trainer import FitOutcome

PACKAGES = ("discerna", "torch", "torchvision", "lightning", "torchmetrics", "pillow", "safetensors", "numpy")


MOST_EPOCHS = 20_000
"""A longer record could not be read again."""


def training_record(ready: Preparation, outcome: FitOutcome) -> dict[str, Any]:
    """The content of training.json."""
    data = ready.data
    return {
        "settings": _recorded(ready.settings),
        "recipe": {
            name: {"value": choice.value, "reason": choice.reason} for name, choice in ready.choices.items()
        },
        "machine": ready.machine.as_json(),
        "best_epoch": outcome.best_epoch,
        "stopped": outcome.stopped,
        "epochs": [
            {name: value for name, value in row.items() if name != "pictures_per_second"}
            for row in outcome.rows[-MOST_EPOCHS:]
        ],
        "data": {
            "train": {"pictures": len(data.train), "fingerprint": data.train.fingerprint()},
            "valid": {"pictures": len(data.valid), "fingerprint": data.valid.fingerprint()},
        },
        "packages": _packages(),
    }


def _recorded(settings: TrainSettings) -> dict[str, Any]:
    """The settings that made the model: no place, no secret, and nothing that looks like code to import."""
    values = without_places(masked(plain(settings)))
    for where in (
        *("output", "overwrite", "networks", "experiment_name", "registry"),
        *("resume", "force", "plan", "checkpoint", "launch"),
        *("sweep", "space", "early_termination"),  # how jobs were chosen, and not what one learned
    ):
        del values[where]
    for where in ("cache", "cache_gib"):  # of this machine, and without a trace in the model
        del values["loading"][where]
    values["callbacks"] = {name: own.get("_target_") for name, own in settings.callbacks.items()}
    values["logger"] = {"own": {name: own.get("_target_") for name, own in settings.logger.own.items()}}
    return dict(values)


def without_places(values: Any) -> Any:
    """The values with each absolute path cut down to its last part."""
    if isinstance(values, dict):
        return {key: without_places(value) for key, value in values.items()}
    if isinstance(values, list):
        return [without_places(value) for value in values]
    if isinstance(values, str) and values.startswith(("/", "~")):
        return Path(values).name
    return values


def _packages() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            continue
    return found
