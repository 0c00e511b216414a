"""The pictures of all sources put into label folders."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from discerna.conversion.left_out import LeftOut
from discerna.conversion.placing import UNFINISHED, place
from discerna.conversion.record import Record
from discerna.conversion.sources import Source, nothing_usable
from discerna.conversion.working_folder import WorkingFolder
from discerna.directories.file_names import FileNames
from discerna.directories.image_dir import similar_labels
from discerna.directories.picture_files import has_picture_name, is_ignored, name_key
from discerna.errors import InvalidDatasetError
from discerna.progress import Progress
from discerna.settings.convert import Link
from discerna.wording import listed, shown

LOG = logging.getLogger("discerna")

_EXAMPLES = 3
_TOLD = 1000
"""The bar moves after so many pictures."""


@dataclass
class Made:
    """What lies in the output."""

    parts: dict[str, dict[str, int]]
    """How many pictures each label has, by part."""
    renamed: int = 0
    examples: list[str] = field(default_factory=list)
    """The first names that were changed."""


def make(
    sources: list[Source],
    working: WorkingFolder,
    given: Path,
    link: Link,
    left_out: LeftOut,
    progress: Progress,
) -> Made:
    """Fill `working.made`; the same sources always give the same names."""
    key = name_key(working.path)
    one = len({source.part for source in sources}) == 1
    labelled = {source.part: False for source in sources}
    for source in sources:
        labelled[source.part] |= source.pictures.labelled
    _check_labels(sources, labelled, given, key)
    plan = [[s.part, s.archive, s.pictures.directory.fingerprint()] for s in sources]
    working.keep_made_if(json.dumps(plan))
    total = sum(len(source.pictures.directory) for source in sources)
    with closing(Record(working.made, given)) as record, progress.task("placing pictures", total) as advance:
        making = _Making(working, link, left_out, FileNames(key), record)
        for source in sources:
            left_out.ignored += source.pictures.directory.ignored
            for name, reason in source.pictures.directory.others:
                left_out.add(source.origin(name), reason, source.archive)
            for name in source.pictures.empty:
                left_out.add(source.origin(name), "empty_folder", source.archive)
            for i in range(len(source.pictures.directory)):
                making.take(source, i, "" if one else source.part, labelled[source.part])
                if i % _TOLD == _TOLD - 1:
                    advance(_TOLD, "")
        left_out.close()
        making.finish()
    if not making.made.parts:
        raise nothing_usable(given, left_out)
    for part, found in labelled.items():
        if not found:
            what = f"the pictures of {shown(part)}" if part and not one else "the pictures"
            LOG.warning("input: %s have no labels; they can be scored, not trained on", what)
    return making.made


class _Making:
    def __init__(
        self, working: WorkingFolder, link: Link, left_out: LeftOut, names: FileNames, record: Record
    ) -> None:
        self.working = working
        self.root = str(working.made)
        self.unpacked = f"{working.unpacked}/"
        self.link = link
        self.left_out = left_out
        self.names = names
        self.record = record
        self.counts: dict[tuple[str, str], int] = Counter()
        self.folders: set[str] = set()
        self.made = Made({})

    def take(self, source: Source, i: int, part: str, labelled: bool) -> None:
        """Put one picture where it belongs, or list it."""
        name = source.pictures.directory.name(i)
        reason = self._take(source, i, name, part, labelled)
        if reason:
            self.left_out.add(source.origin(name), reason, source.archive)

    def _take(self, source: Source, i: int, name: str, part: str, labelled: bool) -> str:
        pictures = source.pictures
        label = pictures.label(i) if labelled else ""
        if label is None:
            return "no_label"
        base, path = name.rpartition("/")[2], pictures.directory.path(i)
        if is_ignored(os.fsencode(base)):  # in the output it would never be found
            return "hidden_name"
        if not has_picture_name(os.fsencode(base)):
            return "unsupported_format"
        if source.unpacked and not os.path.normpath(path).startswith(f"{source.root}/"):
            return "leads_outside"  # a list in an archive may name any file of this machine
        folder = "/".join(filter(None, (part, label)))
        marks = [mark for mark in (pictures.folder(i), _stem(source.archive)) if mark]
        file = self.names.free(folder, base, marks)
        full = f"{folder}/{file}" if folder else file
        if folder not in self.folders:
            Path(self.root, folder).mkdir(parents=True, exist_ok=True)
            self.folders.add(folder)
        reason = place(path, f"{self.root}/{full}", self.link)
        if reason:
            return reason
        if file != base:
            self.made.renamed += 1
            if len(self.made.examples) < _EXAMPLES:
                self.made.examples.append(full)
        self.counts[part, label] += 1
        self.record.picture(full, source.origin(name), source.archive)
        return ""

    def finish(self) -> None:
        """Nothing but pictures and the record stays."""
        for folder in self.folders:
            Path(self.root, folder, UNFINISHED).unlink(missing_ok=True)
            with suppress(OSError):  # only one whose pictures all proved unreadable is empty
                Path(self.root, folder).rmdir()
        self.record.finish(self.working.left_out)
        for (part, label), count in sorted(self.counts.items()):
            self.made.parts.setdefault(part, {})[label] = count


def _check_labels(
    sources: list[Source], labelled: dict[str, bool], given: Path, key: Callable[[bytes], bytes]
) -> None:
    """Refuse labels that no folder can bear; warn where training would not be possible, or is not meant."""
    for part in (part for part, found in labelled.items() if found):
        mine = [source.pictures for source in sources if source.part == part]
        labels = sorted({label for pictures in mine for label in pictures.labels()})
        where = f"input={shown(str(given))}"
        if bad := [label for label in labels if not _can_be_folder(label)]:
            raise InvalidDatasetError(
                "labels cannot be the names of folders",
                where=where,
                accepted=f"{listed(bad)}; a label is 1 to 255 bytes without /, and does not begin with a dot",
                remedy="rename them in the file that lists the pictures",
            )
        if twins := _alike(labels, key):
            raise InvalidDatasetError(
                "labels would share a folder, since this disk does not tell upper from lower case",
                where=where,
                accepted=listed(twins),
                remedy="rename them, or choose an output on another disk",
            )
        if len(mine) > 1 or mine[0].by_folder:  # otherwise it was told when the directory was opened
            for alike in similar_labels(labels):
                LOG.warning("input: labels that differ only in case or encoding: %s", alike)
        if len(labels) == 1:
            LOG.warning("input: there is only one label, %s; training needs two", listed(labels))


def _can_be_folder(label: str) -> bool:
    name = os.fsencode(label)
    return 0 < len(name) <= 255 and b"/" not in name and b"\0" not in name and not is_ignored(name)


def _alike(labels: Iterable[str], key: Callable[[bytes], bytes]) -> list[str]:
    count = Counter(key(os.fsencode(label)) for label in labels)
    return [label for label in labels if count[key(os.fsencode(label))] > 1]


def _stem(archive: str | None) -> str:
    return archive.partition(".")[0] if archive else ""
