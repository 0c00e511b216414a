"""How good a trained model is on labelled pictures: each counts once, by the exact path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import label_positions
from discerna.errors import InvalidDatasetError, OutOfMemoryError
from discerna.progress import SILENT, Progress
from discerna.results.figures import Evaluation
from discerna.results.predictor import ScoredBatch, Scorer
from discerna.results.tally import Tally
from discerna.wording import counted, listed, shown

LOG = logging.getLogger("discerna")

SHOWN = 10

BATCH = 32
"""Pictures that a training measures at once."""


T = TypeVar("T")


def with_smaller_batches(measure: Callable[[int], T], batch_size: int) -> T:
    """What `measure` gives for a batch size, halved as often as memory runs out: no figure depends on it."""
    while True:
        try:
            return measure(batch_size)
        except OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size //= 2


def evaluate(
    predictor: Scorer,
    data: ImageDirectory,
    *,
    setting: str,
    batch_size: int,
    workers: int,
    progress: Progress = SILENT,
    on_batch: Callable[[ScoredBatch], None] | None = None,
) -> Evaluation:
    """Measure the model on all pictures of `data`, which the user gave as `setting`.

    Labels are matched by name; the model may know more of them. `on_batch` sees every batch of scores as
    it is made, so that they need not be made twice.
    """
    positions = label_positions(data, predictor.labels, setting=setting, allow_missing=True)
    present = set(data.labels)
    absent = [label for label in predictor.labels if label not in present]
    if absent:
        LOG.info("%s has no picture of %s: %s", setting, counted(len(absent), "label"), listed(absent, SHOWN))
    tally = Tally(predictor.labels, len(data))
    skipped: list[tuple[str, str]] = []
    stream = predictor.stream(data, batch_size=batch_size, workers=workers, progress=progress)
    with closing(stream) as batches:
        for batch in batches:
            truth = np.array([positions[data.label_index(i)] for i in batch.indices], np.int64)
            tally.add(batch.probabilities, truth)
            skipped += [(data.name(i), error.cause) for i, error in batch.errors]
            if on_batch is not None:
                on_batch(batch)
    if not tally.pictures:
        raise InvalidDatasetError(
            "no picture can be read",
            where=f"{setting}={shown(str(data.place))}",
            accepted=f"all {len(data)} are damaged, such as {_told(skipped[:1])}",
            remedy="give it pictures that open",
        )
    if skipped:
        more = f" … and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        told = _told(skipped[:SHOWN]) + more
        LOG.warning("%s: %s not counted: %s", setting, counted(len(skipped), "unreadable picture"), told)
    return tally.evaluation(skipped)


def _told(skipped: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{shown(name)} ({why})" for name, why in skipped)
