"""Manifests: tables that name a picture and its label in each row, as CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from discerna.directories.layout import Layout
from discerna.directories.list_text import json_lines, opened, text_of
from discerna.directories.listing import Listing
from discerna.errors import InvalidDatasetError
from discerna.wording import listed, shown

EXTENSIONS = frozenset({".csv", ".tsv", ".jsonl"})

FILE_COLUMNS = (
    "file", "path", "filename", "file_name", "filepath", "file_path",
    "image", "image_path", "image_file", "image_name", "img", "img_path", "picture",
)  # fmt: skip
LABEL_COLUMNS = ("label", "class", "category", "label_name", "class_name", "category_name", "target")
"""What the columns may be called, in either case; of several that a table has, the first counts."""

_FIRST_LINES = 100
"""So many JSON lines are looked at for columns."""


class Row(NamedTuple):
    """A picture in a manifest."""

    line: int
    file: str
    """The path as written; `listing.file_name` gives the name that an index has for it."""
    label: str | None
    more: tuple[str, ...]
    """The cells of the further columns that were asked for."""


class Manifest:
    """A manifest whose columns are known; its rows are read while they are asked for."""

    def __init__(self, path: str, where: str, columns: list[str], delimiter: str) -> None:
        file = _column(columns, FILE_COLUMNS)
        if file is None:
            raise InvalidDatasetError(
                "no column names the files",
                where=where,
                accepted=f"its columns are {listed(columns)}" if columns else "it is empty",
                remedy=f"a header is needed, with one of {', '.join(FILE_COLUMNS)}",
            )
        self.path = path
        self.where = where
        self.columns = columns
        self.file = file
        """The name of the column of paths, as written."""
        self.label = _column(columns, LABEL_COLUMNS)
        """The name of the column of labels; None where there is none."""
        self.faults: list[str] = []
        """What is wrong with single rows, complete once these are read."""
        self._delimiter = delimiter

    def rows(self, *more: str) -> Iterator[Row]:
        """All rows with a path, with the cells of further columns."""
        wanted = [self.file, *([self.label] if self.label else []), *more]
        cells_of = self._json_rows if self._delimiter == "" else self._table_rows
        for line, cells in cells_of(wanted):
            file, rest = cells[0], cells[1:]
            if not file:
                self.faults.append(f"line {line} names no file")
                continue
            label = rest.pop(0) if self.label else ""
            yield Row(line, file, label or None, tuple(rest))

    def _table_rows(self, wanted: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        places = [self.columns.index(name) for name in wanted]
        width = len(self.columns)
        with opened(self.path, self.where) as text:
            reader = csv.reader(text, delimiter=self._delimiter, strict=True, skipinitialspace=True)
            try:
                next(reader)
                for cells in reader:
                    if len(cells) < width:
                        if not cells:
                            continue
                        cells += [""] * (width - len(cells))
                    elif any(cells[width:]):
                        self.faults.append(f"line {reader.line_num} has more cells than the header")
                        continue
                    yield reader.line_num, [cells[place] for place in places]
            except csv.Error as error:
                raise InvalidDatasetError(
                    "the list is damaged",
                    where=self.where,
                    accepted=f"line {reader.line_num}: {error}",
                    remedy="mend the quotes in it",
                ) from None

    def _json_rows(self, wanted: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        for line, found in json_lines(self.path, self.where, self.faults):
            odd = [name for name in wanted if isinstance(found.get(name), list | dict)]
            if odd:
                self.faults.append(f"line {line} has no text as {shown(odd[0])}")
                continue
            yield line, [text_of(found.get(name)) or "" for name in wanted]

    def listing(self) -> Listing:
        """The manifest as a list of pictures."""
        taken = [self.file, *([self.label] if self.label else [])]
        columns = f"the column{'s' if len(taken) > 1 else ''} {', '.join(map(shown, taken))}"
        reason = f"{shown(Path(self.path).name)} has {columns}"
        if self.label is None:
            reason += f", and none for the label ({', '.join(LABEL_COLUMNS[:3])})"
        return Listing(
            Layout("manifest", reason, self.path),
            self.path,
            self.where,
            ((row.file, row.label) for row in self.rows()),
            labelled=self.label is not None,
            faults=self.faults,
            own=(Path(self.path).name,),
        )


def read_manifest(path: str, where: str) -> Manifest:
    """The manifest at `path`, its columns read; refused where none names files. `where` is what messages call it."""
    if path.lower().endswith(".jsonl"):
        first = islice(json_lines(path, where, []), _FIRST_LINES)
        return Manifest(path, where, list({name: None for _, found in first for name in found}), "")
    tables = [(_header(path, where, mark), mark) for mark in _delimiters(path)]
    columns, delimiter = next((t for t in tables if _column(t[0], FILE_COLUMNS)), tables[0])
    twice = [name for name in dict.fromkeys(columns) if name and columns.count(name) > 1]
    if twice:
        raise InvalidDatasetError(
            "the list has columns of the same name",
            where=where,
            accepted=listed(twice),
            remedy="rename all but one",
        )
    return Manifest(path, where, columns, delimiter)


def _delimiters(path: str) -> str:
    return "\t" if path.lower().endswith(".tsv") else ",;\t"  # spreadsheets of many countries write ;


def _header(path: str, where: str, delimiter: str) -> list[str]:
    with opened(path, where) as text:
        try:
            return [
                name.strip()
                for name in next(csv.reader(text, delimiter=delimiter, skipinitialspace=True), [])
            ]
        except csv.Error as error:
            raise InvalidDatasetError(
                "the list is damaged", where=where, accepted=f"line 1: {error}", remedy="mend its header"
            ) from None


def _column(columns: Sequence[str], known: Sequence[str]) -> str | None:
    by_name: dict[str, Any] = {name.lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in known if name in by_name), None)
