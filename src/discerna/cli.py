"""argv -> verb. The only place that reads the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from discerna import console, own_process
from discerna.errors import SettingsError
from discerna.settings.build import nearest
from discerna.settings.verbs import FAMILIES, VERBS, family


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    console.configure()
    if arguments is None:
        own_process.claim()
    return console.guard(lambda: _dispatch(typed))


def _dispatch(typed: list[str]) -> None:
    from discerna import __version__

    console.check_surroundings()
    if not typed or typed[0] in ("-h", "--help", "help"):
        from discerna import help_text

        console.result(help_text.overview(__version__))
        return
    if typed[0] in ("-V", "--version"):
        console.result(f"discerna {__version__}")
        return
    if typed[0] in FAMILIES and (len(typed) == 1 or typed[1] in ("-h", "--help")):
        from discerna import help_text

        console.result(help_text.of_family(typed[0]))
        return
    verb, rest = split_verb(typed)
    if verb not in VERBS:
        raise _unknown_command(verb)
    flags, overrides = _parse(verb, rest)
    overrides = with_positional(verb, overrides)
    if flags.help:
        from discerna import help_text

        console.result(help_text.of_verb(verb))
        return
    _run(verb, flags, overrides)


def split_verb(typed: Sequence[str]) -> tuple[str, list[str]]:
    """The verb, of one word or two, and what follows it."""
    words = 2 if typed[0] in FAMILIES else 1
    return " ".join(typed[:words]), list(typed[words:])


def _unknown_command(verb: str) -> SettingsError:
    first, _, second = verb.partition(" ")
    if second:
        known = list(family(first))
        return SettingsError(
            "unknown command",
            where=verb,
            accepted=f"{first} has {' | '.join(known)}",
            remedy=nearest(second, known),
        )
    known = list(dict.fromkeys(name.partition(" ")[0] for name in VERBS))
    return SettingsError(
        "unknown command", where=verb, accepted=f"it is {' | '.join(known)}", remedy=nearest(verb, known)
    )


class _Parser(argparse.ArgumentParser):
    """argparse that raises our error and leaves help and printing to us."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise SettingsError("the command line cannot be read", where=message, remedy="see --help")


def _parse(verb: str, rest: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = _Parser(prog=f"discerna {verb}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("-cd", "--config-dir", type=Path)
    parser.add_argument("-cn", "--config-name")
    parser.add_argument("-m", "--multirun", action="store_true")
    flags, others = parser.parse_known_args(rest)
    for other in others:
        if other.startswith("-") and "=" not in other.split("'")[0]:
            known = ["--help", "--cfg", "--resolve", "--config-dir", "--config-name", "--multirun"]
            raise SettingsError(
                "unknown flag",
                where=other,
                accepted=f"it is {' | '.join(known)}",
                remedy=_as_setting(verb, other) or nearest(other, known),
            )
    return flags, others


def _as_setting(verb: str, flag: str) -> str:
    """How a flag is written here that other programs would have."""
    from discerna.settings.keys import OTHER_NAMES, known_keys

    name = flag.lstrip("-").replace("-", "_")
    known = known_keys(VERBS[verb].settings)
    name = name if name in known else OTHER_NAMES.get(name, name)
    return f"write {name}=VALUE" if name in known else ""


def with_positional(verb: str, words: list[str]) -> list[str]:
    """The overrides, with words that have no NAME= as the value of the verb's positional setting."""
    key = VERBS[verb].positional
    if not key:
        return words
    from discerna.overrides import quoted
    from discerna.settings.keys import is_list, known_keys

    bare = [word for word in words if "=" not in word and not word.startswith(("-", "~", "+"))]
    if not bare:
        return words
    rest = [word for word in words if word not in bare]
    if is_list(known_keys(VERBS[verb].settings)[key]):
        return [f"{key}=[{','.join(map(quoted, bare))}]", *rest]
    if len(bare) > 1:
        raise SettingsError(
            f"{verb} takes one {key}",
            where=" ".join(bare),
            remedy="quote it if it holds a blank; see --help",
        )
    return [f"{key}={quoted(bare[0])}", *rest]


def _run(verb: str, flags: argparse.Namespace, overrides: list[str]) -> None:
    from discerna import composition
    from discerna.overrides import Source, check_source

    source = check_source(Source(flags.config_dir, flags.config_name), verb)
    if flags.cfg and flags.multirun:
        raise SettingsError(
            "--cfg shows one composition", where=f"-m --cfg {flags.cfg}", remedy="leave out -m"
        )
    if flags.cfg:
        console.result(composition.as_yaml(verb, overrides, source, flags.cfg, flags.resolve))
        return
    if flags.multirun:
        if verb != "train":
            raise SettingsError("a sweep needs train", where=f"discerna {verb} -m", remedy="leave out -m")
        from discerna.sweeps import multirun

        sweep = multirun.run(overrides, source, console.progress())
        console.result(sweep.summary())
        sweep.raise_failures()
        return
    settings = composition.compose(verb, overrides, source)
    result: Any
    if verb == "train":
        from discerna import launch, planning

        if settings.plan:
            result = planning.plan(settings, console.progress())
        elif not settings.launch.start:
            result = launch.prepare_only(settings)
        else:
            result = launch.train(settings, console.progress())
    else:
        with console.heavy_imports():
            command = import_module(f"discerna.commands.{VERBS[verb].module}")
        result = command.run(settings, console.progress())
    for text in result.stream() if hasattr(result, "stream") else [result.summary()]:
        if text:
            console.result(text)
    if hasattr(result, "raise_failures"):
        result.raise_failures()
