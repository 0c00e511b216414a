"""logger=tensorboard: curves and pictures that TensorBoard itself reads."""

import pytest

import discerna

pytest.importorskip("tensorboard")


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(**settings):
        return discerna.train(
            model="tiny",
            train_data=pictures / "train",
            valid_data=pictures / "valid",
            output="m",
            epochs=2,
            batch_size=8,
            trainer={"precision": "32-true"},
            **settings,
        )

    return run


def test_curves_and_pictures(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(logger="tensorboard", learning_rate=1e-6)
    found = EventAccumulator(str(result.run / "tensorboard"), size_guidance={"images": 0})
    found.Reload()
    tags = found.Tags()
    assert {"loss/train", "loss/validation", "accuracy/validation", "learning_rate", "final/accuracy"} <= set(
        tags["scalars"]
    )
    points = [(event.step, event.value) for event in found.Scalars("loss/validation")]
    assert points == [(n + 1, pytest.approx(row["valid_loss"])) for n, row in enumerate(result.epochs)]
    assert set(tags["images"]) == {"training", "mistakes", "confusion"}
    for name in tags["images"]:
        (image,) = found.Images(name)
        assert image.width > 200 and image.encoded_image_string.startswith(b"\x89PNG")
    assert any("settings" in tag for tag in tags["tensors"])


def test_without_pictures(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(logger={"name": "tensorboard", "pictures": False})
    found = EventAccumulator(str(result.run / "tensorboard"))
    found.Reload()
    assert found.Tags()["images"] == [] and "loss/train" in found.Tags()["scalars"]


def test_a_disk_that_fails_costs_the_curves_only(train, monkeypatch, capsys):
    from torch.utils.tensorboard import SummaryWriter

    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    result = train(logger="tensorboard")
    assert result.epochs_trained == 2
    assert capsys.readouterr().err.count("no more curves: [Errno 28]") == 1
