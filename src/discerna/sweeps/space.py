"""A search space: what is fixed, and between which values each of the others is chosen, by Hydra's grammar."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from discerna.errors import SettingsError, combined
from discerna.overrides import Source, prepare_overrides, unquoted
from discerna.sweeps.elements import Steps, elements, steps_of, typed
from discerna.sweeps.points import Point

Value = str | int | float
"""What is chosen on an axis: a number, or the text of a choice."""


@dataclass(frozen=True)
class Choices:
    """Values without an order, as typed."""

    values: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def ends(self) -> tuple[str, ...]:
        """What a space must be tried at: here all of them."""
        return self.values

    def at(self, index: int) -> str:
        """The value at this place."""
        return self.values[index]

    def text(self, value: Value) -> str:
        """The value as one would type it."""
        return str(value)


@dataclass(frozen=True)
class Interval:
    """Numbers between two, both included: whole ones where both ends are; `log`: each power of ten as likely."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether these are whole numbers."""
        return isinstance(self.low, int)

    @property
    def size(self) -> int | None:
        """How many there are; None: too many to count."""
        return int(self.high - self.low) + 1 if self.whole else None

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """The smallest and the largest."""
        return self.low, self.high

    def at(self, index: int) -> int | float:
        """The whole number at this place."""
        return self.low + index

    def text(self, value: Value) -> str:
        """The number as one would type it, to the last digit."""
        return repr(int(value) if self.whole else float(value))


Axis = Choices | Interval | Steps


@dataclass(frozen=True)
class Space:
    """Settings by the key that Hydra takes (`++epochs`, `optimizer`)."""

    fixed: Mapping[str, str]
    axes: Mapping[str, Axis]

    @property
    def size(self) -> int | None:
        """How many points it has; None: too many to count."""
        return size(self.axes)

    def overrides(self, values: Mapping[str, Value]) -> dict[str, str]:
        """All settings of the point at these values, which are by key without `++`."""
        return {
            **self.fixed,
            **{key: axis.text(values[bare(key)]) for key, axis in self.axes.items()},
        }

    def point(self, number: int, values: Mapping[str, Value]) -> Point:
        """The point at these values."""
        overrides = self.overrides(values)
        return Point(number, overrides, {bare(key): unquoted(overrides[key]) for key in self.axes})

    def probes(self) -> list[Point]:
        """A few points that have each choice and each end at least once: what is wrong with one is known early."""
        count = max((len(axis.ends) for axis in self.axes.values()), default=1)
        return [
            self.point(n, {bare(key): axis.ends[n % len(axis.ends)] for key, axis in self.axes.items()})
            for n in range(count)
        ]


def size(axes: Mapping[str, Axis]) -> int | None:
    """How many points the axes span; None: too many to count."""
    sizes = [axis.size for axis in axes.values()]
    return None if None in sizes else math.prod(filter(None, sizes))


def bare(key: str) -> str:
    """The key without what tells Hydra that it may be new."""
    return key.lstrip("+")


def split_space(overrides: Sequence[str], choices: Mapping[str, Sequence[str]]) -> Space:
    """What the overrides fix and what they leave open; glob(*) takes from `choices`, which are by group.

    Where a key is given twice, the last one counts. Raises one SettingsError that tells every fault.
    """
    faults: list[SettingsError] = []
    found: dict[str, tuple[str, str | Axis]] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        try:
            value = _axis(override, choices) if override.is_sweep_override() else override.get_value_string()
        except SettingsError as error:
            faults.append(error)
        else:
            found.pop(bare(key), None)
            found[bare(key)] = key, value
    if faults:
        raise combined(faults)
    return Space(
        {key: value for key, value in found.values() if isinstance(value, str)},
        {key: value for key, value in found.values() if not isinstance(value, str)},
    )


def from_mapping(space: Mapping[str, str], typed_keys: Collection[str], source: Source) -> list[str]:
    """The overrides of a ready space (`space=recipe`), checked like typed ones; keys in `typed_keys` are left out.

    `typed_keys` are without `++`.
    """
    given = [f"{key}={value}" for key, value in space.items() if key not in typed_keys]
    prepared = prepare_overrides("train", given, source, multirun=True)
    for override in OverridesParser.create().parse_overrides(prepared):
        if not override.is_sweep_override():
            raise _single(override)
    return prepared


def _axis(override: Override, choices: Mapping[str, Sequence[str]]) -> Axis:
    value = override.value()
    log = isinstance(value, Sweep) and _is_log(value, override)
    if override.get_value_string().startswith("sort("):
        raise SettingsError(
            "a search has no order",
            where=typed(override),
            remedy="leave out sort()",
        )
    axis: Axis
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        axis = _interval(override, Interval(value.start, value.end, log))
    elif isinstance(value, RangeSweep) and not value.shuffle:
        axis = steps_of(override, value)
        if log and (axis.step != 1 or isinstance(axis.step, float)):
            raise SettingsError(
                "a logarithmic scale has no steps",
                where=typed(override),
                remedy="write tag(log,interval(LOW,HIGH)), or tag(log,int(interval(LOW,HIGH))) for whole numbers",
            )
        if log and axis.size > 1:
            axis = _interval(override, Interval(*axis.ends, log))
        elif not axis.even:  # Optuna would leave out the last one
            axis = Choices(tuple(elements(override, choices)))
    else:
        axis = Choices(tuple(dict.fromkeys(elements(override, choices))))
    if axis.size == 1:
        raise _single(override)
    return axis


def _interval(override: Override, interval: Interval) -> Interval:
    if not all(map(math.isfinite, interval.ends)) or interval.low >= interval.high:
        raise SettingsError(
            "not an interval",
            where=typed(override),
            accepted="interval(LOW,HIGH), two numbers, the smaller first",
        )
    if interval.log and interval.low <= 0:
        raise SettingsError(
            "a logarithmic scale begins above 0",
            where=typed(override),
            remedy="use a small number such as 1e-6, or leave out tag(log,...)",
        )
    return interval


def _is_log(sweep: Sweep, override: Override) -> bool:
    accepted = {"log"} if isinstance(sweep, IntervalSweep | RangeSweep) else set()
    unknown = sorted(sweep.tags - accepted)
    if unknown:
        raise SettingsError(
            "a tag that means nothing here",
            where=typed(override),
            accepted="tag(log,...) goes with an interval or a range"
            if not accepted
            else "the only tag is log",
            remedy=f"leave out {' and '.join(unknown)}",
        )
    return bool(sweep.tags)


def _single(override: Override) -> SettingsError:
    return SettingsError(
        "a single value is nothing to search",
        where=typed(override),
        accepted="a,b choice(a,b) range(1,4) interval(0.1,0.2) tag(log,interval(1e-5,1e-1)) glob(*)",
        remedy=f"give several, or write {bare(override.get_key_element())}=VALUE",
    )
