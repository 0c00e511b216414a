"""A search by Optuna: what it proposes, what it keeps, and that a kill changes nothing."""

import logging
import random
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

import searching
from discerna.errors import MissingExtraError, OutputError, SettingsError
from discerna.sweeps.space import Choices, Interval, Space, Steps
from discerna.sweeps.study import Study
from searching import SPACE, points, search

AXES = {key.lstrip("+"): axis for key, axis in SPACE.axes.items()}
FEW = Space({}, {"a": Choices(("x", "y")), "++b": Steps(0.0, 0.1, 4)})


def study(axes=AXES, sampler="tpe", seed=1, mode="min", storage=None, name="s"):
    return Study(axes, sampler=sampler, seed=seed, mode=mode, storage=storage, name=name)


def stored(path):
    storage = f"sqlite:///{path}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


@pytest.mark.parametrize("content", [b"x" * 3000, b"SQLite format 3\0" + b"x" * 3000])
def test_a_study_that_is_damaged(tmp_path, content):
    (tmp_path / "study.db").write_bytes(content)
    with pytest.raises(OutputError, match=r"study\.db; .*; make room; if it is damaged, remove it"):
        study(storage=tmp_path / "study.db")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return [point.varying for point in search(points(tmp_path_factory.mktemp("s") / "study.db"))]


def test_a_search_finds_the_best(uninterrupted):
    assert len(uninterrupted) == 16
    found = study(AXES)
    for number in range(40):
        values = found.propose().values
        found.finish(number, "done", (values["x"] - 1) ** 2 + (values["o"] == "a"), {})
    trial, value = found.best
    assert value < 0.01 and trial.values["o"] == "b"


def test_a_search_that_died_goes_on_as_if_it_had_not(uninterrupted, tmp_path):
    seen: list[dict[str, str]] = []
    for asked in (3, 8, 17):  # each one dies before it is told of the last
        again = []
        for number, point in enumerate(search(points(tmp_path / "study.db")), start=1):
            again.append(point.varying)
            if number == asked:
                break
        assert again[: len(seen)] == seen
        seen = again
    assert seen == uninterrupted


def test_what_is_told_of_a_finished_point_is_not_heard(tmp_path):
    path = tmp_path / "study.db"
    first = points(path, total=3)
    one, two = first.ask(), first.ask()
    first.tell(one, "done", 1.0, {1: 2.0, 2: 1.0})
    again = points(path, total=3)
    assert again.total == 3
    assert [again.ask(), again.ask()] == [one, two]
    again.tell(one, "done", 5.0, {1: 5.0})
    again.tell(one, "failed", None, {})
    again.tell(two, "pruned", None, {1: 3.0, 2: float("nan")})
    three = again.ask()
    again.tell(three, "done", float("nan"), {})
    assert again.ask() is None
    trials = stored(path)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert trials[0].value == 1.0 and trials[0].intermediate_values == {1: 2.0, 2: 1.0}
    assert trials[1].intermediate_values == {1: 3.0}
    assert points(path, total=1).total == 3  # what was asked is said again, however few are wanted


def test_the_study_names_what_varies_as_people_do(tmp_path):
    search_of_few = points(tmp_path / "study.db", space=FEW, total=1)
    point = search_of_few.ask()
    (trial,) = stored(tmp_path / "study.db")
    assert trial.params.keys() == {"a", "b"}
    assert point.varying["a"] == trial.params["a"]


def test_several_at_once_differ():
    found = study()
    trials = [found.propose() for _ in range(6)]
    assert len({tuple(trial.values.items()) for trial in trials}) == 6
    found.finish(4, "done", 1.0, {})
    assert [trial.finished for trial in found.trials] == [False] * 4 + [True, False]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_small_space_is_tried_once_each_and_then_ends(tmp_path, caplog, sampler):
    caplog.set_level(logging.INFO, logger="discerna")
    asked = points(tmp_path / "study.db", space=FEW, total=50, sampler=sampler)
    assert asked.total == 8
    found = []
    while (point := asked.ask()) is not None:
        found.append(point.varying)
        asked.tell(point, "done", float(point.varying["b"]), {})
    assert len({tuple(varying.items()) for varying in found}) == 8
    assert {varying["b"] for varying in found} == {"0.0", "0.1", "0.2", "0.3"}
    assert asked.ask() is None
    assert [record.message for record in caplog.records if record.name == "discerna"] == [
        "the search ends: all 8 points of the space have been tried"
    ]


def test_a_sampler_that_repeats_itself_is_helped_out():
    axes = {"n": Interval(1, 30), "o": Choices(("a", "b"))}
    found = study(axes)
    for number in range(60):
        found.finish(number, "done", abs(found.propose().values["n"] - 3), {})
    assert found.propose() is None
    assert len({tuple(trial.values.items()) for trial in found.trials}) == 60


def test_other_searches_stand_beside_it(tmp_path):
    path = tmp_path / "50% {a}?#" / "study.db"
    path.parent.mkdir()
    first = points(path).ask()
    assert points(path, total=9).ask() == first
    space = Space({}, {**SPACE.axes, "++x": Interval(-2.0, 3.0)})
    for other in ({"seed": 2}, {"sampler": "random"}, {"identity": "you"}, {"space": space}, {"mode": "max"}):
        other_points = points(path, **other)
        assert other_points.ask().number == 0
        assert other_points.total == 16
    assert sorted(p.name for p in path.parent.iterdir()) == ["study.db"]


def test_the_order_of_settings_decides_nothing():
    backwards = dict(reversed(AXES.items()))
    assert study(AXES).propose().values == study(backwards).propose().values


def test_a_study_of_another_search_is_refused(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study(storage=storage).propose()
    for other in ({"mode": "max"}, {"axes": {"x": Interval(0.0, 1.0)}}):
        with pytest.raises(SettingsError, match="another search"):
            study(storage=storage, **other)


def test_optuna_is_quiet_and_as_loud_as_before_afterwards(capfd):
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        study().propose()
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert capfd.readouterr() == ("", "")


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in ("search", "study"):
        monkeypatch.delitem(sys.modules, f"discerna.sweeps.{name}")
    with pytest.raises(MissingExtraError, match=r"sweep=optuna needs .* pip install 'discerna\[sweep\]'"):
        import discerna.sweeps.search  # noqa: F401


@pytest.mark.slow
def test_a_search_killed_at_any_instant(uninterrupted, tmp_path):
    draw = random.Random(1)
    log = tmp_path / "log"
    command = [sys.executable, searching.__file__, str(tmp_path / "study.db"), str(log)]
    for _ in range(12):
        process = subprocess.Popen(command)
        deadline = time.monotonic() + draw.uniform(1.0, 8.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
    log.unlink(missing_ok=True)
    subprocess.run(command, check=True)
    expected = [str(sorted(varying.items())) for varying in uninterrupted]
    assert log.read_text().splitlines() == expected
    assert all(trial.state.is_finished() for trial in stored(tmp_path / "study.db"))
    assert Path(tmp_path / "study.db-journal").exists() is False


def test_what_failed_and_has_come_out_well_since_counts_from_then_on(tmp_path):
    """A job that is mended, or trained on after it was pruned: proposals know it, whatever is stored."""

    def values(mended):
        search_again = study(storage=tmp_path / f"{mended}.db")
        for number in range(12):
            search_again.propose()
            search_again.finish(number, "failed" if number == 3 else "done", float(number), {})
        if mended:
            search_again.finish(3, "done", -100.0, {})
        return dict(search_again.propose().values)

    assert values(True) != values(False)
    assert stored(tmp_path / "True.db")[3].state == optuna.trial.TrialState.FAIL
