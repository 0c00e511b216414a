"""Which folder of a tree is the labelled directory: wrapping folders passed, train/ and valid/ told apart."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from discerna.directories.folders import PARTS
from discerna.directories.picture_files import Rest, read_folder

TABLES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".lst")
"""Beside such a file a folder wraps nothing: the file may tell the labels of what lies in it."""


@dataclass
class Tree:
    """The directories in a tree, and what lies beside them in the folders that wrap them."""

    parts: list[tuple[str, Path]] = field(default_factory=list)
    """Each with the name of its part, "" for one that is the whole."""
    beside: Rest = field(default_factory=Rest)


def tree_of(root: Path) -> Tree:
    """Look through the folders of `root`."""
    tree = Tree()
    folder, part = _unwrapped(os.fsencode(root), tree.beside)
    names = _parts(folder, tree.beside)
    tree.parts = [(name, Path(os.fsdecode(folder), name)) for name in names]
    tree.parts = tree.parts or [(part, Path(os.fsdecode(folder)))]
    return tree


def holds_pictures(folder: bytes) -> bool:
    """Whether a picture lies in it, however deep."""
    pending = [folder]
    while pending:
        top = pending.pop()
        try:
            pictures, folders = read_folder(top, b"", Rest(), links=False)
        except OSError:
            continue
        if pictures:
            return True
        pending += [top + b"/" + name for name in folders]
    return False


def is_part(name: str) -> bool:
    """Whether a name says for what the pictures are."""
    return name.casefold() in PARTS


def has_table(names: list[str]) -> bool:
    """Whether one of these files may tell the labels of pictures."""
    return any(name.lower().endswith(TABLES) for name in names)


def _unwrapped(folder: bytes, beside: Rest) -> tuple[bytes, str]:
    """Down while one folder holds all pictures, but not into a folder of pictures: that one is a label."""
    part = ""
    while True:
        rest = Rest()
        pictures, folders = read_folder(folder, b"", rest, links=False)
        holders = folders if len(folders) == 1 else [f for f in folders if holds_pictures(folder + b"/" + f)]
        if pictures or len(holders) != 1 or has_table([name for name, _ in rest.others]):
            return folder, part
        inner = folder + b"/" + holders[0]
        if _has_pictures(inner):
            return folder, part
        beside.ignored += rest.ignored
        beside.others += [other for other in rest.others if other[0] != os.fsdecode(holders[0])]
        beside.others += [(os.fsdecode(name), "no_pictures") for name in folders if name != holders[0]]
        if is_part(os.fsdecode(holders[0])):
            part = os.fsdecode(holders[0])
        folder = inner


def _parts(folder: bytes, beside: Rest) -> list[str]:
    """The folders train, valid and so on, if these hold all pictures and one of them holds label folders."""
    rest = Rest()
    pictures, folders = read_folder(folder, b"", rest, links=True)
    names = [] if pictures else [name for name in folders if holds_pictures(folder + b"/" + name)]
    if len(names) < 2 or not all(is_part(os.fsdecode(name)) for name in names):
        return []
    if all(_has_pictures(folder + b"/" + name) for name in names):
        return []
    beside.ignored += rest.ignored
    beside.others += rest.others
    beside.others += [(os.fsdecode(name), "no_pictures") for name in folders if name not in names]
    return sorted(os.fsdecode(name) for name in names)


def _has_pictures(folder: bytes) -> bool:
    """Whether pictures lie directly in it."""
    try:
        return bool(read_folder(folder, b"", Rest(), links=True)[0])
    except OSError:
        return False
