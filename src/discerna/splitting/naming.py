"""The file names that the pictures of a split get in their label's folder."""

from __future__ import annotations

from collections.abc import Iterable

from discerna.directories.file_names import FileNames


def file_names(pictures: Iterable[tuple[str, str]]) -> list[str]:
    """For each picture, given by label and name, its own file name, or a longer one where that is taken.

    A name does not depend on the part, so that a picture can be moved from one part to another.
    """
    names = FileNames(key=lambda name: name)
    found = []
    for label, name in pictures:
        folders, _, file = name.removeprefix(f"{label}/").rpartition("/")
        found.append(names.free(label, file, [folders] if folders else []))
    return found
