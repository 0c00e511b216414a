"""The index of an image directory: which pictures lie in it, and which label each has."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from discerna.directories.gathered import Gathered
from discerna.directories.layout import Fault, Layout, find_place, no_pictures, not_a_directory
from discerna.directories.picture_files import PICTURE_EXTENSIONS as PICTURE_EXTENSIONS
from discerna.directories.picture_files import Rest
from discerna.directories.reading import Reading, read_directory, read_file
from discerna.errors import InvalidDatasetError, combined
from discerna.wording import counted, listed, shown

StrPath = str | os.PathLike[str]

logger = logging.getLogger("discerna")


class ImageDirectory:
    """The pictures of a directory, in an order that is the same everywhere: by label, then by name in bytes.

    Kept in one block of bytes and an array, 9 bytes a picture besides its name. Forked workers share them,
    since reading them touches no reference counts; spawned ones get a copy.
    """

    root: Path
    """The directory, or the folder of the file that lists the pictures; absolute."""
    place: Path
    """What was given: the directory, or the file that lists the pictures; of several places their root."""
    layout: Layout
    """How the pictures lie, and by what that was recognised."""
    labels: tuple[str, ...]
    """The labels, sorted; empty when the true labels are not known."""
    ignored: int
    """How many hidden and system files and folders were passed over."""
    others: list[tuple[str, str]]
    """Every other file that is not used: its name relative to the root, and the reason."""

    def __init__(self, root: str, place: str, gathered: Gathered, rest: Rest, layout: Layout) -> None:
        self.root = Path(root)
        self.place = Path(place)
        self.layout = layout
        self.ignored = rest.ignored
        self.others = sorted(rest.others)
        self._prefix = os.fsencode(root).rstrip(b"/") + b"/"
        self._names = gathered.names
        self._starts = gathered.starts
        runs = [(label, count) for label, count in gathered.runs if count]
        self.labels = tuple(sorted({label for label, _ in runs if label is not None}))
        position = {label: index for index, label in enumerate(self.labels)}
        self._run_labels = array("i", [-1 if label is None else position[label] for label, _ in runs])
        self._run_ends = array("Q", accumulate(count for _, count in runs))

    @classmethod
    def open(
        cls,
        path: StrPath,
        *,
        setting: str = "data",
        nested: bool = False,
        faults: list[Fault] | None = None,
    ) -> ImageDirectory:
        """The labelled pictures of `path`: in label folders, or in a list that gives each a label.

        With `nested` label folders may hold folders. `setting` is what the user typed the path for; messages name it.
        Faults of folders that leave labelled pictures are put into `faults` where it is given, instead of being raised.
        """
        given = os.fspath(path)
        place, is_directory = find_place(given, setting)
        root = place if is_directory else str(Path(place).parent)
        rest = Rest()
        if is_directory:
            found_faults: list[Fault] = []
            reading = read_directory(place, root, rest, given, setting, nested=nested, faults=found_faults)
            if faults is not None:
                faults += found_faults
            elif found_faults:
                raise combined([fault.error for fault in found_faults])
        else:
            found = read_file(place, root, rest, given, setting, alone=True, must_label=True)
            if found is None:
                raise not_a_directory(given, setting)
            reading = found
        directory = cls(root, place, reading.gathered, rest, reading.layout)
        directory._tell(setting)
        for twins in similar_labels(directory.labels):
            logger.warning("%s: labels that differ only in case or encoding: %s", setting, twins)
        return directory

    @classmethod
    def open_any(
        cls,
        paths: StrPath | Iterable[StrPath],
        *,
        setting: str = "data",
        labels: Collection[str] = (),
        nested: bool = False,
    ) -> ImageDirectory:
        """All pictures of a file, of a list of pictures, of a directory however deep, or of several of those.

        True labels are known for pictures that a list gives one. For the others they are known if, and only if,
        every one lies exactly as `<directory>/<folder>/<picture>` in a directory that was given (`nested`: or
        deeper), and at least one of these folders is named in `labels` (the model's). Otherwise these pictures
        have no label: a folder `2024-05` is a folder, not a label.

        Places follow one another as given, each in the order of `open`. What is given twice, or lies inside
        another directory given, is used once.
        """
        given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        if not given:
            raise InvalidDatasetError(
                "no pictures are given",
                where=f"{setting}=[]",
                accepted="it takes picture files, lists of pictures, and directories",
            )
        places = {place: (is_dir, path) for path in given for place, is_dir in [find_place(path, setting)]}
        directories = {place for place, (is_dir, _) in places.items() if is_dir}
        root = os.path.commonpath([p if p in directories else str(Path(p).parent) for p in places])
        rest = Rest()
        readings: list[Reading] = []
        for place, (is_dir, path) in places.items():
            if not directories.isdisjoint(map(str, Path(place).parents)):
                continue
            found: Reading | None
            if is_dir:
                found = read_directory(place, root, rest, path, setting, nested=nested)
            else:
                alone = len(places) == 1
                found = read_file(place, root, rest, path, setting, alone=alone, must_label=False)
            if found is not None:
                readings.append(found)
            else:
                rest.note(os.fsencode(os.path.relpath(place, root)), "unsupported_format")
        gathered, layout = _joined(readings, labels)
        if not len(gathered):
            raise no_pictures(", ".join(given[:5]) + (", …" if len(given) > 5 else ""), setting, rest)
        directory = cls(root, places.popitem()[0] if len(places) == 1 else root, gathered, rest, layout)
        directory._tell(setting)
        return directory

    def __len__(self) -> int:
        return len(self._starts) - 1

    def without(self, positions: Collection[int]) -> ImageDirectory:
        """The same directory but for the pictures at `positions`; labels that lose their last picture are gone."""
        gathered, left_out, begin = Gathered(), set(positions), 0
        for index, end in zip(self._run_labels, self._run_ends, strict=True):
            names = [self._name(i) for i in range(begin, end) if i not in left_out]
            gathered.add(None if index < 0 else self.labels[index], names)
            begin = end
        rest = Rest(ignored=self.ignored, others=self.others)
        return ImageDirectory(str(self.root), str(self.place), gathered, rest, self.layout)

    def path(self, i: int) -> str:
        """Where picture `i` lies, absolute."""
        name = self._name(i)
        return os.fsdecode(name if name.startswith(b"/") else self._prefix + name)

    def name(self, i: int) -> str:
        """Picture `i` relative to the root, as `cat/1.jpg`; bytes that are no UTF-8 as surrogates.

        One that is listed and lies outside of the root is `../1.jpg` or absolute.
        """
        return os.fsdecode(self._name(i))

    def label(self, i: int) -> str | None:
        """The label of picture `i`; None when it is not known."""
        index = self.label_index(i)
        return None if index < 0 else self.labels[index]

    def label_index(self, i: int) -> int:
        """The position of picture `i`'s label in `labels`; -1 when it is not known."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self._run_labels[bisect_right(self._run_ends, i)]

    def counts(self) -> dict[str, int]:
        """How many pictures each label has."""
        number = dict.fromkeys(range(-1, len(self.labels)), 0)
        for index, begin, end in zip(self._run_labels, [0, *self._run_ends], self._run_ends, strict=False):
            number[index] += end - begin
        return {label: number[index] for index, label in enumerate(self.labels)}

    def fingerprint(self) -> str:
        """SHA-256 over the labels, how many pictures each has, and the names in their order.

        Not over what the files hold, nor over their times, so that a copy elsewhere has the same.
        """
        digest = hashlib.sha256()
        for label, count in self.counts().items():
            digest.update(os.fsencode(label) + b"\0%d\0" % count)
        digest.update(b"\0")
        digest.update(self._names)  # each name ends with a zero byte, which no name can hold
        return digest.hexdigest()

    def _name(self, i: int) -> bytes:
        if i < 0:
            raise IndexError(i)
        return bytes(self._names[self._starts[i] : self._starts[i + 1] - 1])

    def _tell(self, setting: str) -> None:
        logger.info(
            "%s: %s, %s (%s)%s",
            setting,
            counted(len(self), "picture"),
            counted(len(self.labels), "label") if self.labels else "labels unknown",
            self.layout,
            f"; {counted(self.ignored, 'hidden or system file')} ignored" if self.ignored else "",
        )
        if self.others:
            named = ", ".join(f"{shown(name)} ({reason})" for name, reason in self.others[:5])
            more = f" … and {len(self.others) - 5} more" if len(self.others) > 5 else ""
            logger.warning("%s: %s not used: %s%s", setting, counted(len(self.others), "file"), named, more)


def _joined(readings: Sequence[Reading], labels: Collection[str]) -> tuple[Gathered, Layout]:
    """All pictures of several places; the names of folders are taken for labels, or forgotten, in all alike."""
    guessed = [reading for reading in readings if not reading.certain]
    folders = {label for reading in guessed for label, count in reading.gathered.runs if count}
    exact = all(reading.exact for reading in guessed)
    known = exact and any(label in labels for label in folders)
    gathered = Gathered()
    for reading in readings:
        if not reading.certain and not known:
            reading.gathered.forget_labels()
        gathered.absorb(reading.gathered)
    if len(readings) != 1:
        return gathered, Layout("several places", f"{len(readings)} of them")
    layout = readings[0].layout
    if guessed and not known and layout.name == "folders":
        reason = (
            "no folder is named like a label of the model"
            if exact
            else "not each picture lies in a label folder"
        )
        return gathered, Layout("unlabelled", reason)
    return gathered, layout


def similar_labels(labels: Iterable[str]) -> list[str]:
    """Labels that differ only in case, or in how an accent is encoded: seldom meant. `'Cat', 'cat'`."""
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(unicodedata.normalize("NFC", label).casefold(), []).append(label)
    return [listed(twins) for twins in alike.values() if len(twins) > 1]
