"""logger=mlflow: a run for each training in an embedded store; and nothing that can stop a training."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from typing import get_args

import pytest

import discerna
from discerna.directories.run_status import State
from discerna.tracking.mlflow_run import STATES
from own_extensions import Died
from picture_sets import TESTS, write_pictures

pytest.importorskip("mlflow")

TINY = ["model=tiny", "networks.modules=[tiny_networks]", "batch_size=8", "trainer.precision=32-true"]


@pytest.fixture
def command(request):
    """A command as a process of its own."""
    return request.getfixturevalue("discerna")


@pytest.fixture
def data(pictures):
    return [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    """Train in this process, since importing MLflow takes seconds."""
    monkeypatch.chdir(tmp_path)

    def run(output: str, **settings):
        given = {"epochs": 2, "batch_size": 8, "trainer": {"precision": "32-true"}, **settings}
        return discerna.train(
            model="tiny", train_data=pictures / "train", valid_data=pictures / "valid", output=output, **given
        )

    return run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The runs in the embedded store."""
    monkeypatch.chdir(tmp_path)

    def ask(experiment: str) -> list[dict]:
        from discerna.tracking.mlflow_store import connect, store_uri

        client = connect(store_uri(None), "a test")
        number = client.get_experiment_by_name(experiment).experiment_id
        return [_told(client, run) for run in client.search_runs([number])]

    return ask


