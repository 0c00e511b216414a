"""`train -m`: every combination in a process of its own, one table, failures named."""

import pytest

from discerna.errors import InvalidDatasetError, OutputError, SettingsError
from discerna.overrides import PACKAGED
from discerna.progress import SILENT
from discerna.sweeps.expansion import expand
from discerna.sweeps.multirun import plan, run

BASE = ["model=tiny", "train_data=a", "valid_data=b"]


def jobs(*overrides):
    return [dict(point.varying) for point, _ in plan([*BASE, *overrides], PACKAGED).grid.values()]


def test_combinations():
    assert jobs("learning_rate=0.1,0.2", "optimizer=sgd,adamw") == [
        {"learning_rate": "0.1", "optimizer": "sgd"},
        {"learning_rate": "0.1", "optimizer": "adamw"},
        {"learning_rate": "0.2", "optimizer": "sgd"},
        {"learning_rate": "0.2", "optimizer": "adamw"},
    ]
    assert jobs("epochs=range(1,4)") == [{"epochs": "1"}, {"epochs": "2"}, {"epochs": "3"}]
    assert [job["scheduler"] for job in jobs("scheduler=glob(co*)")] == ["constant", "cosine"]
    assert jobs("random_seed=choice(1,2)") == [{"random_seed": "1"}, {"random_seed": "2"}]
    assert expand(["a=1"], {}) == [{"a": "1"}]


def test_paths_with_commas_are_jobs_unless_quoted():
    assert jobs("train_data=x y,'b,c'") == [{"train_data": "x y"}, {"train_data": "b,c"}]


def test_all_jobs_are_checked_before_the_first_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ("epochs=2,0", "optimizer=sgd,adm", "epochz=1,2", "scheduler=glob(x*)", "output=a,b"):
        with pytest.raises(SettingsError):
            plan([*BASE, wrong], PACKAGED)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_sweep_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.sweep").mkdir()
    (tmp_path / "s.sweep" / "mine.txt").write_text("x")
    with pytest.raises(OutputError):
        plan([*BASE, "output=s", "epochs=1,2", "overwrite=true"], PACKAGED)
    assert (tmp_path / "s.sweep" / "mine.txt").exists()


def test_what_is_wrong_for_all_jobs_is_told_before_anything_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = tmp_path / "s.sweep" / "0"
    old.mkdir(parents=True)
    with pytest.raises(InvalidDatasetError, match="train_data"):
        run([*BASE, "output=s", "epochs=1,2", "overwrite=true"], PACKAGED, SILENT)
    assert old.exists()
