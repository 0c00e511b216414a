"""Damaged pictures of all formats: none crashes, hangs or takes memory without bound; each has a reason."""

import io
import sys

import pytest

from discerna.images.decode import decode
from soaks import damage
from soaks.damaged_pictures import DAMAGES, damaged, whole, write_damaged

COUNT = 840  # each format and kind in each way, twice


@pytest.fixture(scope="module")
def tally():
    return damage.campaign(COUNT, seed=5, processes=1)


def test_each_is_a_picture_or_has_a_known_reason(tally):
    assert tally.faults == []
    assert tally.outcomes.total() == COUNT
    assert set(tally.outcomes) <= damage.OUTCOMES


def test_time_and_memory_are_bounded(tally):
    assert tally.slowest[0] < 10_000
    assert 0 < tally.memory < 3000


def test_the_memory_told_is_not_that_of_who_starts_the_decoder(monkeypatch):
    child = (
        "from peak_memory import peak_memory; print('memory', peak_memory() >> 20); print(0, 'picture', 1.5)"
    )
    monkeypatch.setattr(damage, "command", lambda seed, first, end: [sys.executable, "-c", child])
    ballast = b"1" * (300 << 20)
    assert 0 < damage.decode_damaged(0, 0, 1).memory < len(ballast) >> 20


def test_the_damage_is_of_all_kinds(tally):
    pairs = {(picture.form, picture.damage) for picture in map(damaged, range(COUNT // 2))}
    assert len(pairs) == len(whole()) * len(DAMAGES) == COUNT // 2
    # neither so heavy that nothing is recognised nor so light that all is read
    assert COUNT / 10 < tally.outcomes["picture"] < COUNT / 2
    assert tally.outcomes["truncated"] > COUNT / 3
    assert tally.outcomes["not_an_image"] > COUNT / 50


def test_what_is_damaged_was_whole():
    for form, data in whole().items():
        assert min(decode(io.BytesIO(data)).size) > 5, form


def test_the_same_seed_gives_the_same_files(tmp_path):
    made = write_damaged(tmp_path / "a", 50, seed=7)
    assert [(tmp_path / "a" / picture.name).read_bytes() for picture in made] == [p.data for p in made]
    assert write_damaged(tmp_path / "b", 50, seed=7) == made
    assert [picture.data for picture in write_damaged(tmp_path / "c", 50, seed=8)] != [p.data for p in made]


def test_crashes_and_hangs_are_found_and_the_rest_goes_on(monkeypatch):
    child = """
import os, sys, time
for n in range(int(sys.argv[1]), int(sys.argv[2])):
    if n == 2: os.abort()
    if n == 4: time.sleep(60)
    if n == 6: raise KeyError("not ours")
    print(n, "wrong_result" if n == 8 else "picture", 1.5, flush=True)
"""
    monkeypatch.setattr(damage, "SECONDS", 3.0)
    monkeypatch.setattr(
        damage, "command", lambda seed, first, end: [sys.executable, "-c", child, str(first), str(end)]
    )
    found = damage.decode_damaged(0, 0, 10)
    assert found.outcomes == {"picture": 6, "fault": 3, "wrong_result": 1}
    names = [damaged(n).name for n in (2, 4, 6, 8)]
    assert found.faults == [
        f"{names[0]}: exit -6",
        f"{names[1]}: no answer for 3 s",
        f"{names[2]}: exit 1 KeyError: 'not ours'",
        f"{names[3]}: wrong_result",
    ]
