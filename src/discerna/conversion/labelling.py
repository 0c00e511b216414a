"""The pictures of a directory with their labels, as the readers of directories see them, or by their folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from discerna.conversion.tree import has_table
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.picture_files import Rest, read_folder
from discerna.errors import DatasetError, NotLabeledDatasetError
from discerna.wording import listed, shown


@dataclass
class Pictures:
    """A directory of pictures; which of them are used, and with what labels."""

    directory: ImageDirectory
    by_folder: frozenset[str] = frozenset()
    """Label folders, where these decide; otherwise the directory's own labels do, if it has any."""
    empty: list[str] = field(default_factory=list)
    """Folders without a picture."""

    @property
    def labelled(self) -> bool:
        """Whether the pictures have labels."""
        return bool(self.labels())

    def labels(self) -> Collection[str]:
        """All labels."""
        return self.by_folder or self.directory.labels

    def label(self, i: int) -> str | None:
        """The label of picture `i`; None where it has none."""
        if self.by_folder:
            top, slash, _ = self.directory.name(i).partition("/")
            return top if slash else None
        return self.directory.label(i)

    def folder(self, i: int) -> str:
        """The folder in which picture `i` lies, without that of its label."""
        label, above = self.label(i), self.directory.name(i).rpartition("/")[0]
        return above[len(label) :].lstrip("/") if label and f"{above}/".startswith(f"{label}/") else above


def read(root: Path) -> Pictures:
    """The pictures of `root`.

    What makes a directory unfit for training need not be wrong in one that is converted: a single label,
    an empty folder, folders below a label.
    """
    try:
        return Pictures(ImageDirectory.open(root, setting="input"))
    except DatasetError:
        if not root.is_dir() or has_table(os.listdir(root)):
            raise
    folders = [os.fsdecode(name) for name in read_folder(os.fsencode(root), b"", Rest(), links=True)[1]]
    directory = ImageDirectory.open_any(root, setting="input", labels=folders)
    direct: Counter[str] = Counter()
    deep: set[str] = set()
    for i in range(len(directory)):
        folder = directory.name(i).rpartition("/")[0]
        if "/" in folder:
            deep.add(folder)
        else:
            direct[folder] += 1
    if not deep and not any(direct.keys() - {""}):
        return Pictures(directory)
    if not direct.keys() - {""}:
        raise NotLabeledDatasetError(
            "the label folders lie too deep",
            where=f"input={shown(str(root))}",
            accepted=f"pictures lie in {listed(sorted(deep), 5)}",
            remedy="convert each of the folders above them by itself",
        )
    labels = frozenset(folder.partition("/")[0] for folder in {*direct, *deep} if folder)
    return Pictures(directory, labels, [name for name in folders if name not in labels])
