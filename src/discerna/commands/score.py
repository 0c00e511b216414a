"""`discerna score`: a trained model and pictures in, a row of probabilities for each picture out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.layout import PICTURE
from discerna.directories.model_dir import ModelDirectory
from discerna.networks.assembly import refuse_untrained
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.results.azure_scores import azure_columns, open_azure_scores, refuse_azure_scores
from discerna.results.placement import choose_placement, refuse_devices
from discerna.results.predictor import ScoredBatch
from discerna.results.score_columns import own_columns
from discerna.results.scores import open_scores, refuse_scores
from discerna.settings.score import Format, ScoreSettings
from discerna.wording import as_typed, counted, shown

LOG = logging.getLogger("discerna")

SHOWN = 10


@dataclass
class ScoreResult:
    """What was scored, and where the scores are."""

    output: Path | None
    """The file or directory of scores; None: they went to the standard output."""
    format: Format = "discerna"
    """Whose columns they have."""
    scored: int = 0
    unreadable: int = 0
    """Pictures that cannot be read: their rows have no scores, and in our own format a reason."""
    labelled: int = 0
    """Of the pictures scored, those whose true label is known, to the model too."""
    right: int = 0
    """Of these, the pictures whose label is right."""

    @property
    def accuracy(self) -> float | None:
        """Share of right pictures among the labelled ones; None where none is labelled."""
        return self.right / self.labelled if self.labelled else None

    def lines(self) -> list[str]:
        """What to tell a person, but for where the scores are."""
        told = f"scored {counted(self.scored, 'picture')}"
        if self.unreadable:
            where = "see the column error" if self.format == "discerna" else "without scores"
            told += f", {self.unreadable} unreadable ({where})"
        if self.accuracy is None:
            return [told]
        return [told, f"accuracy {self.accuracy:.2%} of {counted(self.labelled, 'picture')} with a label"]

    def summary(self) -> str:
        """What to print; nothing where the standard output has the scores."""
        if self.output is None:
            return ""
        return "\n".join([*self.lines(), f"scores {shown(as_typed(self.output))}"])


def run(settings: ScoreSettings, progress: Progress = SILENT) -> ScoreResult:
    """Score all pictures of `data` in its order."""
    output = None if settings.output in (None, Path.cwd() / "-") else settings.output
    given = settings.data if isinstance(settings.data, list) else [settings.data]
    if output is not None:
        refuse = refuse_azure_scores if settings.format == "azure" else refuse_scores
        refuse(output, settings.overwrite, [settings.model, *given])
    import_user_modules(settings.networks.modules)
    directory = ModelDirectory.open(settings.model, setting="model")
    refuse_untrained(directory)
    refuse_devices(settings)
    labels, nested = directory.spec.labels, settings.loading.nested
    data = ImageDirectory.open_any(settings.data, setting="data", labels=labels, nested=nested)
    placement = choose_placement(settings, len(data))
    predictor = placement.scorer(directory, views=settings.views, modules=settings.networks.modules)
    LOG.info("%s", placement.told())
    if output is None and sys.stdout.isatty():
        progress = SILENT  # a bar would stand in the midst of the rows
    name = _names(data, given)
    if settings.format == "azure":
        opened = open_azure_scores(output, azure_columns(data, labels), overwrite=settings.overwrite)
    else:
        opened = open_scores(output, own_columns(data, labels, name), overwrite=settings.overwrite)
    result = ScoreResult(output, settings.format)
    count = _counter(result, data, labels)
    unreadable: list[str] = []
    workers = placement.workers.value
    stream = predictor.stream(data, batch_size=settings.batch_size, workers=workers, progress=progress)
    with opened as table, closing(stream) as batches:
        for batch in batches:
            table.write(batch)
            count(batch)
            first = batch.errors[: SHOWN - len(unreadable)]
            unreadable += [f"{shown(name(i))} ({error.cause})" for i, error in first]
    if unreadable:
        _warn(result, unreadable)
    if output is None:
        LOG.info("%s", "\n".join(result.lines()))
    return result


def _warn(result: ScoreResult, examples: list[str]) -> None:
    """Say that pictures cannot be read; which and why, where no column does."""
    told = "their rows tell why"
    if result.format == "azure":
        more = result.unreadable - len(examples)
        told = f"without scores: {', '.join(examples)}" + (f" … and {more} more" if more else "")
    LOG.warning("%s cannot be read; %s", counted(result.unreadable, "picture"), told)


def _names(data: ImageDirectory, given: list[Path]) -> Callable[[int], str]:
    """The column `file`: as the one directory or list that was given has it, else the path."""
    if len(given) == 1 and data.layout.name != PICTURE:
        return data.name
    return lambda i: as_typed(Path(data.path(i)))


def _counter(result: ScoreResult, data: ImageDirectory, labels: list[str]) -> Callable[[ScoredBatch], None]:
    """A function that counts the pictures of a batch into the result."""
    place = {label: position for position, label in enumerate(labels)}
    # Not all folders need bear a label of the model's: pictures in others are scored, not judged.
    positions = [place.get(label, -1) for label in data.labels]

    def count(batch: ScoredBatch) -> None:
        result.scored += len(batch.indices)
        result.unreadable += len(batch.errors)
        for i, best in zip(batch.indices, batch.probabilities.argmax(1).tolist(), strict=True):
            found = data.label_index(i)
            if found >= 0 and positions[found] >= 0:
                result.labelled += 1
                result.right += positions[found] == best

    return count
