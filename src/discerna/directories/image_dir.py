"""The index of an image directory: which pictures lie in it, and which label each has."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from discerna.directories.layout import (
    Fault,
    Layout,
    find_place,
    no_pictures,
    not_a_directory,
    unreadable,
)
from discerna.directories.picture_files import PICTURE_EXTENSIONS as PICTURE_EXTENSIONS
from discerna.directories.picture_files import Rest, read_folder, walk
from discerna.errors import InvalidDatasetError, combined
from discerna.wording import counted, listed, shown

StrPath = str | os.PathLike[str]

logger = logging.getLogger("discerna")


class ImageDirectory:
    """The pictures of a directory, in an order that is the same everywhere: by label, then by name in bytes.

    Kept in one block of bytes and two arrays, 13 bytes a picture besides its name. Forked workers share
    them, since reading them touches no reference counts.
    """

    root: Path
    """The directory, absolute."""
    labels: tuple[str, ...]
    """The folder names, sorted; empty when the true labels are not known."""
    ignored: int
    """How many hidden and system files and folders were passed over."""
    others: list[tuple[str, str]]
    """Every other file that is not used: its name relative to the root, and the reason."""

    def __init__(self, root: str, gathered: _Gathered, rest: Rest, *, labelled: bool) -> None:
        self.root = Path(root)
        self.ignored = rest.ignored
        self.others = sorted(rest.others)
        self._prefix = os.fsencode(root).rstrip(b"/") + b"/"
        self._names = bytes(gathered.names)
        self._starts = gathered.starts
        self.labels = tuple(sorted({label for label, count in gathered.runs if count})) if labelled else ()
        position = {label: index for index, label in enumerate(self.labels)}
        self._label_indices = array("i")
        for label, count in gathered.runs:
            self._label_indices.extend(array("i", [position.get(label, -1)]) * count)

    @classmethod
    def open(
        cls, path: StrPath, *, setting: str = "data", faults: list[Fault] | None = None
    ) -> ImageDirectory:
        """The labelled pictures of `path`, which lie as `path/<label>/<picture>`; nothing else will do.

        `setting` is what the user typed the path for; messages name it. Faults that leave labelled pictures are put
        into `faults` where it is given, instead of being raised.
        """
        given = os.fspath(path)
        place, is_directory = find_place(given, setting)
        if not is_directory:
            raise not_a_directory(given, setting)
        root = os.fsencode(place)
        rest, gathered = Rest(), _Gathered()
        loose, folders = _read_top(root, b"", rest, given, setting)
        for name in loose:
            rest.note(name, "no_label")
        layout = Layout(given, setting, rest, loose=[os.fsdecode(name) for name in loose])
        for folder in folders:
            found = walk(root, folder, rest)
            direct = [name for name in found if name.count(b"/") == 1]
            gathered.add(os.fsdecode(folder), direct)
            layout.add(os.fsdecode(folder), len(direct), found if len(found) > len(direct) else [])
        found_faults = layout.faults()
        if faults is not None:
            faults += found_faults
        elif found_faults:
            raise combined([fault.error for fault in found_faults])
        directory = cls(place, gathered, rest, labelled=True)
        directory._tell(setting)
        for twins in similar_labels(directory.labels):
            logger.warning("%s: labels that differ only in case or encoding: %s", setting, twins)
        return directory

    @classmethod
    def open_any(
        cls, paths: StrPath | Iterable[StrPath], *, setting: str = "data", labels: Collection[str] = ()
    ) -> ImageDirectory:
        """All pictures of a file, of a directory however deep, or of a list of those.

        True labels are known if, and only if, every picture lies exactly as `<directory>/<folder>/<picture>`
        in a directory that was given, and at least one of these folders is named in `labels` (the model's).
        Otherwise no picture has a label: a folder `2024-05` is a folder, not a label.

        Directories follow one another as given, each in the order of `open`. What is given twice, or lies
        inside another directory given, is used once.
        """
        given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        if not given:
            raise InvalidDatasetError(
                "no pictures are given",
                where=f"{setting}=[]",
                accepted="it takes picture files and directories",
            )
        places = {place: (is_dir, path) for path in given for place, is_dir in [find_place(path, setting)]}
        directories = {place for place, (is_dir, _) in places.items() if is_dir}
        root = os.path.commonpath([p if p in directories else str(Path(p).parent) for p in places])
        rest, gathered, labelled = Rest(), _Gathered(), True
        for place, (is_dir, path) in places.items():
            if not directories.isdisjoint(map(str, Path(place).parents)):
                continue
            name = b"" if place == root else os.fsencode(os.path.relpath(place, root))
            if is_dir:
                top = _read_top(os.fsencode(root), name, rest, path, setting)
                labelled &= _gather_all(os.fsencode(root), *top, gathered, rest)
            elif Path(place).suffix.lower() in PICTURE_EXTENSIONS:
                labelled = False
                gathered.add("", [name])
            else:
                rest.note(name, "unsupported_format")
        if not gathered.runs or not gathered.names:
            raise no_pictures(", ".join(given[:5]) + (", …" if len(given) > 5 else ""), setting, rest)
        labelled = labelled and any(label in labels for label, count in gathered.runs if count)
        directory = cls(root, gathered, rest, labelled=labelled)
        directory._tell(setting)
        return directory

    def __len__(self) -> int:
        return len(self._label_indices)

    def without(self, positions: Collection[int]) -> ImageDirectory:
        """The same directory but for the pictures at `positions`; labels that lose their last picture are gone."""
        gathered, left_out = _Gathered(), set(positions)
        runs: dict[int, list[bytes]] = {}
        for i in range(len(self)):
            if i not in left_out:
                runs.setdefault(self._label_indices[i], []).append(self._name(i))
        for index, names in runs.items():
            gathered.add("" if index < 0 else self.labels[index], names)
        rest = Rest(ignored=self.ignored, others=self.others)
        return ImageDirectory(str(self.root), gathered, rest, labelled=bool(self.labels))

    def path(self, i: int) -> str:
        """Where picture `i` lies, absolute."""
        return os.fsdecode(self._prefix + self._name(i))

    def name(self, i: int) -> str:
        """Picture `i` relative to the root, as `cat/1.jpg`; bytes that are no UTF-8 as surrogates."""
        return os.fsdecode(self._name(i))

    def label(self, i: int) -> str | None:
        """The label of picture `i`; None when it is not known."""
        index = self._label_indices[i]
        return None if index < 0 else self.labels[index]

    def label_index(self, i: int) -> int:
        """The position of picture `i`'s label in `labels`; -1 when it is not known."""
        return self._label_indices[i]

    def counts(self) -> dict[str, int]:
        """How many pictures each label has."""
        number = Counter(self._label_indices)
        return {label: number[index] for index, label in enumerate(self.labels)}

    def fingerprint(self) -> str:
        """SHA-256 over the labels and the names in their order; not over what the files hold."""
        digest = hashlib.sha256()
        for label in self.labels:
            digest.update(os.fsencode(label) + b"\0")
        digest.update(b"\0")
        digest.update(self._names)  # each name ends with a zero byte, which no name can hold
        return digest.hexdigest()

    def _name(self, i: int) -> bytes:
        if i < 0:
            raise IndexError(i)
        return self._names[self._starts[i] : self._starts[i + 1] - 1]

    def _tell(self, setting: str) -> None:
        logger.info(
            "%s: %s, %s%s",
            setting,
            counted(len(self), "picture"),
            counted(len(self.labels), "label") if self.labels else "labels unknown",
            f"; {counted(self.ignored, 'hidden or system file')} ignored" if self.ignored else "",
        )
        if self.others:
            named = ", ".join(f"{shown(name)} ({reason})" for name, reason in self.others[:5])
            more = f" … and {len(self.others) - 5} more" if len(self.others) > 5 else ""
            logger.warning("%s: %s not used: %s%s", setting, counted(len(self.others), "file"), named, more)


class _Gathered:
    """Names as they are found, already in the form in which they are kept."""

    def __init__(self) -> None:
        self.names = bytearray()
        self.starts = array("Q", [0])
        self.runs: list[tuple[str, int]] = []

    def add(self, label: str, names: list[bytes]) -> None:
        for name in names:
            self.names += name + b"\0"
            self.starts.append(len(self.names))
        self.runs.append((label, len(names)))


def _read_top(
    root: bytes, top: bytes, rest: Rest, given: str, setting: str
) -> tuple[list[bytes], list[bytes]]:
    """The pictures and the folders directly in a directory that was given; folders may be links here."""
    try:
        loose, folders = read_folder(root, top, rest, links=True)
    except OSError as error:
        raise unreadable(given, setting, error) from None
    return sorted(loose), sorted(folders, key=os.fsdecode)


def _gather_all(
    root: bytes, loose: list[bytes], folders: list[bytes], gathered: _Gathered, rest: Rest
) -> bool:
    """Add the loose pictures and all in the folders; whether they lie exactly in label folders."""
    gathered.add("", loose)
    exact = not loose
    for folder in folders:
        found = walk(root, folder, rest)
        gathered.add(os.fsdecode(folder.rpartition(b"/")[2]), found)
        exact = exact and all(name.count(b"/") == folder.count(b"/") + 1 for name in found)
    return exact


def similar_labels(labels: Iterable[str]) -> list[str]:
    """Labels that differ only in case, or in how an accent is encoded: seldom meant. `'Cat', 'cat'`."""
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(unicodedata.normalize("NFC", label).casefold(), []).append(label)
    return [listed(twins) for twins in alike.values() if len(twins) > 1]
