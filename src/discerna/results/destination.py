"""Where scores and figures go: refused before any work is done, and written whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from discerna.directories.publishing import refuse_unless_replaceable
from discerna.directories.write_aside import hidden_sibling, put, write_failures
from discerna.wording import shown


def refuse_file(output: Path, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse a file that exists already, lies in one of the input directories, or cannot be written."""
    refuse_unless_replaceable(output, overwrite, inputs, Path.is_file, "a file")


def refuse_folder(
    output: Path, overwrite: bool, inputs: Sequence[Path], mark: str, files: Sequence[str]
) -> None:
    """Refuse a folder likewise; overwriting replaces one that has the file `mark` and none but `files`."""

    def ours(folder: Path) -> bool:
        return (folder / mark).is_file() and set(os.listdir(folder)) <= set(files)

    kind = f"a folder of {', '.join(files)} and nothing else"
    refuse_unless_replaceable(output, overwrite, inputs, ours, kind)


@contextmanager
def whole_file(output: Path, overwrite: bool, where: str) -> Iterator[BinaryIO]:
    """A file that stands at `output` once the block has ended well; nothing of it stays otherwise.

    `where` is what messages call it.
    """
    part = hidden_sibling(output)
    with write_failures(where):
        output.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("xb")
    try:
        try:
            yield file
            with write_failures(where):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with write_failures(where):  # closing writes what is still in the buffer
                file.close()
        with write_failures(where):
            put(part, output, overwrite)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which stands at `output` once the block has ended well."""
    where = f"output={shown(str(output))}"
    part = hidden_sibling(output)
    with write_failures(where):
        output.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    try:
        yield part
        with write_failures(where):
            put(part, output, overwrite)
    finally:
        shutil.rmtree(part, ignore_errors=True)
