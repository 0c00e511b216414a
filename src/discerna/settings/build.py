"""Plain values (from YAML, JSON or Python) -> settings dataclasses, strictly, with every fault told at once.

One converter for all doors: the command line, a worker's settings.json and `discerna.train(...)` pass
through here, so all give the same checks and the same messages.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from discerna.errors import SettingsError, combined
from discerna.settings.ranges import ModelReference, Range, Verbatim

T = TypeVar("T")

MISSING = "???"
"""What YAML holds where the user must give a value."""


def build(cls: type[T], plain: Mapping[str, Any]) -> T:
    """The settings `cls` from plain values; raises one SettingsError that lists every fault."""
    faults: list[SettingsError] = []
    settings = _dataclass(cls, plain, "", faults)
    if faults:
        raise combined(faults)
    return settings  # type: ignore[no-any-return]


def plain(settings: object) -> dict[str, Any]:
    """The inverse of `build`: what JSON can hold, paths as text."""
    return {key_of(f.name): _plain_value(getattr(settings, f.name)) for f in dataclasses.fields(settings)}  # type: ignore[arg-type]


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    return value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Plain values by their dotted keys; a group's `name` is the value of the group, as it is typed."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        elif key == "name" and prefix:
            leaves[prefix.rstrip(".")] = value
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def key_of(field: str) -> str:
    """A field's key: its name without the underscore at the end that Python's keywords need, as in `from_`."""
    return field.removesuffix("_")


def hints(cls: type) -> dict[str, Any]:
    """The keys of a settings dataclass with their types, ranges included."""
    resolved = get_type_hints(cls, include_extras=True)
    return {key_of(field.name): resolved[field.name] for field in dataclasses.fields(cls) if field.init}


def alternatives(hint: Any) -> list[Any]:
    """The members of a union, or the type itself."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return list(get_args(hint)) if get_origin(hint) in (Union, types.UnionType) else [hint]


LONGEST_WORD = 200
"""Beyond it nothing is near; comparing a megabyte out of a stranger's file would take hundreds."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X` for the nearest of the known words, or nothing."""
    if len(word) > LONGEST_WORD:
        return ""
    known = list(known)
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not found and len(word) > 3:
        found = [name for name in known if word in name][:2]
    return f"did you mean {' or '.join(found)}" if found else ""


def describe(hint: Any) -> str:
    """What a setting accepts, in words: `a whole number, 1 or more`."""
    if get_origin(hint) is Annotated:
        base, *marks = get_args(hint)
        if any(isinstance(mark, ModelReference) for mark in marks):
            named = any(isinstance(mark, ModelReference) and mark.names for mark in marks)
            return "a model directory, registry:NAME" + (", or a network's name" if named else "")
        if any(isinstance(mark, Verbatim) for mark in marks):
            return ", ".join(map(str, marks))
        return ", ".join([describe(base), *(str(mark) for mark in marks)])
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        told = " or ".join(dict.fromkeys(describe(member) for member in members))
        return f"{told}, or null" if type(None) in get_args(hint) else told
    if get_origin(hint) is Literal:
        return " | ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) is list:
        return f"a list as [a,b] ({describe(get_args(hint)[0])})"
    if get_origin(hint) is dict or hint is dict:
        return "a mapping {name: value}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return words.get(hint, "a group of settings")


def _dataclass(cls: type, given: Any, prefix: str, faults: list[SettingsError]) -> Any:
    if not isinstance(given, Mapping):
        faults.append(_wrong(prefix.rstrip("."), given, "a group of settings"))
        return None
    fields = hints(cls)
    for key in given:
        if key not in fields:
            faults.append(unknown_key(f"{prefix}{key}", [f"{prefix}{name}" for name in fields]))
    before = len(faults)
    values = {}
    for name, hint in fields.items():
        key = f"{prefix}{name}"
        if name not in given or (isinstance(given[name], str) and given[name] == MISSING):
            accepted = f"it is {describe(hint)}"
            faults.append(
                SettingsError(
                    "a setting is missing", where=key, accepted=accepted, remedy=f"pass {key}=VALUE"
                )
            )
        else:
            values[name] = _value(hint, given[name], key, faults)
    if len(faults) > before:
        return None
    try:
        return cls(**{f.name: values[key_of(f.name)] for f in dataclasses.fields(cls) if f.init})
    except SettingsError as error:
        faults.append(error)
        return None


def unknown_key(key: str, known: Iterable[str]) -> SettingsError:
    """The error for a key that no setting bears, with the nearest right name."""
    known = list(known)
    leaf = key.rpartition(".")[2]
    remedy = nearest(key, known) or nearest(leaf, [k for k in known if "." not in k])
    if not remedy:  # the same word at the end of another key: momentum -> optimizer.momentum
        same = [k for k in known if k.rpartition(".")[2] == leaf]
        remedy = f"did you mean {same[0]}" if same else ""
    siblings = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]]
    accepted = "accepted here: " + ", ".join(siblings) if siblings else ""
    return SettingsError("unknown setting", where=key, accepted=accepted, remedy=remedy)


LONGEST_VALUE = 1000
"""More of a wrong value is not repeated."""


def _wrong(key: str, value: Any, accepted: str, remedy: str = "") -> SettingsError:
    shown = value if isinstance(value, str) else repr(value)
    if len(shown) > LONGEST_VALUE:
        shown = f"{shown[:LONGEST_VALUE]}…"
    return SettingsError("wrong value", where=f"{key}={shown}", accepted=f"it is {accepted}", remedy=remedy)


