"""Whether one model is better than another on the same labelled pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import SettingsError
from discerna.progress import Progress
from discerna.results.evaluation import evaluate
from discerna.results.predictor import Predictor, choose_device, choose_workers
from discerna.settings.registry import RegisterSettings, RegistryPromoteSettings
from discerna.wording import as_typed, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class Contest:
    """The figures of a new model and of the one in its place."""

    metric: str
    data: Path
    new: float
    old: float | None
    """None where nothing was in its place."""
    margin: float

    @property
    def won(self) -> bool:
        """Whether the new one is better, by more than the margin."""
        if self.old is None:
            return True
        return (self.old - self.new if self.metric == "loss" else self.new - self.old) > self.margin

    def told(self) -> str:
        """`accuracy 0.93, before 0.91, on data/test`."""
        against = "" if self.old is None else f", where it points now {self.old:.4f},"
        more = f", which must differ by more than {self.margin:g}" if self.margin else ""
        return f"{self.metric} {self.new:.4f}{against} on {shown(as_typed(self.data))}{more}"

    def as_json(self) -> dict[str, Any]:
        """What is kept with an alias that has moved."""
        return {"metric": self.metric, "value": self.new, "before": self.old}


def contest(
    new: ModelDirectory,
    old: ModelDirectory | None,
    settings: RegisterSettings | RegistryPromoteSettings,
    progress: Progress,
) -> Contest:
    """Measure both by the exact path on `better_on`."""
    assert settings.better_on is not None
    device = choose_device(settings.device)
    workers = choose_workers(settings.loading, device.value)
    data = ImageDirectory.open(settings.better_on, setting="better_on", nested=settings.loading.nested)

    def measured(model: ModelDirectory) -> float:
        found = evaluate(
            Predictor.of(model, device=device.value),
            data,
            setting="better_on",
            batch_size=settings.batch_size,
            workers=workers.value,
            progress=progress,
        ).headline()
        if settings.metric not in found:
            raise SettingsError(
                "the figure has no value here",
                where=f"metric={settings.metric}",
                accepted=", ".join(found),
                remedy="use one of these",
            )
        return found[settings.metric]

    before = None if old is None else measured(old)
    return Contest(settings.metric, settings.better_on, measured(new), before, settings.margin)
