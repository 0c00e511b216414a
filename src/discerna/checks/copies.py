"""Which of the pictures that were surveyed are the same picture."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from discerna.checks.duplicates import STEPS, look_alikes, same_files
from discerna.checks.survey import Survey
from discerna.images.inspection import sketch
from discerna.progress import Progress

Groups = list[list[int]]
"""Positions in the directories of all surveys, one after the other."""


def same_pictures(surveys: Sequence[Survey], near: bool, progress: Progress) -> tuple[Groups, Groups]:
    """Groups that are the same file; with `near`, groups that look the same too, of the former one picture each."""
    same = same_files(np.concatenate([survey.digests for survey in surveys]))
    if not near:
        return same, []
    looks = np.concatenate([survey.looks for survey in surveys])
    has_look = np.concatenate([survey.has_look for survey in surveys])
    for group in same:
        has_look[group[1:]] = False  # one speaks for all that are the same
    starts = [0, *accumulate(len(survey.directory) for survey in surveys)]

    def sketched(i: int) -> np.ndarray:
        owner = bisect_right(starts, i) - 1
        return sketch(surveys[owner].directory.path(i - starts[owner]))

    with progress.task("comparing", STEPS) as advance:
        return same, look_alikes(looks, np.flatnonzero(has_look).tolist(), sketched, advance)
