"""What was seen in one directory, and between two, as findings."""

from __future__ import annotations

import bisect
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from discerna.checks.copies import same_pictures
from discerna.checks.findings import Finding
from discerna.checks.survey import Survey
from discerna.directories.image_dir import ImageDirectory, similar_labels
from discerna.progress import Progress
from discerna.settings.check import Limits

Surveys = Mapping[str, Survey]
"""Setting -> what its directory holds."""

Copy = tuple[str, int]
"""A picture: the setting of its directory, and its position there."""


def of_labels(surveys: Surveys, limits: Limits) -> Iterator[Finding]:
    """Labels that differ between the sides, that have few pictures, or that look alike."""
    for where, survey in surveys.items():
        yield from _of_counts(where, survey, limits)
    if {"train_data", "valid_data"} <= surveys.keys():
        train, valid = (surveys[name].directory.labels for name in ("train_data", "valid_data"))
        yield from _found("labels_missing", "valid_data", _without(train, valid))
        yield from _found("labels_extra", "valid_data", _without(valid, train))


def _without(labels: Iterable[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [label for label in labels if label not in known]


def _of_counts(where: str, survey: Survey, limits: Limits) -> Iterator[Finding]:
    directory = survey.directory
    counts = Counter(directory.counts())
    counts.subtract(directory.label(i) or "" for i in survey.bad)  # these cannot be learned from
    del counts[""]
    yield from _found("similar_labels", where, similar_labels(directory.labels))
    least = limits.min_pictures
    if where == "valid_data":
        least = -(-least // 5)
    few = [f"{label} ({count})" for label, count in counts.items() if count < least]
    yield from _found("few_pictures", where, few, f"(fewer than {least})")
    most = max(counts.values(), default=0)
    if where != "valid_data":
        rare = [f"{label} ({n})" for label, n in counts.items() if 0 < n * limits.max_imbalance < most]
        yield from _found(
            "imbalance", where, rare, f"(which has {most}, over {limits.max_imbalance:g} times as many)"
        )


def of_files(where: str, survey: Survey) -> Iterator[Finding]:
    """Files that are no pictures, or pictures of an unusual kind."""
    directory = survey.directory
    reasons: dict[str, list[str]] = defaultdict(list)
    for i, error in survey.bad.items():
        reasons[error.reason].append(directory.name(i))
    unused = []
    for name, reason in directory.others:
        if reason == "unsupported_format":
            unused.append(name)
        else:
            reasons[reason].append(name)
    for reason, names in reasons.items():
        yield from _found(reason, where, names)
    endings = Counter(os.path.splitext(name)[1] or "no ending" for name in unused)  # noqa: PTH122
    told = ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(5))
    yield from _found("not_used", where, unused, told)
    for code in ("wrong_extension", "animated", "tiny", "huge", "long", "turned"):
        yield from _found(code, where, _names(directory, getattr(survey, code)))
    if len(survey.modes) > 1:
        usual, count = survey.modes.most_common(1)[0]
        others = [
            f"{mode} ({n}) {directory.name(survey.first_of_mode[mode])}"
            for mode, n in survey.modes.most_common()[1:]
        ]
        yield Finding("modes", where, survey.modes.total() - count, others, f"({usual})")
    if directory.ignored:
        yield Finding("hidden", where, directory.ignored, [])
    every = itertools.chain(
        map(directory.name, range(len(directory))), (name for name, _ in directory.others)
    )
    yield from _found("bad_name", where, [name for name in every if not _is_unicode(name)])


def of_copies(surveys: Surveys, limits: Limits, progress: Progress) -> Iterator[Finding]:
    """The same picture twice: within a directory, under two labels, on both sides."""
    sides = list(surveys)
    starts = np.cumsum([0, *(len(survey.directory) for survey in surveys.values())]).tolist()

    def picture(i: int) -> Copy:
        side = bisect.bisect_right(starts, i) - 1
        return sides[side], i - starts[side]

    same, alike = same_pictures(list(surveys.values()), limits.near_duplicates, progress)
    for groups, codes in ((same, CODES_OF_COPIES), (alike, CODES_OF_ALIKES)):
        yield from _copies(surveys, [[picture(i) for i in group] for group in groups], codes)


CODES_OF_COPIES = ("leak", "two_labels", "duplicates")
CODES_OF_ALIKES = ("near_leak", "near_two_labels", "near_duplicates")


def _copies(
    surveys: Surveys, groups: Sequence[Sequence[Copy]], codes: tuple[str, str, str]
) -> Iterator[Finding]:
    """A group is told once, by the worst that it is: on both sides, under two labels, or merely twice."""
    across, labels, within = codes
    leaks, contradictions, copies = [], [], defaultdict(list)
    for group in groups:
        sides = {where for where, _ in group}
        told = " = ".join(_named(surveys, copy, len(sides) > 1) for copy in group[:4])
        told += f" = … ({len(group)})" if len(group) > 4 else ""
        under = {surveys[where].directory.label(i) for where, i in group}
        if len(sides) > 1:
            leaks.append(told)
        if len(under) > 1:
            contradictions.append(told)
        if len(sides) == 1 and len(under) == 1:
            copies[next(iter(sides))].append(told)
    both = ", ".join(surveys)
    yield from _found(across, both, leaks)
    yield from _found(labels, both, contradictions)
    for where, groups_within in copies.items():
        yield from _found(within, where, groups_within)


def _named(surveys: Surveys, copy: Copy, with_side: bool) -> str:
    where, i = copy
    name = surveys[where].directory.name(i)
    return f"{where.removesuffix('_data')}/{name}" if with_side else name


def _found(code: str, where: str, examples: Sequence[str], detail: str = "") -> Iterable[Finding]:
    return [Finding(code, where, len(examples), examples, detail)] if examples else []


def _names(directory: ImageDirectory, positions: Iterable[int]) -> list[str]:
    return [directory.name(i) for i in positions]


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in name)


def sizes(survey: Survey) -> str:
    """The sides of the pictures: `96x96`, or their range and median."""
    known = survey.sides[survey.sides.min(axis=1) > 0]
    if not len(known):
        return "no sizes known"
    least, middle, most = known.min(0), np.median(known, axis=0).astype(int), known.max(0)
    if (least == most).all():
        return f"{least[0]}x{least[1]} pixels"
    return f"{least[0]}x{least[1]} to {most[0]}x{most[1]} pixels, median {middle[0]}x{middle[1]}"


def facts(survey: Survey) -> dict[str, Any]:
    """What the directory holds, whether or not anything is wrong with it."""
    directory = survey.directory
    return {
        "pictures": len(directory),
        "labels": directory.counts(),
        "sizes": sizes(survey),
        "formats": dict(survey.formats.most_common()),
        "modes": dict(survey.modes.most_common()),
    }
