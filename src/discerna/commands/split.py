"""`discerna split`: a labelled image directory in, parts to train, to validate and to test on out."""

from __future__ import annotations

import logging
import os
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from discerna.checks.survey import survey
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.publishing import refuse_unless_replaceable
from discerna.directories.write_aside import write_failures
from discerna.errors import OutputError
from discerna.progress import SILENT, Progress
from discerna.results.destination import whole_folder
from discerna.settings.split import SplitSettings
from discerna.splitting.division import NEEDED, Division, divide, refuse_hidden_labels, refuse_single
from discerna.splitting.parts import write_folders, write_lists
from discerna.splitting.record import RECORD, is_ours, write_record
from discerna.wording import align, as_typed, counted, listed, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class Part:
    """One part of the pictures."""

    name: str
    path: Path
    """Its folder, or the list of its files."""
    pictures: int
    labels: int


@dataclass(frozen=True)
class SplitResult:
    """What went where."""

    output: Path
    parts: list[Part]
    skipped: dict[str, int]
    """How many pictures are in no part, by reason."""
    lacking: dict[str, list[str]]
    """Labels that are not in every part, with the parts that lack them."""
    notes: list[tuple[str, str]]
    """What else is to be told."""

    @property
    def used(self) -> int:
        """The pictures in all parts."""
        return sum(part.pictures for part in self.parts)

    @property
    def found(self) -> int:
        """The pictures of the directory."""
        return self.used + sum(self.skipped.values())

    def summary(self) -> str:
        """The table, and what to do next."""
        rows = [["part", "pictures", "share", "labels"]]
        for part in self.parts:
            share = f"{part.pictures / self.used:.1%}"
            rows.append([part.name, str(part.pictures), share, str(part.labels)])
        found = f"{counted(self.found, 'picture')} = {self.used} used"
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.skipped.items())
        if reasons:
            found += f" + {self.found - self.used} in no part ({reasons}), listed in {RECORD}"
        train, valid = (shlex.quote(shown(as_typed(part.path))) for part in self.parts[:NEEDED])
        lines = [
            ("found", found),
            *self.notes,
            ("written", shown(as_typed(self.output))),
            ("next", f"discerna check train_data={train} valid_data={valid}"),
        ]
        return f"{align(rows, '<>>>')}\n\n{align(lines)}"


def run(settings: SplitSettings, progress: Progress = SILENT) -> SplitResult:
    """Share out the pictures of `data`."""
    output = settings.output
    where = f"output={shown(str(output))}"
    refuse_unless_replaceable(
        output, settings.overwrite, [settings.data], is_ours, "what a split wrote, and nothing else"
    )
    directory = ImageDirectory.open(settings.data, setting="data", nested=settings.loading.nested)
    if settings.link in ("symlink", "manifest"):
        _refuse_listed_inside(directory, output)
    if settings.link != "manifest":
        refuse_hidden_labels(directory)
    if settings.rare == "refuse":
        refuse_single(directory, settings)
    division = divide(survey(directory, progress, "data", settings.loading.workers), settings, progress)
    copied = 0
    with whole_folder(output, settings.overwrite) as folder, write_failures(where):
        write_record(division, folder)
        if settings.link == "manifest":
            write_lists(division, folder, output)
        else:
            copied = write_folders(division, folder, settings.link, progress)
    return _result(division, settings, copied)


def _refuse_listed_inside(directory: ImageDirectory, output: Path) -> None:
    """A list may name pictures in the output that is to be replaced, and parts may only point to them."""
    if directory.layout.name == "folders" or not output.exists():
        return
    place = os.path.join(output.resolve(), "")  # noqa: PTH118 - a prefix
    for i in range(len(directory)):
        if os.path.realpath(directory.path(i)).startswith(place):
            raise OutputError(
                "a picture lies in the output",
                where=f"output={shown(str(output))}",
                accepted=f"{shown(directory.path(i))} is only read",
                remedy="choose an output elsewhere, or link=copy",
            )


def _result(division: Division, settings: SplitSettings, copied: int) -> SplitResult:
    directory = division.directory
    found = {(directory.label_index(i), part) for i, part in enumerate(division.part)}
    ending = ".csv" if settings.link == "manifest" else ""
    parts = [
        Part(
            name,
            settings.output / f"{name}{ending}",
            pictures,
            sum((label, number) in found for label in range(len(directory.labels))),
        )
        for number, (name, pictures) in enumerate(zip(division.names, division.pictures(), strict=True))
    ]
    skipped = dict(Counter(division.reasons.values()).most_common())
    lacking = {label: [division.names[part] for part in where] for label, where in division.lacking().items()}
    return SplitResult(settings.output, parts, skipped, lacking, _notes(division, lacking, copied))


def _notes(division: Division, lacking: dict[str, list[str]], copied: int) -> list[tuple[str, str]]:
    notes = []
    for name, noun, groups in (
        ("copies", "groups of pictures that are the same or look it", division.copies),
        ("groups", "groups by group_by", division.groups),
    ):
        if groups:
            sizes = [len(group) for group in groups]
            told = f"{len(groups)} {noun}, {counted(sum(sizes), 'picture')}, the largest {max(sizes)}"
            notes.append((name, f"{told}: each in one part"))
    label = division.directory.label_index
    if torn := [group for group in division.copies if len({label(i) for i in group}) > 1]:
        example = ", ".join(shown(division.directory.name(i)) for i in torn[0][:2])
        notes.append(("", f"{len(torn)} of them under two labels, such as {example}: see discerna check"))
    by_parts: dict[tuple[str, ...], list[str]] = {}
    for name, where in lacking.items():
        by_parts.setdefault(tuple(where), []).append(name)
    for absent, labels in by_parts.items():
        if len(absent) == len(division.names):
            notes.append(("rare", f"{listed(labels)}: in no part"))
            continue
        notes.append(("rare", f"{listed(labels)}: not in {', '.join(absent)}, for want of pictures"))
        if set(absent) & set(division.names[:NEEDED]):
            notes.append(("", "discerna train will refuse this: add pictures, or use rare=leave_out"))
    if copied:
        notes.append(("copied", f"{counted(copied, 'picture')}: no hard link can be made to that disk"))
    return notes
