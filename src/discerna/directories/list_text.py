"""The text of files that list pictures: decoded, cut into lines of JSON, with errors in our words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from discerna.errors import InvalidDatasetError
from discerna.wording import shown


@contextmanager
def opened(path: str, where: str) -> Iterator[TextIO]:
    """The file as text: UTF-8, or UTF-16 where it begins with the mark that spreadsheets write."""
    try:
        with open(path, "rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        # newline="": a line break within quotes is part of the cell
        with open(path, encoding="utf-16" if wide else "utf-8-sig", newline="") as text:
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


def json_lines(path: str, where: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the object of each line; whatever is none is put among the faults. Numbers stay text."""
    with opened(path, where) as text:
        for number, line in enumerate(text, 1):
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
