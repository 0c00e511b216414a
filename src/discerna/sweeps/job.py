"""One training of a sweep, and the hash by which it is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass

from discerna import resumption
from discerna.settings.build import flat, plain
from discerna.settings.secrets import masked
from discerna.settings.train import TrainSettings
from discerna.sweeps.points import Point

DECIDING = ("epochs", "max_minutes", "on_nan", "rollback_rate", "rollback_times")
"""Of the settings that a run may change when it goes on, those that make another job of it."""


@dataclass(frozen=True)
class Job:
    """One training; a point has `sweep.repeats` of them."""

    number: int
    """Of its folders, in the order in which jobs became known."""
    point: Point
    settings: TrainSettings
    """With an output of its own."""

    @property
    def told(self) -> str:
        """What distinguishes it, for people: `learning_rate=0.01 model=resnet18`."""
        words = [f"{key}={brief(value)}" for key, value in self.point.varying.items()]
        if self.settings.sweep.repeats > 1:
            words.append(f"random_seed={self.settings.random_seed}")
        return " ".join(words)


def brief(text: str) -> str:
    """A value for people: of a number with many digits the first four; files have all of them."""
    try:
        return f"{float(text):.4g}" if len(text) > len("0.00001") and "." in text else text
    except ValueError:
        return text


def key_of_job(settings: TrainSettings, varying: Collection[str], data: object, repeat: int) -> str:
    """The hash of everything that decides what comes out: settings, and `data`: pictures, labels, the model.

    What says only where and how a training runs is left out, unless the sweep varies it.
    """
    values = flat(masked(plain(settings)))
    deciding = {
        key: value
        for key, value in values.items()
        if not resumption.is_free(key)
        or _is_of(key, DECIDING)
        or (_is_of(key, tuple(varying)) and not _is_of(key, resumption.CHECKED_ELSEWHERE))
    }
    told = {"settings": deciding, "data": data, "repeat": repeat}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _is_of(key: str, names: tuple[str, ...]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)
