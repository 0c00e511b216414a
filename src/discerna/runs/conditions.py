"""`where=accuracy>0.9,optimizer=sgd`: which runs are meant."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

from discerna.directories.run_status import State
from discerna.errors import SettingsError
from discerna.runs.run import FACTS, OTHER_NAMES, Run
from discerna.settings.build import nearest
from discerna.settings.keys import known_keys
from discerna.settings.train import TrainSettings

_CONDITION = re.compile(r"(?P<key>[\w.]+) *(?P<sign>>=|<=|!=|>|<|=|~) *(?P<value>.*)", re.DOTALL)

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}

Condition = Callable[[Run], bool]


def conditions(text: str | None, runs: Sequence[Run] = ()) -> Condition:
    """A function that says whether a run meets all conditions in `text`, which commas part."""
    parts = [_condition(part.strip(), runs) for part in (text or "").split(",") if part.strip()]
    return lambda run: all(part(run) for part in parts)


def _condition(text: str, runs: Sequence[Run]) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise SettingsError(
            "not a condition",
            where=f"where={text}",
            accepted=f"NAME, one of {' '.join([*_SIGNS, '~'])}, and a value, as in accuracy>0.9",
            remedy="join several by commas; ~ asks whether a text is contained",
        )
    key, sign, wanted = match["key"], match["sign"], match["value"].strip()
    check_key(key, "where", runs)
    if key == "state" and sign in ("=", "!=") and wanted not in get_args(State):
        states = get_args(State)
        raise SettingsError(
            "no such state",
            where=f"where={text}",
            accepted=f"it is {' | '.join(states)}",
            remedy=nearest(wanted, states),
        )
    if sign == "~":
        return lambda run: wanted.lower() in shown_value(run.value(key)).lower()
    compare, limit = _SIGNS[sign], number(wanted)

    def holds(run: Run) -> bool:
        found = run.value(key)
        if found is None:
            return sign == "!=" or (sign == "=" and wanted == "null")
        figure = number(found)
        if limit is not None and figure is not None:
            return compare(figure, limit)
        if sign not in ("=", "!=") and (limit is None) != (figure is None):
            return False  # a text is neither more nor less than a number
        return compare(shown_value(found), wanted)

    return holds


def check_key(key: str, setting: str, runs: Sequence[Run]) -> None:
    """Refuse a name that no run knows."""
    keys = known_keys(TrainSettings)
    key = OTHER_NAMES.get(key, key)
    groups = {name.partition(".")[0] for name in keys if "." in name}
    if key in FACTS or key in keys or key in groups or any(run.value(key) is not None for run in runs):
        return
    raise SettingsError(
        "runs have no such value",
        where=f"{setting}={key}",
        accepted=f"{', '.join(FACTS)}, and every setting of train",
        remedy=nearest(key, [*FACTS, *keys, *groups]),
    )


def shown_value(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def number(value: Any) -> float | None:
    """A value as a number; None where it is none."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
