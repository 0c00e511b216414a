"""Which pictures of a directory must stay on one side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError
from discerna.wording import shown


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
