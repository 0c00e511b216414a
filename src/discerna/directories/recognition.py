"""Which files list pictures: told by their extension and by what they hold, never by a flag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from discerna.directories.coco import may_be_coco, read_coco
from discerna.directories.layout import as_given
from discerna.directories.listing import Listing
from discerna.directories.manifests import EXTENSIONS, Manifest, read_manifest
from discerna.errors import InvalidDatasetError
from discerna.wording import listed

_MANY = 50
"""More tables or JSON files than this beside pictures belong to single pictures, and none lists all."""


def listing_of_file(path: str, given: str, setting: str, *, alone: bool) -> Listing | None:
    """The list at `path`; None where it is none, which is refused if it is given `alone` and called like one."""
    where, extension = as_given(given, setting), Path(path).suffix.lower()
    if not alone:
        folder, given_folder, names = str(Path(path).parent), str(Path(given).parent), [Path(path).name]
        found = [each.listing() for each in manifests_in(folder, names, given_folder, setting)]
        found += _coco_files(folder, names, given_folder, setting)
        return found[0] if found else None
    if extension in EXTENSIONS:
        return read_manifest(path, where).listing()
    return read_coco(path, where) if extension == ".json" else None


def listing_of_folder(
    folder: str, names: Iterable[str], given: str, setting: str, *, must_label: bool
) -> Listing | None:
    """The one list among the files `names` that lie directly in a folder without label folders.

    Where there are several, those with labels count; if that is not one either, it is refused with `must_label`.
    """
    names = sorted(names)
    listings = [manifest.listing() for manifest in manifests_in(folder, names, given, setting)]
    listings += _coco_files(folder, names, given, setting)
    listings = [each for each in listings if each.labelled] or (listings if must_label else [])
    if len(listings) > 1 and must_label:
        paths = [each.where for each in listings[:5]]
        raise InvalidDatasetError(
            "several files list pictures",
            where=as_given(given, setting),
            accepted=listed([Path(each.file).name for each in listings]),
            remedy=f"pass the one that counts: {' or '.join(paths)}",
        )
    return listings[0] if len(listings) == 1 else None


def manifests_in(folder: str, names: Iterable[str], given: str, setting: str) -> list[Manifest]:
    """Those among the files `names` of a folder that are manifests."""
    found = []
    for name in _few(names, EXTENSIONS):
        try:
            found.append(read_manifest(str(Path(folder, name)), as_given(str(Path(given, name)), setting)))
        except InvalidDatasetError:  # some other table
            continue
    return found


def _coco_files(folder: str, names: Sequence[str], given: str, setting: str) -> list[Listing]:
    found = []
    for name in _few(names, {".json"}):
        path = str(Path(folder, name))
        if may_be_coco(path):
            try:
                found.append(read_coco(path, as_given(str(Path(given, name)), setting)))
            except InvalidDatasetError:
                continue
    return found


def _few(names: Iterable[str], extensions: Iterable[str]) -> list[str]:
    found = [name for name in names if Path(name).suffix.lower() in extensions]
    return found if len(found) <= _MANY else []
