"""A model directory appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from discerna.directories.model_files import MANIFEST, MODEL
from discerna.errors import OutputError
from discerna.wording import shown


def publish(output: Path, fill: Callable[[Path], None], *, overwrite: bool) -> None:
    """Let `fill` write the files of a new directory, then make it stand at `output` in one step.

    It is written beside `output` under a hidden name, so that the last step is a rename on one disk.
    """
    refuse_existing_output(output, overwrite)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        whole = _hidden_sibling(output)
        whole.mkdir()
    except OSError as error:
        raise _unwritable(output, error) from None
    try:
        fill(whole)
        _sync(whole)
        _put(whole, output, overwrite)
    except OSError as error:
        raise _unwritable(output, error) from None
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
        raise _unwritable(output, error) from None


def refuse_inside(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that lies in a directory which is only read."""
    place = output.parent.resolve() / output.name  # itself it may not exist yet
    for folder in inputs:
        if folder.is_dir() and place.is_relative_to(folder.resolve()):
            raise OutputError(
                "the output lies in an input directory",
                where=f"output={shown(str(output))}",
                accepted=f"{shown(str(folder))} is only read",
                remedy="choose an output elsewhere",
            )


def _may_replace(output: Path) -> bool:
    """Whether it is an empty directory or looks like a model directory, however old or damaged."""
    if output.is_symlink() or not output.is_dir():
        return False
    try:
        return not any(output.iterdir()) or all((output / name).is_file() for name in (MODEL, MANIFEST))
    except OSError:
        return False


def _unwritable(output: Path, error: OSError) -> OutputError:
    return OutputError(
        "the output cannot be written",
        where=f"output={shown(str(output))}",
        accepted=error.strerror or shown(str(error)),
        remedy="choose another output, or make room and grant the right to write",
    )


def _hidden_sibling(output: Path) -> Path:
    # The random part keeps apart processes on two machines that share a disk and a process number.
    return output.parent / f".discerna-{os.getpid()}-{secrets.token_hex(4)}"


def _put(whole: Path, output: Path, overwrite: bool) -> None:
    """Make `whole` stand at `output`; what stood there lies at `whole` afterwards."""
    if not os.path.lexists(output):
        os.rename(whole, output)  # noqa: PTH104 - a name that tests can watch
    elif not overwrite:
        raise OSError(errno.EEXIST, "the output appeared while it was written")
    elif not _exchange(whole, output):
        aside = _hidden_sibling(output)
        os.rename(output, aside)  # noqa: PTH104
        try:
            os.rename(whole, output)  # noqa: PTH104
        except BaseException:
            os.rename(aside, output)  # noqa: PTH104
            raise
        shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(OSError):  # it stands already, so this can no longer fail
        _sync_folder(output.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Let two directories swap names in one step; False where the system cannot."""
    # Python has no name for it. Two renames, the other way, leave an instant without any output.
    name, here = ("renamex_np", ()) if sys.platform == "darwin" else ("renameat2", (-100,))  # AT_FDCWD
    with contextlib.suppress(OSError, AttributeError):
        swap = getattr(ctypes.CDLL(None), name)
        return swap(*here, os.fsencode(one), *here, os.fsencode(other), 2) == 0  # type: ignore[no-any-return]
    return False


def _sync(folder: Path) -> None:
    """Bring every file of the folder, and the folder itself, to the disk."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot, for folders
            raise
    finally:
        os.close(descriptor)
