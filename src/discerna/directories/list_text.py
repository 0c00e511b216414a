"""The text of files that list pictures: decoded, cut into lines of JSON, with errors in our words."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from discerna.errors import InvalidDatasetError
from discerna.wording import shown

LONGEST = 1 << 20
"""No line about one picture is longer."""


@contextmanager
def opened(path: str, where: str) -> Iterator[TextIO]:
    """The file as text: UTF-8, or UTF-16 where it begins with the mark that spreadsheets write."""
    try:
        with open(path, "rb", opener=_regular) as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        # newline="": a line break within quotes is part of the cell
        encoding = "utf-16" if wide else "utf-8-sig"
        with open(path, encoding=encoding, newline="", opener=_regular) as text:
            yield text
    except UnicodeError as error:
        kind = error.encoding if isinstance(error, UnicodeDecodeError) else "utf-16"
        raise InvalidDatasetError(
            f"the list is no text in {kind.upper()}",
            where=where,
            accepted="its encoding is not known",
            remedy="save it as UTF-8",
        ) from None
    except OSError as error:
        raise InvalidDatasetError(
            "it cannot be read",
            where=where,
            accepted=error.strerror or str(error),
            remedy="check its permissions",
        ) from None


def head_of(path: str, size: int) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb", opener=_regular) as file:
            return file.read(size)
    except OSError:
        return b""


def _regular(path: str, flags: int) -> int:
    """Open a file, but no pipe and no device: reading these may never end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is a pipe or a device")


def json_lines(path: str, where: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the object of each line; whatever is none is put among the faults. Numbers stay text."""
    with opened(path, where) as text:
        for number, line in enumerate(iter(lambda: text.readline(LONGEST), ""), 1):
            if len(line) == LONGEST:
                raise InvalidDatasetError(
                    "the list has a line without end",
                    where=where,
                    accepted=f"line {number} has more than {LONGEST} letters",
                    remedy="write an object a line",
                )
            if not line.strip():
                continue
            try:
                found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                yield number, found
            else:
                faults.append(f"line {number} is no JSON object")


def whole_json(path: str, where: str) -> Any:
    """What a JSON file holds."""
    with opened(path, where) as text:
        try:
            return json.load(text)
        except UnicodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidDatasetError(
                "the list is no JSON", where=where, accepted=shown(str(error)), remedy="mend the file"
            ) from None


def text_of(value: Any) -> str | None:
    """A value of JSON as it is written; None where it is null, empty, or no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) and value != "" else None
