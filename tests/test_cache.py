"""Whatever a cache holds, the weights are those of a training without one."""

import json
import os

import pytest

import discerna
from discerna.images import cache_choice
from picture_sets import photograph

LONG_AGO = 10**9


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Pictures larger than a network of 32 pixels looks at, in both formats."""
    root = tmp_path_factory.mktemp("photographs")
    for side, count in (("train", 10), ("valid", 4)):
        for label in ("bright", "dark"):
            (root / side / label).mkdir(parents=True)
            for n in range(count):
                path = root / side / label / f"{n}.{'jpg' if n % 2 else 'png'}"
                photograph(path, (280 + n, 250 + (label == "dark")))
                os.utime(path, (LONG_AGO, LONG_AGO))
    return root


@pytest.fixture
def train(photographs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(photographs))
    numbers = iter(range(100))

    def run(**settings):
        output = tmp_path / f"model{next(numbers)}"
        loading = settings.pop("loading", {})
        done = discerna.train(
            model="tiny",
            networks={"modules": ["tiny_networks"]},
            train_data=photographs / "train",
            valid_data=photographs / "valid",
            output=output,
            image_size=settings.pop("image_size", 32),
            epochs=2,
            batch_size=4,
            trainer={"accelerator": "cpu"},
            augmentation={"name": "medium", "crop_scale": [0.5, 1.0], "flip": 0.5},
            loading=loading,
            **settings,
        )
        return (done.output / "weights.safetensors").read_bytes(), done

    return run


def kept(place):
    return {path: path.stat().st_ino for path in place.rglob("*") if path.is_file()}


def test_off_cold_warm_shared_and_evicted_give_the_same_weights(train, tmp_path, monkeypatch):
    place = tmp_path / "cache"
    off, _ = train(loading={"cache": "off"})
    assert not place.exists()
    cold, _ = train(loading={"cache": place})
    entries = kept(place)
    assert len(entries) == 28
    warm, _ = train(loading={"cache": place})
    assert kept(place) == entries, "nothing was written anew"
    by_workers, _ = train(loading={"cache": place, "workers": 2})
    for number, path in enumerate(entries):
        if number % 2:
            path.unlink()
        elif number % 4:
            path.write_bytes(path.read_bytes()[:-100])
    in_part, _ = train(loading={"cache": place, "workers": 1})
    assert len(kept(place)) == 28
    monkeypatch.setattr(cache_choice, "GIB", 10**7)  # so that 0.01 has room for some pictures only
    for path in entries:
        os.utime(path, (LONG_AGO, LONG_AGO))
    evicted, _ = train(loading={"cache": place, "cache_gib": 0.01}, image_size=40)
    assert 0 < len(kept(place)) < 56
    small, _ = train(loading={"cache": tmp_path / "small", "cache_gib": 0.01})
    assert 0 < len(kept(tmp_path / "small")) < 28
    assert off == cold == warm == by_workers == in_part == small
    assert evicted == train(loading={"cache": "off"}, image_size=40)[0]


def test_a_picture_that_changes_between_two_trainings_is_seen(train, photographs, tmp_path):
    before, _ = train(loading={"cache": tmp_path / "cache"})
    path = photographs / "train" / "bright" / "0.png"
    whole = path.read_bytes()
    try:
        photograph(path, (150, 180))
        os.utime(path, (LONG_AGO + 9, LONG_AGO + 9))
        after, _ = train(loading={"cache": tmp_path / "cache"})
        assert after == train(loading={"cache": "off"})[0] != before
    finally:
        path.write_bytes(whole)
        os.utime(path, (LONG_AGO, LONG_AGO))


def test_the_place_is_told_and_is_in_no_model(train, tmp_path, capsys):
    place = tmp_path / "a place of mine"
    _, done = train(loading={"cache": place})
    assert f" GiB in {place}" in capsys.readouterr().err
    for file in done.output.iterdir():
        assert b"a place of mine" not in file.read_bytes()
    assert json.loads((done.run / "settings.json").read_text())["settings"]["loading"]["cache"] == str(place)
