"""Pictures in folders: a directory read whole, and what is wrong where its folders should be labels."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from discerna.directories.gathered import Gathered
from discerna.directories.layout import FORMATS, Fault, as_given, no_pictures, unreadable
from discerna.directories.picture_files import Rest, read_folder, walk
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError
from discerna.wording import counted, listed, shown

TRAINING = ("train", "training")
VALIDATION = ("valid", "val", "validation")
PARTS = frozenset((*TRAINING, *VALIDATION, "test", "testing"))
"""What the parts of a data set are usually called, which are no labels."""


class FolderScan:
    """The pictures of a directory that was given: loose ones, and those in and below each of its folders."""

    def __init__(self, root: bytes, top: bytes, rest: Rest, given: str, setting: str) -> None:
        """Read `root/top`, called `given`; names are relative to `root`. Links to folders are followed here only."""
        self.given = given
        self.setting = setting
        self.rest = rest
        self.gathered = Gathered()
        """A run for each folder, whose name is the label."""
        self.direct: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self.deep: set[str] = set()
        """The folders with pictures that lie in another folder."""
        try:
            loose, folders = read_folder(root, top, rest, links=True)
        except OSError as error:
            raise unreadable(given, setting, error) from None
        self.loose = sorted(loose)
        rest.is_new(root + b"/" + top)
        self._depth = (top.count(b"/") + 2) if top else 1
        for folder in _used_once(root, folders, rest):
            found = walk(root, folder, rest)
            deeper = [name for name in found if name.count(b"/") > self._depth]
            label = os.fsdecode(folder[len(top) :].lstrip(b"/"))
            self.gathered.add(label, found)
            self.direct[label] = len(found) - len(deeper)
            self.total[label] = len(found)
            self.deep.update(os.fsdecode(name.rpartition(b"/")[0]) for name in deeper)

    def has_label_folders(self, nested: bool) -> bool:
        """Whether two or more folders hold pictures and are not called like the parts of a data set."""
        counts = self.total if nested else self.direct
        return sum(count > 0 and label.lower() not in PARTS for label, count in counts.items()) > 1

    def is_exact(self, nested: bool) -> bool:
        """Whether all pictures lie in folders that may be labels."""
        return not self.loose and (nested or not self.deep)

    def faults(self, nested: bool) -> list[Fault]:
        """What is wrong, unless all pictures lie in two or more label folders, each of which holds one.

        Raises where there are no labelled pictures at all.
        """
        if error := self._parts():
            raise error
        if not any((self.total if nested else self.direct).values()):
            if self.deep:
                raise self._too_deep()
            raise self._loose() if self.loose else no_pictures(self.given, self.setting, self.rest)
        faults = []
        if self.deep and not nested:
            remedy = (
                "pass loading.nested=true where the label is the top folder, or move the pictures up into it"
            )
            problem = "label folders hold folders with pictures"
            faults.append(self._fault("nested", problem, sorted(self.deep), remedy))
        bare = [folder for folder, count in self.total.items() if not count]
        closed = {name for name, reason in self.rest.others if reason == "unreadable"}
        if hidden := [folder for folder in bare if folder in closed]:
            problem = "label folders cannot be read"
            faults.append(self._fault("unreadable", problem, hidden, "check their permissions"))
        if empty := [folder for folder in bare if folder not in closed]:
            remedy = f"put pictures into them or remove them; {FORMATS}"
            faults.append(self._fault("empty_label", "label folders without a picture", empty, remedy))
        if len(self.direct) == 1:
            remedy = (
                f"at least two labels are needed; {self.setting} is the directory that holds their folders"
            )
            faults.append(self._fault("one_label", "there is only one label", list(self.direct), remedy))
        return faults

    def labelled(self, nested: bool) -> Gathered:
        """The pictures whose label is known: where folders are not `nested`, those directly in a label folder."""
        if nested or not self.deep:
            return self.gathered
        names, kept = iter(self.gathered), Gathered()
        for label, count in self.gathered.runs:
            kept.add(label, [name for name in islice(names, count) if name.count(b"/") == self._depth])
        return kept

    def _fault(self, code: str, problem: str, folders: list[str], remedy: str) -> Fault:
        where = as_given(self.given, self.setting)
        error = InvalidDatasetError(problem, where=where, accepted=listed(folders), remedy=remedy)
        return Fault(code, folders, error)

    def _parts(self) -> NotLabeledDatasetError | None:
        """The error where the folders are train, valid and the like."""
        used = [folder for folder, count in self.total.items() if count]
        parts = {folder.lower(): folder for folder in used if folder.lower() in PARTS}
        if len(parts) < len(used):  # a label may be called so, but would hold its pictures itself
            parts = {name: folder for name, folder in parts.items() if not self.direct[folder]}
        if len(parts) < 2:
            return None
        pairs = [("train_data", TRAINING), ("valid_data", VALIDATION)]
        if self.setting not in dict(pairs):
            likely = ("test", "testing", *VALIDATION, *TRAINING)
            pairs, between = [(self.setting, (name,)) for name in likely], " or "
        else:
            between = " "
        found = [(setting, parts[name]) for setting, names in pairs for name in names if name in parts]
        paths = [f"{setting}={shown(str(Path(self.given, name)))}" for setting, name in found]
        return NotLabeledDatasetError(
            "this directory holds the parts of a data set, not labels",
            where=as_given(self.given, self.setting),
            accepted=listed(list(parts.values())),
            remedy=f"pass {between.join(paths)}",
        )

    def _loose(self) -> NotLabeledDatasetError:
        first = shown(os.fsdecode(self.loose[0]))
        return NotLabeledDatasetError(
            "the pictures lie in no label folders",
            where=as_given(self.given, self.setting),
            accepted=f"it holds {counted(len(self.loose), 'picture')} directly, such as {first}",
            remedy=f"move each into a folder named after its label: {shown(self.given)}/<label>/{first}; "
            "or list them in a .csv file with the columns file and label",
        )

    def _too_deep(self) -> NotLabeledDatasetError:
        """Where `flowers/rose` holds pictures, `flowers` is what to pass."""
        holders = sorted({folder.rpartition("/")[0] for folder in self.deep})
        choices = [f"{self.setting}={shown(str(Path(self.given, holder)))}" for holder in holders[:5]]
        deeper = "too deep" if any("/" in holder for holder in holders) else "one level too deep"
        return NotLabeledDatasetError(
            f"the label folders lie {deeper}",
            where=as_given(self.given, self.setting),
            accepted=f"pictures lie in {listed(sorted(self.deep), 5)}",
            remedy=f"use {' or '.join(choices)}",
        )


def _used_once(root: bytes, folders: list[bytes], rest: Rest) -> list[bytes]:
    """The folders in their order, without links to the directory itself or to a folder among them."""
    kept = []
    for folder in sorted(folders, key=lambda name: (os.path.islink(root + b"/" + name), os.fsdecode(name))):  # noqa: PTH114
        if rest.is_new(root + b"/" + folder):
            kept.append(folder)
        else:
            rest.note(folder, "link_loop")
    return sorted(kept, key=os.fsdecode)
