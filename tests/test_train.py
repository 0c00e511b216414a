"""The main job, through the public door: untrained model + labelled pictures in, trained model out."""

import csv
import json
import logging
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import discerna
from discerna.errors import (
    DivergedError,
    InvalidDatasetError,
    InvalidModelDirectoryError,
    NotLabeledDatasetError,
    OutOfMemoryError,
    OutputError,
    SettingsError,
)
from picture_sets import write_pictures
from run_folders import best_checkpoint, last_checkpoint


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    """Train the tiny network for two epochs unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def run(**settings):
        given = {
            "model": "tiny",
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / "model",
            "epochs": 2,
            "batch_size": 8,
            "trainer": {"precision": "32-true"},
            **settings,
        }
        return discerna.train(**given)

    return run


def weights(path: Path) -> bytes:
    return (path / "weights.safetensors").read_bytes()


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_model_and_a_run_folder(train, tmp_path):
    result = train()
    assert result.output == tmp_path / "model" and result.run == tmp_path / "model.run"
    assert sorted(p.name for p in result.output.iterdir()) == [
        "manifest.json", "model.json", "training.json", "weights.safetensors",
    ]  # fmt: skip
    assert {p.name for p in result.run.iterdir()} == {
        "settings.json", "run.log", "metrics.csv", "pictures.json", "checkpoints", "result.json",
        "status.json", "run.lock", "environment.json", "data.json", "published.json",
    }  # fmt: skip
    kept = {p.name for p in (result.run / "checkpoints").iterdir()}
    assert {"best-00002.ckpt", "step-00000008.ckpt"} <= kept and len(kept) <= 4
    assert json.loads((result.output / "model.json").read_text())["labels"] == ["blue", "green", "red"]
    assert result.epochs_trained == 2 and result.stopped == "all epochs trained"
    assert (
        result.accuracy
        == discerna.evaluate(model=result.output, data=train_data(result, "valid")).evaluation.accuracy
    )
    assert str(result.output.name) in result.summary() and "discerna score" in result.summary()
    assert f"balanced {result.figures['balanced_accuracy']:.2%}" in result.summary()


def train_data(result, part):
    settings = json.loads((result.run / "settings.json").read_text())["settings"]
    return settings[f"{part}_data"]


def test_metrics_have_a_row_an_epoch(train):
    result = train(epochs=3)
    found = rows(result.run)
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    for row in found:
        for name in ("train_loss", "valid_loss", "valid_accuracy", "learning_rate", "pictures_per_second"):
            assert math.isfinite(float(row[name]))
        assert row["valid_top5"] == ""  # three labels
    assert (float(found[-1]["valid_loss"])) == pytest.approx(result.epochs[-1]["valid_loss"])


def test_the_network_learns(train):
    result = train(epochs=12, learning_rate=0.02, augmentation="none")
    assert result.accuracy > 0.9


def test_the_best_epoch_is_the_result(train):
    result = train(epochs=8, learning_rate=0.2, scheduler="constant", early_stopping="none")
    losses = [float(row["valid_loss"]) for row in rows(result.run)]
    assert result.best_epoch == losses.index(min(losses)) + 1
    best = torch.load(best_checkpoint(result.run), weights_only=True)["state_dict"]
    kept = load_file(result.output / "weights.safetensors")
    assert all(torch.equal(kept[name], best[f"network.{name}"]) for name in kept)
    last = torch.load(last_checkpoint(result.run), weights_only=True)
    assert last["epoch"] == 7
    assert result.best_epoch < 8, "the test needs a run whose last epoch is not its best"
    assert any(not torch.equal(kept[name], last["state_dict"][f"network.{name}"]) for name in kept)
    assert result.figures["loss"] == pytest.approx(min(losses), rel=1e-3)


def test_another_monitor_chooses_another_way(train):
    result = train(
        epochs=6, learning_rate=0.2, scheduler="constant", early_stopping="none", monitor="valid_accuracy"
    )
    accuracies = [float(row["valid_accuracy"]) for row in rows(result.run)]
    assert result.best_epoch == accuracies.index(max(accuracies)) + 1
    result = train(epochs=3, monitor="train_loss", overwrite=True)
    losses = [float(row["train_loss"]) for row in rows(result.run)]
    assert result.best_epoch == losses.index(min(losses)) + 1


def test_early_stopping_says_why(train):
    at_once = {"cooldown": 0}
    result = train(epochs=40, learning_rate=3.0, scheduler="constant", patience=2, early_stopping=at_once)
    losses = [row["valid_loss"] for row in result.epochs]
    best = losses.index(min(losses)) + 1
    assert result.stopped == "stopped early: valid_loss was not better than the best epoch for 2 epochs"
    assert result.epochs_trained == best + 2 < 40
    training = json.loads((result.output / "training.json").read_text())
    assert training["stopped"] == result.stopped and training["best_epoch"] == best


def test_same_command_same_bytes_whatever_the_workers(train, tmp_path):
    results = [
        train(
            output=tmp_path / name,
            loading={"workers": workers},
            random_seed=seed,
            trainer={"precision": "auto"},
        )
        for name, workers, seed in (("a", 0, 1), ("b", 2, 1), ("c", 0, 1), ("d", 0, -7))
    ]
    a, b, c, d = (weights(result.output) for result in results)
    assert a == b == c
    assert a != d
    for name in ("training.json", "model.json"):
        assert (results[0].output / name).read_bytes() == (results[2].output / name).read_bytes()


def test_a_drawn_seed_is_recorded_and_repeats(train, tmp_path):
    first = train(random_seed=None)
    seed = json.loads((first.run / "settings.json").read_text())["settings"]["random_seed"]
    again = train(random_seed=seed, output=tmp_path / "again")
    assert weights(first.output) == weights(again.output)


def test_pieces_of_a_batch_are_the_whole_batch(train, tmp_path):
    common = {"model": "plain", "optimizer": "sgd", "augmentation": "none", "learning_rate": 0.1}
    whole = train(**common, output=tmp_path / "whole")
    pieces = train(
        **common, output=tmp_path / "pieces", trainer={"precision": "32-true", "accumulate_grad_batches": 4}
    )
    one, other = (load_file(r.output / "weights.safetensors") for r in (whole, pieces))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)


def test_augmentation_changes_the_result_and_each_epoch(train, tmp_path):
    light = train(output=tmp_path / "light", augmentation="light")
    none = train(output=tmp_path / "none", augmentation="none")
    assert weights(light.output) != weights(none.output)


def test_the_original_recipe(train):
    result = train(recipe="azure", epochs=4)
    rates = [float(row["learning_rate"]) for row in rows(result.run)]
    assert rates == pytest.approx([1e-3 * (1 - e / 4) ** 2 for e in range(4)], rel=1e-2)
    settings = json.loads((result.run / "settings.json").read_text())["settings"]
    assert settings["augmentation"]["name"] == "none" and settings["optimizer"]["nesterov"] is True


def test_without_output_a_dated_run_is_made(train, tmp_path):
    result = train(output=None)
    assert result.run.parent == tmp_path / "runs" and result.output == result.run / "model"
    assert (result.output / "model.json").is_file()


def test_an_existing_output_is_refused_before_anything_else(train, tmp_path):
    first = train()
    before = {p: p.read_bytes() for p in (*first.output.iterdir(), first.run / "run.log")}
    with pytest.raises(OutputError):
        train()
    assert all(path.read_bytes() == content for path, content in before.items())
    train(overwrite=True, random_seed=5)
    assert weights(first.output) != before[first.output / "weights.safetensors"]


@pytest.mark.parametrize("settings", [None, "{}", "nonsense", '{"command": "train"}'])
def test_a_folder_that_is_not_a_run_is_not_replaced(train, tmp_path, settings):
    (tmp_path / "model.run").mkdir()
    (tmp_path / "model.run" / "precious.txt").write_text("x")
    if settings is not None:
        (tmp_path / "model.run" / "settings.json").write_text(settings)
    with pytest.raises(OutputError, match="not one of discerna's"):
        train(overwrite=True)
    assert (tmp_path / "model.run" / "precious.txt").exists()


def test_a_run_that_was_cut_is_not_replaced_unasked(train, tmp_path):
    result = train()
    (result.output).rename(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="overwrite=true"):
        train()
    assert best_checkpoint(result.run).exists()
    with pytest.raises(OutputError, match="not one of discerna's"):
        (tmp_path / "link.run").symlink_to(result.run)
        train(output=tmp_path / "link", overwrite=True)
    train(overwrite=True)


def test_input_directories_are_never_written_to(train, tmp_path):
    data = write_pictures(tmp_path / "data", {"red": 3, "green": 3, "blue": 3})
    with pytest.raises(OutputError, match="is only read"):
        train(train_data=data, output=data / "model")
    assert sorted(p.name for p in data.iterdir()) == ["blue", "green", "red"]


def test_no_place_and_no_secret_in_the_model(train, tmp_path):
    own = {
        "x": {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": "{run}/own", "name": "my_token"}
    }
    result = train(logger={"own": own})
    text = "".join(
        (result.output / name).read_text() for name in ("model.json", "training.json", "manifest.json")
    )
    assert str(tmp_path) not in text and "/" not in json.loads(text.split("\n}\n")[0] + "\n}").get("path", "")
    assert (result.run / "own" / "my_token").is_dir()


def test_training_goes_on_from_a_trained_model(train, tmp_path):
    first = train(epochs=6, learning_rate=0.02, augmentation="none")
    second = train(
        model=first.output, output=tmp_path / "second", epochs=1, learning_rate=1e-6, augmentation="none"
    )
    # Only the running batch statistics moved; a fresh network begins at about 1.1.
    assert second.figures["loss"] < 0.1


# Wrong input: the table of the original's errors, with the right answers.


def untrained(tmp_path: Path) -> Path:
    discerna.create("tiny", tmp_path / "untrained")
    return tmp_path / "untrained"


@pytest.mark.parametrize("side", ["train_data", "valid_data"])
def test_unlabelled(train, tmp_path, side):
    flat = write_pictures(tmp_path / "flat", {".": 3})
    with pytest.raises(NotLabeledDatasetError, match=f"{side}.*flat"):
        train(**{side: flat})


def test_one_level_too_deep(train, tmp_path):
    write_pictures(tmp_path / "deep" / "inner", {"red": 2, "green": 2, "blue": 2})
    with pytest.raises(NotLabeledDatasetError, match="deep/inner"):
        train(train_data=tmp_path / "deep")


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"red": 2, "green": 2, "blue": 2, "white": 2}, ["white"]),
        ({"red": 2, "green": 2}, ["blue"]),
        ({"Red": 2, "green": 2, "blue": 2}, ["Red", "red"]),
    ],
)
def test_validation_labels_differ(train, tmp_path, labels, named):
    other = write_pictures(tmp_path / "other", labels)
    with pytest.raises(InvalidDatasetError) as caught:
        train(valid_data=other)
    assert all(name in str(caught.value) for name in named)


@pytest.mark.parametrize("side", ["train_data", "valid_data"])
def test_missing_or_empty_data(train, tmp_path, side):
    with pytest.raises(InvalidDatasetError, match=side):
        train(**{side: tmp_path / "nowhere"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidDatasetError, match=side):
        train(**{side: tmp_path / "empty"})


def test_a_dataset_as_model(train, pictures):
    with pytest.raises(InvalidModelDirectoryError, match="image directory"):
        train(model=pictures / "train")


def test_a_missing_or_empty_model(train, tmp_path):
    with pytest.raises(InvalidModelDirectoryError):
        train(model=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidModelDirectoryError):
        train(model=tmp_path / "empty")


def test_pictures_of_different_sizes_are_welcome(train, tmp_path):
    for n, size in enumerate([(5, 40), (64, 9), (1, 1)]):
        write_pictures(tmp_path / "sizes", {"red": 2 + n, "green": 2 + n, "blue": 2 + n}, size=size, seed=n)
    assert train(train_data=tmp_path / "sizes").epochs_trained == 2


def test_a_batch_larger_than_the_data_is_one_step(train, caplog):
    logging.getLogger("discerna").propagate = True
    with caplog.at_level(logging.WARNING, logger="discerna"):
        result = train(batch_size=4096)
    assert result.epochs_trained == 2
    text = (result.run / "run.log").read_text()
    assert "batch_size=4096 is more than the 27 training pictures: each epoch is one step of 27" in text


def test_one_picture_in_the_last_batch_with_batch_norm(train):
    result = train(batch_size=13)  # 27 = 13 + 13 + 1
    assert "2 steps an epoch" in (result.run / "run.log").read_text()
    result = train(batch_size=13, model="plain", overwrite=True)
    assert "3 steps an epoch" in (result.run / "run.log").read_text()


def test_batch_norm_cannot_learn_from_one_picture(train):
    with pytest.raises(SettingsError, match="use batch_size=2"):
        train(batch_size=1)
    assert train(batch_size=1, model="plain", epochs=1).epochs_trained == 1


def test_one_label(train, tmp_path):
    one = write_pictures(tmp_path / "one", {"red": 4})
    with pytest.raises(InvalidDatasetError, match="two labels"):
        train(train_data=one, valid_data=write_pictures(tmp_path / "one_valid", {"red": 2}))


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0}, {"patience": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")},
        {"scheduler": {"name": "azure_polynomial", "warmup_epochs": 2}},
    ],
    ids=str,
)  # fmt: skip
def test_out_of_range_is_refused_before_anything_is_made(train, tmp_path, settings):
    with pytest.raises(SettingsError):
        train(**settings)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_stops_and_writes_no_model(train, tmp_path):
    with pytest.raises(DivergedError, match="learning_rate below"):
        train(learning_rate=1e30, epochs=5)
    assert not (tmp_path / "model").exists()
    told = json.loads((tmp_path / "model.run" / "error.json").read_text())
    assert told["code"] == "D2040" and told["class"] == "DivergedError" and told["remedy"]


def test_out_of_memory_says_what_to_change(train):
    with pytest.raises(
        OutOfMemoryError, match="with 2 pictures at once, and fewer are not possible; use batch_size=4"
    ):
        train(callbacks={"oom": {"_target_": "own_extensions.OutOfMemory"}})


def test_top5_needs_more_than_five_labels(train, tmp_path):
    with pytest.raises(SettingsError, match="among the first five"):
        train(monitor="valid_top5")
    names = {f"label{n}": 2 for n in range(7)}
    result = train(
        train_data=write_pictures(tmp_path / "t", names),
        valid_data=write_pictures(tmp_path / "v", names),
        monitor="valid_top5",
    )
    assert 0 <= result.figures["top5"] <= 1 and float(rows(result.run)[0]["valid_top5"]) >= 0


# A user's own loggers and callbacks.


def test_own_callback_and_logger(train):
    result = train(
        callbacks={"mine": {"_target_": "own_extensions.Counter", "file": "{run}/counted.txt"}},
        logger={"own": {"mine": {"_target_": "own_extensions.Remember"}}},
    )
    import own_extensions

    assert (result.run / "counted.txt").read_text() == "8"  # 2 epochs of 4 steps
    assert {"train_loss", "valid_loss", "valid_accuracy"} <= set(own_extensions.Remember.seen)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sympy.sympify", "not a Callback"),
        ("builtins.open", "not a Callback"),
        ("os.system", "not a Callback"),
        ("own_extensions.Remember", "not a Callback"),
        ("own_extensions.Missing", "cannot be imported"),
        ("no_such_module.X", "cannot be imported"),
        ("plain", "cannot be imported"),
    ],
)
def test_what_is_no_callback_is_refused(train, target, message):
    with pytest.raises(SettingsError, match=message):
        train(callbacks={"x": {"_target_": target}})


def test_wrong_arguments_of_a_callback_are_told(train):
    with pytest.raises(SettingsError, match="the arguments do not fit"):
        train(callbacks={"x": {"_target_": "own_extensions.Counter", "nonsense": 1}})
    with pytest.raises(SettingsError, match="a class is not named"):
        train(callbacks={"x": {"file": "y"}}, overwrite=True)


def test_tensorboard(train):
    result = train(logger="tensorboard")
    assert list((result.run / "tensorboard").rglob("events.out.tfevents*"))
    assert (result.run / "metrics.csv").exists()


def test_no_logger(train):
    assert not (train(logger="none").run / "metrics.csv").exists()


# The trainer's settings reach Lightning.


def test_trainer_settings_have_effect(train):
    result = train(epochs=4, trainer={"precision": "32-true", "limit_train_batches": 1, "max_steps": 2})
    assert result.epochs_trained == 2 and result.stopped == "stopped by max_steps"
    result = train(epochs=4, trainer={"precision": "32-true", "check_val_every_n_epoch": 2}, overwrite=True)
    assert [row["valid_loss"] != "" for row in rows(result.run)][1::2] == [True, True]


def test_an_epoch_without_validation_has_no_figures(train):
    result = train(epochs=3, trainer={"precision": "32-true", "check_val_every_n_epoch": 2})
    assert [row["valid_loss"] != "" for row in rows(result.run)] == [False, True, False]


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"max_time": "abc"}, "max_time|format"),
        ({"limit_train_batches": 0.01}, "limit_train_batches"),
        ({"val_check_interval": 100}, "val_check_interval"),
        ({"accumulate_grad_batches": 2, "limit_train_batches": 3}, "would cut an optimizer step"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_no_bug_of_ours(train, trainer, message):
    with pytest.raises(SettingsError, match=message):
        train(trainer=trainer)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("fused", [True, False])
def test_clipping(train, tmp_path, fused, algorithm, precision):
    """Gradients of almost no length leave the weights where they were."""

    def moved(length):
        ends = []
        for epochs in (1, 3):
            own = {"precision": precision, "gradient_clip_algorithm": algorithm, "gradient_clip_val": length}
            out = tmp_path / f"{length}{epochs}"
            train(
                output=out,
                optimizer="sgd",
                epochs=epochs,
                monitor="train_loss",
                trainer={**own, "fused": fused},
            )
            ends.append(load_file(out / "weights.safetensors")["6.weight"])
        return (ends[0] - ends[1]).abs().max().item()

    assert moved(1e-6) < 1e-5 < moved(1000.0)


def test_train_loss_may_decide_with_validation_in_mid_epoch(train):
    result = train(monitor="train_loss", trainer={"precision": "32-true", "val_check_interval": 0.5})
    assert result.epochs_trained == 2


def test_a_callback_may_keep_anything(train):
    assert train(callbacks={"x": {"_target_": "own_extensions.Keeper"}}).epochs_trained == 2


def test_what_was_asked_to_be_shown_is_shown(train, capfd):
    result = train(
        trainer={"precision": "32-true", "enable_model_summary": True, "profiler": "simple"},
        early_stopping={"verbose": True},
    )
    out, err = capfd.readouterr()
    assert out == ""
    assert "Sequential" in (result.run / "run.log").read_text()
    assert "valid_loss improved" in err and "run_training_epoch" in err


def test_logging_of_lightning_is_as_before_after_a_failure(train):
    before = logging.getLogger("lightning.pytorch").level
    with pytest.raises(DivergedError):
        train(learning_rate=1e30)
    assert logging.getLogger("lightning.pytorch").level == before


def test_a_full_disk_is_told(train, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "x.ckpt")

    monkeypatch.setattr("lightning.pytorch.trainer.trainer.Trainer.save_checkpoint", full)
    with pytest.raises(OutputError, match="No space left on device"):
        train()


def test_max_steps_within_the_first_epoch_keeps_the_last_weights(train):
    result = train(trainer={"precision": "32-true", "max_steps": 1, "val_check_interval": 4})
    assert (result.output / "model.json").is_file()
