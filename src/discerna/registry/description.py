"""A version in words, and two of them beside one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from discerna.directories.model_dir import ModelDirectory
from discerna.registry.version import Version
from discerna.settings.build import flat, plain
from discerna.wording import align, shown


def describe(version: Version) -> str:
    """What it is and where it comes from."""
    lineage = version.lineage
    rows = [
        ("version", str(version)),
        ("aliases", ", ".join(version.aliases) or "-"),
        ("registered", version.registered),
        ("note", version.note or "-"),
        ("model", f"{version.network}, {version.labels} labels, {version.size:,} bytes"),
        ("sha256", version.sha256),
        ("run", lineage.run or "-"),
        ("experiment", lineage.experiment_name or "-"),
        ("trained", lineage.began or "-"),
        ("from model", lineage.parent or "-"),
        ("weights from", (lineage.weights_from or {}).get("name", "random")),
        ("training data", _data(lineage.train_data)),
        ("validation data", _data(lineage.valid_data)),
        ("figures", ", ".join(f"{name} {value:.4f}" for name, value in lineage.figures.items()) or "-"),
        ("git", _git(lineage.git)),
    ]
    return align([(name, shown(str(value))) for name, value in rows])


def differences(one: tuple[Version, Path], other: tuple[Version, Path]) -> dict[str, tuple[Any, Any]]:
    """Every value in which two versions and their model directories differ."""
    flats = [_flat(version, ModelDirectory.open(path)) for version, path in (one, other)]
    keys = list(dict.fromkeys([*flats[0], *flats[1]]))
    return {
        key: (flats[0].get(key), flats[1].get(key)) for key in keys if flats[0].get(key) != flats[1].get(key)
    }


def _flat(version: Version, model: ModelDirectory) -> dict[str, Any]:
    lineage = version.lineage
    spec = plain(model.spec)
    told: dict[str, Any] = {
        **{f"figure {name}": value for name, value in lineage.figures.items()},
        "aliases": ", ".join(version.aliases) or None,
        "note": version.note or None,
        "network": spec["network"],
        "weights": model.digest("weights.safetensors")[:12],
        "labels": ", ".join(spec["labels"]),
        **flat(spec["arguments"], "arguments."),
        **flat(spec["preprocessing"], "preprocessing."),
        "from model": lineage.parent,
        "training data": _data(lineage.train_data),
        "validation data": _data(lineage.valid_data),
        "git": _git(lineage.git),
    }
    training = model.training or {}
    for key, told_as in (("settings", "setting "), ("packages", "package ")):
        if isinstance(values := training.get(key), dict):  # a stranger's may hold anything
            told |= flat(values, told_as)
    return told


def _data(side: dict[str, Any] | None) -> str:
    return f"{side.get('pictures')} pictures, {str(side.get('fingerprint'))[:12]}" if side else "-"


def _git(git: dict[str, Any] | None) -> str:
    return str(git.get("commit"))[:12] + (" + changes" if git.get("dirty") else "") if git else "-"
