"""The scores: a row for each picture, written while the pictures are scored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from discerna.directories.write_aside import write_failures
from discerna.results.destination import refuse_file, whole_file
from discerna.results.predictor import ScoredBatch
from discerna.results.score_columns import Cell, Column, Columns, Scored
from discerna.results.score_files import CsvFile, ParquetFile, Row, ScoresFile, format_of
from discerna.wording import shown, unicode_text


class ScoresTable:
    """Takes scored batches and writes their rows, in the order of the image directory."""

    def __init__(self, file: ScoresFile, columns: Columns, where: str) -> None:
        self._file = file
        self._columns = columns
        self._where = where

    def write(self, batch: ScoredBatch) -> None:
        """Add the rows of a batch."""
        labels = self._columns.labels
        best = batch.probabilities.argmax(1).tolist()
        rows = {
            i: self._row(Scored(i, labels[label], None), scores)
            for i, label, scores in zip(batch.indices, best, batch.probabilities, strict=True)
        }
        rows |= {i: self._row(Scored(i, None, error.cause), None) for i, error in batch.errors}
        with write_failures(self._where):
            self._file.put([rows[i] for i in sorted(rows)])

    def _row(self, picture: Scored, scores: NDArray[np.float32] | None) -> Row:
        return Row(_cells(self._columns.before, picture), scores, _cells(self._columns.after, picture))


def refuse_scores(output: Path, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse a file in no format of scores, and one that exists already or cannot be written."""
    format_of(output)
    refuse_file(output, overwrite, inputs)


@contextmanager
def open_scores(
    output: Path | None, columns: Columns, *, overwrite: bool = False, where: str = ""
) -> Iterator[ScoresTable]:
    """A table at `output`, CSV or Parquet by its extension; None: CSV on the standard output.

    A file appears whole when the block has ended well, and not at all otherwise. `where` is what messages call it,
    by default its own path.
    """
    if output is None:
        where = "the standard output"
        with write_failures(where):
            lines = CsvFile(_standard_output(), columns)
        yield ScoresTable(lines, columns, where)
        return
    where = where or f"output={shown(str(output))}"
    kind = format_of(output)
    with whole_file(output, overwrite, where) as file:
        rows: ScoresFile = CsvFile(_encoded(file), columns) if kind == "csv" else ParquetFile(file, columns)
        try:
            yield ScoresTable(rows, columns, where)
            with write_failures(where):
                rows.close()
        except BaseException:
            with suppress(Exception):  # frees what the library holds; the file goes anyway
                rows.close()
            raise


def _cells(columns: Sequence[Column], picture: Scored) -> list[Cell]:
    cells = (column.cell(picture) for column in columns)
    return [unicode_text(cell) if isinstance(cell, str) else cell for cell in cells]


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
