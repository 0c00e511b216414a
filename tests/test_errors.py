"""The error tree: codes, messages, JSON, pickling, and the catalogue in the docs."""

import inspect
import pickle
from pathlib import Path

import pytest

import discerna
from discerna import errors
from discerna.errors import DiscernaError, SettingsError, combined

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, DiscernaError)]
CONCRETE = [c for c in CLASSES if "code" in vars(c) and c is not DiscernaError]


def test_message_json_and_pickle():
    error = errors.InvalidDatasetError("wrong", where="here", accepted="that", remedy="do this")
    assert str(error) == "wrong: here; that; do this"
    assert error.as_json() == {
        "code": "D0018",
        "class": "InvalidDatasetError",
        "message": str(error),
        "problem": "wrong",
        "where": "here",
        "accepted": "that",
        "remedy": "do this",
    }
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and again.remedy == "do this"
    assert str(SettingsError("only this")) == "only this"


def test_combined_lists_all():
    one, two = SettingsError("a"), SettingsError("b", where="c")
    assert combined([one]) is one
    assert str(combined([one, two])) == "2 faults\n  - a\n  - b: c"


def test_codes_are_unique():
    codes = [c.code for c in CONCRETE]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_error_is_public_and_in_the_tree(cls):
    assert getattr(discerna, cls.__name__) is cls and cls.__name__ in discerna.__all__
    assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("cls", CONCRETE, ids=lambda c: c.__name__)
def test_every_code_is_in_the_catalogue(cls):
    catalogue = (Path(__file__).parents[1] / "docs" / "errors.md").read_text("utf-8")
    assert cls.code in catalogue and cls.__name__ in catalogue
    assert cls.code in (errors.__doc__ or "")


def test_everything_public_is_listed():
    assert len(set(discerna.__all__)) == len(discerna.__all__)
    public = {
        name for name, value in vars(discerna).items() if inspect.isfunction(value) or inspect.isclass(value)
    }
    assert public <= set(discerna.__all__)
    for name in discerna.__all__:
        assert hasattr(discerna, name)
