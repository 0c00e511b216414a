"""How exactly fp32 numbers are multiplied, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch


@contextmanager
def fp32_products(how: Literal["ieee", "tf32"]) -> Iterator[None]:
    """`ieee`: plain fp32; `tf32`: with 10 bits of fraction, which NVIDIA's GPUs multiply several times as fast.

    Whatever the surrounding program has set is so again afterwards. By default cuDNN takes TF32, and products of
    matrices do not.
    """
    backends: Any = torch.backends
    places = [backends.cudnn.conv, backends.cuda.matmul]
    if how == "ieee":
        places += [backends.mkldnn.conv, backends.mkldnn.matmul]
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = how
    try:
        yield
    finally:
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision
