"""The weights of the Azure ML designer's models: a state dict that `torch.save` wrote, without ever unpickling more."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discerna.directories.model_files import Fault, damaged
from discerna.directories.pickled_calls import costly_call
from discerna.directories.zip_end import zip_end
from discerna.wording import short

if TYPE_CHECKING:
    import torch

LIMIT = 2 << 30
"""The largest of the designer's networks, wide_resnet101_2, has 0.5 GB."""

TABLE_LIMIT = 1 << 20
"""The tables of contents of theirs have 100 kB."""

_DATA_PARALLEL = "module."


def read_old_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in the file, on the CPU, under their names without the prefix of several devices."""
    import torch

    size = path.stat().st_size
    if size > LIMIT:
        raise damaged(f"{path.name} has {size} bytes, {LIMIT} at most")
    if not size:
        raise damaged(f"{path.name} is empty")
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        _refuse_compressed(path)
    if (call := costly_call(path)) is not None:
        raise damaged(f"{path.name} makes other things than tensors ({call})")
    try:
        with warnings.catch_warnings():  # of TorchScript, which is refused all the same
            warnings.simplefilter("ignore")
            # Mapped, tensors lie in the file, so none can be larger than it; the format of old cannot be mapped.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # a damaged or hostile file makes the reader raise all sorts
        raise Fault(
            "the model's weights cannot be read",
            f"{path.name} is damaged, or holds other things than tensors, which are not unpickled",
            "copy the directory again, or save the state_dict anew where the model was made",
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise damaged(f"{path.name} holds no state dict")
    others = [name for name, value in content.items() if not _is_plain(name, value)]
    if others:
        raise damaged(f"{path.name} holds other things than plain tensors: {short(str(others[0]))}")
    prefix = _DATA_PARALLEL if all(name.startswith(_DATA_PARALLEL) for name in content) else ""
    return {name.removeprefix(prefix): tensor.detach() for name, tensor in content.items()}


def _refuse_compressed(path: Path) -> None:
    """Refuse what torch.save never writes, and what mapping would take for numbers."""
    end = zip_end(path)
    if end is None or end.table > TABLE_LIMIT:
        raise damaged(f"{path.name} is no whole file of torch.save (its table of contents)")
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise damaged(f"{path.name} is no whole file of torch.save ({error})") from None
    if compressed:
        raise damaged(f"{path.name} was packed again, with compression")


def _is_plain(name: Any, value: Any) -> bool:
    """Whether it is a tensor with a value for each of its numbers, on the CPU."""
    import torch

    if not isinstance(name, str) or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    strided = value.layout == torch.strided and not value.is_quantized and not value.is_complex()
    return bool(strided and value.device.type == "cpu")
