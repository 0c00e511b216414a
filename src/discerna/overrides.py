"""What is typed or passed from Python -> overrides that Hydra takes: keys checked, paths quoted.

Mistakes in keys are found here, before Hydra composes, so that all are told together and in our own words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from discerna.errors import SettingsError, combined
from discerna.settings.build import absolute, hints, key_of, nearest, unknown_key
from discerna.settings.early_stopping import ELSEWHERE
from discerna.settings.keys import OTHER_NAMES, is_mapping, is_path, is_path_list, known_keys
from discerna.settings.trainer import NOT_CONFIGURABLE
from discerna.settings.verbs import VERBS


@dataclass(frozen=True)
class Source:
    """Where the YAML comes from: the packaged conf/, and a user's own beside it."""

    config_dir: Path | None = None
    config_name: str | None = None


PACKAGED = Source()


def prepare_overrides(
    verb: str, overrides: Sequence[str], source: Source, multirun: bool = False
) -> list[str]:
    """The overrides as Hydra takes them: keys checked, paths quoted, values added even where YAML has none."""
    faults: list[SettingsError] = []
    ready: list[str] = []
    keys = known_keys(VERBS[verb].settings)
    groups = {
        name: choices
        for name, choices in available_groups(source).items()
        if name in hints(VERBS[verb].settings) or source != PACKAGED
    }
    for text in overrides:
        try:
            ready.append(_prepared(text, verb, keys, groups, multirun))
        except SettingsError as error:
            faults.append(error)
    if faults:
        raise combined(faults)
    return ready


def quoted(text: str) -> str:
    """The text as one literal value of Hydra's override grammar and of OmegaConf."""
    # A backslash needs doubling only where it stands before a quote or an interpolation; both grammars agree.
    out = []
    backslashes = 0
    for position, letter in enumerate(text):
        if letter == "\\":
            backslashes += 1
            continue
        interpolation = letter == "$" and text[position + 1 : position + 2] == "{"
        special = letter == "'" or interpolation
        # Hydra halves backslashes before its quote; OmegaConf halves them before ${ and eats one as the escape.
        out.append("\\" * (2 * backslashes + 1 if special else backslashes) + letter)
        backslashes = 0
    out.append("\\" * (2 * backslashes))
    return "'" + "".join(out) + "'"


def unquoted(value: str) -> str:
    """A value as it was typed, for showing."""
    return value[1:-1] if _is_quoted(value) else value


def _prepared(
    text: str, verb: str, keys: dict[str, Any], groups: dict[str, list[str]], multirun: bool
) -> str:
    key, equals, value = text.partition("=")
    if key.startswith("~"):
        raise SettingsError(
            "a setting cannot be removed", where=text, remedy=f"leave it out, or give {key[1:]} another value"
        )
    bare = key.lstrip("+")
    if equals and not bare:
        raise SettingsError("a setting without a name", where=text, remedy="write NAME=VALUE")
    if not equals:
        raise _no_value(text, [*keys, *groups])
    if bare.startswith(("hydra.", "hydra/")):
        of_search = bare.startswith(("hydra/sweeper", "hydra.sweeper"))
        raise SettingsError(
            "a setting without effect here",
            where=text,
            accepted="discerna keeps its own run folder, log and sweeps",
            remedy="use sweep=optuna or sweep=grid"
            if of_search
            else "use output=DIR; sweeps (-m) take hydra/launcher",
        )
    if bare in groups:
        if value.startswith("{") and bare in keys:
            raise SettingsError(
                "a mapping cannot be given at once",
                where=text,
                remedy=f"write {bare}.NAME._target_=my_module.MyClass",
            )
        _check_choice(bare, value, groups[bare], multirun)
        return f"{bare}={value}"
    owner = next((k for k in keys if bare.startswith(f"{k}.") and is_mapping(keys[k])), None)
    if bare not in keys and owner is None:
        raise _unknown(bare, verb, keys, groups)
    if bare in keys and is_path(keys[bare]):
        value = _path_value(value, is_path_list(keys[bare]), multirun)
    elif bare == "pretrained":
        value = _path_value(value, False, multirun, words=("true", "false", "null", "True", "False"))
    # ++ sets a key whether or not the chosen YAML file has it; the dataclass decides whether it belongs.
    ready = f"++{bare}={value}"
    _check_grammar(ready, text, multirun)
    return ready


