"""The keys that a verb's settings have, for messages, help and the quoting of paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from discerna.settings.build import alternatives, hints
from discerna.settings.ranges import ModelReference, Verbatim

OTHER_NAMES = {
    "bs": "batch_size",
    "data": "train_data",
    "device": "trainer.accelerator",
    "devices": "trainer.devices",
    "early_stopping.monitor": "monitor",
    "early_stopping.patience": "patience",
    "gpus": "trainer.devices",
    "lr": "learning_rate",
    "max_epochs": "epochs",
    "num_epochs": "epochs",
    "num_workers": "loading.workers",
    "optimizer.learning_rate": "learning_rate",
    "optimizer.lr": "learning_rate",
    "precision": "trainer.precision",
    "seed": "random_seed",
    "trainer.max_epochs": "epochs",
    "val_data": "valid_data",
    "validation_data": "valid_data",
    "workers": "loading.workers",
}
"""What people who know other trainers type, and what it is called here."""


def known_keys(settings: type[Any]) -> dict[str, Any]:
    """Every dotted key of a settings class with its type; a group itself is not a key."""
    return dict(_walk(settings, ""))


def _walk(settings: type[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in hints(settings).items():
        groups = [member for member in alternatives(hint) if dataclasses.is_dataclass(member)]
        for group in groups:
            yield from _walk(group, f"{prefix}{name}.")  # type: ignore[arg-type]
        if not groups:
            yield f"{prefix}{name}", hint


def is_mapping(hint: Any) -> bool:
    """Whether a setting is a mapping into which a user may put keys of his own."""
    return any(get_origin(member) is dict for member in alternatives(hint))


def is_path(hint: Any) -> bool:
    """Whether a setting is a path or the like, so that whatever is typed for it is meant literally."""
    for member in [hint, *alternatives(hint)]:
        marks = get_args(member)[1:] if get_origin(member) is Annotated else ()
        if any(isinstance(mark, ModelReference | Verbatim) for mark in marks):
            return True
    return Path in alternatives(hint) or is_path_list(hint)


def is_list(hint: Any) -> bool:
    """Whether a setting takes a list."""
    return any(get_origin(member) is list for member in alternatives(hint))


def is_path_list(hint: Any) -> bool:
    """Whether a setting takes a list of paths."""
    return any(get_origin(m) is list and get_args(m)[0] is Path for m in alternatives(hint))
