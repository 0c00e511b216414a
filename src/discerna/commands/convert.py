"""`discerna convert`: an archive or a directory of any layout in, a labelled directory out."""

from __future__ import annotations

import logging
import shlex
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from discerna.conversion.left_out import LeftOut
from discerna.conversion.making import Made, make
from discerna.conversion.record import RECORD, is_ours
from discerna.conversion.sources import archives_in, open_archives, open_directory
from discerna.conversion.working_folder import working_folder
from discerna.directories.folders import TRAINING, VALIDATION
from discerna.directories.publishing import refuse_unless_replaceable
from discerna.directories.write_aside import put
from discerna.progress import SILENT, Progress
from discerna.settings.convert import ConvertSettings
from discerna.version import __version__
from discerna.wording import align, as_typed, counted, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class ConvertResult:
    """What was made."""

    output: Path
    pictures: int
    parts: dict[str, dict[str, int]]
    """How many pictures each label has, in each part (`train`, `valid`; "" where there are none)."""
    renamed: int
    """Pictures whose name was taken by another one in their label folder."""
    left_out: dict[str, int]
    """How many files are not taken, for each reason."""
    notes: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted; none where the input tells none."""
        return tuple(sorted({label for labels in self.parts.values() for label in labels if label}))

    def summary(self) -> str:
        """What to tell a person."""
        place = shlex.quote(shown(as_typed(self.output)))
        labels = counted(len(self.labels), "label") if self.labels else "no labels"
        head = f"converted {counted(self.pictures, 'picture')}, {labels}, into {place}"
        rows = [*self.notes, ("origin of each", f"{place}/{RECORD}")]
        return "\n".join([head, align(rows, indent="  "), *self._next(place)])

    def _next(self, place: str) -> list[str]:
        train = [part for part in self.parts if part.casefold() in TRAINING]
        valid = [part for part in self.parts if part.casefold() in VALIDATION]
        if len(train) == 1 and len(valid) == 1:
            both = f"train_data={place}/{train[0]} valid_data={place}/{valid[0]}"
            return [f"next  discerna check {both}", f"then  discerna train model=resnet18 {both}"]
        if not self.labels:
            return [f"next  discerna score model=MODEL data={place}"]
        folders = [f"{place}/{shlex.quote(shown(part))}" if part else place for part in self.parts]
        return [f"next  discerna check data={folder}" for folder in folders]


def run(settings: ConvertSettings, progress: Progress = SILENT) -> ConvertResult:
    """Make the directory beside its place, then let it appear."""
    given, output = settings.input, settings.output
    kind = "what an earlier convert wrote, and nothing else"
    refuse_unless_replaceable(output, settings.overwrite, [given], is_ours, kind)
    archives = archives_in(given)
    stats = [(path, path.stat()) for path in [given, *archives]]
    identity = {
        "discerna": __version__,
        "link": settings.link,
        "files": [[str(path), found.st_size, found.st_mtime_ns, found.st_ino] for path, found in stats],
    }
    with working_folder(output, identity) as working:
        with closing(LeftOut(working.left_out)) as left_out:
            if archives:
                sources = open_archives(archives, working, left_out, progress)
            else:
                sources = open_directory(given, left_out)
            made = make(sources, working, given, "auto" if archives else settings.link, left_out, progress)
        put(working.made, output, settings.overwrite)
    return _result(output, made, left_out)


def _result(output: Path, made: Made, left_out: LeftOut) -> ConvertResult:
    notes = [("left out", line) for line in left_out.lines()]
    if left_out.ignored:
        notes.append(("ignored", counted(left_out.ignored, "hidden or system file")))
    if made.renamed:
        told = ", ".join(f"'{shown(name)}'" for name in made.examples)
        notes.append(("renamed", f"{counted(made.renamed, 'picture')} whose name was taken: {told}"))
    if "nested_archive" in left_out.reasons:
        notes.append(("nested archives", "unpack them yourself, and convert the folder"))
    pictures = sum(sum(labels.values()) for labels in made.parts.values())
    return ConvertResult(output, pictures, made.parts, made.renamed, dict(left_out.reasons), tuple(notes))
