"""`train -m`: every combination in a process of its own, one table, failures named."""

import json

import pytest

from discerna.errors import InvalidDatasetError, OutputError, SettingsError
from discerna.overrides import PACKAGED
from discerna.progress import SILENT
from discerna.sweeps.expansion import expand
from discerna.sweeps.multirun import plan, run

BASE = ["model=tiny", "train_data=a", "valid_data=b"]


def jobs(*overrides):
    return [job.varying for job in plan([*BASE, *overrides], PACKAGED)[1]]


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


def test_a_sweep_goes_on_after_a_failure(discerna, pictures, tmp_path):
    done = discerna(
        "train", "-m", "model=tiny", "networks.modules=[tiny_networks]", f"train_data={pictures / 'train'}",
        f"valid_data={pictures / 'valid'}", "output=s", "epochs=1", "batch_size=8", "learning_rate=1e30,0.001",
        code=1,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["job", "learning_rate", "valid_loss", "accuracy", "time", "state"]
    assert [line.split()[-1] for line in lines[1:3]] == ["failed", "done"]
    assert lines[3].startswith("best  job 1")
    assert "1 of 2 jobs failed" in done.stderr and "job 0: the loss became NaN" in done.stderr
    records = json.loads((tmp_path / "s.sweep" / "sweep.json").read_text())["jobs"]
    assert [record["state"] for record in records] == ["failed", "done"]
    assert (tmp_path / "s.sweep" / "1" / "model.json").is_file()
    for number in (0, 1):
        assert (tmp_path / "s.sweep" / f"{number}.run" / "run.log").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.sweep"]
