"""Secrets are masked wherever settings are written, and come back for workers."""

from discerna.settings.secrets import masked, unmasked

VALUES = {
    "logger": {
        "own": {"comet": {"api_key": "abc", "project": "p", "tokens": ["t"], "pin": {"accessKey": 7}}}
    },
    "tracking": "https://user:pw@host.example/path",
    "keyboard": "qwerty",
    "password": "",
    "list": [{"secret": "s"}, "http://u@h"],
}


def test_masked_and_back():
    found = {}
    safe = masked(VALUES, found)
    assert safe["logger"]["own"]["comet"] == {
        "api_key": "***",
        "project": "p",
        "tokens": "***",
        "pin": {"accessKey": "***"},
    }
    assert safe["tracking"] == "https://***@host.example/path"
    assert safe["keyboard"] == "qwerty"
    assert safe["list"] == [{"secret": "***"}, "http://***@h"]
    assert unmasked(safe, found) == VALUES
