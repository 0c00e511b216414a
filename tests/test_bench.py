"""scripts/bench: sets come about the same anywhere, nothing is trained twice, the tables' arithmetic."""

import json
from dataclasses import replace

import pytest

from benches import jobs, picture_sets, recipes, scan, table
from benches.picture_sets import SETS, PictureSet
from picture_sets import write_pictures

DRAWN = [pictures for pictures in SETS if isinstance(pictures, PictureSet)]


def tiny(pictures):
    labels = list(pictures.train)[:3]
    return replace(pictures, train=dict.fromkeys(labels, 2), valid=dict.fromkeys(labels, 1))


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.parametrize("pictures", DRAWN, ids=lambda pictures: pictures.name)
def test_a_set_comes_about_the_same_each_time(pictures, tmp_path):
    one, other = (picture_sets.prepare(tiny(pictures), tmp_path / name) for name in "ab")
    assert one.fingerprint == other.fingerprint
    written = content(one.train_data)
    assert written == content(other.train_data)
    assert content(one.valid_data) == content(other.valid_data)
    assert len(written) == one.train == len(set(written.values())) == 6
    assert not set(written.values()) & set(content(one.valid_data).values())
    assert one.labels == 3
    assert sorted(p.name for p in one.train_data.iterdir()) == sorted(
        p.name for p in one.valid_data.iterdir()
    )


@pytest.mark.parametrize("pictures", DRAWN, ids=lambda pictures: pictures.name)
def test_the_labels_of_both_parts_agree(pictures):
    assert set(pictures.train) == set(pictures.valid)
    assert len(set(pictures.valid.values())) == 1  # so that accuracy is balanced accuracy


def test_a_set_is_drawn_once(tmp_path):
    pictures = tiny(DRAWN[0])
    first = picture_sets.prepare(pictures, tmp_path)
    assert picture_sets.prepare(replace(pictures, draw=None), tmp_path) == first
    made = tmp_path / pictures.name / picture_sets.MADE
    made.write_text(json.dumps({**json.loads(made.read_text()), "maker": "other code"}))
    (first.train_data / "stray.png").touch()
    assert picture_sets.prepare(pictures, tmp_path) == first
    assert not (first.train_data / "stray.png").exists()


@pytest.fixture
def on_disk(tmp_path):
    write_pictures(tmp_path / "train", {"blue": 2, "green": 2, "red": 2}, seed=1)
    write_pictures(tmp_path / "valid", {"blue": 1, "green": 1, "red": 1}, seed=2)
    return picture_sets.OnDisk("shapes", tmp_path, labels=3, train=6, fingerprint="f")


def make_job(on_disk, recipe="default", overrides=None, **changed):
    fixed = {"epochs": 5, "seed": 1, "model": "resnet18", "image_size": 64, "trainer": "cpu"} | changed
    return jobs.job(on_disk, recipe, overrides or {}, **fixed)


def line_of(job):
    return {name: getattr(job, name) for name in jobs.KEY} | {"version": "1", "torch": "2", "trainer": "cpu"}


def test_a_done_job_is_skipped(on_disk, tmp_path):
    results = tmp_path / "results.jsonl"
    job = make_job(on_disk)
    assert jobs.missing([job], jobs.read(results)) == [job]
    jobs.append(results, line_of(job))
    assert jobs.missing([job], jobs.read(results)) == []
    others = [
        make_job(on_disk, seed=2),
        make_job(on_disk, epochs=3),
        make_job(on_disk, overrides={"batch_size": 8}),
        make_job(replace(on_disk, fingerprint="g")),
        make_job(on_disk, image_size=32),
    ]
    assert jobs.missing([job, *others], jobs.read(results)) == others


def test_a_default_that_is_set_is_the_same_job(on_disk):
    assert make_job(on_disk, overrides={"batch_size": 16}).key == make_job(on_disk).key
    assert make_job(on_disk, trainer="gpu").settings_hash == make_job(on_disk).settings_hash


def test_a_choice_of_the_recipe_is_part_of_the_job(on_disk, monkeypatch):
    from discerna.recipes import auto

    before = make_job(on_disk, image_size=None)
    monkeypatch.setattr(auto, "ENLARGED", 4.0)
    assert make_job(on_disk, image_size=None).settings_hash != before.settings_hash


