"""The files of a model directory, read as if a stranger had written them.

Everything is checked before it is used: names, sizes, hashes, JSON, the header of the weights. Nothing is
unpickled, imported or allocated because a file says so.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from discerna.errors import InvalidModelDirectoryError
from discerna.wording import short, shown

MODEL = "model.json"
WEIGHTS = "weights.safetensors"
TRAINING = "training.json"
MANIFEST = "manifest.json"

JSON_LIMIT = 16 << 20  # 38,000 epochs of a training, or 600,000 labels; the header of 100,000 tensors
WEIGHTS_LIMIT = 1 << 36  # a file of holes takes no room on a disk, and hours to compare
DEPTH_LIMIT = 64  # ours nest about five deep; Python itself gives up near a thousand
VALUES_LIMIT = 1 << 20  # an empty list has three bytes in a file, and seventy in memory

PHRASE_LIMIT = 1000  # of what messages repeat

FILE_NAME = re.compile(r"[A-Za-z0-9._-]+")

_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip


class Fault(Exception):
    """What is wrong with a model directory; `ModelDirectory` adds which one it is."""

    def __init__(
        self, problem: str, found: str, remedy: str = "copy the directory again, or make it anew"
    ) -> None:
        super().__init__(problem, found, remedy)
        self.problem = problem
        self.found = found
        self.remedy = remedy


@contextmanager
def told_of(where: str) -> Iterator[None]:
    """Faults, and what the system says, become errors about the directory that `where` names."""
    try:
        yield
    except Fault as fault:
        raise InvalidModelDirectoryError(
            fault.problem, where=where, accepted=short(fault.found, PHRASE_LIMIT), remedy=fault.remedy
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or in_one_phrase(error)
        raise InvalidModelDirectoryError(
            "the model directory cannot be read",
            where=where,
            accepted=reason,
            remedy="check the path",
        ) from None


def in_one_phrase(error: Exception) -> str:
    """Another error's text, fit to be a part of ours."""
    told = short(" ".join(str(error)[: 2 * PHRASE_LIMIT].split()), PHRASE_LIMIT)
    return told.replace("; ", ", ") or type(error).__name__


def damaged(found: str) -> Fault:
    """The fault of a directory that was whole once."""
    return Fault("a damaged model directory", found)


def altered(found: str) -> Fault:
    """The fault of a directory that holds what discerna does not write."""
    return Fault("an altered model directory", found, "remove what was added, or make the directory anew")


def read_manifest(folder: Path) -> dict[str, tuple[str, int]]:
    """The name, SHA-256 and size of every file, the directory holding just these as plain files."""
    files = read_json(folder / MANIFEST).get("files")
    if not isinstance(files, dict):
        raise damaged(f"{MANIFEST} lists no files")
    listed = {}
    for name, entry in files.items():
        if not FILE_NAME.fullmatch(name) or name not in (MODEL, WEIGHTS, TRAINING):
            raise altered(f"{MANIFEST} lists {short(name)!r}, which no model directory has")
        if not isinstance(entry, dict) or set(entry) != {"sha256", "size"}:
            raise damaged(f"{MANIFEST} has no SHA-256 and size of {name}")
        digest, size = entry["sha256"], entry["size"]
        if not isinstance(digest, str) or type(size) is not int or size < 0:
            raise damaged(f"{MANIFEST} has no SHA-256 and size of {name}")
        listed[name] = (digest, size)
    return listed


def check_names(names: Iterable[str], listed: Mapping[str, Any]) -> None:
    """Refuse a file that the manifest does not list, and a listed or needed one that is not there."""
    names = set(names)
    for name in sorted(names - set(listed) - {MANIFEST}):
        raise altered(f"{shown(name)} is not in {MANIFEST}")
    for name in sorted((set(listed) | {MODEL, WEIGHTS}) - names):
        raise damaged(f"{name} is missing")
    for name in sorted({MODEL, WEIGHTS} - set(listed)):
        raise damaged(f"{name} is not in {MANIFEST}")


