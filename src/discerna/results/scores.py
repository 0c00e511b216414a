"""The scores: a row for each picture, as CSV or Parquet, written while the pictures are scored."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.write_aside import write_failures
from discerna.errors import MissingExtraError, SettingsError
from discerna.results.destination import whole_file
from discerna.results.predictor import ScoredBatch
from discerna.wording import shown

PROBABILITIES = "Scored Probabilities_"
CELLS = 4_000_000
"""A row group of Parquet holds about so many probabilities, 16 MB, before it goes to the disk."""


class Row(NamedTuple):
    """One picture's scores."""

    file: str
    label: str | None
    """The true label, None where it is not known."""
    scored: str | None
    """The most probable label, None where the picture cannot be read."""
    probabilities: NDArray[np.float32] | None
    error: str | None


class _Sink(Protocol):
    def put(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class ScoresTable:
    """Takes scored batches and writes their rows, in the order of the image directory."""

    def __init__(
        self, sink: _Sink, data: ImageDirectory, labels: Sequence[str], name: Callable[[int], str], where: str
    ) -> None:
        self._sink = sink
        self._data = data
        self._labels = labels
        self._name = name
        self._where = where

    def write(self, batch: ScoredBatch) -> None:
        """Add the rows of a batch."""
        best = batch.probabilities.argmax(1).tolist()
        rows = {
            i: self._row(i, self._labels[label], scores, None)
            for i, label, scores in zip(batch.indices, best, batch.probabilities, strict=True)
        }
        rows |= {i: self._row(i, None, None, error.cause) for i, error in batch.errors}
        with write_failures(self._where):
            self._sink.put([rows[i] for i in sorted(rows)])

    def _row(self, i: int, scored: str | None, scores: NDArray[np.float32] | None, error: str | None) -> Row:
        return Row(self._name(i), self._data.label(i), scored, scores, error)


@contextmanager
def open_scores(
    output: Path | None,
    data: ImageDirectory,
    labels: Sequence[str],
    *,
    name: Callable[[int], str] | None = None,
    overwrite: bool = False,
) -> Iterator[ScoresTable]:
    """A table of `data` at `output`, CSV or Parquet by its extension; None: CSV on the standard output.

    `name` gives the column `file`, by default the name relative to the directory. A file appears whole
    when the block has ended well, and not at all otherwise.
    """
    name = data.name if name is None else name
    if output is None:
        with write_failures("the standard output"):
            sink = _Csv(_standard_output(), labels)
        yield ScoresTable(sink, data, labels, name, "the standard output")
        return
    where = f"output={shown(str(output))}"
    kind = format_of(output)
    with whole_file(output, overwrite) as file:
        rows: _Sink = _Csv(_encoded(file), labels) if kind == "csv" else _Parquet(file, labels)
        try:
            yield ScoresTable(rows, data, labels, name, where)
            with write_failures(where):
                rows.close()
        except BaseException:
            with suppress(Exception):  # frees what the library holds; the file goes anyway
                rows.close()
            raise


def format_of(output: Path) -> Literal["csv", "parquet"]:
    """The format that the extension asks for; refuses others, and Parquet without its package."""
    match output.suffix.lower():
        case ".csv":
            return "csv"
        case ".parquet":
            _pyarrow(output.name)
            return "parquet"
    raise SettingsError(
        "unknown format of scores",
        where=f"output={shown(str(output))}",
        accepted="its name ends with .csv or .parquet",
        remedy=f"use output={shown(output.name)}.csv",
    )


def unicode_text(text: str) -> str:
    r"""The text with bytes that are no UTF-8 as escapes: `caf\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def columns(labels: Sequence[str]) -> list[str]:
    """The names of all columns."""
    return [
        "file",
        "label",
        "Scored Labels",
        *(unicode_text(f"{PROBABILITIES}{label}") for label in labels),
        "error",
    ]


class _Csv:
    """Comma-separated values in UTF-8 with a header; numbers in nine digits, which give the float32 back."""

    def __init__(self, put: Callable[[str], object], labels: Sequence[str]) -> None:
        self._put = put
        self._none = [""] * len(labels)
        self._lines: list[str] = []
        # With this terminator, and only with it, every Python quotes a cell that has a \r or a \n in it.
        self._writer = csv.writer(self, lineterminator="\r\n")
        self._writer.writerow(columns(labels))
        self._flush()

    def write(self, line: str) -> None:
        """Take a line from the csv module; lines end with \\n in the file, as Unix tools expect."""
        self._lines.append(line.removesuffix("\r\n") + "\n")

    def put(self, rows: Sequence[Row]) -> None:
        for row in rows:
            scores = self._none
            if row.probabilities is not None:
                scores = [f"{score:.9g}" for score in row.probabilities.tolist()]
            first = (unicode_text(row.file), unicode_text(row.label or ""), unicode_text(row.scored or ""))
            self._writer.writerow([*first, *scores, unicode_text(row.error or "")])
        self._flush()

    def close(self) -> None:
        pass

    def _flush(self) -> None:
        self._put("".join(self._lines))
        self._lines.clear()


def _encoded(file: BinaryIO) -> Callable[[str], object]:
    return lambda text: file.write(text.encode())


def _standard_output() -> Callable[[str], object]:
    """A function that writes to the standard output in UTF-8, whatever the terminal's encoding."""
    stream: Any = sys.stdout
    stream.flush()
    buffer = getattr(stream, "buffer", None)  # a notebook's standard output has none

    def put(text: str) -> None:
        if buffer is None:
            stream.write(text)
            stream.flush()
        else:
            buffer.write(text.encode())
            buffer.flush()

    return put


class _Parquet:
    """Apache Parquet through pyarrow, a row group at a time; null where CSV has an empty cell."""

    def __init__(self, file: BinaryIO, labels: Sequence[str]) -> None:
        self._arrow, parquet = _pyarrow("scores.parquet")
        self._labels = len(labels)
        self._group = max(1, CELLS // self._labels)
        self._rows: list[Row] = []
        text, number = self._arrow.string(), self._arrow.float32()
        kinds = [text, text, text, *[number] * self._labels, text]
        self._schema = self._arrow.schema(list(zip(columns(labels), kinds, strict=True)))
        self._writer = parquet.ParquetWriter(file, self._schema)

    def put(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        while len(self._rows) >= self._group:
            self._write(self._rows[: self._group])
            del self._rows[: self._group]

    def close(self) -> None:
        if self._rows:
            self._write(self._rows)
            self._rows = []
        self._writer.close()

    def _write(self, rows: Sequence[Row]) -> None:
        nothing = np.zeros(self._labels, np.float32)
        scores = np.stack([nothing if row.probabilities is None else row.probabilities for row in rows])
        missing = np.array([row.probabilities is None for row in rows])
        pa = self._arrow
        arrays = [
            self._texts([row.file for row in rows]),
            self._texts([row.label for row in rows]),
            self._texts([row.scored for row in rows]),
            *(pa.array(column, pa.float32(), mask=missing) for column in np.ascontiguousarray(scores.T)),
            self._texts([row.error for row in rows]),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(rows))

    def _texts(self, texts: Sequence[str | None]) -> Any:
        valid = [None if text is None else unicode_text(text) for text in texts]
        return self._arrow.array(valid, self._arrow.string())


def _pyarrow(name: str) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError.of("pyarrow", "table", f"output={shown(name)}") from None
    return pyarrow, parquet
