"""`trainer.batch_finder=true`: into how few pieces a batch must be cut so that memory takes each.

Pieces of rising size are trained for two steps each. Memory grows by the picture, so two of them foretell the others:
no size is tried that would not fit, which on a CPU would end the process without a word.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.distributed as dist

from discerna import memory
from discerna.allocator import keep_blocks
from discerna.errors import OutOfMemoryError
from discerna.machine import Choice, Machine
from discerna.progress import Progress
from discerna.ranks import machines
from discerna.settings.train import TrainSettings
from discerna.wording import amount

SAFE = {"cuda": 0.92, "cpu": 0.8}
"""The share of memory that is used: on a CPU others live in it as well."""

WHOLE = 1_000_000
"""All the room that there is."""

LEAP = 4
"""A size is foretold up to so many times the largest that was tried."""


def find_pieces(
    train: Callable[[TrainSettings], None],
    settings: TrainSettings,
    machine: Machine,
    smallest: int,
    progress: Progress,
) -> Choice:
    """The number of pieces and why; `train` takes two steps, `smallest`: the pictures that a process needs."""
    keep_blocks()  # as the training will
    batch = settings.batch_size
    sizes = [n for n in range(smallest * machine.processes.value, batch + 1) if batch % n == 0]
    if machine.device.value != "cuda" and memory.there() is None:
        return Choice(1, "the system does not tell how much memory is free; nothing was tried")
    taken: dict[int, Taken] = {}
    with progress.task("finding the largest piece", len(sizes)) as advance:

        def measure(size: int) -> int:
            try:
                taken[size] = _taken(lambda: train(in_pieces_of(size, settings)), machine)
                return taken[size].share
            finally:
                advance(1, f"{size} pictures")

        size = largest(sizes, measure, WHOLE, reraise=machine.processes.value > 1)
    if size is None:
        raise OutOfMemoryError(
            "not even the smallest piece of a batch fits into memory",
            where=f"{sizes[0]} pictures of image_size={settings.image_size}",
            remedy="use a smaller network or a smaller image_size",
        )
    what = f"all {batch} pictures at once" if size == batch else f"{size} of {batch} pictures at once"
    return Choice(batch // size, f"{what} take {amount(taken[size].most)} of {amount(taken[size].room)}")


def largest(
    sizes: Sequence[int], measure: Callable[[int], int], room: int, reraise: bool = False
) -> int | None:
    """The largest of ascending sizes that fits into `room`; None where none does.

    `reraise`: memory that runs out all the same is an error, as other processes wait in mid-step.
    """
    tried: list[tuple[int, int]] = []
    left = list(sizes)
    while left:
        size = _next(tried, left, room)
        if size is None:
            break
        try:
            taken = measure(size)
        except OutOfMemoryError:
            if reraise:
                raise
            taken = room + 1
        if taken > room:
            left = [other for other in left if other < size]
        else:
            tried.append((size, taken))
            left = [other for other in left if other > size]
    return tried[-1][0] if tried else None


def _next(tried: Sequence[tuple[int, int]], left: Sequence[int], room: int) -> int | None:
    """The size to try next: the largest that should fit, but no leap into the dark."""
    if len(tried) < 2:
        return left[0]
    (small, little), (size, taken) = tried[-2:]
    grown, apart = max(0, taken - little), size - small
    near = [n for n in left if n <= LEAP * size] or left[:1]
    fitting = [n for n in near if grown * (n - size) <= (room - taken) * apart]
    return fitting[-1] if fitting else None


def in_pieces_of(size: int, settings: TrainSettings) -> TrainSettings:
    """Settings of a training with pieces of that size; two of them where the whole batch has more.

    With the second, gradients of the first are there as well.
    """
    pieces = 1 if size == settings.batch_size else 2
    trainer = replace(
        settings.trainer, batch_finder=False, accumulate_grad_batches=pieces, limit_train_batches=None
    )
    return replace(settings, batch_size=size * pieces, trainer=trainer)


class Taken(NamedTuple):
    """What a trial has taken."""

    most: int
    """Bytes, of the device or of the machine."""
    room: int
    """What there is for this process."""
    share: int
    """In parts of WHOLE; the most of all processes, so that all decide alike."""


def _taken(train: Callable[[], None], machine: Machine) -> Taken:
    on_gpu = machine.device.value == "cuda"
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        memory.forget_peak()
    train()
    # Now that the trainer has chosen the GPU of this process.
    if on_gpu:
        most, there = (
            torch.cuda.max_memory_reserved(),
            torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved(),
        )
    else:
        here = machine.processes.value // machines(machine.processes.value)
        free, own = memory.free() or 0, memory.now()
        most, there = memory.peak(), own + free // here
    room = int(there * SAFE["cuda" if on_gpu else "cpu"])
    share = math.ceil(WHOLE * most / max(1, room))
    if dist.is_initialized():
        told = torch.tensor(float(share), device="cuda" if on_gpu else "cpu")
        dist.all_reduce(told, dist.ReduceOp.MAX)
        share = int(told)
    return Taken(most, room, share)
