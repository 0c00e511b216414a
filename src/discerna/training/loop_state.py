"""Where a training stands, in the words of Lightning's counters, as a checkpoint keeps it.

Checkpoints are written while a batch ends, when Lightning has not counted it as completed. What it then makes of them
is right in mid-epoch only: a validation that was due is left out, the end of an epoch too. So what is kept is the
moment after the batch, and a validation that is due appears as one that has not got beyond its first picture.
"""

from __future__ import annotations

import copy
from typing import Any

from lightning.pytorch import Trainer

Loops = dict[str, Any]

_FIT = "fit_loop"
_BATCHES = "epoch_loop.batch_progress"
_VALIDATION = "epoch_loop.val_loop.batch_progress"
_EPOCH_LOOP = "epoch_loop.state_dict"
_EPOCHS = "epoch_progress"


def ends_a_step(trainer: Trainer) -> bool:
    """Whether the batch that ends now was the last piece of an optimizer step."""
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    return done % trainer.accumulate_grad_batches == 0 or done >= trainer.num_training_batches


def ends_an_epoch(trainer: Trainer) -> bool:
    """Whether the batch that ends now is the last of its epoch."""
    return trainer.fit_loop.epoch_loop.batch_progress.current.ready >= trainer.num_training_batches


def validation_is_due(trainer: Trainer) -> bool:
    """Whether a validation follows the batch that ends now."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return trainer.limit_val_batches != 0 and loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


def after_batch(loops: Loops, validation_due: bool) -> Loops:
    """The counters as they will be when the batch that ends now has been completed."""
    loops = copy.deepcopy(loops)
    fit = loops[_FIT]
    for part in ("total", "current"):
        fit[_BATCHES][part]["completed"] = fit[_BATCHES][part]["processed"]
    fit[_EPOCH_LOOP]["_batches_that_stepped"] += 1
    if validation_due:
        begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        fit[_VALIDATION] = {
            **fit[_VALIDATION],
            "total": dict(begun),
            "current": dict(begun),
            "is_last_batch": False,
        }
    return loops


def check(loops: Loops) -> None:
    """ValueError where the counters cannot be those of a training."""
    fit = loops[_FIT]
    for name in (_BATCHES, _EPOCHS):
        for part in ("total", "current"):
            if not all(type(count) is int and 0 <= count < _MOST for count in fit[name][part].values()):
                raise ValueError(f"{name} that cannot be")


_MOST = 1 << 50


def in_other_pieces(loops: Loops, before: int, now: int, batches: int) -> None:
    """Recount what was trained in `before` pieces a step as `now` pieces; an epoch then has so many `batches`."""
    fit = loops[_FIT]
    current = fit[_BATCHES]["current"]
    at_end = bool(fit[_BATCHES]["is_last_batch"])
    done = batches if at_end else min(-(-current["completed"] // before) * now, batches)
    total = fit[_EPOCHS]["current"]["completed"] * batches + done
    for name in current:
        current[name] = done
        fit[_BATCHES]["total"][name] = total


def epochs_begun(loops: Loops) -> int:
    """The number of the epoch, counted from 1, in which a checkpoint was written."""
    return int(loops[_FIT][_EPOCHS]["current"]["ready"])