def _told(client, run) -> dict:
    files, pending = [], [""]
    while pending:
        for file in client.list_artifacts(run.info.run_id, pending.pop()):
            pending.append(file.path) if file.is_dir else files.append(file.path)
    history = {
        name: [m.value for m in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics
    }
    return {
        "id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": history,
        "files": files,
        "data": [[one.dataset.name, one.dataset.digest] for one in run.inputs.dataset_inputs],
    }


def test_a_training_is_a_run(train, tmp_path, runs, capsys):
    train("flowers", logger="mlflow", experiment_name="garden")
    out, err = capsys.readouterr()
    assert out == "" and "warning" not in err
    assert {p.name for p in tmp_path.iterdir()} == {
        "flowers", "flowers.run", "mlflow.db", "mlartifacts", ".mlflow.db.lock",
    }  # fmt: skip
    (run,) = runs("garden")
    assert (run["name"], run["status"]) == ("flowers", "FINISHED")
    assert run["params"]["learning_rate"] == "0.001" and run["params"]["model"] == "tiny"
    assert run["params"]["optimizer"] == "adamw", "what auto stands for"
    result = json.loads((tmp_path / "flowers.run" / "result.json").read_text())
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        assert run["metrics"][name] == pytest.approx([row[name] for row in result["epochs"]])
    assert run["metrics"]["final_accuracy"] == [result["figures"]["accuracy"]]
    pictures = json.loads((tmp_path / "flowers.run" / "pictures.json").read_text())
    assert run["data"] == [
        ["train", pictures["train_data"]["fingerprint"][:36]],
        ["valid", pictures["valid_data"]["fingerprint"][:36]],
    ]
    assert run["tags"]["discerna.state"] == "finished"
    for name in ("weights.safetensors", "manifest.json"):
        kept = tmp_path / "mlartifacts" / run["id"] / "artifacts" / "model" / name
        assert kept.read_bytes() == (tmp_path / "flowers" / name).read_bytes()
    assert {"run/settings.json", "run/metrics.csv", "run/run.log", "pictures/training.png"} <= set(
        run["files"]
    )


@pytest.mark.slow
def test_a_sweep_is_a_parent_with_children(command, data, tmp_path, runs):
    command("train", "-m", *TINY, *data, "output=s", "epochs=1", "logger=mlflow", "learning_rate=0.001,0.01,1e30",
             "logger.model=false", code=1)  # fmt: skip
    found = {run["name"]: run for run in runs("default")}
    assert set(found) == {"s.sweep", "0", "1", "2"}
    assert {found[str(n)]["tags"]["mlflow.parentRunId"] for n in range(3)} == {found["s.sweep"]["id"]}
    assert [found[str(n)]["status"] for n in range(3)] == ["FINISHED", "FINISHED", "FAILED"]
    assert "NaN" in found["2"]["tags"]["discerna.reason"]
    assert found["s.sweep"]["status"] == "FAILED" and "best_valid_loss" in found["s.sweep"]["metrics"]
    assert found["s.sweep"]["files"] == ["sweep.json"]
    assert not [name for name in found["0"]["files"] if name.startswith("model/")]
    # The sweep goes on: it is the same run.
    command("train", "-m", *TINY, *data, "output=s", "epochs=1", "logger=mlflow", "learning_rate=0.001,0.01",
            "logger.model=false")  # fmt: skip
    again = {run["name"]: run for run in runs("default")}
    assert set(again) == set(found) and again["s.sweep"]["id"] == found["s.sweep"]["id"]
    assert again["s.sweep"]["status"] == "FINISHED"


@pytest.mark.slow
def test_two_processes_are_one_run(command, data, tmp_path, runs):
    command(
        "train", *TINY, *data, "output=m", "epochs=1", "logger=mlflow", "trainer=cpu", "trainer.devices=2"
    )
    assert [run["status"] for run in runs("default")] == ["FINISHED"]


@pytest.mark.slow
def test_several_trainings_make_the_store_at_once(command, data, tmp_path, runs):
    command = [sys.executable, "-m", "discerna", "train", *TINY, *data, "epochs=1", "logger=mlflow"]
    import os

    from test_processes import TESTS  # the folder of the tiny networks

    going = [
        subprocess.Popen([*command, f"output=m{n}"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS)},
                         stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]  # fmt: skip
    for one in going:
        _, told = one.communicate(timeout=280)
        assert one.returncode == 0 and "MLflow" not in told.replace("MLflow: sending the rest", ""), told
    assert sorted(run["status"] for run in runs("default")) == ["FINISHED"] * 3


def weights(room, name):
    return (room / name / "weights.safetensors").read_bytes()


def test_a_server_that_is_gone_stops_nothing(train, tmp_path, capsys):
    with socket.socket() as closed:  # a port that nobody listens at
        closed.bind(("127.0.0.1", 0))
        uri = f"http://me:sesame@127.0.0.1:{closed.getsockname()[1]}"
    train("down", logger={"name": "mlflow", "tracking_uri": uri})
    told = capsys.readouterr().err
    assert told.count("failed: ") == 1 and "Connection refused" in told
    assert "did not get everything; the run folder has it" in told
    assert "sesame" not in told and "Traceback" not in told
    assert len((tmp_path / "down.run" / "metrics.csv").read_text().splitlines()) == 3
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"sesame" not in path.read_bytes(), path
    train("plain")
    assert weights(tmp_path, "down") == weights(tmp_path, "plain")
    records = [(tmp_path / name / "training.json").read_bytes() for name in ("down", "plain")]
    assert records[0] == records[1]


@pytest.mark.slow
def test_a_server_that_never_answers_stops_nothing(command, data):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(50)
        uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        done = command(
            "train", *TINY, *data, "output=m", "epochs=1", "logger=mlflow", f"logger.tracking_uri={uri}"
        )
    assert "did not get everything" in done.stderr


@pytest.mark.slow
def test_a_locked_database_stops_nothing(command, data, tmp_path, runs):
    command("train", *TINY, *data, "output=first", "epochs=1", "logger=mlflow")
    with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = command("train", *TINY, *data, "output=second", "epochs=1", "logger=mlflow")
    assert "database is locked" in done.stderr
    assert (tmp_path / "second" / "model.json").is_file()
    assert [run["name"] for run in runs("default")] == ["first"]


@pytest.mark.slow
def test_a_run_that_is_terminated_is_told(pictures, data, tmp_path, runs):
    going = subprocess.Popen(
        [sys.executable, "-m", "discerna", "train", *TINY, *data, "output=m", "epochs=100000", "early_stopping=none",
         "logger=mlflow"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "mlartifacts").exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(2)
        going.send_signal(signal.SIGTERM)
        assert going.wait(timeout=120) == 143
    finally:
        going.kill()
    (run,) = runs("default")
    assert run["status"] == "KILLED" and run["tags"]["discerna.state"] == "preempted"
    assert run["tags"]["discerna.reason"].startswith("SIGTERM in epoch")


def test_without_the_package_the_extra_is_named(tmp_path):
    script = """
import sys
sys.modules["mlflow"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "mlflow" else found(name, *more)
import tiny_networks
from discerna.cli import main
sys.exit(main(sys.argv[1:]))
"""
    import os

    from picture_sets import TESTS

    for part in ("t", "v"):
        write_pictures(tmp_path / part, {"a": 3, "b": 3})
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "model=tiny", "train_data=t", "valid_data=v", "output=m",
         "logger=mlflow"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "pip install 'discerna[mlflow]'" in done.stderr


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_same_run_of_mlflow(train, runs, monkeypatch):
    given = {
        "logger": "mlflow",
        "experiment_name": "resumed",
        "epochs": 3,
        "callbacks": {"dies": {"_target_": "own_extensions.Dies"}},
        "checkpoint": {"every_steps": 1, "every_minutes": None},
    }
    monkeypatch.setenv("DIE_AT", "9")
    with pytest.raises(Died):
        train("flowers", **given)
    (run,) = runs("resumed")
    assert run["status"] == "FAILED" and len(run["metrics"]["valid_loss"]) == 1
    monkeypatch.setenv("DIE_AT", "0")
    train("flowers", resume="auto", loading={"workers": 0}, **given)
    (again,) = runs("resumed")
    assert (again["id"], again["status"]) == (run["id"], "FINISHED")
    assert len(again["metrics"]["valid_loss"]) == 3


def test_every_state_of_a_run_has_a_name_in_mlflow():
    assert set(get_args(State)) - {"running"} == set(STATES)
