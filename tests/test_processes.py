"""Real processes: several of them as one training, signals, orphans, own torchrun."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from discerna import launch
from discerna.composition import compose
from discerna.progress import SILENT
from discerna.settings.train import TrainSettings
from picture_sets import TESTS, write_pictures
from real_processes import alive, wait_for

TINY = [
    "model=tiny",
    "networks.modules=[tiny_networks]",
    "epochs=2",
    "batch_size=8",
    "trainer.precision=32-true",
]
PLAIN = ["model=plain", "networks.modules=[tiny_networks]", "epochs=2", "batch_size=8", "trainer.precision=32-true",
         "optimizer=sgd", "augmentation=none", "learning_rate=0.1"]  # fmt: skip


def data(pictures: Path) -> list[str]:
    return [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]


def test_two_processes_leave_one_model_and_one_log(discerna, pictures, tmp_path):
    done = discerna("train", *PLAIN, *data(pictures), "output=pair", "trainer=cpu", "trainer.devices=2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pair", "pair.run"]
    log = (tmp_path / "pair.run" / "run.log").read_text()
    assert log.count("3 labels, 27 training") == 1 and log.count("2 processes share each batch of 8") == 1
    assert done.stderr.count("valid loss") == 1 and done.stdout.count("validation  accuracy") == 1
    assert "site-packages" not in done.stderr  # no warning of a library's


@pytest.fixture(scope="module")
def prime_pictures(tmp_path_factory):
    """37 and 11 pictures: by 8 the last step has 5, by 6 a single one, which not all processes can share."""
    root = tmp_path_factory.mktemp("prime")
    write_pictures(root / "train", {"red": 13, "green": 11, "blue": 13}, seed=1)
    write_pictures(root / "valid", {"red": 4, "green": 3, "blue": 4}, seed=2)
    return root


FINDING = [text.replace("learning_rate=0.1", "learning_rate=find") for text in PLAIN]
KINDS = {
    "by8": (PLAIN, 8, 1),
    "by8cut": (PLAIN, 8, 2),
    "by6": (FINDING, 6, 1),
    "by6cut": (FINDING, 6, 2),
    # 37 by 17: three are left, which batch normalisation cannot share among two or three.
    "normed": (TINY, 17, 1),
}
"""Network, batch_size, accumulate_grad_batches."""


@pytest.fixture(scope="module")
def alone(prime_pictures, tmp_path_factory):
    """Each kind of training in one process."""
    folder = tmp_path_factory.mktemp("alone")
    for kind in KINDS:
        launch.train(settings_of(kind, prime_pictures, folder, 1), SILENT)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_compute_what_one_does(alone, prime_pictures, tmp_path, processes):
    together(prime_pictures, tmp_path, processes)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*KINDS, *(f"{kind}.run" for kind in KINDS)])
    for kind, (network, size, _) in KINDS.items():
        weights, figures = outcome(tmp_path, kind)
        log = (tmp_path / f"{kind}.run" / "run.log").read_text()
        steps = -(-37 // size)
        assert log.count(f"37 training and 11 validation pictures, {steps} steps an epoch") == 1
        assert log.count("valid loss") == 1
        assert 11 * figures["valid_accuracy"] == pytest.approx(
            round(11 * figures["valid_accuracy"]), abs=1e-4
        )
        told = (
            "torch's SyncBatchNorm works on GPUs only" if network is TINY else "the network has no batch norm"
        )
        assert len(re.findall(f"  sync_batchnorm +False +{told}", log)) == 1
        if network is TINY:  # its statistics are those of the first process
            assert weights["1.num_batches_tracked"] == steps
            continue
        # Neither processes nor pieces change what is computed.
        for other in (kind, kind.removesuffix("cut")):
            expected, row = outcome(alone, other)
            for layer, values in expected.items():
                torch.testing.assert_close(values, weights[layer], rtol=1e-4, atol=1e-6)
            assert figures == pytest.approx(row, rel=1e-4)


def settings_of(kind: str, pictures: Path, folder: Path, processes: int) -> TrainSettings:
    network, size, pieces = KINDS[kind]
    own = [f"batch_size={size}", f"trainer.accumulate_grad_batches={pieces}", "epochs=1", "trainer=cpu"]
    own += [f"trainer.devices={processes}", "trainer.threads=1", f"output={folder / kind}"]
    settings = compose("train", [*network, *data(pictures), *own])
    assert isinstance(settings, TrainSettings)
    return settings


def together(pictures: Path, folder: Path, processes: int) -> None:
    """Each kind of training in `folder`, among `processes`."""
    files = []
    for kind in KINDS:
        run, _, _ = launch.prepare(settings_of(kind, pictures, folder, processes))
        assert run.lock is not None
        run.lock.release()  # the first worker will answer for the run
        files.append(str(run.settings))
    runner = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [sys.executable, *runner, str(TESTS / "several_trainings.py"), *files],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("valid loss") == len(KINDS)  # one display


def outcome(folder: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The weights, and the one row of metrics.csv without the pace."""
    with (folder / f"{name}.run" / "metrics.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    figures = {key: float(value) for key, value in row.items() if value and key != "pictures_per_second"}
    return load_file(folder / name / "weights.safetensors"), figures


@pytest.mark.slow
@pytest.mark.parametrize("check", ["quick", "off"])
def test_two_processes_leave_out_the_same_bad_pictures(discerna, tmp_path, check):
    write_pictures(tmp_path / "train", {"blue": 10, "red": 11}, seed=1)
    write_pictures(tmp_path / "valid", {"blue": 5, "red": 4}, seed=2)
    bad = ["blue/1.png", "blue/2.png", "red/7.png"]
    for name in bad:
        path = tmp_path / "train" / name
        path.write_bytes(path.read_bytes()[:200])
    two = ["trainer=cpu", "trainer.devices=2", f"check={check}", "loading.max_bad=0.2"]
    done = discerna("train", *TINY, "train_data=train", "valid_data=valid", "output=m", *two)
    report = json.loads((tmp_path / "m.run" / "pictures.json").read_text("utf-8"))["train_data"]
    assert (report["found"], report["used"]) == (21, 18)
    assert sorted(one["file"] for one in report["skipped"]) == bad
    assert done.stderr.count("valid loss") == 1 and "Traceback" not in done.stderr
    assert not list((tmp_path / "m.run").glob("broken*"))


@pytest.mark.slow
def test_an_error_in_several_processes_is_told_once(discerna, pictures, tmp_path):
    done = discerna(
        "train",
        *TINY,
        *data(pictures),
        "output=m",
        "trainer=cpu",
        "trainer.devices=2",
        "learning_rate=1e30",
        code=1,
    )
    assert done.stderr.count("error: ") == 1 and "DivergedError" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "m.run" / "error.json").read_text())["class"] == "DivergedError"
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_more_processes_than_pictures_of_a_batch(discerna, pictures):
    done = discerna(
        "train",
        *TINY,
        *data(pictures),
        "output=m",
        "trainer=cpu",
        "trainer.devices=2",
        "batch_size=2",
        code=1,
    )
    assert "use batch_size=4" in done.stderr


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_signals_end_a_training_with_their_code(pictures, tmp_path, number, code, devices):
    command = [sys.executable, "-m", "discerna", "train", *TINY, *data(pictures), "output=m", "epochs=100000",
               "early_stopping=none", "trainer=cpu", f"trainer.devices={devices}", "trainer.threads=1"]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(tmp_path / "m.run" / "metrics.csv")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err, err
    assert not (tmp_path / "m").exists()
    assert not alive(tmp_path), "no process is left behind"


