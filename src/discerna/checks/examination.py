"""Every picture of one or two directories looked at, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from discerna.checks.findings import Finding, in_order
from discerna.checks.judgement import facts, of_copies, of_files, of_labels
from discerna.checks.survey import Survey, survey
from discerna.checks.verdict import Verdict
from discerna.directories.image_dir import ImageDirectory
from discerna.progress import Progress
from discerna.settings.check import Limits


def examine(
    directories: Mapping[str, ImageDirectory],
    limits: Limits,
    progress: Progress,
    known: Sequence[Finding] = (),
    *,
    strict: bool = False,
    workers: int | Literal["auto"] = "auto",
) -> tuple[Verdict, dict[str, Survey]]:
    """What is wrong with the directories, named by their settings; `known` is what was found before."""
    surveys = {where: survey(directory, progress, where, workers) for where, directory in directories.items()}
    findings = list(known)
    for where, found in surveys.items():
        findings += of_files(where, found)
    if surveys:
        findings += of_labels(surveys, limits)
        findings += of_copies(surveys, limits, progress)
    told = {where: facts(found) for where, found in surveys.items()}
    return Verdict(told, in_order(findings), strict), surveys
