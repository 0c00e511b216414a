"""`discerna train`: an untrained model and labelled pictures in, a trained model out."""

from __future__ import annotations

import logging
import time

from discerna import environment
from discerna import machine as machines
from discerna.directories.model_dir import ModelDirectory, write_model_directory
from discerna.directories.run_folder import RunFolder, write_json
from discerna.directories.run_result import RunResult
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.results.evaluation import evaluate
from discerna.results.predictor import Predictor
from discerna.settings.train import TrainSettings
from discerna.training.preparation import Preparation, prepare
from discerna.training.trainer import FitOutcome, fit
from discerna.training.training_record import training_record

LOG = logging.getLogger("discerna")


def run(settings: TrainSettings, folder: RunFolder, progress: Progress = SILENT) -> RunResult:
    """Train to the best epoch, write the model directory, measure it by the exact path."""
    began = time.monotonic()
    if machines.processes(settings.trainer).value == 1 or machines.is_first_process():
        write_json(folder.environment, environment.describe())
    import_user_modules(settings.networks.modules)
    ready = prepare(settings, folder, began, progress)
    outcome = fit(ready.classifier, ready.data, ready.settings, ready.machine, folder, progress)
    figures = _publish(ready, outcome, progress) if outcome.is_first_process else {}
    if outcome.is_first_process and ready.data.bad is not None:
        ready.data.bad.finish()
    assert settings.output is not None
    result = RunResult(
        output=settings.output,
        run=folder.path,
        best_epoch=outcome.best_epoch,
        epochs_trained=len(outcome.rows),
        stopped=outcome.stopped,
        figures=figures,
        epochs=outcome.rows,
        seconds=time.monotonic() - began,
    )
    if outcome.is_first_process:
        LOG.info("%s; best epoch %d", outcome.stopped, outcome.best_epoch)
        result.write(folder.result)
    return result


def _publish(ready: Preparation, outcome: FitOutcome, progress: Progress) -> dict[str, float]:
    """Write the model directory, and measure it as `discerna evaluate` would: these figures count."""
    settings, machine = ready.settings, ready.machine
    assert settings.output is not None
    record = training_record(ready, outcome)
    write_model_directory(
        settings.output, ready.spec, outcome.weights, training=record, overwrite=settings.overwrite
    )
    predictor = Predictor.of(ModelDirectory.open(settings.output), device=machine.device.value)
    return evaluate(
        predictor,
        ready.data.valid,
        setting="valid_data",
        batch_size=32,
        workers=machine.workers.value,
        progress=progress,
    ).headline()