@pytest.mark.slow
def test_a_torchrun_of_the_user(discerna, pictures, tmp_path):
    """Several machines start the worker by torchrun themselves; here both processes are on this one."""
    discerna("train", *PLAIN, *data(pictures), "output=first", "trainer.threads=1")
    run = tmp_path / "second.run"
    run.mkdir()
    settings = json.loads((tmp_path / "first.run" / "settings.json").read_text())
    settings["settings"]["output"] = str(tmp_path / "second")
    settings["settings"]["trainer"]["devices"] = 2
    (run / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
               "discerna.worker", str(run / "settings.json"), "--networks-module", "tiny_networks"]  # fmt: skip
    subprocess.run(
        command, check=True, env={**os.environ, "PYTHONPATH": str(TESTS)}, cwd=tmp_path, capture_output=True
    )
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_secrets_are_in_no_file_and_reach_the_workers(discerna, pictures, tmp_path):
    own = "logger.own.x={_target_: own_extensions.NeedsToken, api_token: sesame, file: '{run}/got.txt'}"
    discerna("train", *TINY, *data(pictures), "output=m", own, "epochs=1", "trainer=cpu", "trainer.devices=2")
    assert (tmp_path / "m.run" / "got.txt").read_text() == "6"
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"sesame" not in path.read_bytes(), path


@pytest.mark.slow
def test_gpu_without_a_gpu(discerna, pictures, tmp_path):
    hidden = {"CUDA_VISIBLE_DEVICES": ""}  # so that the test holds on a machine with a GPU too
    done = discerna("train", *TINY, *data(pictures), "trainer=gpu", code=1, **hidden)
    assert "torch sees no GPU on this machine; use trainer=auto or trainer=cpu" in done.stderr
    done = discerna("train", *TINY, *data(pictures), "trainer=ddp", code=1, **hidden)
    assert "MachineError" in done.stderr
    done = discerna("train", *TINY, *data(pictures), "output=m", **hidden)
    assert "no GPU was found" in done.stderr and "training on the CPU: about" in done.stderr


@pytest.mark.slow
def test_every_means_of_a_recipe_with_two_processes(discerna, pictures, tmp_path):
    """A frozen body has no gradients to exchange, averages and clocks must agree: both would hang, or part ways."""
    means = [
        "epochs=3", "freeze_epochs=1", "ema=0.9", "sampler=balanced", "augmentation.mixup=0.2", "label_smoothing=0.1",
        "scheduler=one_cycle", "trainer.gradient_clip_val=1.0", "start_size=8", "learning_rate=find",
    ]  # fmt: skip
    pair = ["trainer=cpu", "trainer.devices=2", *data(pictures)]
    discerna("train", *TINY, *means, *pair, "output=pair")
    log = (tmp_path / "pair.run" / "run.log").read_text()
    assert "the body learns from now on" in log and log.count("learning_rate ") == 1
    hurried = discerna(
        "train", *TINY, *pair, "output=hurried", "epochs=100000", "max_minutes=0.1", "patience=99999"
    )
    assert "stopped by max_minutes=0.1" in hurried.stdout + hurried.stderr
