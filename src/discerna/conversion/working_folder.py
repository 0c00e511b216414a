"""The hidden folder beside the output in which it is made; after a kill the same command goes on with it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discerna.directories.file_lock import FileLock
from discerna.directories.write_aside import unwritable
from discerna.errors import OutputError
from discerna.wording import shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class WorkingFolder:
    """Where an output is made."""

    path: Path

    @property
    def unpacked(self) -> Path:
        """A folder for each archive."""
        return self.path / "unpacked"

    @property
    def made(self) -> Path:
        """What becomes the output."""
        return self.path / "made"

    @property
    def left_out(self) -> Path:
        """The list of what is not taken."""
        return self.path / "left-out"

    def keep_made_if(self, plan: str) -> None:
        """Empty `made` unless an earlier call began to fill it by the same plan."""
        file = self.path / "plan"
        same = self.made.is_dir() and file.is_file() and file.read_text("utf-8") == plan
        if not same:
            shutil.rmtree(self.made, ignore_errors=True)
            self.made.mkdir()
            file.write_text(plan, "utf-8")


@contextmanager
def working_folder(output: Path, identity: Any) -> Iterator[WorkingFolder]:
    """The folder for `output`: one that a killed call with the same `identity` left, or an empty one.

    It is removed when the block ends, well or by an error. A signal leaves it to be gone on with.
    """
    name = hashlib.blake2s(os.fsencode(output.name), digest_size=8).hexdigest()
    path = output.parent / f".discerna-convert-{name}"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path, output)
    except OSError as error:
        raise unwritable(output, error) from None
    try:
        _prepare(path, json.dumps(identity, sort_keys=True))
        yield WorkingFolder(path)
    except Exception as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise unwritable(output, error) from None
        raise
    except GeneratorExit:
        raise
    except BaseException:
        LOG.info("what is done so far stays in %s; the same command goes on with it", shown(str(path)))
        raise
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        lock.release()


def _lock(path: Path, output: Path) -> FileLock:
    """Make the folder ours alone; a lock ends with its process, however that ends."""
    while True:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise OutputError(
                "the working folder belongs to somebody else",
                where=shown(str(path)),
                remedy="choose another output, or have it removed",
            )
        try:
            lock = FileLock.take(path)
        except FileNotFoundError:  # the call that held it has removed the folder
            continue
        if lock is None:
            raise OutputError(
                "another convert is making this output",
                where=f"output={shown(str(output))}",
                remedy="wait for it, or choose another output",
            )
        return lock


def _prepare(path: Path, identity: str) -> None:
    file = path / "identity"
    if file.is_file() and file.read_text("utf-8") == identity:
        LOG.info("going on with an earlier call that was cut")
        return
    for entry in path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    file.write_text(identity, "utf-8")
