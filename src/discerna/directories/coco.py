"""COCO files: JSON with images, categories, and annotations that give an image its category."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discerna.directories.layout import Layout
from discerna.directories.list_text import head_of, text_of, whole_json
from discerna.directories.listing import Listing
from discerna.errors import InvalidDatasetError
from discerna.wording import listed, shown

KEYS = ("images", "annotations", "categories")

_PEEK = 65536


def may_be_coco(path: str) -> bool:
    """Whether the beginning of the file allows it; to tell for sure it must be read whole, and may be large."""
    head = head_of(path, _PEEK)
    return any(f'"{key}"'.encode() in head for key in KEYS)


def read_coco(path: str, where: str) -> Listing:
    """The COCO file at `path`; `where` is what messages call it."""
    content = whole_json(path, where)
    found = content if isinstance(content, dict) else {}
    lacking = [key for key in KEYS if not isinstance(found.get(key), list)]
    if lacking:
        raise InvalidDatasetError(
            "this JSON is no COCO file",
            where=where,
            accepted=f"it has no list {listed(lacking)}",
            remedy="a COCO file has images, annotations and categories",
        )
    faults: list[str] = []
    return Listing(
        Layout("COCO", f"{shown(Path(path).name)} has images, annotations and categories"),
        path,
        where,
        _rows(found, faults),
        faults=faults,
        own=(Path(path).name,),
        below=("", "images"),
    )


def _rows(content: dict[str, list[Any]], faults: list[str]) -> Iterator[tuple[str, str | None]]:
    names = {
        _key(category, "id"): text_of(category.get("name"))
        for category in _objects(content, "categories", faults)
    }
    labels: dict[Any, list[str]] = {}
    for annotation in _objects(content, "annotations", faults):
        label = names.get(_key(annotation, "category_id"))
        if label is None:
            faults.append(
                f"an annotation of the category_id {shown(str(annotation.get('category_id')))}, which has no name"
            )
            continue
        known = labels.setdefault(_key(annotation, "image_id"), [])
        if label not in known:
            known.append(label)
    for number, image in enumerate(_objects(content, "images", faults)):
        path = text_of(image.get("file_name")) or text_of(image.get("coco_url"))
        if path is None:
            faults.append(f"images[{number}] has no file_name")
            continue
        known = labels.get(_key(image, "id"), [])
        yield path, (known[0] if known else None)
        yield from ((path, label) for label in known[1:])


def _objects(content: dict[str, list[Any]], key: str, faults: list[str]) -> Iterator[dict[str, Any]]:
    for number, item in enumerate(content[key]):
        if isinstance(item, dict):
            yield item
        else:
            faults.append(f"{key}[{number}] is no object")


def _key(item: dict[str, Any], name: str) -> Any:
    """An id, which may be a number or a text; whatever else it is as text."""
    value = item.get(name)
    return value if isinstance(value, int | str | None) else str(value)
