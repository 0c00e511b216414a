"""From a few measured steps to the time that a training takes: arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

from discerna.settings.checkpoint import CheckpointSettings
from discerna.settings.train import TrainSettings
from discerna.training.checkpoints import COST
from discerna.wording import duration


@dataclass(frozen=True, kw_only=True)
class ReadingPace:
    """Seconds for a batch of pictures, where nothing else is done."""

    first: float
    """Until the first batch is there, where others read and begin to; 0 where this process does."""
    cold: float
    """As they are found when a training begins."""
    warm: float
    """When they have been read once: out of the cache, where there is one."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Epochs in which steps take equally long."""

    epochs: int
    batch: float
    """Seconds from one batch to the next, pictures being warm."""
    reading: ReadingPace


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured, in seconds."""

    start: float
    phases: list[Phase]
    checking: ReadingPace
    """Reading a batch of validation."""
    validation: float
    """Computing one."""
    alongside: bool
    """Whether others read while the network computes."""
    cache_share: float
    """Of the pictures, those that the cache has room for; the others are read cold in each epoch."""
    best: float
    """Writing the best weights."""
    checkpoint: float
    """Writing a checkpoint."""
    end: float
    """Writing the model and measuring it."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much there is to do."""

    epochs: int
    batches: int
    """Of an epoch, each a piece of a step."""
    steps: int
    """Of an epoch; the last may have fewer pieces."""
    valid_batches: int
    most_batches: int | None
    """Of the whole training, where trainer.max_steps says so."""


@dataclass(frozen=True)
class Forecast:
    """What a training takes, in seconds."""

    start: float
    epochs: list[float]
    end: float
    seconds: float
    """Everything; less than the sum where a limit of time ends it."""


def forecast(settings: TrainSettings, extent: Extent, found: Measured) -> Forecast:
    """How long each epoch takes, with its validation and what is written."""
    of_epoch = [phase for phase in found.phases for _ in range(phase.epochs)]
    epochs: list[float] = []
    done, steps, validated = 0, 0, 0.0
    for number, phase in enumerate(of_epoch[: extent.epochs]):
        left = extent.batches if extent.most_batches is None else extent.most_batches - done
        batches = min(extent.batches, left)
        if batches <= 0:
            break
        done += batches
        whole = batches == extent.batches
        steps += extent.steps if whole else batches // settings.trainer.accumulate_grad_batches
        due = validations(settings, extent.batches, number + 1, batches) if extent.valid_batches else 0.0
        seconds = _epoch(phase, batches, number == 0, found)
        seconds += due * (_validation(extent.valid_batches, validated < 1, found) + found.best)
        validated += due
        epochs.append(seconds)
    written = _checkpoints(settings.checkpoint, sum(epochs), len(epochs), steps, found.checkpoint)
    shared = written * found.checkpoint / max(1, len(epochs))
    epochs = [seconds + shared for seconds in epochs]
    seconds = found.start + sum(epochs) + found.end
    limit = time_limit(settings, found.start, found.end)
    return Forecast(found.start, epochs, found.end, seconds if limit is None else min(seconds, limit))


def _read(reading: ReadingPace, first: bool, found: Measured) -> float:
    """Seconds for a batch when pictures are read for the first time, or later."""
    share = 0.0 if first else found.cache_share
    return share * reading.warm + (1 - share) * reading.cold


def _epoch(phase: Phase, batches: int, first: bool, found: Measured) -> float:
    reading, read = phase.reading, _read(phase.reading, first, found)
    if found.alongside:
        # Afterwards they read the beginning of the next epoch while the last one is validated.
        return (reading.first if first else 0.0) + batches * max(phase.batch, read)
    return batches * (phase.batch + max(0.0, read - reading.warm))


def _validation(batches: int, first: bool, found: Measured) -> float:
    reading, read = found.checking, _read(found.checking, first, found)
    if found.alongside:
        return reading.first + batches * max(found.validation, read)
    return batches * (found.validation + read)


def validations(settings: TrainSettings, batches: int, epoch: int, trained: int) -> float:
    """How often is validated in an epoch, counted from 1, in which `trained` of its `batches` are trained."""
    every, interval = settings.trainer.check_val_every_n_epoch, settings.trainer.val_check_interval
    if every is None:  # counted across epochs
        return trained / interval if isinstance(interval, int) and interval else trained / batches
    if epoch % every:
        return 0.0
    if interval is None:
        return 1.0 if trained == batches else 0.0
    apart = interval if type(interval) is int else max(1, int(batches * interval))
    return float(trained // apart)


def _checkpoints(how: CheckpointSettings, seconds: float, epochs: int, steps: int, cost: float) -> float:
    """How many are written, the last one included."""
    count = 1.0
    if how.every_steps is not None:
        count += steps // how.every_steps
    if how.every_minutes == "auto":
        # After the first epoch, and then as the share of the time allows.
        within = seconds * COST / cost if cost else 0.0
        count += min(epochs, 1 + within)
    elif how.every_minutes is not None:
        count += min(steps, seconds / max(60 * how.every_minutes, 1e-9))
    return min(count, max(1, steps))


def time_limit(settings: TrainSettings, start: float, end: float) -> float | None:
    """Seconds after which settings end a training: max_minutes counts everything, Lightning's max_time the epochs."""
    limits = [settings.max_minutes * 60] if settings.max_minutes else []
    if (longest := settings.trainer.longest) is not None:
        limits.append(start + longest.total_seconds() + end)
    return min(limits, default=None)


def ends_before(settings: TrainSettings, planned: Forecast) -> str:
    """What may end the training before all its epochs, in words."""
    limit = time_limit(settings, planned.start, planned.end)
    if limit is not None and planned.seconds >= limit:
        return f"a limit of time ends it after {duration(limit)}"
    if settings.early_stopping.name != "none":
        return f"patience={settings.patience} may end it sooner"
    return ""