def test_a_line_cut_short_is_left_out(on_disk, tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    results.write_text('{"set": "sha')
    jobs.append(results, line_of(make_job(on_disk)))
    assert [line["set"] for line in jobs.read(results)] == ["shapes"]
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=recipes.RECIPES)
@pytest.mark.parametrize("epochs", [1, 15])
def test_every_recipe_composes(recipe, epochs, on_disk):
    assert make_job(on_disk, overrides=recipe(40, epochs), epochs=epochs).settings_hash


def canned(recipe, pictures, seed, accuracy, loss=1.0, **changed):
    return {
        "set": pictures,
        "fingerprint": "f",
        "recipe": recipe,
        "settings_hash": recipe,
        "epochs": 5,
        "seed": seed,
        "network": "resnet18",
        "image_size": 64,
        "accuracy": accuracy,
        "loss": loss,
        "version": "0.1.0 abc",
        "torch": "2.11",
        "trainer": "cpu",
        **changed,
    }


CANNED = [
    canned("a", "shapes", 1, 0.50, 2.0),
    canned("a", "shapes", 2, 0.70, 1.0),
    canned("a", "colours", 1, 0.90),
    canned("a", "colours", 2, 0.90),
    canned("b", "shapes", 1, 0.60),
    canned("b", "shapes", 2, 0.60),
    canned("b", "colours", 1, 0.80),
    canned("c", "shapes", 1, None, None),
    canned("c", "colours", 1, 0.10),
]


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_the_arithmetic_of_the_tables():
    told = table.tables(CANNED, ["a", "b", "c"], ["shapes", "colours"])
    assert rows(told) == [
        ["a", "60.0 ± 14.1", "90.0 ± 0.0", "75.0", "1.25"],
        ["b", "60.0 ± 0.0", "80.0 (n=1)", "70.0", "1.75"],
        ["c", "diverged", "10.0 (n=1)", "-", "-"],
        ["a", "1.500 ± 0.707", "1.000 ± 0.000", "1.250"],
        ["b", "1.000 ± 0.000", "1.000 (n=1)", "1.000"],
        ["c", "diverged", "1.000 (n=1)", "-"],
    ]
    assert "seeds 1, 2" in told
    assert "mixed" not in told


def test_what_is_outdated_stands_in_no_table():
    again = canned("a", "shapes", 1, 0.99, settings_hash="other")
    told = table.tables([*CANNED, again], ["a"], ["shapes"])
    assert rows(told)[0] == ["a", "99.0", "99.0", "1.00"]
    assert "2 older results are left out" in told
    redrawn = canned("b", "shapes", 1, 0.4, fingerprint="g")
    assert rows(table.tables([*CANNED, redrawn], ["a", "b"], ["shapes"]))[0] == ["b", "40.0", "40.0", "1.00"]


def test_mixed_versions_are_told():
    newer = canned("b", "shapes", 3, 0.6, version="0.1.0 def")
    assert "versions are mixed" in table.tables([*CANNED, newer], ["a", "b"], ["shapes"])


def test_epochs_and_models_have_tables_of_their_own():
    more = [canned("a", "shapes", 1, 0.9, epochs=15), canned("a", "shapes", 1, 0.8, image_size=32)]
    assert len(rows(table.tables([*CANNED, *more], ["a"], ["shapes"]))) == 6
    assert table.tables([], ["a"], ["shapes"]) == "no results yet"


def test_scan_measures_both_indexes(tmp_path):
    scan.make(tmp_path / "pictures", 300)
    for index in scan.INDEXES.values():
        found = scan.measure(index(), str(tmp_path / "pictures"))
        assert found["files"] == 300
        assert found["seconds"] > 0 and found["megabytes"] >= 0


def test_the_table_of_scans():
    own, other = {"seconds": 1.0, "megabytes": 30.0}, {"seconds": 2.0, "megabytes": 150.0}
    lines = scan.table({1_000_000: {"discerna": own, "ImageFolder": other}}).splitlines()
    assert lines[-1] == "| 1,000,000 | 1.00 | 2.00 | 0.50 | 30.0 | 150.0 | 0.20 |"
    assert len({line.count("|") for line in lines}) == 1
