"""What only a trial can tell: how large a piece of a batch may be, whether compiling pays, which rate suits.

Each is tried once, on copies of the network, and remembered for restarts.
"""

from __future__ import annotations

from statistics import median

from discerna.directories.run_folder import RunFolder
from discerna.progress import Progress
from discerna.ranks import is_first_process
from discerna.settings.train import TrainSettings
from discerna.training.batch_finder import find_pieces
from discerna.training.compilation import FEW, Steps, decide, too_few
from discerna.training.decisions import Decisions
from discerna.training.growing import growing
from discerna.training.pace import WARM, StepClock
from discerna.training.parts import Parts
from discerna.training.rate_finder import find_rate
from discerna.training.trials import run_trial

STEPS = 8
"""Steps of each trial of the compiler that count."""


def with_found_pieces(
    parts: Parts, settings: TrainSettings, decided: Decisions, folder: RunFolder, progress: Progress
) -> Decisions:
    """With the number of pieces that memory takes."""

    def train(own: TrainSettings) -> None:
        trial = parts.for_trial()
        run_trial(trial.classifier(own, began=0.0), trial.data, own, trial.machine, [], steps=2)

    parts.plan(settings)  # refuses a batch that is too small for anything
    found = find_pieces(train, settings, parts.machine, parts.smallest, progress)
    return _kept(parts, decided.but(pieces=found.value, pieces_reason=found.reason), folder)


def with_tried_compiler(
    parts: Parts, settings: TrainSettings, decided: Decisions, folder: RunFolder
) -> Decisions:
    """With the mode of the compiler, or without it."""
    if decided.compile is not None:
        return decided
    batches = _batches(parts, settings)

    def take(mode: str) -> Steps:
        trial = parts.for_trial(mode)
        clock = StepClock()
        classifier = trial.classifier(settings, began=0.0)
        run_trial(classifier, trial.data, settings, trial.machine, [clock], steps=WARM + STEPS)
        first, *others = clock.computing
        return Steps(first, median(others[WARM - 1 :] or others or [first]))

    start = settings.start_size
    sides = growing(start if isinstance(start, int) else None, parts.spec.preprocessing.size, settings.epochs)
    kinds = len({sides(epoch) for epoch in range(settings.epochs)}) if sides else 1
    found = decide(take, batches, kinds) if batches >= FEW else too_few(batches)
    return _kept(parts, decided.but(compile=found.value, compile_reason=found.reason), folder)


def with_found_rate(
    parts: Parts, settings: TrainSettings, decided: Decisions, folder: RunFolder
) -> Decisions:
    """With the learning rate."""
    if decided.learning_rate is not None:
        return decided
    trial = parts.for_trial()
    found = find_rate(trial.classifier(settings, began=0.0), trial.data, settings, trial.machine)
    return _kept(parts, decided.but(learning_rate=found.value, reason=found.reason), folder)


def _batches(parts: Parts, settings: TrainSettings) -> int:
    """Of the whole training."""
    count, limit = len(parts.plan(settings).piece_sizes()), settings.trainer.limit_train_batches
    if limit is not None:
        count = min(count, limit) if type(limit) is int else int(count * limit)
    most = settings.trainer.max_steps * settings.trainer.accumulate_grad_batches
    return settings.epochs * count if most < 0 else min(settings.epochs * count, most)


def _kept(parts: Parts, decided: Decisions, folder: RunFolder) -> Decisions:
    if parts.machine.processes.value == 1 or is_first_process():
        decided.write(folder)
    return decided
