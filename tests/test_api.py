"""From Python: the same doors in a script, a thread, an event loop, and a Hydra application of the user."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import discerna
from picture_sets import TESTS


@pytest.fixture
def settings(pictures, tmp_path):
    return {
        "model": "tiny",
        "train_data": pictures / "train",
        "valid_data": str(pictures / "valid"),
        "output": tmp_path / "model",
        "epochs": 1,
        "batch_size": 8,
    }


def test_train_load_predict(settings, pictures):
    trained = discerna.train(**{**settings, "epochs": 12, "learning_rate": 0.02})
    model = discerna.load(trained.output)
    files = [pictures / "valid" / label / "0.png" for label in ("red", "green", "blue")]
    predictions = model.predict(files)
    assert [p.label for p in predictions] == ["red", "green", "blue"]
    for prediction in predictions:
        assert (
            prediction.probability
            == max(prediction.probabilities.values())
            == pytest.approx(prediction.probabilities[prediction.label])
        )
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert model.predict(Image.open(files[0]))[0].probabilities == pytest.approx(
        predictions[0].probabilities, abs=1e-4
    )


def test_create_score_evaluate(settings, pictures, tmp_path):
    created = discerna.create("tiny", tmp_path / "untrained", random_seed=3, arguments={"width": 4})
    trained = discerna.train(**{**settings, "model": created.output})
    discerna.score(model=trained.output, data=[pictures / "valid" / "red"], output=tmp_path / "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 5
    found = discerna.evaluate(model=trained.output, data=pictures / "valid")
    assert found.evaluation.accuracy == trained.accuracy


def test_the_callers_randomness_and_hooks_are_untouched(settings):
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(3), random.random()
    torch.manual_seed(5)
    random.seed(5)
    hook = sys.excepthook
    discerna.train(**settings)
    assert torch.equal(torch.rand(3), expected[0]) and random.random() == expected[1]
    assert sys.excepthook is hook


def test_in_a_thread_and_an_event_loop(settings, tmp_path):
    async def notebook():
        here = discerna.train(**settings)  # as a notebook's cell runs, inside a loop
        there = await asyncio.to_thread(discerna.train, **{**settings, "output": tmp_path / "other"})
        return here, there

    here, there = asyncio.run(notebook())
    weights = [(result.output / "weights.safetensors").read_bytes() for result in (here, there)]
    assert weights[0] == weights[1]


def test_unknown_settings_are_told(settings):
    with pytest.raises(discerna.SettingsError, match="did you mean epochs"):
        discerna.train(**settings, epochz=3)
    with pytest.raises(discerna.SettingsError, match="network"):
        discerna.create("resnet81", "x")


APPLICATION = """
import hydra, discerna
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    result = discerna.train(model="tiny", train_data=cfg.data + "/train", valid_data=cfg.data + "/valid",
                            output=cfg.out, epochs=1, batch_size=8, networks={"modules": ["tiny_networks"]})
    print(HydraConfig.get().job.name, result.epochs_trained)

main()
"""


@pytest.mark.slow
def test_inside_a_hydra_application(pictures, tmp_path):
    (tmp_path / "application.py").write_text(APPLICATION)
    done = subprocess.run(
        [sys.executable, "application.py", f"+data={pictures}", f"+out={tmp_path / 'model'}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("application 1")
    assert Path(tmp_path / "model" / "model.json").is_file()
