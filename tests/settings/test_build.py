"""Plain values -> settings: what is accepted, what is refused, and in which words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.errors import SettingsError
from discerna.settings.build import build, describe, hints, plain
from discerna.settings.ranges import AtLeast, Below, Between, ModelReference


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: Literal["one"]
    share: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class Other:
    name: Literal["two"]
    power: Annotated[float, Below(0, 1)]


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: Annotated[int, AtLeast(1)]
    rate: float
    on: bool
    word: str
    place: Path | None
    inner: Inner | Other
    several: Annotated[int, AtLeast(1)] | Literal["auto"] | list[int]
    model: Annotated[str, ModelReference()]
    free: dict[str, Any]


GOOD = {
    "count": 3,
    "rate": 0.5,
    "on": True,
    "word": "w",
    "place": "a/b",
    "inner": {"name": "one", "share": 0.25},
    "several": "auto",
    "model": "resnet18",
    "free": {"x": [1, {"y": None}]},
}


def test_good_values_and_back():
    settings = build(Outer, GOOD)
    assert settings.place == Path.cwd() / "a/b"
    assert isinstance(settings.inner, Inner)
    assert build(Outer, plain(settings)) == settings


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 0}, "wrong value: count=0; it is a whole number, 1 or more"),
        ({"count": 1.5}, "wrong value: count=1.5; it is a whole number, 1 or more"),
        ({"count": True}, "wrong value: count=True; it is a whole number, 1 or more"),
        ({"count": "three"}, "wrong value: count=three; it is a whole number, 1 or more"),
        ({"count": None}, "wrong value: count=None; it is a whole number, 1 or more"),
        ({"rate": float("nan")}, "wrong value: rate=nan; it is a number"),
        ({"rate": float("inf")}, "wrong value: rate=inf; it is a number"),
        ({"on": 1}, "wrong value: on=1; it is true or false"),
        ({"word": 7}, "wrong value: word=7; it is text"),
        ({"place": ""}, "wrong value: place=; it is a path, or null"),
        (
            {"several": 0},
            "several=0; it is a whole number, 1 or more or auto or a list as [a,b] (a whole number)",
        ),
        ({"several": "automatic"}, "several=automatic"),
        ({"inner": {"name": "one", "share": 1.5}}, "inner.share=1.5; it is a number, 0 to 1"),
        ({"inner": {"name": "tow", "power": 0.5}}, "inner.name=tow; it is one | two; did you mean two"),
        (
            {"inner": {"name": "one", "share": 0.5, "power": 0.1}},
            "a setting without effect with inner=one: inner.power; inner=one has share; power belongs to inner=two",
        ),
        ({"inner": {"name": "one", "shar": 0.5}}, "did you mean inner.share"),
        ({"inner": 3}, "wrong value: inner=3"),
        ({"cuont": 3}, "unknown setting: cuont"),
        ({"free": {"x": float("inf")}}, "wrong value"),
        ({"free": [1]}, "it is a mapping {name: value}"),
        (
            {"model": "???"},
            "a setting is missing: model; it is a model directory, registry:NAME, or a network's name; "
            "pass model=VALUE",
        ),
    ],
)
def test_bad_values(change, told):
    with pytest.raises(SettingsError) as caught:
        build(Outer, {**GOOD, **change})
    assert told in str(caught.value)


def test_faults_are_told_together():
    with pytest.raises(SettingsError) as caught:
        build(Outer, {**GOOD, "count": 0, "on": 2, "nonsense": 1, "word": "???"})
    message = str(caught.value)
    assert message.startswith("4 faults")
    for part in ("count=0", "on=2", "nonsense", "word"):
        assert part in message


def test_an_integer_is_a_number_of_any_size():
    assert build(Outer, {**GOOD, "rate": 2, "count": 10**40}).count == 10**40


@pytest.mark.parametrize(
    ("typed", "is_path"),
    [
        ("resnet18", False),
        ("a/b", True),
        ("./resnet18", True),
        ("timm/resnet18", False),
        ("registry:a/b", False),
        (".", True),
    ],
)
def test_model_reference(typed, is_path):
    assert Path(build(Outer, {**GOOD, "model": typed}).model).is_absolute() == is_path


def test_an_existing_folder_is_a_model_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    assert build(Outer, {**GOOD, "model": "resnet18"}).model == str(tmp_path / "resnet18")


def test_an_existing_folder_is_no_name_of_a_network_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "azure" / "flowers").mkdir(parents=True)
    assert build(Outer, {**GOOD, "model": "azure/flowers"}).model == str(tmp_path / "azure" / "flowers")
    assert build(Outer, {**GOOD, "model": "azure/resnet18"}).model == "azure/resnet18"


@dataclass(frozen=True, kw_only=True)
class WithKeyword:
    from_: Path | None
    count: int


def test_a_key_that_python_has_for_itself():
    assert build(WithKeyword, {"from": "/a", "count": 1}) == WithKeyword(from_=Path("/a"), count=1)
    assert plain(WithKeyword(from_=Path("/a"), count=1)) == {"from": "/a", "count": 1}
    with pytest.raises(SettingsError, match=r"unknown setting: from_; .*did you mean from"):
        build(WithKeyword, {"from_": "/a", "count": 1})


def test_home_is_expanded_but_a_name_with_a_tilde_is_not(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/somebody")
    assert build(Outer, {**GOOD, "place": "~/x"}).place == Path("/home/of/somebody/x")
    assert build(Outer, {**GOOD, "place": "~x"}).place == Path.cwd() / "~x"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=6,
    ),
    st.sampled_from(sorted(GOOD)),
)
def test_nonsense_never_crashes(value, key):
    try:
        build(Outer, {**GOOD, key: value})
    except SettingsError as error:
        assert key in str(error)


def test_describe_names_every_kind():
    told = {name: describe(hint) for name, hint in hints(Outer).items()}
    assert told["several"] == "a whole number, 1 or more or auto or a list as [a,b] (a whole number)"
    assert told["place"] == "a path, or null"
    assert told["model"] == "a model directory, registry:NAME, or a network's name"