def _path_value(value: str, is_list: bool, multirun: bool, words: Sequence[str] = ("null",)) -> str:
    """The value with quotes around what is a path and none around what is one of `words`."""
    if is_list and value.startswith("[") and value.endswith("]"):
        return value
    if value == "???" or _is_quoted(value):
        return value
    if multirun:
        return _sweep_call(value, words) or _path_values(value, words)
    return value if value in words else quoted(value)


def _path_values(values: str, words: Sequence[str]) -> str:
    parts = _split_commas(values)
    return ",".join(part if _is_quoted(part) or part in words else quoted(part) for part in parts)


SWEEP_CALL = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\((.*)\)", re.DOTALL)
"""What Hydra's grammar takes for a sweep; a path of this form needs quotes."""


def _sweep_call(value: str, words: Sequence[str]) -> str | None:
    """A sweep such as choice(a,b) with its paths quoted; None if it is none."""
    call = SWEEP_CALL.fullmatch(value)
    if call is None:
        return None
    name, inside = call.groups()
    if name in ("choice", "shuffle"):  # the others take no paths, or not paths alone
        return f"{name}({_sweep_call(inside, words) or _path_values(inside, words)})"
    return value


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and value[0] not in value[1:-1]


def _split_commas(value: str) -> list[str]:
    """The parts between commas that stand outside quotes, without spaces around them, as Hydra reads them."""
    parts, quote = [""], ""
    for letter in value:
        if letter == "," and not quote:
            parts.append("")
            continue
        if letter in "'\"" and (letter == quote or (not quote and not parts[-1].strip())):
            quote = "" if quote else letter
        parts[-1] += letter
    return [part.strip() for part in parts]


def _check_grammar(ready: str, typed: str, multirun: bool) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(ready)
    except HydraException as error:
        raise SettingsError(
            "not readable as KEY=VALUE",
            where=typed,
            accepted=str(error).strip().splitlines()[0],
            remedy="quote a value with special characters: \"KEY='VALUE'\"",
        ) from None
    if override.is_sweep_override() and not multirun:
        raise SettingsError(
            "several values for one run",
            where=typed,
            accepted="a comma separates the jobs of a sweep",
            remedy="add -m for a sweep, or quote a value that holds a comma: \"KEY='a,b'\"",
        )


def _no_value(text: str, known: Sequence[str]) -> SettingsError:
    word = text.lstrip("-+")
    close = difflib.get_close_matches(word, [*known, "help", "version", "multirun"], n=1)
    remedy = f"write {close[0]}=VALUE" if close and close[0] in known else "see --help"
    return SettingsError(
        "not a setting", where=text, accepted="settings are written KEY=VALUE", remedy=remedy
    )


def _check_choice(group: str, value: str, choices: Sequence[str], multirun: bool) -> None:
    if multirun and "(" in value:  # choice(...), glob(...): Hydra expands them and names what does not exist
        return
    for choice in value.split(",") if multirun else [value]:
        if choice == "null" and group == "experiment":
            continue
        if choice not in choices:
            known = " | ".join(choices)
            raise SettingsError(
                "unknown choice",
                where=f"{group}={choice}",
                accepted=f"it is {known}",
                remedy=nearest(choice, choices),
            )


def _unknown(key: str, verb: str, keys: dict[str, Any], groups: dict[str, list[str]]) -> SettingsError:
    others = {name: to for name, to in OTHER_NAMES.items() if to in keys}
    group, _, leaf = key.rpartition(".")
    reserved = (
        {"trainer": NOT_CONFIGURABLE, "early_stopping": ELSEWHERE}.get(group, {}) if verb == "train" else {}
    )
    if key in others:
        remedy = f"it is called {others[key]} here"
    elif leaf in reserved:
        remedy = f"not a setting here: {reserved[leaf]}"
    else:
        used = [group for group in groups if any(k.startswith(f"{group}.") or k == group for k in keys)]
        remedy = unknown_key(key, [*keys, *used, *others]).remedy
        for name, to in others.items():
            remedy = f"did you mean {to}" if remedy == f"did you mean {name}" else remedy
    accepted = f"see discerna {verb} --help"  # the whole list is long; the help shows it with comments
    return SettingsError("unknown setting", where=key, accepted=accepted, remedy=remedy)


