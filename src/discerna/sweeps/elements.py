"""What one setting of a sweep may be, each as override text that gives exactly this value when it is composed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString, RangeSweep, Transformer

from discerna.errors import SettingsError

WORD = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z_][a-z0-9_/.-]*", re.IGNORECASE)
"""Text that the grammar takes for a text though it has no quotes."""


@dataclass(frozen=True)
class Steps:
    """Numbers at equal distances, the smallest first; range(1,4) is 1, 2, 3."""

    start: int | float
    step: int | float
    size: int

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """The smallest and the largest."""
        return self.at(0), self.at(self.size - 1)

    @property
    def even(self) -> bool:
        """Whether the distances stay equal in floats, as with a step of 0.1 and not of a third in 16 digits."""
        exact = Decimal(repr(self.start)) + (self.size - 1) * Decimal(repr(self.step))
        return Decimal(repr(self.ends[1])) == exact

    def at(self, index: int) -> int | float:
        """The number at this place."""
        if isinstance(self.start, int) and isinstance(self.step, int):
            return self.start + index * self.step
        # In decimals, as people reckon: the fourth of range(0,1,0.1) is 0.3 and not 0.30000000000000004.
        return float(Decimal(repr(self.start)) + index * Decimal(repr(self.step)))

    def text(self, value: int | float | str) -> str:
        """The number nearest to `value`, as one would type it."""
        return repr(self.at(round((float(value) - self.start) / self.step)))


def elements(override: Override, choices: Mapping[str, Sequence[str]]) -> list[str]:
    """The values of `a=1,2`, `choice(1,2)`, `range(1,4)` and `glob(*)` in their order, as override text."""
    value = override.value()
    if isinstance(value, Glob):
        found = value.filter(list(choices.get(override.key_or_group, [])))
        if not found:
            raise SettingsError(
                "nothing matches", where=typed(override), remedy="glob() takes choices of a group"
            )
        return found
    if getattr(value, "shuffle", False):
        raise SettingsError(
            "a sweep cannot be shuffled",
            where=typed(override),
            accepted="its order is the same when it is gone on with",
            remedy="leave out shuffle()",
        )
    if isinstance(value, RangeSweep):
        steps = steps_of(override, value)
        texts = [repr(steps.at(index)) for index in range(steps.size)]
        return texts[::-1] if value.step < 0 else texts
    return [as_typed(element) for element in override.sweep_iterator()]


def steps_of(override: Override, sweep: RangeSweep) -> Steps:
    """The numbers of `range(start,stop,step)`; the last is before `stop`."""
    start, stop, step = sweep.start, sweep.stop, sweep.step
    assert start is not None and stop is not None
    if not all(map(math.isfinite, (start, stop, step))) or step == 0:
        raise _no_range(override)
    distance = (Decimal(repr(stop)) - Decimal(repr(start))) / Decimal(repr(step))
    steps = Steps(start, step, math.ceil(distance))
    if not all(isinstance(number, int) for number in (start, stop, step)):
        steps = Steps(float(start), float(step), steps.size)
    if steps.size < 1:
        raise _no_range(override)
    return steps if step > 0 else Steps(steps.at(steps.size - 1), -steps.step, steps.size)


def as_typed(value: Any) -> str:
    """A parsed value as override text; Hydra's own way loses the quotes that choice() had around a text."""
    if isinstance(value, QuotedString):
        return str(value.with_quotes())
    if isinstance(value, str):
        return value if WORD.fullmatch(value) else str(QuotedString(value, Quote.single).with_quotes())
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return "[" + ",".join(map(as_typed, value)) + "]"
    if isinstance(value, dict):
        # The grammar has no quotes around a key.
        return "{" + ",".join(f"{Transformer.str(key)}:{as_typed(item)}" for key, item in value.items()) + "}"
    return repr(value)


def typed(override: Override) -> str:
    """The override for a message."""
    return str(override.input_line).lstrip("+")


def _no_range(override: Override) -> SettingsError:
    return SettingsError(
        "a range without numbers",
        where=typed(override),
        accepted="range(start,stop,step): from start on, in steps, up to before stop",
    )
