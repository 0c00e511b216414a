"""Tensors without storage, so that a network can be built for its shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

MOST_TENSORS = 5_000
"""The largest of torchvision has 1,548; a file that asks for more would have us build for hours."""

_FILLERS = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.fill_,
    torch.Tensor.zero_,
}
"""What gives a tensor values; where there is no storage, torch would only check shapes, which takes long."""

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class WithoutStorage(TorchFunctionMode):
    """What makes new tensors makes them on the meta device."""

    # `torch.device("meta")` would send the results of torch.tensor and torch.arange there too, and regnets
    # compute the widths of their layers with those.

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLERS and args[0].is_meta:
            return args[0]
        kwargs = dict(kwargs or {})
        if func in _MAKERS:
            self.count += 1
            if self.count > MOST_TENSORS:
                raise ValueError(f"the network would have more than {MOST_TENSORS} tensors")
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
