"""Every picture of a directory with the part that it goes to, or the reason why it goes to none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from discerna.checks.copies import same_pictures
from discerna.checks.preflight import refuse_bad
from discerna.checks.survey import Survey
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.picture_files import is_ignored
from discerna.errors import InvalidDatasetError
from discerna.images.keys import mix
from discerna.progress import Progress
from discerna.settings.split import SplitSettings
from discerna.splitting.allotment import Group, allot
from discerna.splitting.grouping import by_column, by_expression, joined
from discerna.wording import counted, listed, shown

RARE = "rare_label"
"""The reason of pictures whose label cannot be in all parts that need it."""

HIDDEN = "hidden_name"
"""The reason of pictures, as a list may have them, that every reader of the parts would pass over."""

NEEDED = 2
"""The parts in which every label must be: a training needs it in the first, and is measured on the second."""


@dataclass
class Division:
    """What goes where; lists and keys are positions in the directory."""

    directory: ImageDirectory
    names: Sequence[str]
    """Of the parts."""
    part: list[int | None]
    group: list[int]
    """The first picture that must stay with this one; itself where it is free."""
    reasons: dict[int, str]
    """Why a picture is in no part."""
    copies: list[list[int]] = field(default_factory=list)
    """Groups of the same picture."""
    groups: list[list[int]] = field(default_factory=list)
    """Groups of the user's."""

    def pictures(self) -> list[int]:
        """How many each part has."""
        found = Counter(self.part)
        return [found[part] for part in range(len(self.names))]

    def lacking(self) -> dict[str, list[int]]:
        """The parts in which a label is not, for the labels that are not in all."""
        found = {(self.directory.label_index(i), part) for i, part in enumerate(self.part)}
        parts = range(len(self.names))
        lacking = {
            label: [part for part in parts if (number, part) not in found]
            for number, label in enumerate(self.directory.labels)
        }
        return {label: where for label, where in lacking.items() if where}

    def left_out(self) -> list[str]:
        """The labels that are in no part."""
        return [label for label, where in self.lacking().items() if len(where) == len(self.names)]


def refuse_hidden_labels(directory: ImageDirectory) -> None:
    """Refuse labels, as a list may have them, whose folders every reader would pass over."""
    hidden = [label for label in directory.labels if is_ignored(os.fsencode(label))]
    if hidden:
        raise InvalidDatasetError(
            "labels that cannot be folders",
            where=f"data={shown(str(directory.place))}",
            accepted=listed(hidden),
            remedy="rename them, or use link=manifest",
        )


def refuse_single(directory: ImageDirectory, settings: SplitSettings) -> None:
    """Refuse labels with one picture where rare labels are refused, before any picture is read."""
    _refuse_rare(
        directory, [label for label, count in directory.counts().items() if count < NEEDED], settings
    )


def divide(found: Survey, settings: SplitSettings, progress: Progress) -> Division:
    """Share out the pictures that were surveyed."""
    directory = found.directory
    reasons = {i: error.reason for i, error in found.bad.items()}
    if settings.link != "manifest":
        names = ((i, os.fsencode(directory.name(i)).rpartition(b"/")[2]) for i in range(len(directory)))
        reasons |= {i: HIDDEN for i, name in names if i not in reasons and is_ignored(name)}
    refuse_bad(found.bad, directory, "data", skip=True, limit=settings.max_bad, group="")
    same, alike = same_pictures([found], settings.near_duplicates, progress)
    division = Division(directory, list(settings.parts()), [], [], reasons, copies=joined([*same, *alike]))
    good = (i for i in range(len(directory)) if i not in reasons)
    if settings.expression is not None:
        division.groups = by_expression(directory, good, settings.expression)
    elif settings.column is not None:
        division.groups = by_column(directory, good, settings.column)
    keys = [mix(settings.random_seed, directory.name(i)) for i in range(len(directory))]
    while True:
        _share_out(division, keys, list(settings.parts().values()))
        gone = division.left_out()
        needed = range(NEEDED)
        rare = [
            label
            for label, where in division.lacking().items()
            if label not in gone and not set(where).isdisjoint(needed)
        ]
        if settings.rare == "refuse":
            _refuse_rare(directory, sorted({*rare, *gone}), settings, reasons)
        if settings.rare == "train" or not rare:
            break
        for i in range(len(directory)):
            if directory.label(i) in rare:
                reasons.setdefault(i, RARE)
    _refuse_empty(division, settings)
    return division


def _share_out(division: Division, keys: Sequence[int], fractions: Sequence[float]) -> None:
    directory, reasons = division.directory, division.reasons
    used = [i for i in range(len(directory)) if i not in reasons]
    tied = joined([i for i in group if i not in reasons] for group in [*division.copies, *division.groups])
    division.group = list(range(len(directory)))
    for group in tied:
        for i in group:
            division.group[i] = group[0]
    members = {group[0]: group for group in tied}
    alone = [((label, 1),) for label in range(len(directory.labels))]
    firsts = [i for i in used if division.group[i] == i]
    groups = []
    for i in firsts:
        if i in members:
            counts = tuple(sorted(Counter(map(directory.label_index, members[i])).items()))
            groups.append(Group(min(keys[j] for j in members[i]), counts))
        else:
            groups.append(Group(keys[i], alone[directory.label_index(i)]))
    part_of = dict(zip(firsts, allot(groups, fractions), strict=True))
    division.part = [None if i in reasons else part_of[division.group[i]] for i in range(len(directory))]


def _refuse_rare(
    directory: ImageDirectory,
    labels: Sequence[str],
    settings: SplitSettings,
    reasons: dict[int, str] | None = None,
) -> None:
    if not labels:
        return
    counts = Counter(directory.counts())
    counts.subtract(directory.label(i) or "" for i in reasons or ())
    told = [f"{label} ({counted(counts[label], 'picture')})" for label in labels]
    first, second, *_ = settings.parts()
    several = any(counts[label] > 1 for label in labels)
    raise InvalidDatasetError(
        f"labels that cannot be both in {first} and in {second}",
        where=f"data={shown(str(settings.data))}",
        accepted=listed(told) + ("; pictures that must stay together count as one" if several else ""),
        remedy="add pictures of them, or pass rare=leave_out (in no part) or rare=train "
        f"(in {first} alone, which discerna train refuses)",
    )


def _refuse_empty(division: Division, settings: SplitSettings) -> None:
    empty = [name for name, count in zip(division.names, division.pictures(), strict=True) if not count]
    if not empty:
        return
    raise InvalidDatasetError(
        "a part would be without a picture",
        where=f"data={shown(str(settings.data))}",
        accepted=f"{listed(empty)}; pictures that must stay together are not divided",
        remedy="add pictures, or split into fewer parts",
    )
