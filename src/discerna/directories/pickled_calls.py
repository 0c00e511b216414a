"""What a file of `torch.save` calls when it is read: a few such calls make little of much, and take any memory."""

from __future__ import annotations

import mmap
from pathlib import Path

_COSTLY = (
    b"bytearray",
    b"encode",
    b"_rebuild_device_tensor_from_cpu_tensor",
    b"_rebuild_device_tensor_from_numpy",
)
"""What torch's reader of weights lets a pickle call and no state dict does: a few bytes of these fill any memory."""


def costly_call(path: Path) -> str | None:
    """The first of these that the file names; it must not be compressed or empty."""
    # A call stands in the file as it is: module, line break, name, line break.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name in _COSTLY:
            if content.find(b"\n" + name + b"\n") >= 0:
                return name.decode()
    return None
