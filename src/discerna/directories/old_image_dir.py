"""The `ImageDirectory` of the Azure ML designer: `_meta.yaml`, and a list with a JSON line for each picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discerna.directories.designer_meta import META, meta_fields
from discerna.directories.layout import OLD_IMAGE_DIR, Layout
from discerna.directories.list_text import json_lines, text_of
from discerna.directories.listing import Listing
from discerna.errors import InvalidDatasetError
from discerna.wording import shown


def read_old_image_dir(folder: str, where: str) -> Listing | None:
    """The list of such a directory; None where the folder is none."""
    try:
        meta = meta_fields(Path(folder))
    except OSError:  # not ours to read, so no list
        return None
    if meta.get("type") != "ImageDirectory":
        return None
    file = meta.get("image_list") or "images.lst"
    place = f"{where}/{file}"
    if (
        Path(file).is_absolute() or ".." in Path(file).parts
    ):  # another's file decides nothing outside its folder
        raise InvalidDatasetError(
            "the list lies elsewhere",
            where=where,
            accepted=f"{META} has image_list: {shown(file)}",
            remedy="it must lie in the same folder",
        )
    faults: list[str] = []
    path = str(Path(folder, file))
    labelled = any(label is not None for _, label in _rows(path, place, []))
    reason = f"{META} has type: ImageDirectory" + ("" if labelled else ", no category")
    return Listing(
        Layout(OLD_IMAGE_DIR, reason, path),
        path,
        place,
        _rows(path, place, faults),
        labelled=labelled,
        faults=faults,
        own=(META, file, meta.get("schema", "_schema.json"), meta.get("samples", "_samples.json")),
    )


def listed_file(line: dict[str, Any]) -> str | None:
    """The file that a line of the list names; None where it names none."""
    info = line.get("image_info")
    return text_of(info.get("file_name")) if isinstance(info, dict) else None


def _rows(path: str, where: str, faults: list[str]) -> Iterator[tuple[str, str | None]]:
    for number, line in json_lines(path, where, faults):
        file = listed_file(line)
        if file is None:
            faults.append(f"line {number} names no file")
        elif isinstance(line.get("category"), list | dict):
            faults.append(f"line {number} has no single category")
        else:
            yield file, text_of(line.get("category"))