def _value(hint: Any, value: Any, key: str, faults: list[SettingsError]) -> Any:
    marks: tuple[Any, ...] = ()
    whole = hint
    if get_origin(hint) is Annotated:
        hint, *found = get_args(hint)
        marks = tuple(found)
    if get_origin(hint) in (Union, types.UnionType):
        return _union(whole, get_args(hint), marks, value, key, faults)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, f"{key}.", faults)
    try:
        if hint is Path and isinstance(value, str) and value.startswith(REGISTERED) and _takes_model(marks):
            return Path(value)
        converted = _scalar(hint, value, key, faults)
        if hint is str and _takes_model(marks):
            converted = _model(converted)
    except ValueError:
        remedy = nearest(str(value), map(str, get_args(hint))) if get_origin(hint) is Literal else ""
        faults.append(_wrong(key, value, describe(whole), remedy))
        return None
    ranges: list[Range] = [mark for mark in marks if hasattr(mark, "holds")]
    if not all(mark.holds(converted) for mark in ranges):
        faults.append(_wrong(key, value, describe(whole)))
        return None
    return converted


def _union(
    whole: Any,
    members: tuple[Any, ...],
    marks: tuple[Any, ...],
    value: Any,
    key: str,
    faults: list[SettingsError],
) -> Any:
    if value is None and type(None) in members:
        return None
    groups = [m for m in members if dataclasses.is_dataclass(m)]
    if groups and isinstance(value, Mapping):
        return _chosen(groups, value, key, faults)
    for member in members:
        if member is type(None):
            continue
        tried: list[SettingsError] = []
        converted = _value(Annotated[(member, *marks)] if marks else member, value, key, tried)
        if not tried:
            return converted
    faults.append(_wrong(key, value, describe(whole)))
    return None


def _chosen(groups: list[Any], value: Mapping[str, Any], key: str, faults: list[SettingsError]) -> Any:
    """One of several dataclasses, told apart by the text in their field `name`."""
    by_name = {name: group for group in groups for name in get_args(hints(group)["name"])}
    usual = [getattr(group, "name", None) for group in groups]  # a field's default is its class's attribute
    if "name" not in value and any(usual):
        value = {"name": next(filter(None, usual)), **value}
    name = value.get("name")
    if name not in by_name:
        faults.append(_wrong(f"{key}.name", name, " | ".join(by_name), nearest(str(name), by_name)))
        return None
    group = by_name[name]
    for extra in [k for k in value if k not in hints(group)]:
        owners = [other for other, cls in by_name.items() if extra in hints(cls)]
        accepted = f"{key}={name} has " + ", ".join(k for k in hints(group) if k != "name")
        if not owners:
            error = unknown_key(f"{key}.{extra}", [f"{key}.{k}" for k in hints(group) if k != "name"])
            remedy = error.remedy
        else:
            remedy = f"{extra} belongs to {key}={owners[0]}"
        problem = f"a setting without effect with {key}={name}" if owners else "unknown setting"
        faults.append(SettingsError(problem, where=f"{key}.{extra}", accepted=accepted, remedy=remedy))
    return _dataclass(group, {k: v for k, v in value.items() if k in hints(group)}, f"{key}.", faults)


def _scalar(hint: Any, value: Any, key: str, faults: list[SettingsError]) -> Any:
    """The value as `hint`; ValueError when it is not one."""
    if hint is Any:
        return _finite(value)
    if get_origin(hint) is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in get_args(hint)):
            raise ValueError
        return value
    if get_origin(hint) is list:
        if not isinstance(value, list | tuple):
            raise ValueError
        inner = get_args(hint)[0]
        if inner is str and all(type(item) is str for item in value):
            return list(value)  # at once, as there may be a million labels
        return [_value(inner, item, f"{key}[{i}]", faults) for i, item in enumerate(value)]
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise ValueError
        inner = get_args(hint)[1]
        return {str(k): _value(inner, item, f"{key}.{k}", faults) for k, item in value.items()}
    if hint is Path:
        if not isinstance(value, str | os.PathLike) or not os.fspath(value):
            raise ValueError
        return absolute(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:  # more digits than a float holds
            raise ValueError from None
    if type(value) is not hint:
        raise ValueError
    return _finite(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path from the root, with ~/ as the home folder; links stay as they are."""
    text = os.fspath(path)
    if text == "~" or text.startswith("~/"):
        text = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser would also read ~name
    return Path(os.path.abspath(text))  # noqa: PTH100 - Path.resolve would follow links


REGISTERED = "registry:"
"""What a registered model begins with; `composition` puts its directory in its place."""


def takes_model(hint: Any) -> bool:
    """Whether a setting is a model, which may be a registered one."""
    return get_origin(hint) is Annotated and _takes_model(get_args(hint)[1:])


def _takes_model(marks: Iterable[Any]) -> bool:
    return any(isinstance(mark, ModelReference) for mark in marks)


def _model(text: str) -> str:
    """A path made absolute, or a name left alone; a folder that exists is never taken for a name."""
    reserved = text.startswith(("azure/", "timm/", REGISTERED))
    is_path = Path(text).is_dir() or (not reserved and (os.sep in text or text in (".", "..", "~")))
    if not text:
        raise ValueError
    return str(absolute(text)) if is_path else text
