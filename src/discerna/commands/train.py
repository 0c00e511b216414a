"""`discerna train`: an untrained model and labelled pictures in, a trained model out."""

from __future__ import annotations

import logging
import time

from discerna import environment
from discerna import machine as machines
from discerna.directories.model_dir import ModelDirectory, write_model_directory
from discerna.directories.model_files import MANIFEST, file_digest
from discerna.directories.run_folder import RunFolder, write_json
from discerna.directories.run_result import RunResult
from discerna.directories.write_aside import disk_failures
from discerna.images.confusion_picture import confusion_picture
from discerna.images.contact_sheet import sheet
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.ranks import is_first_process
from discerna.results.evaluation import BATCH, evaluate, with_smaller_batches
from discerna.results.figures import Evaluation
from discerna.results.mistakes import Mistakes
from discerna.results.predictor import Predictor
from discerna.settings.build import flat, plain
from discerna.settings.secrets import masked
from discerna.settings.train import TrainSettings
from discerna.tracking.tracker import Data, Tracker, tracked
from discerna.training.preparation import Preparation, prepare
from discerna.training.recovery import fit_through
from discerna.training.trainer import FitOutcome
from discerna.training.training_record import training_record

LOG = logging.getLogger("discerna")


def run(settings: TrainSettings, folder: RunFolder, progress: Progress = SILENT) -> RunResult:
    """Train to the best epoch, write the model directory, measure it by the exact path."""
    with disk_failures(str(folder.path)):
        return _run(settings, folder, progress)


def _run(settings: TrainSettings, folder: RunFolder, progress: Progress) -> RunResult:
    began = time.monotonic()
    # A process that trains alone is the first, whatever a cluster calls it.
    first = machines.processes(settings.trainer).value == 1 or is_first_process()
    if first:
        write_json(folder.environment, environment.describe())
    with tracked(settings, folder, first=first) as tracker:
        import_user_modules(settings.networks.modules)
        ready = prepare(settings, folder, began, progress)
        _tell_start(ready, tracker)
        ready, outcome = fit_through(ready, folder, progress, tracker.epoch)
        figures = _publish(ready, outcome, folder, tracker, progress) if outcome.is_first_process else {}
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
            model_sha256=file_digest(settings.output / MANIFEST) if outcome.is_first_process else "",
        )
        if outcome.is_first_process:
            LOG.info("%s; best epoch %d", outcome.stopped, outcome.best_epoch)
            result.write(folder.result)
    tracker.end(result.state, result.stopped)
    return result


def _tell_start(ready: Preparation, tracker: Tracker) -> None:
    """What was resolved, and what the first epochs will see."""
    data, settings = ready.data, ready.settings
    sides = [("train_data", settings.train_data, data.train), ("valid_data", settings.valid_data, data.valid)]
    tracker.settled(
        flat(masked(plain(settings))),
        [Data(name, path, side.fingerprint(), len(side)) for name, path, side in sides],
    )
    if tracker.wants_pictures:
        seen, recipe = ready.spec.preprocessing, ready.classifier.recipe
        tracker.picture("training", sheet(data.train, seen, recipe.augmentation, settings.random_seed or 0))


def _publish(
    ready: Preparation, outcome: FitOutcome, folder: RunFolder, tracker: Tracker, progress: Progress
) -> dict[str, float]:
    """Write the model directory, and measure it as `discerna evaluate` would: these figures count."""
    settings, machine = ready.settings, ready.machine
    assert settings.output is not None
    record = training_record(ready, outcome)
    write_model_directory(
        settings.output,
        ready.spec,
        outcome.weights,
        training=record,
        overwrite=settings.overwrite or folder.has_published(settings.output),
        aside=folder.aside,
        before=folder.publishes,
    )
    predictor = Predictor.of(ModelDirectory.open(settings.output), device=machine.device.value)

    def measure(batch_size: int) -> tuple[Evaluation, Mistakes]:
        mistakes = Mistakes(ready.data.valid, predictor.labels)
        found = evaluate(
            predictor,
            ready.data.valid,
            setting="valid_data",
            batch_size=batch_size,
            workers=machine.workers.value,
            progress=progress,
            on_batch=mistakes.see if tracker.wants_pictures else None,
        )
        return found, mistakes

    found, mistakes = with_smaller_batches(
        measure, BATCH
    )  # fp32 takes more memory than the training may have
    tracker.model(settings.output, found.headline())
    if tracker.wants_pictures:
        confusion = confusion_picture(found.labels, found.confusions)
        for name, page in [("mistakes", mistakes.page(ready.spec.preprocessing)), ("confusion", confusion)]:
            if page is not None:
                tracker.picture(name, page)
    return found.headline()