def available_groups(source: Source) -> dict[str, list[str]]:
    """The config groups with their choices, packaged ones first, then those of the user's own directory."""
    roots: list[Any] = [files("discerna.conf")]
    if source.config_dir is not None:
        roots.append(source.config_dir)
    groups: dict[str, list[str]] = {}
    for root in roots:
        for folder in sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: f.name):
            choices = sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))
            if choices:
                groups[folder.name] = list(dict.fromkeys([*groups.get(folder.name, []), *choices]))
    return groups


def check_source(source: Source, verb: str) -> Source:
    """The source with its directory made absolute; an error where it or the named file is missing."""
    directory = source.config_dir
    if directory is not None:
        directory = absolute(directory)
        if not directory.is_dir():
            raise SettingsError("no such directory", where=f"--config-dir {directory}")
    name = source.config_name.removesuffix(".yaml") if source.config_name else None
    if name is not None:
        roots = [Path(str(files("discerna.conf")))] + ([directory] if directory else [])
        if not any((root / f"{name}.yaml").is_file() for root in roots):
            known = sorted(f.stem for root in roots for f in root.glob("*.yaml"))
            raise SettingsError(
                "no such config",
                where=f"--config-name {name}",
                accepted=f"found: {', '.join(known)}",
                remedy=nearest(name, known)
                or f"write {name}.yaml into --config-dir, its defaults starting with {VERBS[verb].module}",
            )
    return Source(directory, name)


def overrides_from(values: Mapping[str, Any], verb: str, multirun: bool = False) -> list[str]:
    """Overrides for values given from Python: `{"optimizer": "sgd", "trainer": {"devices": 2}}`.

    `multirun`: for a command line on which a comma would separate jobs.
    """
    keys = known_keys(VERBS[verb].settings)
    groups = available_groups(PACKAGED)
    out: list[str] = []
    for name, value in values.items():
        key = key_of(name)
        is_group = key in groups or any(k.startswith(f"{key}.") for k in keys)
        if isinstance(value, Mapping) and (is_group or is_mapping(keys.get(key))):
            out += _nested(key, value)
        elif is_group and not isinstance(value, str):
            raise SettingsError(
                "wrong value",
                where=f"{key}={value!r}",
                accepted="a group takes the name of a choice or a mapping of its settings",
            )
        elif key in keys and is_path(keys[key]) and value is not None and not isinstance(value, list | tuple):
            out.append(f"{key}={quoted(str(value)) if multirun else _python_text(str(value))}")
        else:
            out.append(f"{key}={value if is_group else literal(value)}")
    return out


def varying_from(values: Mapping[str, Any], verb: str) -> list[str]:
    """Overrides with several values each: `{"learning_rate": [0.1, 0.01], "epochs": "range(1,4)"}`."""
    keys = known_keys(VERBS[verb].settings)
    groups = available_groups(PACKAGED)
    out = []
    for key, given in values.items():
        if isinstance(given, str):  # in Hydra's grammar
            out.append(f"{key}={given}")
            continue
        if not isinstance(given, list | tuple) or not given:
            raise SettingsError(
                "wrong value",
                where=f"vary={{{key!r}: {given!r}}}",
                accepted="a list of values, or text such as 'tag(log,interval(1e-4,1e-1))'",
            )
        is_text = key in keys and is_path(keys[key])
        each = [
            quoted(str(value))
            if is_text and value is not None
            else str(value)
            if key in groups
            else literal(value)
            for value in given
        ]
        out.append(f"{key}={','.join(each)}")
    return out


def _nested(prefix: str, values: Mapping[str, Any]) -> list[str]:
    """Overrides for the settings inside a group, the choice (`name`) first."""
    choice = [f"{prefix}={values['name']}"] if "name" in values else []
    return choice + [f"{prefix}.{key}={literal(value)}" for key, value in values.items() if key != "name"]


def _python_text(text: str) -> str:
    """A path from Python: quoted only where `_path_value` would take it for something else."""
    return quoted(text) if _is_quoted(text) or text in ("null", "???") or text[:1] == "[" else text


def literal(value: Any) -> str:
    """The value as the override grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(literal(item) for item in value) + "]"
    return quoted(str(value))
