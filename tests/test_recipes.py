"""Every means of a recipe changes the training in the way that its name says."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import discerna
from discerna.errors import SettingsError
from picture_sets import write_pictures
from run_folders import best_checkpoint, last_checkpoint

PLAIN = {
    "augmentation": "none",
    "optimizer": "sgd",
    "scheduler": "constant",
    "early_stopping": "none",
    "monitor": "train_loss",
    "trainer": {"precision": "32-true"},
}


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    """Train the tiny network by plain SGD unless told otherwise; each call into an output of its own."""
    monkeypatch.chdir(tmp_path)
    runs = iter(range(100))

    def run(**settings):
        given = {
            "model": "tiny",
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / f"model{next(runs)}",
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.02,
            **PLAIN,
            **settings,
        }
        return discerna.train(**given)

    return run


def weights(result) -> dict[str, torch.Tensor]:
    return load_file(result.output / "weights.safetensors")


def recorded(result) -> dict:
    return json.loads((result.output / "training.json").read_text())


def last(result) -> dict[str, torch.Tensor]:
    state = torch.load(last_checkpoint(result.run), weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], names: list[str] | None = None) -> bool:
    return all(torch.equal(a[name], b[name]) for name in names or a)


def log(result) -> str:
    return (result.run / "run.log").read_text("utf-8")


BODY = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
HEAD = ["6.weight", "6.bias"]


def test_what_is_chosen_is_said_and_stored(train):
    given = dict.fromkeys(("augmentation", "optimizer", "scheduler"), "auto")
    result = train(**given, label_weights="sqrt")
    stored = recorded(result)
    settings, choices = stored["settings"], stored["recipe"]
    assert "auto" not in json.dumps(
        {k: v for k, v in settings.items() if k not in ("recipe", "trainer", "loading")}
    )
    assert settings["trainer"]["gradient_clip_val"] != "auto"
    assert settings["optimizer"]["name"] == choices["optimizer"]["value"]
    assert settings["label_weights"] == "sqrt" and "label_weights" not in choices
    assert all(choice["reason"] for choice in choices.values())
    assert choices["optimizer"]["reason"] in log(result)


def test_any_part_can_be_overridden(train):
    settings = recorded(
        train(augmentation={"flip": 0.25}, optimizer={"weight_decay": 0.2}, scheduler="auto", image_size=24)
    )["settings"]
    assert settings["augmentation"]["flip"] == 0.25 and settings["augmentation"]["name"] != "auto"
    assert settings["optimizer"]["weight_decay"] == 0.2
    assert settings["image_size"] == 24


def test_the_same_settings_again_give_the_same_model(train, tmp_path, pictures):
    given = dict.fromkeys(("augmentation", "optimizer", "scheduler"), "auto")
    first = train(**given)
    settings = recorded(first)["settings"]
    keys = ("image_size", "fit", "label_smoothing", "label_weights", "sampler", "freeze_epochs", "ema")
    again = train(**given, **{key: settings[key] for key in keys})
    assert equal(weights(first), weights(again))


def test_freezing_keeps_the_body(train):
    frozen, free = train(freeze_epochs=2), train(freeze_epochs=0)
    start = discerna.create(network="tiny", output=frozen.run / "start", networks={"modules": []})
    before = load_file(start.output / "weights.safetensors")
    assert equal(last(frozen), before, BODY) and not equal(last(free), before, BODY[:2])
    assert not equal(last(frozen), last(free), HEAD)


def test_a_body_thaws(train):
    thawed, frozen = train(freeze_epochs=1), train(freeze_epochs=2)
    assert not equal(last(thawed), last(frozen), BODY)
    assert "the body learns from now on" in log(thawed)


def test_body_rate_zero_moves_the_head_alone(train):
    still = train(optimizer={"name": "sgd", "body_rate": 0.0, "weight_decay": 0.0})
    moving = train(optimizer={"name": "sgd", "body_rate": 1.0, "weight_decay": 0.0})
    start = discerna.create(network="tiny", output=still.run / "start")
    before = load_file(start.output / "weights.safetensors")
    assert equal(last(still), before, ["0.weight", "0.bias"])
    assert not equal(last(moving), before, ["0.weight", "0.bias"])


def test_the_average_becomes_the_model(train):
    averaged = train(ema=0.9)
    checkpoint = torch.load(last_checkpoint(averaged.run), weights_only=True)
    now = checkpoint["current_model_state"]["network.6.weight"]
    mean = checkpoint["state_dict"]["network.6.weight"]
    assert not torch.equal(now, mean)
    best = torch.load(best_checkpoint(averaged.run), weights_only=True)
    assert "current_model_state" not in best
    assert torch.equal(best["state_dict"]["network.6.weight"], weights(averaged)["6.weight"])
    if averaged.best_epoch == averaged.epochs_trained:
        assert torch.equal(weights(averaged)["6.weight"], mean)


def test_the_average_of_sgd_is_the_formula(train, pictures):
    """One batch an epoch: the average after two steps follows from the weights after each."""
    one = last(train(epochs=1, batch_size=27))
    two = last(train(epochs=2, batch_size=27))
    averaged = train(epochs=2, batch_size=27, ema=0.99)
    memory = 2 / 11  # it grows: (1 + 1) / (10 + 1) at the second step
    expected = memory * one["6.weight"] + (1 - memory) * two["6.weight"]
    assert torch.allclose(last(averaged)["6.weight"], expected, atol=1e-6)


def test_validation_sees_the_average(train):
    averaged = train(ema=0.9, monitor="valid_loss")
    found = discerna.evaluate(model=averaged.output, data=recorded_path(averaged, "valid_data")).evaluation
    assert averaged.epochs[averaged.best_epoch - 1]["valid_loss"] == pytest.approx(found.loss, abs=1e-4)


def recorded_path(result, key) -> Path:
    return Path(json.loads((result.run / "settings.json").read_text())["settings"][key])


def test_smoothing_keeps_the_model_less_sure(train):
    surest = [
        train(epochs=12, learning_rate=0.05, label_smoothing=smoothing).epochs[-1]["train_loss"]
        for smoothing in (0.0, 0.5)
    ]
    assert surest[0] < surest[1]


@pytest.fixture
def rare(tmp_path):
    write_pictures(tmp_path / "rare" / "train", {"blue": 40, "green": 4}, seed=1)
    write_pictures(tmp_path / "rare" / "valid", {"blue": 12, "green": 12}, seed=2)
    return {"train_data": tmp_path / "rare" / "train", "valid_data": tmp_path / "rare" / "valid"}


@pytest.mark.parametrize("means", [{"label_weights": "balanced"}, {"sampler": "balanced"}])
def test_rare_labels_are_found_more_often(train, rare, means):
    def said_green(**settings):
        result = train(**rare, epochs=1, learning_rate=0.003, **settings)
        model = discerna.load(result.output)
        pictures = sorted((rare["valid_data"] / "blue").iterdir())
        return sum(p.probabilities["green"] for p in model.predict(pictures)) / len(pictures)

    assert said_green(**means) > said_green(sampler="shuffle") + 0.02


def test_labels_are_not_balanced_twice(train):
    with pytest.raises(SettingsError, match="labels would be balanced twice"):
        train(label_weights="balanced", sampler="balanced")


def test_mixing_changes_batches_and_is_repeatable(train):
    mixed = {"name": "none", "mixup": 0.4, "cutmix": 1.0}
    first, again, plain = train(augmentation=mixed), train(augmentation=mixed), train()
    assert equal(weights(first), weights(again))
    assert not equal(weights(first), weights(plain))
    assert first.epochs[-1]["train_loss"] > plain.epochs[-1]["train_loss"]


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_means_work_in_every_precision(train, precision):
    mixed = {"name": "light", "mixup": 0.4, "cutmix": 1.0}
    means = {"label_weights": "sqrt", "ema": 0.9, "label_smoothing": 0.1, "scheduler": "one_cycle"}
    own = {"precision": precision, "gradient_clip_val": 1.0}
    assert train(augmentation=mixed, **means, trainer=own).epochs_trained == 2


def test_pictures_grow(train):
    grown = train(start_size=16, image_size=64, epochs=3)
    assert recorded(grown)["settings"]["start_size"] == 16
    assert json.loads((grown.output / "model.json").read_text())["preprocessing"]["size"] == 64
    small = train(start_size=None, image_size=16, epochs=1)
    first = train(start_size=16, image_size=64, epochs=1)  # one epoch alone is of the full size
    assert not equal(last(small), last(first))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_size": 64, "image_size": 32}, "the pictures would shrink"),
        ({"model": "vit_b_16", "start_size": 112}, "made for one picture size"),
        ({"model": "alexnet", "image_size": 128, "start_size": 16}, "cannot take pictures of 16 pixels"),
    ],
)
def test_sizes_that_cannot_be(train, settings, message):
    with pytest.raises(SettingsError, match=message):
        train(**settings)


def test_how_pictures_are_seen_is_a_setting_of_the_training_too(train, tmp_path):
    start = discerna.create(network="tiny", output=tmp_path / "start", image_size=20)
    own = {"fit": "pad", "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    result = train(model=start.output, **own)
    stored = json.loads((result.output / "model.json").read_text())["preprocessing"]
    assert stored == {**own, "size": 20, "resize": 22}
    plain = train(model=start.output)
    assert not equal(weights(result), weights(plain))


def test_a_rate_is_found(train):
    result = train(learning_rate="find")
    found = recorded(result)["settings"]["learning_rate"]
    assert isinstance(found, float) and 1e-7 < found < 1
    assert f"learning_rate {found:g}:" in log(result)
    typed = train(learning_rate=found)
    assert equal(weights(result), weights(typed)), "the trial has left no trace"


def test_time_is_kept(train):
    result = train(epochs=100000, max_minutes=0.1, scheduler="cosine")
    assert result.stopped == "stopped by max_minutes=0.1"
    assert 2 < result.seconds < 12
    first, last = (result.epochs[n]["learning_rate"] for n in (0, -1))
    assert last < 0.5 * first, "the schedule comes down with the time; how far, a slow last step decides"
    assert recorded(result)["stopped"] == result.stopped


def test_time_that_suffices_changes_no_epoch(train):
    result = train(max_minutes=60)
    assert result.stopped == "all epochs trained" and equal(weights(result), weights(train()))


def test_plateau_waits_and_lowers_the_rate(train):
    result = train(
        epochs=6,
        learning_rate=1e-9,  # nothing changes, so nothing improves
        monitor="valid_accuracy",
        scheduler={"name": "plateau", "wait": 2},
    )
    rates = [row["learning_rate"] for row in result.epochs]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11])


@pytest.mark.parametrize("name", ["cosine", "one_cycle", "polynomial"])
def test_schedules_move_at_each_step(train, name):
    result = train(scheduler=name, epochs=3)
    rates = [row["learning_rate"] for row in result.epochs]
    assert rates[0] > rates[1] > rates[2] and rates[2] < 0.004
