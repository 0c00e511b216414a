"""`trainer.compile`: the network's steps translated by torch.compile, where that pays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from discerna.errors import OutOfMemoryError
from discerna.machine import OFF, Choice
from discerna.wording import duration, short

FEW = 2_000
"""Batches of a whole training below which nothing is tried."""

LONG = 1200.0
"""Seconds of computing below which compiling, which takes one or two minutes, is not tried."""

WORTH = 2.0
"""So many times what it costs it must save: patience may end a training early."""


@dataclass(frozen=True)
class Steps:
    """How a trial went, in seconds."""

    first: float
    """The first step, in which everything is compiled."""
    each: float


MODE = "default"
"""reduce-overhead would save small batches more, at the cost of memory; who knows his network may type it."""


def too_few(batches: int) -> Choice:
    """Nothing is tried."""
    return Choice(OFF, f"{batches} batches in all: compiling would take a good part of the time")


def decide(take: Callable[[str], Steps], batches: int, kinds: int) -> Choice:
    """The mode, or off, and why; `take` tries some steps, `kinds` of pictures' sizes are compiled apart."""
    try:
        plain = take(OFF)
    except OutOfMemoryError:  # the training finds smaller pieces, or says what would help
        return Choice(OFF, "memory ran out in the trial")
    if plain.each * batches < LONG:
        told = f"about {duration(plain.each * batches)} of computing: compiling would take a good part of it"
        return Choice(OFF, told)
    try:
        compiled = take(MODE)
    except Exception as error:  # what a compiler raises has no common kind
        return Choice(OFF, f"it was tried and fails: {short(' '.join(str(error).split()))}")
    cost = kinds * max(0.0, compiled.first - compiled.each)
    saved = batches * (plain.each - compiled.each)
    told = (
        f"a step takes {1000 * compiled.each:.3g} ms instead of {1000 * plain.each:.3g},"
        f" compiling {duration(cost)}"
    )
    return Choice(MODE if saved > WORTH * cost else OFF, told)


class CompiledNetwork:
    """A network whose training on batches of one size is compiled; others are computed as ever.

    No module: its weights are the network's, which has them in a state dict once.
    """

    def __init__(self, network: nn.Module, mode: str, pictures: Collection[int]) -> None:
        """`pictures`: how many a batch may have, but for an epoch's last; each other number would be compiled anew."""
        self._network = network
        self._mode = mode
        self._pictures = pictures
        self._compiled: Any = None

    def __call__(self, pictures: Tensor) -> Any:
        """What the network answers."""
        if not self._network.training or not torch.is_grad_enabled() or len(pictures) not in self._pictures:
            return self._network(pictures)
        if self._compiled is None:
            self._compiled = torch.compile(self._network, mode=self._mode, dynamic=False)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return self._compiled(pictures)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledNetwork:
        """For the moving average, which is of weights only."""
        return CompiledNetwork(copy.deepcopy(self._network, memo), self._mode, self._pictures)


def mode_for(mode: str, pieces: int) -> str:
    """The mode for steps of so many pieces: a CUDA graph that is replayed overwrites what the piece before has left."""
    if pieces == 1:
        return mode
    return {"reduce-overhead": MODE, "max-autotune": "max-autotune-no-cudagraphs"}.get(mode, mode)


def is_of_compiler(error: BaseException) -> bool:
    """Whether an error comes from torch's compiler."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
