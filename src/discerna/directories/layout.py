"""What can be wrong with the place or the layout of an image directory, each fault with its remedy."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from discerna.directories.picture_files import PICTURE_EXTENSIONS, Rest
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError
from discerna.settings.build import nearest
from discerna.wording import counted, listed, shown

_FORMATS = f"pictures end with {' '.join(sorted(PICTURE_EXTENSIONS))}"


def find_place(given: str, setting: str) -> tuple[str, bool]:
    """The absolute path, and whether it is a directory; refuses what is missing, and model directories."""
    where = _where(given, setting)
    path = Path(given)
    try:
        mode = path.stat().st_mode
        is_directory = stat.S_ISDIR(mode)
        is_model = is_directory and (path / "manifest.json").exists() and (path / "model.json").exists()
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path, where) from None
    except OSError as error:
        raise unreadable(given, setting, error) from None
    if not is_directory and not stat.S_ISREG(mode):
        raise InvalidDatasetError(
            "this is a pipe or a device",
            where=where,
            accepted="a directory of pictures, or a picture",
            remedy="write what it gives into a file and pass that",
        )
    if is_model:
        raise InvalidDatasetError(
            "this is a model directory, not an image directory",
            where=where,
            accepted="a directory of pictures",
            remedy="pass a model directory as model=",
        )
    return os.path.abspath(given), is_directory  # noqa: PTH100 - Path.absolute keeps `..`


def not_a_directory(given: str, setting: str) -> InvalidDatasetError:
    """The error for a file where labelled pictures are expected."""
    return InvalidDatasetError(
        "this is a file, not a directory",
        where=_where(given, setting),
        accepted="a directory with a folder for each label",
        remedy="discerna convert makes a directory of an archive",
    )


def unreadable(given: str, setting: str, error: OSError) -> InvalidDatasetError:
    """The error for a directory that the machine does not let us read."""
    return InvalidDatasetError(
        "it cannot be read",
        where=_where(given, setting),
        accepted=error.strerror or str(error),
        remedy="check the permissions of it and of the directories above it",
    )


def no_pictures(given: str, setting: str, rest: Rest) -> InvalidDatasetError:
    """The error for a place without a picture; says what lies there instead."""
    where = _where(given, setting)
    if not rest.others:
        hidden = f"only {counted(rest.ignored, 'hidden or system file')}" if rest.ignored else ""
        return InvalidDatasetError("there are no files in it", where=where, accepted=hidden, remedy=_FORMATS)
    kinds = Counter(
        PurePosixPath(name).suffix or "no extension" if reason == "unsupported_format" else reason
        for name, reason in rest.others
    )
    found = ", ".join(f"{shown(kind)} ({count})" for kind, count in kinds.most_common(5))
    return InvalidDatasetError(
        "there are no pictures in it", where=where, accepted=f"it holds {found}", remedy=_FORMATS
    )


@dataclass(frozen=True)
class Fault:
    """What is wrong with how pictures lie, where the pictures themselves can be read all the same."""

    code: str
    folders: list[str]
    error: InvalidDatasetError


class Layout:
    """How pictures lie in a directory that should hold them as `<label>/<picture>`."""

    def __init__(self, given: str, setting: str, rest: Rest, *, loose: list[str]) -> None:
        self.given = given
        self.setting = setting
        self.rest = rest
        self.loose = loose
        self.direct: dict[str, int] = {}
        self.deep: set[str] = set()

    def add(self, folder: str, direct: int, found: list[bytes]) -> None:
        """A folder with `direct` pictures; `found`, where some lie deeper, are the names of all in it."""
        self.direct[folder] = direct
        self.deep.update(os.fsdecode(name.rpartition(b"/")[0]) for name in found)
        self.deep.discard(folder)

    def faults(self) -> list[Fault]:
        """What is wrong, unless all pictures lie in two or more label folders, each of which holds one.

        Raises where there are no labelled pictures at all.
        """
        if not any(self.direct.values()):
            if self.deep:
                raise self._too_deep()
            raise self._loose() if self.loose else no_pictures(self.given, self.setting, self.rest)
        faults = []
        if self.deep:
            problem = "label folders hold folders with pictures"
            remedy = "a label is one folder; move the pictures up into it, or the folders elsewhere"
            faults.append(self._fault("nested", problem, sorted(self.deep), remedy))
        holders = {folder.partition("/")[0] for folder in self.deep}
        bare = [folder for folder, count in self.direct.items() if not count and folder not in holders]
        closed = {name for name, reason in self.rest.others if reason == "unreadable"}
        if hidden := [folder for folder in bare if folder in closed]:
            problem = "label folders cannot be read"
            faults.append(self._fault("unreadable", problem, hidden, "check their permissions"))
        if empty := [folder for folder in bare if folder not in closed]:
            remedy = f"put pictures into them or remove them; {_FORMATS}"
            faults.append(self._fault("empty_label", "label folders without a picture", empty, remedy))
        if len(self.direct) == 1:
            remedy = (
                f"at least two labels are needed; {self.setting} is the directory that holds their folders"
            )
            faults.append(self._fault("one_label", "there is only one label", list(self.direct), remedy))
        return faults

    def _fault(self, code: str, problem: str, folders: list[str], remedy: str) -> Fault:
        where = _where(self.given, self.setting)
        error = InvalidDatasetError(problem, where=where, accepted=listed(folders), remedy=remedy)
        return Fault(code, folders, error)

    def _loose(self) -> NotLabeledDatasetError:
        first = shown(self.loose[0])
        return NotLabeledDatasetError(
            "the pictures lie in no label folders",
            where=_where(self.given, self.setting),
            accepted=f"it holds {counted(len(self.loose), 'picture')} directly, such as {first}",
            remedy=f"move each into a folder named after its label: {shown(self.given)}/<label>/{first}",
        )

    def _too_deep(self) -> NotLabeledDatasetError:
        """Where `flowers/rose` holds pictures, `flowers` is what to pass."""
        holders = sorted({folder.rpartition("/")[0] for folder in self.deep})
        choices = [f"{self.setting}={shown(str(Path(self.given, holder)))}" for holder in holders[:5]]
        deeper = "too deep" if any("/" in holder for holder in holders) else "one level too deep"
        return NotLabeledDatasetError(
            f"the label folders lie {deeper}",
            where=_where(self.given, self.setting),
            accepted=f"pictures lie in {listed(sorted(self.deep), 5)}",
            remedy=f"use {' or '.join(choices)}",
        )


def _where(given: str, setting: str) -> str:
    return f"{setting}={shown(given)}"


def _missing(path: Path, where: str) -> InvalidDatasetError:
    try:
        siblings = os.listdir(path.parent)
    except OSError:
        siblings = []
    near = nearest(path.name, siblings)
    return InvalidDatasetError(
        "this link leads nowhere" if path.is_symlink() else "there is no such file or directory",
        where=where,
        accepted="" if siblings else f"{shown(str(path.parent))} does not exist or is empty",
        remedy=near or "check the path",
    )
