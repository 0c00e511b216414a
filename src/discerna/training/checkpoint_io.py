"""How a checkpoint gets to the disk and back: whole or not at all, and never by running what it holds."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from discerna.directories.checkpoint_files import is_whole
from discerna.directories.pickled_calls import costly_call
from discerna.directories.write_aside import written_whole
from discerna.errors import InvalidModelDirectoryError

_PARTS = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")
"""What a checkpoint has from which a training can go on."""


class WholeCheckpoints(CheckpointIO):
    """Lightning's own goes through a folder for temporary files, from which a full disk lets half a file come."""

    def __init__(self, shapes: Mapping[str, torch.Size] | None = None) -> None:
        """`shapes`: those of the weights that a checkpoint must have."""
        self._shapes = shapes

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Called by Lightning in the first process."""
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Called by Lightning in each process; plain values and tensors only, whoever asks for more."""
        checkpoint = read_checkpoint(Path(path))
        if any(not isinstance(checkpoint.get(part), dict | list) for part in _PARTS):
            raise unfit(Path(path), f"it has {', '.join(sorted(map(str, checkpoint)))[:200]}")
        for name in ("state_dict", "current_model_state"):
            if self._shapes is not None and name in checkpoint:
                self._check_shapes(Path(path), checkpoint[name])
        return checkpoint

    def _check_shapes(self, path: Path, found: Any) -> None:
        assert self._shapes is not None
        if not isinstance(found, dict) or found.keys() != self._shapes.keys():
            raise unfit(path, "its weights are those of another network")
        for name, shape in self._shapes.items():
            if not isinstance(found[name], torch.Tensor) or found[name].shape != shape:
                raise unfit(path, f"{name} has another shape")

    def remove_checkpoint(self, path: Any) -> None:
        """Called by a user's own ModelCheckpoint."""
        Path(path).unlink(missing_ok=True)


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint that is there as a whole or not at all; OSError where the disk does not take it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as aside:
        try:
            torch.save(content, aside)
        except RuntimeError as error:  # torch has no words for a full disk
            first = (str(error).splitlines() or [""])[0][:100]
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, or the disk fails ({first})") from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU; whatever is not plain data is refused and not run."""
    if not is_whole(path):
        raise unfit(path, "it is damaged, or no checkpoint")
    if (call := costly_call(path)) is not None:
        raise unfit(path, f"it makes other things than tensors ({call})")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged or hostile file makes the reader raise all sorts
        raise unfit(path, "it holds other things than plain data, which are not unpickled") from None
    if not isinstance(checkpoint, dict):
        raise unfit(path, "it is no mapping")
    return checkpoint


def unfit(path: Path, found: str) -> InvalidModelDirectoryError:
    """The error for a checkpoint from which this training cannot go on."""
    return InvalidModelDirectoryError(
        "a checkpoint cannot be gone on from",
        where=str(path),
        accepted=found,
        remedy="remove it, so that the one before is used, or begin a new run",
    )
