"""What is written beside its place under a hidden name, and put there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from discerna.errors import OutputError
from discerna.wording import shown

ASIDE = ".discerna-"
"""What hidden names begin with."""


def hidden_sibling(output: Path) -> Path:
    """A name beside `output` that nobody else has."""
    # The random part keeps apart processes on two machines that share a disk and a process number.
    return output.parent / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}"


def put(whole: Path, output: Path, overwrite: bool) -> None:
    """Make `whole` stand at `output`; a directory that stood there may lie at `whole` afterwards."""
    if not os.path.lexists(output):
        os.rename(whole, output)  # noqa: PTH104 - a name that tests can watch
    elif not overwrite:
        raise OSError(errno.EEXIST, "the output appeared while it was written")
    elif not whole.is_dir():
        os.replace(whole, output)  # noqa: PTH105
    elif not exchange(whole, output):
        aside = hidden_sibling(output)
        os.rename(output, aside)  # noqa: PTH104
        try:
            os.rename(whole, output)  # noqa: PTH104
        except BaseException:
            os.rename(aside, output)  # noqa: PTH104
            raise
        shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(OSError):  # it stands already, so this can no longer fail
        sync_folder(output.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two directories swap names in one step; False where the system cannot."""
    # Python has no name for it. Two renames, the other way, leave an instant without any output.
    name, here = ("renamex_np", ()) if sys.platform == "darwin" else ("renameat2", (-100,))  # AT_FDCWD
    with contextlib.suppress(OSError, AttributeError):
        swap = getattr(ctypes.CDLL(None), name)
        return swap(*here, os.fsencode(one), *here, os.fsencode(other), 2) == 0  # type: ignore[no-any-return]
    return False


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to; it becomes `path` in one step when the block ends, on the disk."""
    aside = path.with_name(f"{ASIDE}{path.name}.{os.getpid()}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    with contextlib.suppress(OSError):  # it stands already
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot, for folders
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def write_failures(where: str) -> Iterator[None]:
    """A full disk and the like, told in our words."""
    try:
        yield
    except BrokenPipeError:  # a reader of the standard output that has seen enough, as in `| head`
        raise
    except OSError as error:
        raise _unwritable(where, error) from None


def unwritable(output: Path, error: OSError) -> OutputError:
    """The error for an output that the system does not let us write."""
    return _unwritable(f"output={shown(str(output))}", error)


def _unwritable(where: str, error: OSError) -> OutputError:
    return OutputError(
        "the output cannot be written",
        where=where,
        accepted=error.strerror or shown(str(error)),
        remedy="choose another output, or make room and grant the right to write",
    )
