"""Pictures that a file lists, whatever its format: looked up, told apart, put in order."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from discerna.directories.gathered import Gathered
from discerna.directories.layout import Layout
from discerna.directories.picture_files import PICTURE_EXTENSIONS, Rest, has_picture_name
from discerna.errors import DatasetError, InvalidDatasetError, NotLabeledDatasetError, combined
from discerna.wording import counted, listed, shown

logger = logging.getLogger("discerna")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_EXAMPLES = 5


@dataclass
class Listing:
    """A file that lists pictures, opened by the reader of its format."""

    layout: Layout
    file: str
    """Its path, absolute."""
    where: str
    """What messages call it."""
    rows: Iterable[tuple[str, str | None]]
    """Path and label of each picture as the file has them, read while they are asked for; may raise."""
    labelled: bool = True
    """Whether the file can tell labels at all."""
    faults: list[str] = field(default_factory=list)
    """What is wrong with single rows, complete once `rows` are read."""
    own: Collection[str] = ()
    """The names of the files beside it that belong to the format."""
    below: tuple[str, ...] = ("",)
    """Folders beside the file in which the paths may begin."""


def file_name(path: str, root: bytes, top: bytes) -> bytes:
    """A path as a list has it -> the name of a picture in an index: relative to `root`, or absolute outside of it.

    `top` is the folder of the list, relative to the root. Raises UnicodeEncodeError for a path that no file can have.
    """
    name = os.fsencode(path)
    if top and not name.startswith(b"/"):
        name = top + b"/" + name
    name = os.path.normpath(name)  # ./a.jpg and a.jpg are one file
    return name.removeprefix(root + b"/") if name.startswith(b"/") else name


class ListReader:
    """Reads a listing into the compact form."""

    def __init__(self, listing: Listing, root: bytes, top: bytes, rest: Rest, *, must_label: bool) -> None:
        """`top` is the folder of the file relative to `root`, to which all names are relative.

        With `must_label` each picture needs exactly one label; otherwise those without are kept as unknown.
        """
        self.listing = listing
        self.root = root
        self.folders = [b"/".join(filter(None, (top, os.fsencode(below)))) for below in listing.below]
        self.rest = rest
        self.must_label = must_label
        self.labels: dict[bytes, str | None] = {}
        self.unused: dict[str, str] = {}
        self.several: dict[bytes, list[str]] = {}
        self.repeated = 0

    def read(self, present: Collection[bytes]) -> Gathered:
        """All pictures, by label and then by name in bytes; `present` are those found beside the file."""
        listing = self.listing
        if self.must_label and not listing.labelled:
            raise _unlabelled(listing)
        one: dict[str, str] = {}  # so that equal labels are one string
        for path, label in listing.rows:
            name, reason = self._find(path, present)
            if reason:
                self.unused.setdefault(os.fsdecode(name), reason)
            elif label and label not in one and not _can_be_label(label):
                listing.faults.append(
                    f"the label {shown(label)!r} of {shown(path)}, which no folder can bear"
                )
            else:
                self._put(name, one.setdefault(label, label) if label else None)
        self._settle(present)
        return self._in_order()

    def _find(self, path: str, present: Collection[bytes]) -> tuple[bytes, str]:
        """The name of the picture, and why it cannot be used, if so."""
        if _ADDRESS.match(path):
            return path.encode(errors="replace"), "remote"
        first = b""
        for folder in self.folders:
            try:
                name = file_name(path, self.root, folder)
                reason = "" if name in present or name in self.labels else self._why_not(name)
            except ValueError:  # a zero byte, or what is no text
                return path.encode(errors="replace"), "missing"
            if reason != "missing":
                return name, reason
            first = first or name
        return first, "missing"

    def _why_not(self, name: bytes) -> str:
        try:
            path = name if name.startswith(b"/") else self.root + b"/" + name
            mode = os.stat(path).st_mode  # noqa: PTH116 - bytes, and a million of them
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except OSError:
            return "unreadable"
        if not stat.S_ISREG(mode):
            return "not_a_file"
        return "" if has_picture_name(name) else "unsupported_format"

    def _put(self, name: bytes, label: str | None) -> None:
        if name not in self.labels:
            self.labels[name] = label
            return
        known = self.labels[name]
        self.repeated += 1
        if known is None:
            self.labels[name] = label
        elif label is not None and label != known:
            others = self.several.setdefault(name, [known])
            if label not in others:
                others.append(label)

    def _settle(self, present: Collection[bytes]) -> None:
        """What the rows leave open: pictures without a label, with several, and ones that are not listed."""
        for name in present:
            if os.fsdecode(name) not in self.unused:
                self.labels.setdefault(name, None)
        bare = [name for name, label in self.labels.items() if label is None]
        errors: list[DatasetError] = []
        if self.listing.faults:
            errors.append(self._damaged())
        if self.must_label:
            for name in bare:
                self.rest.note(name, "no_label")
                del self.labels[name]
            if self.several:
                errors.append(self._ambiguous())
        elif self.several:
            logger.warning("%s", self._ambiguous())
            self.labels.update(dict.fromkeys(self.several))
        known = {name for name, _ in self.rest.others}
        self.rest.others += [(name, reason) for name, reason in self.unused.items() if name not in known]
        used = {label for label in self.labels.values() if label is not None}
        if not errors and (not self.labels or (self.must_label and len(used) < 2)):
            errors.append(self._too_few(used, len(bare)))
        if errors:
            raise combined(errors)
        if self.repeated:
            logger.info("%s: %s of pictures listed before", self.listing.where, counted(self.repeated, "row"))

    def _in_order(self) -> Gathered:
        names: dict[str | None, list[bytes]] = {}
        for name, label in self.labels.items():
            names.setdefault(label, []).append(name)
        self.labels = {}
        gathered = Gathered()
        for label in sorted(names, key=lambda label: (label is not None, label or "")):
            gathered.add(label, sorted(names.pop(label)))
        return gathered

    def _damaged(self) -> InvalidDatasetError:
        faults = self.listing.faults
        told = ", ".join(faults[:_EXAMPLES])
        more = f" … and {len(faults) - _EXAMPLES} more" if len(faults) > _EXAMPLES else ""
        return InvalidDatasetError(
            "entries of the list cannot be used",
            where=self.listing.where,
            accepted=told + more,
            remedy="mend or remove them",
        )

    def _ambiguous(self) -> InvalidDatasetError:
        examples = [
            f"{shown(os.fsdecode(name))} ({listed(labels, _EXAMPLES)})"
            for name, labels in list(self.several.items())[:_EXAMPLES]
        ]
        number = len(self.several)
        return InvalidDatasetError(
            f"{counted(number, 'picture')} {'has' if number == 1 else 'have'} more than one label",
            where=self.listing.where,
            accepted=", ".join(examples) + (" …" if number > _EXAMPLES else ""),
            remedy="a picture has one label here; remove the others, or these pictures, from the list",
        )

    def _too_few(self, used: Collection[str], bare: int) -> DatasetError:
        where = self.listing.where
        if used:
            return InvalidDatasetError(
                "there is only one label",
                where=where,
                accepted=listed(list(used)),
                remedy="at least two labels are needed",
            )
        if bare:
            return NotLabeledDatasetError(
                "no picture of the list has a label",
                where=where,
                accepted=f"it holds {counted(bare, 'picture')} without one",
                remedy="fill in the labels",
            )
        examples = [f"{shown(name)} ({reason})" for name, reason in list(self.unused.items())[:_EXAMPLES]]
        return InvalidDatasetError(
            "none of the files that are listed is a picture here",
            where=where,
            accepted=", ".join(examples) if examples else "it lists none",
            remedy="paths begin in the folder of the list, or with /; "
            f"pictures end with {' '.join(sorted(PICTURE_EXTENSIONS))}",
        )


def _unlabelled(listing: Listing) -> NotLabeledDatasetError:
    return NotLabeledDatasetError(
        "the list has no labels",
        where=listing.where,
        accepted=listing.layout.reason,
        remedy="add a label to each picture in it",
    )


def _can_be_label(label: str) -> bool:
    """Whether a model directory can hold it, and a folder can bear it."""
    try:
        os.fsencode(label)
    except UnicodeEncodeError:
        return False
    return label not in (".", "..") and "/" not in label and "\0" not in label
