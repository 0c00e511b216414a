"""Trainings with `trainer.strategy=fsdp` on CPUs, which discerna refuses: what can be tried of it without GPUs."""

import functools
import sys
from typing import Any

import torch
from torch.distributed.fsdp import FullyShardedDataParallel

from discerna import machine, worker
from discerna.machine import Choice
from discerna.training import sharding

_init = FullyShardedDataParallel.__init__


@functools.wraps(_init)
def _on_cpu(self: FullyShardedDataParallel, *arguments: Any, **named: Any) -> None:
    _init(self, *arguments, **{**named, "device_id": torch.device("cpu")})


class _Stream:
    """The CPU has one stream, which waits for nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None


def main() -> None:
    machine._refuse_sharding_without_gpu = lambda kind: None
    machine._strategy = lambda trainer, kind, count: Choice(trainer.strategy, "a test")
    sharding.UNIT = 1
    FullyShardedDataParallel.__init__ = _on_cpu  # type: ignore[method-assign]
    torch.cpu.Stream = torch.cpu.Event = _Stream  # type: ignore[misc,assignment,attr-defined]
    torch.cpu.current_stream = lambda *_: _Stream()  # type: ignore[assignment,return-value]
    for settings in sys.argv[1:]:
        if code := worker.main([settings, "--networks-module", "tiny_networks"]):
            sys.exit(code)


if __name__ == "__main__":
    main()
