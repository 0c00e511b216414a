"""What `--help` prints, read from the YAML files and the settings' types; imports neither Hydra nor torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from discerna.settings.build import alternatives, describe, hints
from discerna.settings.verbs import FAMILIES, VERBS, Verb, family
from discerna.wording import align, width

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[\w-]+):(?: +(?P<value>[^#]*?))?(?: *# (?P<comment>.*))?$")

FLAGS = (
    ("--cfg job", "print the composed settings and stop"),
    ("--config-dir DIR", "a directory of your own YAML files, besides the packaged ones"),
    ("--config-name NAME", "a primary file of your own in it, whose defaults start with the command's name"),
    ("-m, --multirun", "train: one run for each combination of a=1,2 b=3,4"),
)


def overview(version: str) -> str:
    """What `discerna --help` prints."""
    verbs = [(f"  {verb.name}", verb.summary) for verb in VERBS.values() if " " not in verb.name]
    verbs += [(f"  {name}", f"{told}: {', '.join(family(name))}") for name, told in FAMILIES.items()]
    return "\n".join(
        [
            f"discerna {version}: train an image classifier from two folders of labelled pictures.",
            "",
            "usage: discerna COMMAND SETTING=VALUE ...",
            "",
            align(verbs),
            "",
            "  discerna COMMAND --help shows its settings; discerna --version the version.",
            "",
            "first steps:",
            *(
                f"  discerna {v.name} {v.example}"
                for v in VERBS.values()
                if v.name in ("create", "train", "score")
            ),
        ]
    )


def of_family(name: str) -> str:
    """What `discerna FAMILY --help` prints: its commands."""
    verbs = family(name).values()
    return "\n".join(
        [
            f"discerna {name}: {FAMILIES[name]}.",
            "",
            align([(f"  discerna {verb.name}", verb.summary) for verb in verbs]),
            "",
            f"  discerna {name} COMMAND --help shows its settings.",
        ]
    )


def of_verb(name: str) -> str:
    """What `discerna VERB --help` prints: every setting with default, comment and range."""
    verb = VERBS[name]
    conf = files("discerna.conf")
    text = (conf / f"{verb.module}.yaml").read_text("utf-8")
    lines = [
        f"discerna {name}: {verb.summary}.",
        "",
        f"usage: discerna {name} {verb.example}".rstrip(),
        "",
        "settings:",
    ]
    lines.append(_settings_table(text, verb.settings, ""))
    groups = _default_groups(text)
    if groups:
        lines += ["", "groups, chosen by GROUP=CHOICE and changed by GROUP.SETTING=VALUE:"]
    for group, choice in groups:
        folder = conf / group
        if not folder.is_dir():  # one that only users have, as experiment
            continue
        choices = sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))
        lines += ["", f"  {group}={choice or 'null'}   ({' | '.join(choices)})"]
        if group in hints(verb.settings):
            table = _settings_table(
                _merged(folder, choice), _chosen_class(verb, group, _merged(folder, choice)), group + "."
            )
            lines += [table] if table else []
            others = [c for c in choices if c != choice]
            lines += [f"    {c}: {_headline((folder / f'{c}.yaml').read_text('utf-8'))}" for c in others]
        else:
            lines += [f"    {c}: {_headline((folder / f'{c}.yaml').read_text('utf-8'))}" for c in choices]
    lines += [
        "",
        "flags:",
        align([(f"  {flag}", text) for flag, text in FLAGS if name == "train" or "-m" not in flag]),
    ]
    return "\n".join(lines)


def _headline(text: str) -> str:
    comments = [
        line[2:] for line in text.splitlines() if line.startswith("# ") and not line.startswith("# @")
    ]
    return comments[0] if comments else ""


def _default_groups(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"^  - (\w+): (\w+)$", text, re.MULTILINE)
    return [(group, "" if choice == "null" else choice) for group, choice in found]


def _merged(folder: Traversable, choice: str) -> str:
    """A group's file with the file it starts from, its own lines winning."""
    text = (folder / f"{choice}.yaml").read_text("utf-8")
    parents = re.findall(r"^  - (\w+)$", text, re.MULTILINE)
    return "\n".join([*(_merged(folder, parent) for parent in parents), text])


def _chosen_class(verb: Verb, group: str, text: str) -> Any:
    name = next((value for key, value, _ in _entries(text) if key == "name"), None)
    for member in alternatives(hints(verb.settings)[group]):
        if dataclasses.is_dataclass(member):
            own = hints(member).get("name") if isinstance(member, type) else None
            if own is None or name in describe(own).split(" | "):
                return member
    return None


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """(dotted key, value, comment) of each line of a YAML file that holds a setting."""
    parent = ""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match["key"] == "defaults":
            continue
        value, comment = (match["value"] or "").strip(), match["comment"] or ""
        if match["indent"]:
            yield f"{parent}.{match['key']}", value, comment
        elif not value:
            parent = match["key"]
        else:
            yield match["key"], value, comment


def _settings_table(text: str, settings: Any, prefix: str) -> str:
    entries = list(_entries(text))
    # A group's own name is the choice itself.
    latest = {key: (value, comment) for key, value, comment in entries if not (prefix and key == "name")}
    rows = []
    for key, (value, comment) in latest.items():
        hint = _hint(settings, key)
        accepted = describe(hint) if hint is not None else ""
        shown = "(required)" if value == "???" else value
        rows.append(
            (
                f"    {prefix}{key}={shown}" if value != "???" else f"    {prefix}{key}  {shown}",
                comment,
                accepted,
            )
        )
    if not rows:
        return ""
    column = min(34, max(width(row[0]) for row in rows)) + 2
    out = []
    for left, comment, accepted in rows:
        gap = " " * max(2, column - width(left))
        out.append(f"{left}{gap}{comment}")
        if (
            accepted
            and accepted not in ("text", "a path", "true or false")
            and not comment.startswith(accepted)
        ):
            out.append(f"{' ' * column}[{accepted}]")
    return "\n".join(out)


def _hint(settings: Any, key: str) -> Any:
    head, _, rest = key.partition(".")
    found = hints(settings).get(head) if settings is not None else None
    if not rest or found is None:
        return found
    groups = [m for m in alternatives(found) if dataclasses.is_dataclass(m)]
    return _hint(groups[0], rest) if groups else None
