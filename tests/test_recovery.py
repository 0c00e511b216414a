"""Trouble in mid-training: memory that runs out, losses that are not finite; and what the training does about it."""

import csv
import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import discerna
from discerna.errors import DivergedError, OutOfMemoryError
from own_extensions import Died
from run_folders import last_checkpoint

OOM = {"oom": {"_target_": "own_extensions.OutOfMemoryOver", "most": 4}}
"""Memory for 4 pictures at once, of batches of 8."""
POISON = {"poison": {"_target_": "own_extensions.Poison"}}
EACH_STEP = {"every_steps": 1, "every_minutes": None}
NEVER = {"every_steps": None, "every_minutes": None}


@pytest.fixture
def train(pictures, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    logging.getLogger("discerna").propagate = True
    caplog.set_level(logging.INFO, "discerna")

    def run(name="m", environment=(), **settings):
        for variable in ("OOM_FROM", "NAN_AT", "NAN_ABOVE", "DIE_AT"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment:
            monkeypatch.setenv(variable, str(value))
        given = {
            "model": "tiny",
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / name,
            "epochs": 2,
            "batch_size": 8,
            "checkpoint": EACH_STEP,
            **settings,
            "trainer": {"precision": "32-true", **settings.get("trainer", {})},
        }
        return discerna.train(**given)

    return run


def weights(path: Path) -> bytes:
    return (path / "weights.safetensors").read_bytes()


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("checkpoint", [EACH_STEP, NEVER])
def test_no_memory_at_the_first_step_is_a_training_in_pieces(train, tmp_path, caplog, checkpoint):
    train("pieces", callbacks=OOM, trainer={"accumulate_grad_batches": 2})
    train("m", callbacks=OOM, checkpoint=checkpoint, environment=[("OOM_FROM", 0)])
    assert weights(tmp_path / "m") == weights(tmp_path / "pieces")
    told = (
        "out of memory with 8 pictures at once: going on with 4, in 2 such pieces a step; batch_size stays 8"
    )
    assert caplog.text.count(told) == 1
    assert json.loads((tmp_path / "m.run" / "decisions.json").read_text())["pieces"] == 2
    recorded = json.loads((tmp_path / "m" / "training.json").read_text())["settings"]["trainer"]
    assert recorded["accumulate_grad_batches"] == 2


@pytest.mark.parametrize("step", [1, 3, 5])
def test_no_memory_later_on_goes_on_from_the_last_whole_step(train, tmp_path, step):
    """The schedule replayed: whole batches up to the step, then pieces."""
    with pytest.raises(Died):
        dies = {**OOM, "dies": {"_target_": "own_extensions.Dies"}}
        # Epochs have 4 steps and 2 batches of validation.
        train("replayed", callbacks=dies, environment=[("DIE_AT", step + 1 + (2 if step >= 4 else 0))])
    train("replayed", callbacks=dies, resume="auto", trainer={"accumulate_grad_batches": 2})
    train("m", callbacks=OOM, environment=[("OOM_FROM", step)])
    assert weights(tmp_path / "m") == weights(tmp_path / "replayed")
    assert [row["epoch"] for row in rows(tmp_path / "m.run")] == ["1", "2"]


def test_a_restart_remembers_how_much_fits(train, tmp_path, caplog):
    train("m", callbacks=OOM, environment=[("OOM_FROM", 0)])
    caplog.clear()
    discerna.resume(tmp_path / "m.run", epochs=3)
    assert "out of memory" not in caplog.text and "memory ran out with larger pieces" in caplog.text


def test_where_nothing_smaller_is_possible_it_is_told_with_what_to_do(train):
    none = {"oom": {"_target_": "own_extensions.OutOfMemoryOver", "most": 0}}
    with pytest.raises(OutOfMemoryError, match="fewer are not possible; use batch_size=4, a smaller network"):
        train(callbacks=none, environment=[("OOM_FROM", 0)])


def test_nan_stops_and_every_checkpoint_is_finite(train, tmp_path):
    with pytest.raises(DivergedError, match=r"the loss became NaN or infinite: epoch 2, step 6"):
        train(callbacks=POISON, environment=[("NAN_AT", 5), ("NAN_ABOVE", 0)])
    state = load_checkpoint(last_checkpoint(tmp_path / "m.run"))
    assert all(value.isfinite().all() for value in state["state_dict"].values())
    assert not (tmp_path / "m").exists()


def load_checkpoint(path: Path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("checkpoint", [EACH_STEP, NEVER])
def test_nan_goes_back_at_a_lower_rate(train, tmp_path, caplog, checkpoint):
    steady = {"scheduler": "constant", "learning_rate": 0.001, "optimizer": "sgd"}
    result = train(
        callbacks=POISON,
        checkpoint=checkpoint,
        on_nan="rollback",
        environment=[("NAN_AT", 5), ("NAN_ABOVE", 0.0006)],
        **steady,
    )
    assert "at 0.5 of the rate (rollback 1 of 3)" in caplog.text
    assert result.epochs_trained == 2
    assert [float(row["learning_rate"]) for row in rows(result.run)][-1] == pytest.approx(0.0005)
    assert [row["epoch"] for row in rows(result.run)] == ["1", "2"]
    assert all(value.isfinite().all() for value in load_file(tmp_path / "m" / "weights.safetensors").values())


def test_rollbacks_come_to_an_end(train, caplog):
    with pytest.raises(DivergedError, match=r"after 2 rollbacks, at 0.01 of the rate"):
        train(
            callbacks=POISON,
            on_nan="rollback",
            rollback_times=2,
            rollback_rate=0.1,
            environment=[("NAN_AT", 5), ("NAN_ABOVE", 0)],
        )
    assert caplog.text.count("going back to the last checkpoint") == 2


def test_a_rate_that_overflows_is_brought_down_until_it_does_not(train, tmp_path):
    result = train(
        learning_rate=1e30, scheduler="constant", optimizer="sgd", on_nan="rollback", rollback_rate=1e-31
    )
    assert result.epochs_trained == 2 and float(rows(result.run)[-1]["learning_rate"]) == pytest.approx(0.1)


def command(pictures, name, *more):
    return ["train", "model=tiny", "networks.modules=[tiny_networks]", f"train_data={pictures / 'train'}",
            f"valid_data={pictures / 'valid'}", f"output={name}", "epochs=2", "batch_size=8",
            "trainer.precision=32-true", "trainer=cpu", "trainer.devices=2", "trainer.threads=1",
            "checkpoint.every_steps=1", "checkpoint.every_minutes=null", *more]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 5])
def test_one_of_two_processes_without_memory(discerna, pictures, tmp_path, step):
    """Only one of the processes has none; both go on in smaller pieces, and none is left waiting."""
    oom = "callbacks.oom={_target_: own_extensions.OutOfMemoryOver, most: 4}"
    done = discerna(*command(pictures, "m", oom), OOM_FROM=str(step), OOM_RANK="1")
    assert done.stderr.count("out of memory with 8 pictures at once") == 1
    assert "memory ran out with larger pieces" in (tmp_path / "m.run" / "run.log").read_text()
    assert [row["epoch"] for row in rows(tmp_path / "m.run")] == ["1", "2"]
    if step == 0:
        discerna(*command(pictures, "pieces", oom, "trainer.accumulate_grad_batches=2"))
        assert weights(tmp_path / "m") == weights(tmp_path / "pieces")


@pytest.mark.slow
def test_nan_in_one_of_two_processes_is_met_by_both(discerna, pictures, tmp_path):
    poison = "callbacks.poison={_target_: own_extensions.Poison}"
    given = ["scheduler=constant", "optimizer=sgd", "learning_rate=0.001", poison]
    where = {"NAN_AT": "5", "NAN_ABOVE": "0.0006", "NAN_RANK": "1"}
    done = discerna(*command(pictures, "m", *given, "on_nan=rollback"), **where)
    assert done.stderr.count("rollback 1 of 3") == 1
    assert float(rows(tmp_path / "m.run")[-1]["learning_rate"]) == pytest.approx(0.0005)
    stopped = discerna(*command(pictures, "n", *given), code=1, **where)
    assert stopped.stderr.count("DivergedError") == 1 and "Traceback" not in stopped.stderr
    assert "epoch 2, step 6" in stopped.stderr
