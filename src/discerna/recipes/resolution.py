"""Settings with `auto` in them -> settings without, and what was chosen for each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discerna.machine import Choice
from discerna.recipes.presets import preset
from discerna.settings.build import build, plain
from discerna.settings.preprocessing import Preprocessing
from discerna.settings.train import TrainSettings

AUTO = "auto"

GROUPS = ("augmentation", "optimizer", "scheduler")
"""Groups of which the recipe chooses a file."""

_PREPROCESSING = {
    "image_size": "size",
    "fit": "fit",
    "interpolation": "interpolation",
    "mean": "mean",
    "std": "std",
    "grayscale": "grayscale",
    "border": "border",
}


def resolve(settings: TrainSettings, chosen: Mapping[str, Choice]) -> tuple[TrainSettings, dict[str, Choice]]:
    """The settings with `chosen` wherever the user left `auto`, and those of the choices that were needed."""
    values = plain(settings)
    used: dict[str, Choice] = {}
    for group in GROUPS:
        values[group], own = resolve_group(group, values[group], chosen)
        used.update(own)
    for key in chosen:
        group, _, leaf = key.rpartition(".")
        holder = values[group] if group else values
        if holder.get(leaf) == AUTO:
            used[key] = chosen[key]
            holder[leaf] = chosen[key].value
    return build(TrainSettings, values), used


def resolve_group(
    group: str, typed: Mapping[str, Any], chosen: Mapping[str, Choice]
) -> tuple[dict[str, Any], dict[str, Choice]]:
    """The same for the values of one group."""
    used: dict[str, Choice] = {}

    def choice(key: str) -> Any:
        used[key] = chosen[key]
        return chosen[key].value

    if typed["name"] == AUTO:
        name = choice(group)
        kept = {key: value for key, value in typed.items() if value != AUTO}
        typed = {**preset(group, name), **kept}
    values = {key: choice(f"{group}.{key}") if value == AUTO else value for key, value in typed.items()}
    return values, used


def with_preprocessing(settings: TrainSettings, spec: Preprocessing) -> TrainSettings:
    """The settings with the preprocessing that the model has come to."""
    own = {key: getattr(spec, name) for key, name in _PREPROCESSING.items()}
    if spec.fit == "crop":  # elsewhere it would be a setting without effect
        own["resize"] = spec.resize
    return build(TrainSettings, {**plain(settings), **own})
