"""The files that hold a table of scores: CSV, and Parquet through pyarrow."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from discerna.errors import MissingExtraError, SettingsError
from discerna.results.score_columns import Cell, Column, Columns
from discerna.wording import shown

CELLS = 4_000_000
"""A row group of Parquet holds about so many probabilities, 16 MB, before it goes to the disk."""


class Row(NamedTuple):
    """One picture's cells; its texts can be encoded as UTF-8."""

    before: Sequence[Cell]
    probabilities: NDArray[np.float32] | None
    """None where the picture cannot be read."""
    after: Sequence[Cell]


class ScoresFile(Protocol):
    """Takes rows, and must be closed after the last."""

    def put(self, rows: Sequence[Row]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left."""


EXTENSIONS = (".csv", ".parquet")


def format_of(output: Path) -> Literal["csv", "parquet"]:
    """The format that the extension asks for; refuses others, and Parquet without its package."""
    match output.suffix.lower():
        case ".csv":
            return "csv"
        case ".parquet":
            import_pyarrow(f"output={shown(output.name)}")
            return "parquet"
    raise SettingsError(
        "unknown format of scores",
        where=f"output={shown(str(output))}",
        accepted="its name ends with .csv or .parquet",
        remedy=f"use output={shown(output.name)}.csv",
    )


def import_pyarrow(purpose: str) -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet, or the error that `purpose` needs them."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError.of("pyarrow", "table", purpose) from None
    return pyarrow, parquet


class CsvFile:
    """Comma-separated values in UTF-8 with a header; numbers in nine digits, which give the float32 back."""

    def __init__(self, put: Callable[[str], object], columns: Columns) -> None:
        self._put = put
        self._none = [""] * len(columns.labels)
        self._lines: list[str] = []
        # With this terminator, and only with it, every Python quotes a cell that has a \r or a \n in it.
        self._writer = csv.writer(self, lineterminator="\r\n")
        self._writer.writerow(columns.names)
        self._flush()

    def write(self, line: str) -> None:
        """Take a line from the csv module; lines end with \\n in the file, as Unix tools expect."""
        self._lines.append(line.removesuffix("\r\n") + "\n")

    def put(self, rows: Sequence[Row]) -> None:
        """Add rows; None becomes an empty cell."""
        for row in rows:
            scores = self._none
            if row.probabilities is not None:
                scores = [f"{score:.9g}" for score in row.probabilities.tolist()]
            self._writer.writerow([*row.before, *scores, *row.after])
        self._flush()

    def close(self) -> None:
        """Nothing is left: each row has been written."""

    def _flush(self) -> None:
        self._put("".join(self._lines))
        self._lines.clear()


class ParquetFile:
    """Apache Parquet, a row group at a time; null where CSV has an empty cell."""

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        self._arrow, parquet = import_pyarrow("Parquet")
        self._columns = columns
        self._group = max(1, CELLS // len(columns.labels))
        self._rows: list[Row] = []
        kinds = [
            *map(self._kind, columns.before),
            *[self._arrow.float32()] * len(columns.labels),
            *map(self._kind, columns.after),
        ]
        self._schema = self._arrow.schema(list(zip(columns.names, kinds, strict=True)))
        self._writer = parquet.ParquetWriter(file, self._schema)

    def put(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._rows += rows
        while len(self._rows) >= self._group:
            self._write(self._rows[: self._group])
            del self._rows[: self._group]

    def close(self) -> None:
        """Write the last row group and the index at the end of the file."""
        if self._rows:
            self._write(self._rows)
            self._rows = []
        self._writer.close()

    def _write(self, rows: Sequence[Row]) -> None:
        pa = self._arrow
        nothing = np.zeros(len(self._columns.labels), np.float32)
        scores = np.stack([nothing if row.probabilities is None else row.probabilities for row in rows])
        missing = np.array([row.probabilities is None for row in rows])
        arrays = [
            *self._arrays(self._columns.before, [row.before for row in rows]),
            *(pa.array(column, pa.float32(), mask=missing) for column in np.ascontiguousarray(scores.T)),
            *self._arrays(self._columns.after, [row.after for row in rows]),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(rows))

    def _arrays(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[Any]:
        cells = zip(*rows, strict=True)
        return [self._arrow.array(column, self._kind(of)) for of, column in zip(columns, cells, strict=True)]

    def _kind(self, column: Column) -> Any:
        return self._arrow.string() if column.kind == "text" else self._arrow.int64()
