"""How processes share the network: each has all of it (DDP), or a part of each weight (FSDP)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import nn

from discerna.errors import SettingsError
from discerna.machine import Machine
from discerna.settings.recipe import Recipe
from discerna.settings.train import TrainSettings

UNIT = 1_000_000
"""Weights from which a block is gathered and let go by itself; below it, messages cost more than memory."""


class Sharded(FSDPStrategy):
    """Lightning's FSDP, which computes what DDP does; checkpoints are whole, in one file."""

    def __init__(self, timeout: timedelta) -> None:
        super().__init__(
            auto_wrap_policy=_Blocks(UNIT), state_dict_type="full", use_orig_params=True, timeout=timeout
        )

    @property
    def mixed_precision_config(self) -> Any:
        """None: autocast lowers the precision of single operations, as without sharding.

        FSDP's own would lower batch statistics and the sums of gradients too.
        """
        return None

    def clip_norm(self, longest: float) -> None:
        """Clip the gradient whose parts lie on all processes."""
        from torch.distributed.fsdp import FullyShardedDataParallel

        assert isinstance(self.model, FullyShardedDataParallel)
        self.model.clip_grad_norm_(longest)


class _Blocks:
    """Which modules become units: large children of an nn.Sequential, since only those are surely called as a whole.

    Other modules may have their weights read from outside, as some attention has, and would find them gone.
    """

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._blocks: set[int] = set()

    def __call__(self, module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
        if recurse:  # asked of a module before its children, and once more after them
            if isinstance(module, nn.Sequential):
                self._blocks |= {id(child) for child in module}
            return True
        return id(module) in self._blocks and nonwrapped_numel >= self._unit


def build_strategy(settings: TrainSettings, machine: Machine, recipe: Recipe) -> Strategy | str:
    """Lightning's strategy, or its name."""
    timeout = timedelta(minutes=settings.launch.hang_timeout)
    if machine.strategy.value == "fsdp":
        return Sharded(timeout)
    if machine.strategy.value == "ddp":
        # A frozen body has no gradients to exchange, which DDP would wait for.
        return DDPStrategy(find_unused_parameters=bool(recipe.freeze_epochs), timeout=timeout)
    return "auto"


def refuse_what_cannot_be_sharded(settings: TrainSettings, machine: Machine) -> None:
    """Refuse what needs whole weights where each process has a part of them."""
    if machine.strategy.value != "fsdp":
        return
    reasons = {
        f"ema={settings.ema}": settings.ema and "an average is made of whole weights",
        f"freeze_epochs={settings.freeze_epochs}": settings.freeze_epochs
        and "a part may belong to the body and the head",
        "trainer.sync_batchnorm=false": settings.trainer.sync_batchnorm is False
        and "each process would validate with statistics of its own",
    }
    found = {where: reason for where, reason in reasons.items() if reason}
    if found:
        raise SettingsError(
            "settings that do not go with trainer.strategy=fsdp",
            where=", ".join(found),
            accepted=", ".join(str(reason) for reason in found.values()),
            remedy=f"leave {'it' if len(found) == 1 else 'them'} out or use trainer.strategy=ddp",
        )
