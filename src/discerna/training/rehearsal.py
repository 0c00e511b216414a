"""The parts of a training, a few times each and with a clock: what `plan=true` knows comes from here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from discerna.allocator import keep_blocks
from discerna.errors import SettingsError
from discerna.images.picture_cache import KEPT
from discerna.machine import OFF
from discerna.progress import Advance, Progress
from discerna.ranks import rank
from discerna.training.averaging import MovingAverage
from discerna.training.checkpoint_io import write_checkpoint
from discerna.training.forecast import Extent, Phase, ReadingPace
from discerna.training.freezing import BodyFreezing
from discerna.training.growing import growing
from discerna.training.pace import WARM, Reading, StepClock, ValidationClock, read_batches
from discerna.training.preparation import Preparation
from discerna.training.trials import run_trial, run_validation

STEPS = 8
"""Batches that count, after those that warm up."""
REPEATED = 3
VALIDATED = 4
READING = 10.0
COMPUTING = 30.0
"""Seconds after which no more is read or computed, where that takes long."""


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a rehearsal has found, in seconds and bytes."""

    extent: Extent
    phases: list[Phase]
    checking: ReadingPace
    validation: float
    alongside: bool
    warm_up: float
    """What the first batch takes longer."""
    cache_bytes: int
    cache_share: float
    best: float
    best_bytes: int
    checkpoint: float
    checkpoint_bytes: int
    readers_memory: int
    """That of processes that read."""
    batches: int
    """How many steps' pieces were computed."""
    validated: int


def rehearse(ready: Preparation, folder: Path, progress: Progress) -> Rehearsed:
    """Read, train, validate and write a little of everything; what the network learns by it is of no use."""
    keep_blocks()
    settings, data = ready.settings, ready.data
    batches = data.batches(settings.trainer.limit_train_batches)
    valid_batches = data.valid_batches(settings.trainer.limit_val_batches)
    for name, count in (("limit_train_batches", batches), ("limit_val_batches", valid_batches)):
        if not count:
            raise SettingsError(
                "no batch would be left",
                where=f"trainer.{name}={getattr(settings.trainer, name)}",
                accepted="a number of batches, or a share that comes to one at least",
                remedy="leave it out, or use a larger share",
            )
    kinds = list(_kinds(ready))
    count = min(batches, (WARM + STEPS) * settings.trainer.accumulate_grad_batches)
    saving = SavingClock(folder)
    phases, clocks = [], []
    with progress.task("measuring", len(kinds) * count + min(VALIDATED, valid_batches)) as advance:
        for first_epoch, epochs in kinds:
            # Of weights that are frozen an optimizer keeps nothing yet, so only the last one tells what is written.
            last: list[Callback] = [saving] if first_epoch == kinds[-1][0] else []
            phase, clock, read = _phase(ready, first_epoch, epochs, count, last, advance)
            phases.append(phase)
            clocks.append(clock)
            if first_epoch == 0:
                kept = data.kept_size(0, _number(ready), read) * (len(data.train) + len(data.valid))
        checking = _checking(ready, min(VALIDATED, valid_batches))
        validation = ValidationClock(advance)
        run_validation(
            ready.classifier,
            data,
            settings,
            ready.machine,
            [validation],
            batches=min(VALIDATED, valid_batches),
        )
    # A compiler begins anew with each size of the pictures.
    settling = 1 if ready.machine.compile.value == OFF else len(kinds)
    room = data.cache.limit * KEPT if data.cache else 0.0
    most = settings.trainer.max_steps
    return Rehearsed(
        extent=Extent(
            epochs=settings.epochs,
            batches=batches,
            steps=data.steps(settings.trainer.limit_train_batches),
            valid_batches=valid_batches,
            most_batches=None if most < 0 else most * settings.trainer.accumulate_grad_batches,
        ),
        phases=phases,
        checking=checking,
        validation=validation.each,
        alongside=_alongside(ready),
        warm_up=sum(
            _warm_up(phase, clock) for phase, clock in list(zip(phases, clocks, strict=True))[:settling]
        ),
        cache_bytes=round(min(kept, room)),
        cache_share=min(1.0, room / kept) if kept else 1.0,
        best=saving.best,
        best_bytes=saving.best_bytes,
        checkpoint=saving.checkpoint,
        checkpoint_bytes=saving.checkpoint_bytes,
        readers_memory=max(clock.children for clock in clocks),
        batches=sum(clock.batches for clock in clocks),
        validated=validation.batches,
    )


