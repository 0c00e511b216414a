"""Several runs side by side: their figures, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from discerna.runs.listing import cell
from discerna.runs.run import Run
from discerna.settings import build
from discerna.wording import align, shown

FIGURES = ("state", "epochs_trained", "best_epoch", "accuracy", "balanced_accuracy", "loss", "top5",
           "train_loss", "valid_loss", "valid_accuracy", "seconds")  # fmt: skip

_PLACES = {"output", "overwrite", "experiment_name"}
"""Settings that say where a run goes, not what it does."""


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings, data, packages and commits in which the runs differ, with the value of each run."""
    flat = [_flat(run) for run in runs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    found = {key: [one.get(key) for one in flat] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def figures(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """What the runs came to."""
    found = {name: [run.value(name) for run in runs] for name in FIGURES}
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def comparison_table(runs: Sequence[Run]) -> str:
    """Figures first, then what differs; the best of a row is marked."""
    rows = [["", *(shown(str(run.value("run"))) for run in runs)]]
    for name, values in figures(runs).items():
        best = _best(name, values)
        shown_as = "time" if name == "seconds" else name
        rows.append(
            [shown_as, *(cell(run, shown_as) + (" *" if i == best else "") for i, run in enumerate(runs))]
        )
    differ = differences(runs)
    if differ:
        rows.append([""])
        rows += [[key, *(_short(value) for value in values)] for key, values in differ.items()]
    told = "* the best" if any("*" in text for row in rows for text in row[1:]) else ""
    if not differ:
        told = "\n".join(filter(None, (told, "the settings, data and packages are the same")))
    if not same_validation(runs):
        told = "\n".join(filter(None, (told, "the figures are of different validation pictures")))
    return "\n".join(filter(None, (align(rows), told)))


def same_validation(runs: Sequence[Run]) -> bool:
    """Whether the figures of the runs are of the same pictures, as far as is known."""
    return len({data for data in (_data(run, "valid_data") for run in runs) if data}) < 2


def _flat(run: Run) -> dict[str, Any]:
    flat = {
        key: value for key, value in build.flat(run.settings).items() if key.partition(".")[0] not in _PLACES
    }
    for where in ("train_data", "valid_data"):
        flat[f"{where} pictures"] = _data(run, where)
    git = run.environment.get("git") or {}
    flat["git commit"] = git.get("commit", "")[:12] + (" + changes" if git.get("dirty") else "") or None
    flat["python"] = run.environment.get("python")
    for package, version in (run.environment.get("packages") or {}).items():
        flat[f"package {package}"] = version
    return flat


def _data(run: Run, where: str) -> str | None:
    side = run.pictures.get(where) or {}
    mark = side.get("fingerprint")
    return f"{side.get('used')} ({mark[:12]})" if isinstance(mark, str) else None


def _best(name: str, values: Sequence[Any]) -> int | None:
    """Which value is best, where one is."""
    known = [value for value in values if isinstance(value, int | float)]
    if len(known) < 2 or name in ("epochs_trained", "best_epoch", "seconds"):
        return None
    best = min(known) if name.endswith("loss") else max(known)
    return values.index(best) if known.count(best) == 1 else None


def _short(value: Any) -> str:
    text = "-" if value is None else shown(str(value))
    return text if len(text) <= 40 else f"{text[:18]} … {text[-18:]}"
