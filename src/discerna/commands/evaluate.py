"""`discerna evaluate`: a trained model and labelled pictures in, how good it is out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelDirectory
from discerna.directories.write_aside import write_failures
from discerna.networks.assembly import refuse_untrained
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.results.destination import refuse_folder, whole_folder
from discerna.results.evaluation import evaluate
from discerna.results.figures import Evaluation
from discerna.results.placement import choose_placement, refuse_devices
from discerna.results.predictor import ScoredBatch
from discerna.results.score_columns import own_columns
from discerna.results.scores import open_scores
from discerna.settings.score import EvaluateSettings
from discerna.wording import as_typed, shown

LOG = logging.getLogger("discerna")

FIGURES = "evaluation.json"
SCORES = "scores.csv"


@dataclass(frozen=True)
class EvaluateResult:
    """How good the model is, and where that is written."""

    evaluation: Evaluation
    output: Path | None
    """The folder with evaluation.json and scores.csv; None: nothing was written."""

    def summary(self) -> str:
        """The figures for a person."""
        told = self.evaluation.table()
        if self.output is None:
            return told
        return f"{told}\n\nwritten {shown(as_typed(self.output))}: {FIGURES}, {SCORES}"


def run(settings: EvaluateSettings, progress: Progress = SILENT) -> EvaluateResult:
    """Measure the model on all pictures of `data`."""
    output = settings.output
    if output is not None:
        inputs = [settings.model, settings.data]
        refuse_folder(output, settings.overwrite, inputs, mark=FIGURES, files=[FIGURES, SCORES])
    import_user_modules(settings.networks.modules)
    directory = ModelDirectory.open(settings.model, setting="model")
    refuse_untrained(directory)
    refuse_devices(settings)
    data = ImageDirectory.open(settings.data, setting="data", nested=settings.loading.nested)
    placement = choose_placement(settings, len(data))
    predictor = placement.scorer(directory, views=settings.views, modules=settings.networks.modules)
    LOG.info("%s", placement.told())

    def measured(on_batch: Callable[[ScoredBatch], None] | None) -> Evaluation:
        return evaluate(
            predictor,
            data,
            setting="data",
            batch_size=settings.batch_size,
            workers=placement.workers.value,
            progress=progress,
            on_batch=on_batch,
        )

    if output is None:
        return EvaluateResult(measured(None), None)
    where = f"output={shown(str(output))}"
    with whole_folder(output, settings.overwrite) as folder:
        with open_scores(folder / SCORES, own_columns(data, predictor.labels), where=where) as table:
            evaluation = measured(table.write)
        with write_failures(where):
            (folder / FIGURES).write_text(_json(evaluation.as_json()), "utf-8")
    return EvaluateResult(evaluation, output)


def _json(figures: dict[str, Any]) -> str:
    """A line for each figure; json's own indentation would give each cell of the matrix a line."""
    lines = (f"  {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in figures.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"
