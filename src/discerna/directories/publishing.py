"""A model directory appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from discerna.directories.model_files import MANIFEST, MODEL
from discerna.directories.write_aside import hidden_sibling, put, sync_folder, unwritable
from discerna.errors import OutputError
from discerna.wording import shown


def publish(
    output: Path,
    fill: Callable[[Path], None],
    *,
    overwrite: bool,
    aside: Path | None = None,
    before: Callable[[Path], None] = lambda whole: None,
) -> None:
    """Let `fill` write the files of a new directory, then make it stand at `output` in one step.

    It is written beside `output` under a hidden name, so that the last step is a rename on one disk; or at `aside`, of
    which the caller knows that it is his own and on that disk. `before` sees the whole directory before that step.
    """
    refuse_existing_output(output, overwrite)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        whole = aside or hidden_sibling(output)
        whole.mkdir()
    except OSError as error:
        raise unwritable(output, error) from None
    try:
        fill(whole)
        _sync(whole)
        before(whole)
        put(whole, output, overwrite)
    except OSError as error:
        raise unwritable(output, error) from None
    finally:
        # After an exchange the old directory lies here; after a plain rename nothing does.
        shutil.rmtree(whole, ignore_errors=True)


def refuse_existing_output(output: Path, overwrite: bool) -> None:
    """Refuse an output that exists, or cannot be written, before any work is done; leaves nothing behind."""
    where = f"output={shown(str(output))}"
    if os.path.lexists(output):
        if not overwrite:
            raise OutputError(
                "the output exists",
                where=where,
                accepted="nothing is ever overwritten unasked",
                remedy="choose another output, or pass overwrite=true",
            )
        if not _may_replace(output):
            raise OutputError(
                "the output exists and is no model directory",
                where=where,
                accepted="overwrite=true replaces a model directory or an empty one",
                remedy="choose another output, or remove it yourself",
            )
    place, new = output.parent, [output.name]
    try:
        for folder in output.parents:
            if (folder / MANIFEST).is_file() and (folder / MODEL).is_file():
                raise OutputError(
                    "the output lies in a model directory",
                    where=where,
                    accepted=f"{shown(str(folder))} must hold its own files only",
                    remedy="choose an output elsewhere",
                )
        while not os.path.lexists(place):
            new.append(place.name)
            place = place.parent
        Path(tempfile.mkdtemp(prefix=".discerna-", dir=place)).rmdir()
        if max(len(os.fsencode(name)) for name in new) > os.pathconf(place, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise unwritable(output, error) from None


def refuse_inside(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that lies in a directory which is only read, or that is itself an input."""
    place = output.parent.resolve() / output.name  # itself it may not exist yet
    for given in inputs:
        if given.exists() and place.is_relative_to(given.resolve()):
            raise OutputError(
                "the output lies in an input directory" if given.is_dir() else "the output is an input",
                where=f"output={shown(str(output))}",
                accepted=f"{shown(str(given))} is only read",
                remedy="choose an output elsewhere",
            )


def refuse_unless_replaceable(
    output: Path, overwrite: bool, inputs: Sequence[Path], replaceable: Callable[[Path], bool], kind: str
) -> None:
    """Refuse an output that lies in an input or around one, or exists and is not what overwriting may replace."""
    refuse_inside(output, inputs)
    for given in inputs if output.exists() else []:
        if given.resolve().is_relative_to(output.resolve()):
            raise OutputError(
                "an input lies in the output",
                where=f"output={shown(str(output))}",
                accepted=f"{shown(str(given))} is only read",
                remedy="choose an output elsewhere",
            )
    if not (overwrite and os.path.lexists(output)):
        refuse_existing_output(output, overwrite=False)
    elif output.is_symlink() or not replaceable(output):
        raise OutputError(
            "the output exists and cannot be replaced",
            where=f"output={shown(str(output))}",
            accepted=f"overwrite=true replaces {kind}",
            remedy="choose another output, or remove it yourself",
        )


def _may_replace(output: Path) -> bool:
    """Whether it is an empty directory or looks like a model directory, however old or damaged."""
    if output.is_symlink() or not output.is_dir():
        return False
    try:
        return not any(output.iterdir()) or all((output / name).is_file() for name in (MODEL, MANIFEST))
    except OSError:
        return False


def _sync(folder: Path) -> None:
    """Bring every file of the folder, and the folder itself, to the disk."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    sync_folder(folder)
