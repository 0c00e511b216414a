"""Where scores and figures go: refused before any work is done, and written whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from discerna.directories.publishing import refuse_existing_output, refuse_inside
from discerna.errors import OutputError
from discerna.wording import shown


def refuse_file(output: Path, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse a file that exists already, lies in one of the input directories, or cannot be written."""
    _refuse(output, overwrite, inputs, Path.is_file, "a file")


def refuse_folder(
    output: Path, overwrite: bool, inputs: Sequence[Path], mark: str, files: Sequence[str]
) -> None:
    """Refuse a folder likewise; overwriting replaces one that has the file `mark` and none but `files`."""

    def ours(folder: Path) -> bool:
        return (folder / mark).is_file() and set(os.listdir(folder)) <= set(files)

    _refuse(output, overwrite, inputs, ours, f"a folder of {', '.join(files)} and nothing else")


def _refuse(
    output: Path, overwrite: bool, inputs: Sequence[Path], replaceable: Callable[[Path], bool], kind: str
) -> None:
    where = f"output={shown(str(output))}"
    refuse_inside(output, inputs)
    if not (overwrite and os.path.lexists(output)):
        refuse_existing_output(output, overwrite=False)
    elif output.is_symlink() or not replaceable(output):
        raise OutputError(
            "the output exists and cannot be replaced",
            where=where,
            accepted=f"overwrite=true replaces {kind}",
            remedy="choose another output, or remove it yourself",
        )


@contextmanager
def whole_file(output: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """A file that stands at `output` once the block has ended well; nothing of it stays otherwise."""
    where = f"output={shown(str(output))}"
    part = _hidden_sibling(output)
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
            _refuse_appeared(output, overwrite)
            part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which stands at `output` once the block has ended well."""
    where = f"output={shown(str(output))}"
    part = _hidden_sibling(output)
    with write_failures(where):
        output.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    try:
        yield part
        with write_failures(where):
            _refuse_appeared(output, overwrite)
            _put(part, output)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def write_failures(where: str) -> Iterator[None]:
    """A full disk and the like, told in our words."""
    try:
        yield
    except BrokenPipeError:  # a reader of the standard output that has seen enough, as in `| head`
        raise
    except OSError as error:
        raise OutputError(
            "the output cannot be written",
            where=where,
            accepted=error.strerror or shown(str(error)),
            remedy="choose another output, or make room and grant the right to write",
        ) from None


def _hidden_sibling(output: Path) -> Path:
    # The random part keeps apart processes on two machines that share a disk and a process number.
    return output.parent / f".discerna-{os.getpid()}-{secrets.token_hex(4)}"


def _refuse_appeared(output: Path, overwrite: bool) -> None:
    if os.path.lexists(output) and not overwrite:
        raise FileExistsError(0, "the output appeared while it was written")


def _put(part: Path, output: Path) -> None:
    """Make the folder `part` stand at `output`; a folder cannot replace a full one in a single step."""
    if not os.path.lexists(output):
        part.rename(output)
        return
    aside = _hidden_sibling(output)
    output.rename(aside)
    try:
        part.rename(output)
    except BaseException:
        aside.rename(output)
        raise
    shutil.rmtree(aside, ignore_errors=True)
