"""One run, read from its folder while it goes on or long after; nothing here loads torch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from discerna.directories.metrics_file import finite_figures, read_rows
from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder
from discerna.directories.run_status import State
from discerna.settings.train import METRIC_MODES
from discerna.wording import as_typed

SUFFIX = ".run"

COPY = "download.json"
"""Says that a folder is a download: it may be replaced, which a run itself never is."""

OTHER_NAMES = {"experiment": "experiment_name", "time": "seconds", "epoch": "epochs_trained"}
"""Heads of columns, and the values that they stand for."""

FACTS = (
    "run", "experiment_name", "state", "reason", "model", "monitor", "epochs", "epochs_trained", "best_epoch",
    "accuracy", "balanced_accuracy", "loss", "top5",
    "train_loss", "valid_loss", "valid_accuracy", "valid_top5", "pictures_per_second",
    "began", "ended", "seconds",
)  # fmt: skip
"""What is known of a run besides its settings: `accuracy` to `top5` of the trained model, then of the best epoch."""


class Run:
    """What one training did, and what it left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = RunFolder(path)

    @property
    def name(self) -> str:
        """The name of the folder, without `.run`."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What a copy has in common with its original."""
        told = self._told
        return told["began"], told.get("host"), told.get("process")

    @property
    def state(self) -> State:
        """running, finished, stopped early, failed, preempted, pruned, killed or prepared."""
        return self._told["state"]  # type: ignore[no-any-return]

    @property
    def reason(self) -> str:
        """Why it ended so; empty while it runs."""
        return str(self._told["reason"])

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved settings as plain values, secrets masked."""
        found = _json(self.folder.settings).get("settings", {})
        return found if isinstance(found, dict) else {}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Machine, packages and git state; empty where the run did not come so far."""
        found = _json(self.folder.environment)
        known: dict[str, Any] = _objects(found)
        if not isinstance(known.get("git", {}).get("commit"), str):
            known.pop("git", None)
        return {**known, "python": str(found["python"])} if "python" in found else known

    @cached_property
    def pictures(self) -> dict[str, Any]:
        """What was found and used of both directories, with their fingerprints."""
        return _objects(_json(self.folder.pictures))

    @cached_property
    def result(self) -> dict[str, Any]:
        """What result.json holds; empty where nothing came out."""
        return _json(self.folder.result)

    @property
    def log(self) -> str:
        """All that was told so far."""
        try:
            return self.folder.log.read_text("utf-8", "replace")
        except OSError:
            return ""

    @property
    def output(self) -> Path | None:
        """The trained model directory; None where there is none (any more)."""
        beside = self.path / "model"
        if self.path.name.endswith(SUFFIX) and not beside.is_dir():
            beside = self.path.with_name(self.name)
        return beside if (beside / "manifest.json").is_file() else None

    def epochs(self) -> list[dict[str, float]]:
        """A row of metrics for each epoch so far."""
        try:
            rows = read_rows(self.folder.metrics)
        except (OSError, ValueError):
            told = self.result.get("epochs")
            rows = [finite_figures(row) for row in told] if isinstance(told, list) else []
        return [row for row in rows if "epoch" in row]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The values of `FACTS` that are known."""
        told = self._told
        row = dict(told["best"])
        if not row and told["state"] != "finished":
            row = _best(self.epochs(), told["monitor"])
        trained = told["epochs_trained"]
        if trained is None:
            rows = self.epochs()
            trained = int(rows[-1]["epoch"]) if rows else 0
        best = told["best_epoch"] if told["best_epoch"] is not None else row.pop("epoch", None)
        known = {
            **{name: told[name] for name in ("experiment_name", "state", "reason", "model", "monitor")},
            **{name: told[name] for name in ("epochs", "began", "ended")},
            **{name: value for name, value in row.items() if name in FACTS},
            **told["figures"],
            "run": as_typed(self.path),
            "epochs_trained": trained,
            "best_epoch": None if best is None else int(best),
            "seconds": self._seconds(),
        }
        return {name: known[name] for name in FACTS if known.get(name) is not None}

    def value(self, key: str) -> Any:
        """A fact, or a setting by its dotted name; a group gives its choice. None where there is none."""
        key = OTHER_NAMES.get(key, key)
        if key in FACTS:
            return self.facts.get(key)
        found: Any = self.settings
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found.get("name") if isinstance(found, Mapping) else found

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            **self.facts,
            "path": str(self.path),
            "output": None if self.output is None else str(self.output),
            "settings": self.settings,
            "environment": self.environment,
            "data": {
                where: {name: side.get(name) for name in ("found", "used", "fingerprint")}
                for where, side in self.pictures.items()
                if isinstance(side, dict)
            },
            "metrics": self.epochs(),
        }

    @cached_property
    def _told(self) -> dict[str, Any]:
        status = self.folder.status()
        return _of_old_folder(self.folder, self.settings) if status is None else status.as_json()

    def _seconds(self) -> float | None:
        """From beginning to end; of a run that was killed, to the last that it wrote."""
        told = self._told
        try:
            began = datetime.fromisoformat(told["began"]).timestamp()
            if told["state"] == "running":
                end = time.time()
            elif told["ended"]:
                end = datetime.fromisoformat(told["ended"]).timestamp()
            else:
                end = max(path.stat().st_mtime for path in self.path.iterdir())
        except (OSError, TypeError, ValueError):
            return None
        return max(0.0, end - began)


def _of_old_folder(folder: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a folder of 0.1.0, which has no status.json."""
    result, error = _json(folder.result), _json(folder.error)
    stopped, rows = str(result.get("stopped", "")), result.get("epochs")
    best, trained, epochs = result.get("best_epoch"), result.get("epochs_trained"), settings.get("epochs")
    early = stopped.startswith("stopped")
    state = ("stopped early" if early else "finished") if result else "failed" if error else "killed"
    known = [finite_figures(row) for row in rows] if isinstance(rows, list) else []
    monitor = settings.get("monitor")
    return {
        "state": state,
        "reason": stopped or str(error.get("message", "")) or "it left neither a result nor an error",
        "experiment_name": "default",
        "model": Path(str(settings.get("model", ""))).name,
        "monitor": monitor if isinstance(monitor, str) and monitor in METRIC_MODES else "valid_loss",
        "epochs": epochs if type(epochs) is int else None,
        "began": _modified(folder.settings),
        "ended": _modified(folder.result) or _modified(folder.error),
        "figures": finite_figures(result.get("figures")),
        "best_epoch": best if type(best) is int else None,
        "epochs_trained": trained if type(trained) is int else None,
        "best": next((row for row in known if row.get("epoch") == best), {}),
    }


def _modified(file: Path) -> str | None:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime).astimezone().isoformat(timespec="seconds")
    except OSError:
        return None


def _best(rows: list[dict[str, float]], monitor: str) -> dict[str, float]:
    pick = min if METRIC_MODES.get(monitor) == "min" else max
    known = [row for row in rows if monitor in row]
    return dict(pick(known, key=lambda row: row[monitor])) if known else {}


def _json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where it is missing or damaged, since one bad run must not hide the others."""
    try:
        return read_object(file)
    except (OSError, ValueError):
        return {}


def _objects(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: value for key, value in values.items() if isinstance(value, dict)}
