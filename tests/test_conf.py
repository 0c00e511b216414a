"""conf/ as the reference manual: every value has a comment, every file composes, no group has a path's name."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from discerna.composition import compose, compose_prepared
from discerna.help_text import of_verb, overview
from discerna.overrides import PACKAGED, available_groups, prepare_overrides
from discerna.settings.keys import is_path, known_keys
from discerna.settings.verbs import VERBS

CONF = Path(str(files("discerna.conf")))
YAML = sorted(CONF.rglob("*.yaml"))
REQUIRED = {
    "train": ["model=resnet18", "train_data=a", "valid_data=b"],
    "create": ["network=resnet18", "output=o"],
    "score": ["model=m", "data=d"],
    "evaluate": ["model=m", "data=d"],
    "convert": ["input=i", "output=o"],
    "env": [],
    "demo": ["output=o"],
    "check": ["data=d"],
    "split": ["data=d", "output=o"],
    "register": ["model=m", "name=n"],
    "registry list": [],
    "registry show": ["model=m"],
    "registry diff": ["models=[a,b]"],
    "registry promote": ["model=m", "alias=a"],
    "registry download": ["model=m", "output=o"],
    "registry delete": ["model=m:1"],
    "runs list": [],
    "runs best": [],
    "runs show": ["run=r"],
    "runs logs": ["run=r"],
    "runs files": ["run=r"],
    "runs download": ["run=r", "output=o"],
    "runs compare": ["runs=[a,b]"],
}


@pytest.mark.parametrize("path", YAML, ids=lambda p: str(p.relative_to(CONF)))
def test_every_value_has_a_comment(path):
    for line in path.read_text("utf-8").splitlines():
        if re.match(r"^ *[\w-]+: *\S", line) and not line.lstrip().startswith(("name:", "defaults:")):
            assert re.search(r" # \S", line), f"no comment: {line}"
    assert path.read_text("utf-8").startswith("# ")


def test_no_group_bears_the_name_of_a_path_or_name_setting():
    taken = {"model", "data", "train_data", "valid_data", "output", "network", "input", "name"}
    for verb in VERBS.values():
        taken |= {key for key, hint in known_keys(verb.settings).items() if is_path(hint)}
    assert not taken & set(available_groups(PACKAGED))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_composes(verb):
    assert isinstance(compose(verb, REQUIRED[verb]), VERBS[verb].settings)


@pytest.mark.parametrize(
    ("group", "choice"), [(g, c) for g, choices in available_groups(PACKAGED).items() for c in choices]
)
def test_every_choice_composes(group, choice):
    prepared = prepare_overrides("train", [*REQUIRED["train"], f"{group}={choice}"], PACKAGED)
    # As one of many jobs: some groups belong to sweeps.
    compose_prepared("train", dict(text.split("=", 1) for text in prepared), PACKAGED, of_sweep=True)


def test_every_verb_has_a_file_and_every_file_a_verb():
    assert {path.stem for path in CONF.glob("*.yaml")} == {verb.module for verb in VERBS.values()}


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_every_setting(verb):
    text = of_verb(verb)
    for key in known_keys(VERBS[verb].settings):
        group = key.partition(".")[0]
        chosen = not key.endswith(".name") and f"  {key}" in text
        other_choice = group in (
            *("optimizer", "scheduler", "early_stopping", "augmentation", "logger"),
            *("sweep", "early_termination"),
        )
        assert chosen or key.endswith(".name") or other_choice or key in ("callbacks", "space"), key
    assert all(word in overview("1") for name in VERBS for word in name.split())