def check_plain_files(folder: Path) -> list[str]:
    """The names in the folder; refuses links, folders and anything else that is no plain file."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not FILE_NAME.fullmatch(entry.name):
                raise altered(f"{shown(entry.name)!r} is no file name of a model directory")
            if entry.is_symlink():
                raise altered(f"{entry.name} is a link")
            if not entry.is_file(follow_symlinks=False):
                raise altered(f"{entry.name} is no plain file")
            names.append(entry.name)
    return sorted(names)


def check_content(folder: Path, listed: Mapping[str, tuple[str, int]]) -> None:
    """Compare every file with its size and SHA-256 in the manifest; all sizes first, as they cost nothing."""
    for name, (_, size) in listed.items():
        check_size(folder / name, WEIGHTS_LIMIT if name == WEIGHTS else JSON_LIMIT)
        found = (folder / name).stat().st_size
        if found != size:
            raise damaged(f"{name} has {found} bytes, {MANIFEST} says {size}")
    for name, (digest, _) in listed.items():
        if file_digest(folder / name) != digest:
            raise damaged(f"{name} differs from its SHA-256 in {MANIFEST}")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object: of bounded size and depth, no key twice, finite numbers, and nothing to be imported."""
    check_size(path, JSON_LIMIT)
    return parse_object(path.read_bytes(), path.name)


def check_size(path: Path, limit: int) -> None:
    """Refuse a file of more bytes than it can have."""
    size = path.stat().st_size
    if size > limit:
        raise damaged(f"{path.name} has {size} bytes, {limit} at most")


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`, which messages call `name`."""
    value = parse_json(data, name)
    if not isinstance(value, dict):
        raise damaged(f"{name} is no JSON object")
    return value


def parse_json(data: bytes, name: str) -> Any:
    """The JSON in `data`, which messages call `name`: no key twice, few and finite values, nothing to be imported."""
    if sum(map(data.count, (b",", b":", b"[", b"{"))) > VALUES_LIMIT:
        raise damaged(f"{name} holds more than {VALUES_LIMIT} values")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError:
        raise damaged(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise damaged(f"{name} is not JSON ({in_one_phrase(error)})") from None
    _check_values(value, name)
    return value


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key '{short(twice)}' stands twice")
    return keys


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _check_values(value: Any, name: str) -> None:
    level = [value]  # all that lies equally deep; not recursion, so that depth is ours to limit
    for _ in range(DEPTH_LIMIT):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if "_target_" in item:
                    raise altered(f"{name} asks to import something (_target_)")
                deeper += item.values()
            elif isinstance(item, list):
                deeper += item
            elif isinstance(item, float) and not math.isfinite(item):
                raise damaged(f"{name} holds a number that is not finite")
        level = deeper
    if level:
        raise damaged(f"{name} is nested too deeply")


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """The name and shape of every tensor in a safetensors file, from its header alone."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(JSON_LIMIT, size - 8):
            raise damaged(f"the header of {path.name} does not fit into the file")
        header = parse_object(stream.read(length), f"the header of {path.name}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise damaged(f"the header of {path.name} has wrong metadata")
    shapes, spans = {}, []
    for name, entry in header.items():
        shape, span = _tensor(entry, name, path)
        shapes[name] = shape
        spans.append(span)
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise damaged(f"the tensors of {path.name} overlap, or leave gaps")
        position = end
    if position != size - 8 - length:
        raise damaged(f"{path.name} has {size} bytes, its header tells of {8 + length + position}")
    return shapes


MOST_DIMENSIONS = 16


def _tensor(entry: Any, name: str, path: Path) -> tuple[tuple[int, ...], tuple[int, int]]:
    """The shape of a tensor and the bytes where it lies."""
    wrong = damaged(f"the header of {path.name} tells nonsense of the tensor {short(name)!r}")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES or not _is_counts(shape) or not _is_counts(offsets):
        raise wrong
    if len(shape) > MOST_DIMENSIONS:  # multiplying millions of numbers would take hours
        raise wrong
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * _BYTES[dtype]:
        raise wrong
    return tuple(shape), (offsets[0], offsets[1])


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
