"""A place that was given -> its pictures, by whichever layout is recognised there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.folders import FolderScan
from discerna.directories.gathered import Gathered
from discerna.directories.layout import PICTURE, Fault, Layout, as_given
from discerna.directories.listing import Listing, ListReader
from discerna.directories.old_image_dir import read_old_image_dir
from discerna.directories.picture_files import PICTURE_EXTENSIONS, Rest
from discerna.directories.recognition import listing_of_file, listing_of_folder, manifests_in
from discerna.wording import shown


@dataclass(frozen=True)
class Reading:
    """The pictures of a place, and how they lie."""

    gathered: Gathered
    layout: Layout
    certain: bool = True
    """Whether the labels are labels; otherwise they are names of folders, which may mean anything."""
    exact: bool = True
    """Where not certain: whether each picture lies where a label folder would have it."""


def read_file(
    place: str, root: str, rest: Rest, given: str, setting: str, *, alone: bool, must_label: bool
) -> Reading | None:
    """A file: a list of pictures, or one picture; None for any other.

    Names are relative to `root`. A file that is given `alone` and called like a list must be one.
    """
    listing = listing_of_file(place, given, setting, alone=alone)
    if listing is not None:
        top = _relative(str(Path(place).parent), root)
        reader = ListReader(listing, os.fsencode(root), top, rest, must_label=must_label)
        return Reading(reader.read(()), listing.layout)
    if must_label or Path(place).suffix.lower() not in PICTURE_EXTENSIONS:
        return None
    gathered = Gathered()
    gathered.add(None, [_relative(place, root)])
    return Reading(gathered, Layout(PICTURE, "one file"), certain=False, exact=False)


def read_directory(
    place: str,
    root: str,
    rest: Rest,
    given: str,
    setting: str,
    *,
    nested: bool,
    faults: list[Fault] | None = None,
) -> Reading:
    """A directory: label folders, a list that lies in it, or pictures however deep.

    Where `faults` is given, the pictures must have labels, and what is wrong with label folders is put into it.
    """
    top = _relative(place, root)
    scan = FolderScan(os.fsencode(root), top, rest, given, setting)
    files = _beside(top, rest)
    listing = read_old_image_dir(place, as_given(given, setting))
    if listing is None and not scan.has_label_folders(nested):
        listing = listing_of_folder(place, files, given, setting, must_label=faults is not None)
    if listing is not None:
        return _listed(listing, scan, os.fsencode(root), top, must_label=faults is not None)
    layout = _folders(place, files, given, setting, nested)
    if faults is not None:
        faults += scan.faults(nested)
        for name in scan.loose:
            rest.note(name, "no_label")
        return Reading(scan.labelled(nested), layout)
    gathered = Gathered()
    if scan.loose:
        gathered.add(None, scan.loose)
    gathered.absorb(scan.gathered)
    return Reading(gathered, layout, certain=False, exact=scan.is_exact(nested))


def _listed(listing: Listing, scan: FolderScan, root: bytes, top: bytes, *, must_label: bool) -> Reading:
    rest = scan.rest
    own = {os.fsdecode(os.path.join(top, os.fsencode(name))) for name in listing.own}  # noqa: PTH118 - bytes
    rest.others = [(name, reason) for name, reason in rest.others if name not in own]
    present = {*scan.loose, *scan.gathered}
    reader = ListReader(listing, root, top, rest, must_label=must_label)
    return Reading(reader.read(present), listing.layout)


def _folders(place: str, files: list[str], given: str, setting: str, nested: bool) -> Layout:
    reason = "the label is the top folder" if nested else "a folder for each label"
    unused = [Path(each.path).name for each in manifests_in(place, files, given, setting)]
    if unused:  # somebody may have meant it
        reason += f"; {shown(unused[0])} is not used unless it is given itself"
    return Layout("folders", reason)


def _relative(place: str, root: str) -> bytes:
    return b"" if place == root else os.fsencode(os.path.relpath(place, root))


def _beside(top: bytes, rest: Rest) -> list[str]:
    """The files directly in the folder `top` that are no pictures."""
    prefix = os.fsdecode(top + b"/" if top else b"")
    files = (
        name for name, reason in rest.others if reason == "unsupported_format"
    )  # no pipe, no dangling link
    names = [name.removeprefix(prefix) for name in files if name.startswith(prefix)]
    return sorted(name for name in names if "/" not in name)
