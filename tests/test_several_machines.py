"""torchrun of the user's on two machines, here two addresses of this one; a machine dies and comes back."""

import csv
import json
import os
import re
import shlex
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from discerna import launch, ranks
from discerna.composition import compose
from discerna.progress import SILENT
from discerna.settings.train import TrainSettings
from picture_sets import TESTS
from real_processes import alive, wait_for

# No batch normalisation, no dropout: the same on any number of processes.
SETTINGS = ["model=plain", "networks.modules=[tiny_networks]", "trainer.precision=32-true", "early_stopping=none",
            "trainer=cpu", "trainer.threads=1", "checkpoint.every_steps=2", "batch_size=8", "epochs=5",
            "optimizer=sgd", "augmentation=none", "learning_rate=0.1",
            "callbacks.harm={_target_: own_extensions.Harm, folder: '{run}'}"]  # fmt: skip


@pytest.mark.slow
def test_a_machine_dies_and_comes_back(pictures, tmp_path):
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    alone = compose("train", [*SETTINGS, *data, f"output={tmp_path / 'alone'}"])
    assert isinstance(alone, TrainSettings)
    launch.train(alone, SILENT)
    pair = [f"output={tmp_path / 'pair'}", "trainer.devices=2", "launch.start=false"]
    settings = compose("train", [*SETTINGS, *data, *pair])
    assert isinstance(settings, TrainSettings)
    prepared = launch.prepare_only(settings)
    run = tmp_path / "pair.run"

    def start(address: str) -> "subprocess.Popen[str]":
        """What the summary says, for this machine."""
        line = next(line for line in prepared.summary().splitlines() if "torchrun" in line)
        words = shlex.split(line.replace("HOST:29400", f"127.0.0.1:{port}"))
        assert (words[0], words[2]) == ("env", "torchrun")
        torchrun = [sys.executable, "-m", "torch.distributed.run", f"--local-addr={address}"]
        return subprocess.Popen(
            ["env", words[1], *torchrun, *words[3:]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS), "HARMS": "7:agent1:KILL"},
            stderr=subprocess.PIPE,
            text=True,
        )

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first = start("127.0.0.1")
    wait_for(lambda: is_heard(port))  # the first is then the one that the others meet at
    second = start("127.0.0.2")
    told = second.communicate(timeout=120)[1]
    assert second.returncode == -9, told  # with its worker, in mid-training
    third = start("127.0.0.2")
    messages = [process.communicate(timeout=120)[1] for process in (first, third)]
    assert (first.returncode, third.returncode) == (0, 0), "\n".join(messages)
    assert not alive(tmp_path)
    # What the first has told: the second was gone, and from where both went on.
    assert messages[0].count("is gone: process 0 of 2 says") == 1 and "Traceback" not in "".join(messages)
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["epochs_trained"]) == ("finished", 5)
    assert not (run / "error.json").exists() and sorted(path.name for path in tmp_path.iterdir()) == [
        "alone", "alone.run", "pair", "pair.run",
    ]  # fmt: skip
    rows, expected = (
        list(csv.DictReader((tmp_path / name / "metrics.csv").read_text().splitlines()))
        for name in ("pair.run", "alone.run")
    )
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        assert [float(row[name]) for row in rows] == pytest.approx(
            [float(row[name]) for row in expected], rel=1e-4
        )
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("alone", "pair"))
    for layer in one:
        torch.testing.assert_close(one[layer], two[layer], rtol=1e-4, atol=1e-6)


def is_heard(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def test_what_to_start_on_each_machine(pictures, tmp_path, discerna):
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    four = ["output=m", "trainer.devices=4", "launch.start=false"]
    done = discerna("train", *SETTINGS, *data, *four)
    assert "run    m.run is prepared; on each machine start one of" in done.stdout
    line = "discerna.worker m.run/settings.json --networks-module tiny_networks"
    assert re.search(rf"torchrun --nnodes=2 --nproc-per-node=2 .* -m {line}\n", done.stdout)
    assert f"srun python -m {line}\n" in done.stdout
    assert "prepared" in discerna("runs", "list").stdout


def test_machines_are_counted(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    for here, there in ((4, 1), (2, 2), (1, 4)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
        assert ranks.machines(4) == there
