"""What an input is: one directory, one archive, or a folder of archives; each opened as pictures with labels."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from discerna.archives.archive import DAMAGE
from discerna.archives.recognition import is_archive, open_archive
from discerna.archives.unpacking import IGNORED, unpack
from discerna.conversion.labelling import Pictures, read
from discerna.conversion.left_out import LeftOut, read_list, write_list
from discerna.conversion.tree import holds_pictures, is_part, tree_of
from discerna.conversion.working_folder import WorkingFolder
from discerna.directories.layout import find_place, unreadable
from discerna.directories.picture_files import PICTURE_EXTENSIONS, Rest, read_folder
from discerna.errors import DatasetError, InvalidDatasetError
from discerna.progress import Progress
from discerna.wording import listed, shown

LISTS = (".csv", ".tsv", ".json", ".jsonl")
"""A file of such a name is given for a list of pictures, not for an archive."""


@dataclass(frozen=True)
class Source:
    """Pictures that become one folder of the output, or the whole of it."""

    part: str
    """The folder's name; "" for the whole."""
    root: Path
    """Names of origin are relative to it."""
    pictures: Pictures
    archive: str | None
    """Of several archives the one that they come from."""
    unpacked: bool
    """Whether they come from an archive at all."""

    def origin(self, name: str) -> str:
        """A name relative to the pictures' directory as one relative to the input, or in the archive."""
        return name if self._above == "." else os.path.normpath(f"{self._above}/{name}")

    @cached_property
    def _above(self) -> str:
        return os.path.relpath(self.pictures.directory.root, self.root)


def archives_in(given: Path) -> list[Path]:
    """The archives that the input is or holds; none where it is a directory of pictures or a list of them."""
    place, is_directory = find_place(str(given), "input")
    if not is_directory:
        return [] if given.suffix.lower() in LISTS else [Path(place)]
    folder, rest = os.fsencode(place), Rest()
    try:
        _, folders = read_folder(folder, b"", rest, links=False)
        while len(folders) == 1 and not rest.others:  # it only wraps another
            folder += b"/" + folders[0]
            _, folders = read_folder(folder, b"", rest, links=False)
    except OSError as error:
        raise unreadable(str(given), "input", error) from None
    if holds_pictures(folder):
        return []
    files = [Path(os.fsdecode(folder), name) for name, _ in sorted(rest.others)]
    return [path for path in files if path.is_file() and _is_archive(path)]


def open_directory(given: Path, left_out: LeftOut) -> list[Source]:
    """The sources of a directory, or of a file that lists pictures."""
    if not given.is_dir():
        return [Source("", given.parent, read(given), None, unpacked=False)]
    return _sources(given, given, None, left_out)


def open_archives(
    archives: list[Path], working: WorkingFolder, left_out: LeftOut, progress: Progress
) -> list[Source]:
    """Unpack the archives one after another, and open what they hold."""
    sources: list[Source] = []
    for number, path in enumerate(archives):
        folder = working.unpacked / str(number)
        several = path.name if len(archives) > 1 else None
        for name, reason in read_list(_unpacked(path, folder, progress)):
            if reason == IGNORED:
                left_out.ignored += 1
            else:
                left_out.add(name, reason, several)
        if holds_pictures(os.fsencode(folder)):
            sources += _sources(folder, path, several, left_out)
        elif several:
            left_out.add(path.name, "no_pictures")
    if not sources:
        raise nothing_usable(archives[0].parent if len(archives) > 1 else archives[0], left_out)
    if len({bool(source.part) for source in sources}) > 1:
        without = [source.archive for source in sources if source.archive and not source.part]
        raise InvalidDatasetError(
            "some of the archives hold parts such as train and valid, others do not",
            where=f"input={shown(str(archives[0].parent))}",
            accepted=f"without are {listed(without, 5)}",
            remedy="convert them one at a time",
        )
    return sources


def nothing_usable(given: Path, left_out: LeftOut) -> InvalidDatasetError:
    """The error for an input without a picture; says what it holds instead."""
    return InvalidDatasetError(
        "there are no pictures in it",
        where=f"input={shown(str(given))}",
        accepted="; ".join(left_out.lines()) or "it holds no files",
        remedy=f"pictures end with {' '.join(sorted(PICTURE_EXTENSIONS))}",
    )


def _sources(root: Path, given: Path, archive: str | None, left_out: LeftOut) -> list[Source]:
    """The directories in a tree; of one among several archives the name may tell the part."""
    tree = tree_of(root)
    left_out.ignored += tree.beside.ignored
    for name, reason in tree.beside.others:
        left_out.add(name, reason, archive)
    stem = archive.partition(".")[0] if archive else ""
    found = []
    for part, folder in tree.parts:
        try:
            pictures = read(folder)
        except DatasetError as error:
            raise _told_of(error, root, given) from None
        named = part or (stem if is_part(stem) else "")
        named = named if archive or len(tree.parts) > 1 else ""
        found.append(Source(named, root, pictures, archive, unpacked=root != given))
    return found


def _unpacked(path: Path, folder: Path, progress: Progress) -> Path:
    """Unpack an archive unless an earlier call did; the list of what it left out."""
    done, unfinished = (folder.with_name(f"{folder.name}.{end}") for end in ("left-out", "unfinished"))
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with closing(open_archive(path)) as archive:
            write_list(unfinished, unpack(archive, folder, progress))
        unfinished.rename(done)
    return done


def _told_of(error: DatasetError, hidden: Path, given: Path) -> DatasetError:
    """The same error in words of what the user gave, not of the folder that it was unpacked to."""
    problem, where, accepted, remedy = (
        text.replace(shown(str(hidden)), shown(str(given)))
        for text in (error.problem, error.where, error.accepted, error.remedy)
    )
    return type(error)(problem, where=where, accepted=accepted, remedy=remedy)


def _is_archive(path: Path) -> bool:
    try:
        return is_archive(path)
    except (DatasetError, *DAMAGE):
        return False
