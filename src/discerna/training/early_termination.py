"""A job of a sweep ends after an epoch that shows it to be hopeless beside the others.

Each job looks by itself, at the metrics.csv of its siblings: nothing has to reach it from outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from discerna.directories.sweep_folder import curves_of_others
from discerna.settings.sweep import AshaSettings, BanditSettings, MedianSettings, TerminationSettings
from discerna.settings.train import METRIC_MODES, TrainSettings

Curve = Mapping[int, float]
"""The value of `monitor` at each epoch that was validated."""


class EarlyTermination:
    """Asks after each epoch whether this job is worth going on with."""

    def __init__(self, settings: TrainSettings, run: Path) -> None:
        self._rule = settings.early_termination
        self._monitor = settings.monitor
        self._epochs = settings.epochs
        self._run = run

    @property
    def is_on(self) -> bool:
        """Whether there is a rule."""
        return self._rule.name != "none"

    def verdict(self, rows: Sequence[Mapping[str, float]]) -> str:
        """Why the job ends after the last of these epochs; empty: it goes on."""
        own = {int(row["epoch"]): row[self._monitor] for row in rows if self._monitor in row}
        # The last epoch ends by itself, and one without a figure says nothing.
        if not rows or int(rows[-1]["epoch"]) not in own or int(rows[-1]["epoch"]) >= self._epochs:
            return ""
        if not is_due(self._rule, own):  # reading what hundreds of others have come to takes time
            return ""
        return verdict(
            self._rule, own, curves_of_others(self._run, self._monitor), METRIC_MODES[self._monitor]
        )


def is_due(rule: TerminationSettings, own: Curve) -> bool:
    """Whether the rule looks now: at the first epoch with a figure at or after one that it names."""
    epoch = max(own)
    before = max((at for at in own if at < epoch), default=0)
    match rule:
        case MedianSettings() | BanditSettings():
            named = range(rule.interval, epoch + 1, rule.interval)
            return any(before < at and rule.delay <= at for at in named)
        case AshaSettings():
            return any(before < at for at in rungs(rule.min_epochs, rule.reduction, epoch))
    return False


def verdict(rule: TerminationSettings, own: Curve, others: Sequence[Curve], mode: str) -> str:
    """Why a job with the curve `own` ends now, in words; empty: it goes on."""
    if not is_due(rule, own):
        return ""
    sign = 1.0 if mode == "min" else -1.0
    epoch = max(own)
    mine = sign * best(own, epoch, mode)
    as_far = [other for other in others if max(other) >= epoch and min(other) <= epoch]
    bests = [sign * best(other, epoch, mode) for other in as_far]
    match rule:
        case MedianSettings():
            averages = [sign * mean(v for at, v in other.items() if at <= epoch) for other in as_far]
            if len(averages) < rule.others or mine <= (line := median(averages)):
                return ""
            return f"its best is worse than the median of {len(averages)} others ({sign * line:.4g})"
        case BanditSettings():
            leader = min(bests, default=mine)
            if rule.slack_amount is not None:
                line = leader + rule.slack_amount
                told = f"slack_amount {rule.slack_amount:g}"
            else:  # of what is to grow, the share is taken as HyperDrive did
                line = leader * (1 + rule.slack) if leader >= 0 else leader / (1 + rule.slack)
                told = f"slack {rule.slack:g}"
            if mine <= line:
                return ""
            return f"it is behind the best job ({sign * leader:.4g}) by more than {told}"
        case AshaSettings():
            room = math.ceil((len(bests) + 1) / rule.reduction)
            better = sum(value < mine for value in bests)
            if better < room:
                return ""
            return f"{better} of the {len(bests)} others that came to epoch {epoch} were better; {room} may go on"
    return ""


def best(curve: Curve, epoch: int, mode: str) -> float:
    """The best value up to an epoch."""
    pick = min if mode == "min" else max
    return pick(value for at, value in curve.items() if at <= epoch)


def rungs(first: int, reduction: int, last: int) -> list[int]:
    """The epochs up to `last` at which ASHA looks."""
    found = []
    while first <= last:
        found.append(first)
        first *= reduction
    return found
