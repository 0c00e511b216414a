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
    places = [
        *(backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn),
        *(backends.mkldnn.matmul, backends.mkldnn.conv),
    ]
    before = [place.fp32_precision for place in places]
    older = _older_setting()
    try:
        if how == "tf32":
            # Lightning and torch's compiler ask by the older name, which must not say otherwise.
            torch.set_float32_matmul_precision("high")
        for place in places if how == "ieee" else places[:3]:
            place.fp32_precision = how
        yield
    finally:
        if how == "tf32" and older is not None:
            torch.set_float32_matmul_precision(older)
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision


def _older_setting() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except (
        RuntimeError
    ):  # the program has set the newer names to something that the older one has no word for
        return None
