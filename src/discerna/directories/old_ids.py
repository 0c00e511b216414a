"""The ids by which the Azure ML designer told pictures apart."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable
from pathlib import Path

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.layout import OLD_IMAGE_DIR
from discerna.directories.list_text import json_lines, text_of
from discerna.directories.listing import file_name
from discerna.directories.old_image_dir import listed_file
from discerna.errors import InvalidDatasetError
from discerna.wording import shown

_NONE = -(2**63)
"""Stands for no id; so the smallest number of 64 bits cannot be one."""

_EXAMPLES = 5


def picture_ids(data: ImageDirectory, setting: str) -> Callable[[int], int | None]:
    """The id of a picture by its position: what the list of an old ImageDirectory says, elsewhere the position.

    None for a picture that the list leaves out. An index does not keep ids, which nothing else asks for, so the
    list is read once more.
    """
    if data.layout.name != OLD_IMAGE_DIR:
        return lambda position: position
    ids = _listed_ids(data, f"{setting}={shown(data.layout.file)}")
    return lambda position: None if ids[position] == _NONE else ids[position]


def _listed_ids(data: ImageDirectory, where: str) -> array[int]:
    root, path = os.fsencode(data.root), data.layout.file
    top = os.fsencode(os.path.relpath(Path(path).parent, data.root))
    positions = {data.name(i): i for i in range(len(data))}
    ids = array("q", [_NONE]) * len(data)
    faults: list[str] = []
    for number, line in json_lines(path, where, faults):
        try:
            name = os.fsdecode(file_name(listed_file(line) or "", root, top))
        except ValueError:  # a path that no file can have
            continue
        position = positions.get(name)
        if position is None or ids[position] != _NONE:  # not used, or listed before
            continue
        found = _whole_number(text_of(line.get("id")) or "")
        if found is None:
            faults.append(f"line {number}")
        else:
            ids[position] = found
    if faults:
        more = f" … and {len(faults) - _EXAMPLES} more" if len(faults) > _EXAMPLES else ""
        raise InvalidDatasetError(
            "pictures of the list have no whole number as id",
            where=where,
            accepted=", ".join(faults[:_EXAMPLES]) + more,
            remedy="mend these lines, or use format=discerna, which names the files",
        )
    return ids


def _whole_number(text: str) -> int | None:
    number = int(text) if re.fullmatch("-?[0-9]{1,19}", text) else _NONE
    return number if _NONE < number < 2**63 else None
