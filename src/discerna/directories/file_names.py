"""The name that a picture gets in its label folder: its own, unless another picture there has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePosixPath

_LONGEST = 255


class FileNames:
    """Hands out names, the same ones whenever the same pictures come in the same order."""

    def __init__(self, key: Callable[[bytes], bytes]) -> None:
        self._key = key
        self._taken: set[bytes] = set()

    def free(self, folder: str, name: str, marks: list[str]) -> str:
        """`name`, or where `folder` has it already `name` with the first of the marks that makes it another."""
        number = 1
        candidate = name
        while (key := self._key(os.fsencode(f"{folder}/{candidate}"))) in self._taken:
            if marks:
                mark, *marks = marks
            else:
                number += 1
                mark = str(number)
            candidate = _marked(name, mark)
        self._taken.add(key)
        return candidate


def _marked(name: str, mark: str) -> str:
    """`1.jpg` and `b/c` -> `1-b-c.jpg`, shortened where no disk could hold it."""
    path = PurePosixPath(name)
    end = f"-{mark.replace('/', '-')}{path.suffix}"
    while len(os.fsencode(end)) > _LONGEST // 2:
        end = "-" + end[2:]
    stem = path.stem
    while len(os.fsencode(stem + end)) > _LONGEST:
        stem = stem[:-1]
    return stem + end
