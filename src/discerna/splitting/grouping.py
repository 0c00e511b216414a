"""Which pictures of a directory must stay on one side."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.listing import file_name
from discerna.directories.manifests import read_manifest
from discerna.errors import InvalidDatasetError
from discerna.wording import listed, shown


def joined(groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """The groups, those that share a position made one."""
    first: dict[int, int] = {}

    def root(i: int) -> int:
        while first.setdefault(i, i) != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for group in groups:
        for i in group:
            one, other = root(group[0]), root(i)
            first[max(one, other)] = min(one, other)
    members: dict[int, list[int]] = {}
    for i in sorted(first):
        members.setdefault(root(i), []).append(i)
    return list(members.values())


def by_expression(
    directory: ImageDirectory, positions: Iterable[int], expression: re.Pattern[str]
) -> list[list[int]]:
    """Positions whose names have the same text in the first parentheses of the expression, or match it alike.

    Names that do not match are in no group.
    """
    groups: dict[str, list[int]] = {}
    for i in positions:
        found = expression.search(directory.name(i))
        text = found and found[min(1, expression.groups)]
        if text is not None:
            groups.setdefault(text, []).append(i)
    if not groups:
        raise InvalidDatasetError(
            "the expression matches no picture's name",
            where=f"group_by=regex:{shown(expression.pattern)}",
            accepted=f"the names are such as {shown(directory.name(0))}",
            remedy="change the expression, or leave out group_by",
        )
    return list(groups.values())


def by_column(directory: ImageDirectory, positions: Iterable[int], column: str) -> list[list[int]]:
    """Positions whose rows have the same text in a column of the manifest; an empty cell is in no group."""
    where = f"group_by=column:{shown(column)}"
    if directory.layout.name != "manifest":
        raise InvalidDatasetError(
            "there is no manifest with columns",
            where=where,
            accepted=f"the data are recognised as {directory.layout.name}",
            remedy="pass a .csv, .tsv or .jsonl file as data=, or use group_by=regex:EXPRESSION",
        )
    manifest = read_manifest(directory.layout.file, where)
    if column not in manifest.columns:
        raise InvalidDatasetError(
            "the manifest has no such column",
            where=where,
            accepted=f"it has {listed(manifest.columns)}",
            remedy="name one of them",
        )
    root = os.fsencode(directory.root)
    texts_of: dict[str, set[str]] = {}
    for row in manifest.rows(column):
        with suppress(ValueError):  # a path that no file can have
            if row.more[0]:
                texts_of.setdefault(os.fsdecode(file_name(row.file, root, b"")), set()).add(row.more[0])
    groups: dict[str, list[int]] = {}
    for i in positions:
        for text in texts_of.get(directory.name(i), ()):  # of several rows of a picture, each ties it
            groups.setdefault(text, []).append(i)
    if not groups:
        raise InvalidDatasetError(
            "the column is empty for every picture", where=where, remedy="fill it, or leave out group_by"
        )
    return joined(groups.values())
