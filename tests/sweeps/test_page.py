"""sweep.html as text: what it holds, that it loads nothing, and that nothing a job says becomes markup."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from discerna.sweeps.page import page
from told_sweeps import HOSTILE, odd, plausible

SWEEPS = {"plausible": plausible(), "many": plausible(500), **odd()}
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Tags, attributes, and the text of scripts and styles; a tag that is closed out of turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inner: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            kind = self.tags[-1][1].get("type") or self.open[-1]
            self.inner[kind] = self.inner.get(kind, "") + data


@pytest.mark.parametrize("name", SWEEPS)
def test_page_is_well_formed_and_holds_what_was_told(name):
    read = Reader(page(SWEEPS[name]))
    assert json.loads(read.inner["application/json"]) == SWEEPS[name]
    assert [tag for tag, _ in read.tags].count("script") == 2


def test_nothing_of_a_job_becomes_markup():
    text = page(SWEEPS["hostile"])
    assert HOSTILE not in text
    assert text.count("<script") == page(SWEEPS["nothing"]).count("<script")
    assert "<img" not in text and "\udcff" not in text
    text.encode("utf-8")


def test_marks_of_the_template_in_values_stay_values():
    told = plausible(2) | {"output": "{{told}} {{policy}}"}
    assert json.loads(Reader(page(told)).inner["application/json"])["output"] == "{{told}} {{policy}}"


def test_page_loads_nothing():
    text = page(SWEEPS["nothing"])
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|XMLHttpRequest|import\(", text)
    read = Reader(text)
    assert not [tag for tag, attributes in read.tags if "src" in attributes]
    assert [a["href"] for _, a in read.tags if "href" in a] == ["data:,"]


def test_policy_allows_the_own_script_and_style_alone():
    read = Reader(page(SWEEPS["plausible"]))
    policy = next(a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    for kind in ("script", "style"):
        digest = b64encode(sha256(read.inner[kind].encode()).digest()).decode()
        assert parts[f"{kind}-src"] == f"'sha256-{digest}'"


def test_nothing_in_the_script_makes_markup_of_text():
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", page({})
    )


def test_numbers_that_json_lacks_are_null():
    told = {"jobs": [{"value": float("nan"), "curve": [[1, float("inf")], (2, 0.5)]}]}
    assert json.loads(Reader(page(told)).inner["application/json"]) == {
        "jobs": [{"value": None, "curve": [[1, None], [2, 0.5]]}]
    }


def test_page_is_small():
    assert len(page({}).encode()) < 60_000
