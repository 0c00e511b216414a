"""What only a GPU can show; skipped without one."""

import json

import pytest
import torch

import discerna

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def train(pictures, tmp_path):
    def run(name="m", **settings):
        given = {
            "model": "squeezenet1_1",
            "image_size": 64,
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / name,
            "epochs": 2,
            "batch_size": 8,
            **settings,
        }
        return discerna.train(**given)

    return run


@pytest.mark.parametrize("augmentation", ["light", "medium", "strong"])
def test_no_step_makes_the_gpu_wait(train, augmentation):
    train(
        augmentation=augmentation,
        trainer={"precision": "bf16-mixed"},
        callbacks={"waits": {"_target_": "own_extensions.NoWaiting"}},
    )


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_training(train, mode):
    plain = train("plain", trainer={"precision": "32-true", "tf32": False})
    compiled = train("compiled", trainer={"precision": "32-true", "tf32": False, "compile": mode})
    # Dropout draws other numbers, so only the size of it can be the same.
    assert compiled.epochs[0]["train_loss"] == pytest.approx(plain.epochs[0]["train_loss"], rel=0.3)


def test_a_trial_decides_whether_to_compile(train, tmp_path, monkeypatch):
    from discerna.training import compilation, tried

    monkeypatch.setattr(tried, "FEW", 1)
    monkeypatch.setattr(compilation, "LONG", 0.0)
    train()
    told = json.loads((tmp_path / "m" / "training.json").read_text())["machine"]["compile"]
    assert " ms instead of " in told["reason"]


def test_a_program_keeps_its_way_to_multiply(train):
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
    train(trainer={"precision": "32-true"})
    assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision) == before


def test_a_plan_and_a_piece_that_fits(train, pictures):
    planned = discerna.plan(
        model="squeezenet1_1",
        image_size=64,
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        batch_size=8,
        trainer={"batch_finder": True},
    )
    assert 0 < planned.gpu_memory < planned.gpu_memory_there
    assert "all 8 pictures at once take" in planned.choices["trainer.accumulate_grad_batches"]["reason"]
