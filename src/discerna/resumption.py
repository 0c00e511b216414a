"""Going on with a run: which one is meant, whether its settings allow it, and what they are then."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from discerna.directories.run_folder import RunFolder
from discerna.directories.run_result import RunResult
from discerna.errors import RunNotFoundError, SettingsError, combined
from discerna.settings.build import absolute, flat, plain
from discerna.settings.keys import known_keys
from discerna.settings.secrets import MASK, masked
from discerna.settings.train import TrainSettings
from discerna.wording import as_typed, shown

AUTO = "auto"

FREE = (
    "resume", "force", "plan", "overwrite", "output", "registry", "experiment_name", "check", "max_minutes", "networks",
    "on_nan", "rollback_rate", "rollback_times", "checkpoint", "launch", "logger", "epochs",
    "loading.workers", "loading.on_bad", "loading.max_bad", "loading.cache", "loading.cache_gib",
    "trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.threads", "trainer.tf32", "trainer.compile",
    "trainer.accumulate_grad_batches", "trainer.batch_finder", "trainer.deterministic", "trainer.benchmark",
    "trainer.detect_anomaly", "trainer.inference_mode", "trainer.log_every_n_steps", "trainer.enable_model_summary",
    "trainer.profiler", "trainer.num_sanity_val_steps",
    "sweep", "space", "early_termination",
)  # fmt: skip
"""Settings that say how and where a run goes on, not what comes out of it; with `epochs`, it may also go on longer."""

CHECKED_ELSEWHERE = ("model", "train_data", "valid_data", "transforms")
"""Paths: they may have moved, and what lies there is compared when it has been read."""


def run_of(resume: str) -> Path:
    """The run folder that `resume=RUN` means; a trained model's directory means that of its run."""
    path = absolute(resume)
    for candidate in (path, path.with_name(f"{path.name}.run")):
        if RunFolder(candidate).is_run():
            return candidate
    raise RunNotFoundError(
        "no run to go on with",
        where=f"resume={resume}",
        accepted="the run folder of a training, as models/flowers.run, or auto",
        remedy="discerna runs list shows them",
    )


def stored_settings(run: Path) -> dict[str, Any]:
    """The settings that a run began with, as plain values; its output where the folder lies now."""
    values = RunFolder(run).stored()
    values["output"] = str(run.with_name(run.stem) if run.suffix == ".run" else run / "model")
    return values


def with_typed(
    stored: Mapping[str, Any], composed: Mapping[str, Any], typed: Mapping[str, str]
) -> dict[str, Any]:
    """The settings of a run with those in their place that were typed for going on with it."""
    values = _filled(stored, composed)
    for key in typed:
        if key in ("experiment", "recipe"):
            raise SettingsError(
                "a run is gone on with as it began",
                where=f"{key}={typed[key]}",
                accepted="its settings are in its folder",
                remedy=f"leave out {key}; type single settings that may change, such as epochs or trainer.devices",
            )
        _put(values, key.split("."), composed)
    hidden = [key for key, value in flat(values).items() if isinstance(value, str) and MASK in value]
    if hidden:
        raise SettingsError(
            "a secret is in no file",
            where=", ".join(hidden),
            remedy="type it again beside resume",
        )
    return values


def _filled(stored: Mapping[str, Any], composed: Mapping[str, Any]) -> dict[str, Any]:
    """The stored settings, and as they are by default those that there were not yet when the run began."""
    values = dict(stored)
    for key, value in composed.items():
        before = values.setdefault(key, value)
        # Of another choice of a group the defaults mean nothing.
        if (
            isinstance(before, Mapping)
            and isinstance(value, Mapping)
            and before.get("name") == value.get("name")
        ):
            values[key] = _filled(before, value)
    return values


def _put(values: dict[str, Any], key: list[str], composed: Mapping[str, Any]) -> None:
    first, *rest = key
    if not rest:
        values[first] = composed[first]
        return
    inner = dict(values.get(first) or {})
    _put(inner, rest, composed[first])
    values[first] = inner


def agreed(settings: TrainSettings, folder: RunFolder) -> TrainSettings:
    """The settings that the run goes on with; refuses those that would make another of it, unless forced."""
    stored = folder.stored()
    if settings.random_seed is None:  # one was drawn when it began
        settings = replace(settings, random_seed=stored["random_seed"])
    before, now = flat(stored), flat(masked(plain(settings)))
    came_later = known_keys(TrainSettings).keys() - before.keys()
    faults = []
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) == now.get(key) or is_free(key) or key in came_later:
            continue
        faults.append(
            SettingsError(
                "a setting differs from that of the run",
                where=f"{key}={_typed(now.get(key))}",
                accepted=f"the run began with {_typed(before.get(key))}",
                remedy="leave it out, begin a new run, or add force=true",
            )
        )
    if settings.epochs < int(stored["epochs"]):
        faults.append(
            SettingsError(
                "a run does not become shorter",
                where=f"epochs={settings.epochs}",
                accepted=f"it was planned for {stored['epochs']}, and its schedule with it",
                remedy=f"use epochs={stored['epochs']} or more, or add force=true",
            )
        )
    if faults and not settings.force:
        raise combined(faults)
    return settings


def told(settings: TrainSettings, folder: RunFolder) -> str:
    """What goes on otherwise than it began, for a message; empty where all is the same."""
    before, now = flat(folder.stored()), flat(masked(plain(settings)))
    shown = [
        f"{key}={_typed(now[key])} (was {_typed(before.get(key))})"
        for key in now
        if key in _TOLD and before.get(key) != now[key]
    ]
    return ", with " + ", ".join(shown) if shown else ""


_TOLD = (
    "epochs",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.accumulate_grad_batches",
    "loading.workers",
)


def command(run: Path, modules: Sequence[str] = ()) -> str:
    """What to type to go on with a run."""
    words = ["discerna", "train", f"resume={shown(as_typed(run))}"]
    if modules:
        words.append(f"networks.modules=[{','.join(modules)}]")
    return shlex.join(words)


def is_free(key: str) -> bool:
    """Whether a run may go on with another value of a setting; what it trains on and from is compared elsewhere."""
    return any(key == free or key.startswith(f"{free}.") for free in (*FREE, *CHECKED_ELSEWHERE))


def _typed(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def earlier_run(settings: TrainSettings) -> RunFolder | None:
    """The run that `resume` means; None where `auto` finds none, so that one begins."""
    assert settings.resume is not None
    if settings.resume != AUTO:
        return RunFolder(run_of(settings.resume))
    if settings.output is None:
        raise SettingsError(
            "a run cannot be found",
            where="resume=auto",
            accepted="it is found by its output",
            remedy="add output=DIR, or give the run folder: resume=runs/...",
        )
    folder = RunFolder(settings.output.with_name(f"{settings.output.name}.run"))
    return folder if folder.is_run() else None


def finished(settings: TrainSettings) -> RunResult | None:
    """What the run came to, where it has ended and is asked for no more epochs; None where there is something to do."""
    folder = earlier_run(settings) if settings.resume else None
    if folder is None or settings.epochs > int(folder.stored()["epochs"]):
        return None
    agreed(settings, folder)
    try:
        result = RunResult.read(folder.result)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    assert settings.output is not None
    if not folder.has_published(settings.output):
        return None
    return replace(result, output=settings.output, run=folder.path)