def _kinds(ready: Preparation) -> Iterator[tuple[int, int]]:
    """Epochs that follow one another and take equally long: the first of them, and how many."""
    epochs, recipe = ready.settings.epochs, ready.classifier.recipe
    side = growing(recipe.start_size, ready.spec.preprocessing.size, epochs)

    def kind(epoch: int) -> tuple[int, bool]:
        return side(epoch) if side else 0, epoch < recipe.freeze_epochs

    for _, alike in groupby(range(epochs), kind):
        first, *others = alike
        yield first, 1 + len(others)


def _phase(
    ready: Preparation,
    first_epoch: int,
    epochs: int,
    count: int,
    callbacks: list[Callback],
    advance: Advance,
) -> tuple[Phase, StepClock, int]:
    """Read the first batches of an epoch twice, then train on them; also how many were read."""
    data, settings, machine = ready.data, ready.settings, ready.machine

    def read(wanted: int) -> Reading:
        return read_batches(
            data.first_batches(first_epoch, _number(ready), wanted, _on_gpu(ready)),
            machine.workers.value,
            _patience(ready, READING),
        )

    cold = read(max(count, 3 * machine.workers.value))
    warm = read(cold.batches)
    pieces = settings.trainer.accumulate_grad_batches
    clock = StepClock(_patience(ready, COMPUTING), advance)
    # An epoch of few steps is over before they are settled; the next one may be of another kind.
    for number in range(REPEATED if count < (WARM + STEPS) * pieces else 1):
        if ready.classifier.recipe.freeze_epochs:
            ready.classifier.network.requires_grad_(True)  # an optimizer leaves out what is frozen
        run_trial(
            ready.classifier,
            data,
            settings,
            machine,
            [*_companions(ready), clock, *(callbacks if number == 0 else [])],
            steps=max(1, min(WARM + STEPS, count // pieces, warm.batches // pieces)),
            first_epoch=first_epoch,
        )
    return Phase(epochs=epochs, batch=clock.each, reading=_pace(ready, cold, warm)), clock, cold.batches


def _warm_up(phase: Phase, clock: StepClock) -> float:
    """What the first batch takes longer than others."""
    return max(0.0, clock.first - clock.each - phase.reading.first)


def _companions(ready: Preparation) -> list[Callback]:
    """What else takes part in each step."""
    recipe = ready.classifier.recipe
    found: list[Callback] = [MovingAverage(recipe.ema)] if recipe.ema else []
    if recipe.freeze_epochs:
        found.append(BodyFreezing(recipe.freeze_epochs, ready.classifier.head))
    return found


def _checking(ready: Preparation, count: int) -> ReadingPace:
    cold, warm = (
        read_batches(
            ready.data.some_valid_batches(
                _number(ready), max(count, 3 * ready.machine.workers.value), _on_gpu(ready)
            ),
            ready.machine.workers.value,
            _patience(ready, READING),
        )
        for _ in range(2)
    )
    return _pace(ready, cold, warm)


def _pace(ready: Preparation, cold: Reading, warm: Reading) -> ReadingPace:
    first = warm.first if _alongside(ready) else 0.0
    return ReadingPace(first=first, cold=max(cold.each, warm.each), warm=warm.each)


def _number(ready: Preparation) -> int:
    """Of this process among those that train; a lone one is the first, whatever a cluster calls it."""
    return 0 if ready.machine.processes.value == 1 else rank()


def _alongside(ready: Preparation) -> bool:
    return bool(ready.machine.workers.value)


def _on_gpu(ready: Preparation) -> bool:
    return bool(ready.machine.device.value == "cuda")


def _patience(ready: Preparation, seconds: float) -> float:
    """Several processes take equally many steps, however long that takes: each waits for the others."""
    return seconds if ready.machine.processes.value == 1 else float("inf")


class SavingClock(Callback):
    """Writes at the end of a trial what a training would write, takes the time and the sizes, and removes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.best = self.checkpoint = 0.0
        self.best_bytes = self.checkpoint_bytes = 0

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Called by Lightning."""
        file = self._folder / "saved.ckpt"
        began = time.perf_counter()
        state = trainer.strategy.lightning_module_state_dict()
        if trainer.is_global_zero:
            write_checkpoint({"epoch": 1, "state_dict": state}, file)
            self.best_bytes = file.stat().st_size
        self.best = time.perf_counter() - began
        began = time.perf_counter()
        trainer.save_checkpoint(file, weights_only=False)
        self.checkpoint = time.perf_counter() - began
        if trainer.is_global_zero:
            self.checkpoint_bytes = file.stat().st_size
            file.unlink()
