"""Command line -> settings: keys, paths, groups, a user's own YAML, and the messages for mistakes."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discerna.composition import compose
from discerna.errors import SettingsError
from discerna.overrides import PACKAGED, Source, check_source, overrides_from

BASE = ["model=resnet18", "train_data=a", "valid_data=b"]


def train(*overrides: str, source: Source = PACKAGED):
    return compose("train", [*BASE, *overrides], source)


def refused(*overrides: str, verb: str = "train", source: Source = PACKAGED) -> str:
    with pytest.raises(SettingsError) as caught:
        compose(verb, [*BASE, *overrides] if verb == "train" else list(overrides), source)
    return str(caught.value)


def test_defaults_are_those_of_the_original():
    settings = train()
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (5, 16, 0.001)
    assert (settings.random_seed, settings.patience) == (1, 3)


@pytest.mark.parametrize(
    "name",
    [
        "Fotoğraflar (1)/žluté=a,b", "写真", "a b", "x[1]", "[x", "~x", "a'b", 'a"b', "a\\b", "a\\", "a\\'b",
        "${epochs}",
        "a${b", "\\${x}", "a#b", "a:b", "{a}", "1e5", "007", "nan", "true", "a=b=c", "%s", "*", " lead", "trail ", "-m",
    ],
)  # fmt: skip
def test_any_path_is_taken_literally(name):
    assert (
        compose("train", ["model=resnet18", f"train_data=in/{name}", f"valid_data={name}"]).train_data
        == Path.cwd() / "in" / name
    )
    assert train(f"output={name}").output == Path.cwd() / name


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/\n\r"), min_size=1))
@example("\\\\'${")
@example("\\${")
def test_any_path_is_taken_literally_whatever_it_holds(name):
    if name in (".", "..", "???", "null") or (len(name) > 1 and name[0] == name[-1] and name[0] in "'\""):
        return
    assert train(f"output=x/{name}").output == Path.cwd() / "x" / name


def test_a_quoted_path_loses_its_quotes_and_null_is_nothing():
    assert train("output='a,b'").output == Path.cwd() / "a,b"
    assert train("output=null").output is None


def test_a_list_of_paths():
    settings = compose("score", ["model=m", "data=[a.jpg,'b c.jpg']"])
    assert settings.data == [Path.cwd() / "a.jpg", Path.cwd() / "b c.jpg"]


@pytest.mark.parametrize("seed", ["-5", "123456789012345678901234567890", "0", "null"])
def test_any_seed(seed):
    assert str(train(f"random_seed={seed}").random_seed) == seed.replace("null", "None")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["epochz=2"], "unknown setting: epochz; see discerna train --help; did you mean epochs"),
        (["+epochz=2"], "unknown setting: epochz"),
        (["++trainer.precison=x"], "see discerna train --help; did you mean trainer.precision"),
        (["lr=0.1"], "unknown setting: lr; see discerna train --help; it is called learning_rate here"),
        (["trainer.max_epochs=3"], "it is called epochs here"),
        (["trainer.max_epoch=3"], "did you mean epochs"),
        (["trainer.barebones=true"], "not a setting here: it switches off the checkpoints"),
        (["early_stopping.mode=max"], "not a setting here: follows from monitor"),
        (["momentum=0.5"], "did you mean optimizer.momentum"),
        (["epochs=0"], "wrong value: epochs=0; it is a whole number, 1 or more"),
        (["epochs=-3"], "wrong value: epochs=-3"),
        (["epochs=1.5"], "wrong value: epochs=1.5"),
        (["batch_size=0"], "wrong value: batch_size=0; it is a whole number, 1 or more"),
        (["patience=0"], "wrong value: patience=0; it is a whole number, 1 or more"),
        (["learning_rate=0"], "wrong value: learning_rate=0; it is a number, above 0"),
        (["learning_rate=-1"], "wrong value: learning_rate=-1"),
        (["learning_rate=abc"], "wrong value: learning_rate=abc; it is a number, above 0"),
        (["learning_rate=nan"], "wrong value: learning_rate=nan"),
        (["learning_rate=inf"], "wrong value: learning_rate=inf"),
        (["random_seed=1.5"], "wrong value: random_seed=1.5; it is a whole number, or null"),
        (["optimizer=adm"], "unknown choice: optimizer=adm; it is adamw | auto | azure_sgd | sgd; did you mean adamw"),
        (["recipe=azur"], "did you mean azure"),
        (["optimizer=adamw", "optimizer.momentum=0.5"], "momentum belongs to optimizer=sgd"),
        (["early_stopping=none", "patience=2"], "a setting without effect: patience=2"),
        (["early_stopping=none", "early_stopping.min_delta=0.1"], "a setting without effect with early_stopping=none"),
        (["scheduler=azure_polynomial", "scheduler.warmup_epochs=5"], "fewer than epochs=5"),
        (["optimizer=sgd", "optimizer.momentum=0"], "Nesterov's step needs momentum"),
        (["optimizer=sgd", "optimizer.momentum=1"], "optimizer.momentum=1; it is a number, 0 or more, below 1"),
        (["trainer.accumulate_grad_batches=3"], "a divisor of batch_size=16"),
        (
            ["trainer.gradient_clip_val=null", "trainer.gradient_clip_algorithm=norm"],
            "it needs trainer.gradient_clip_val",
        ),
        (["valid_data=a"], "the same directory"),
        (["model=some/dir", "pretrained=true"], "a model directory has its weights and arguments already"),
        (["monitor=loss"], "it is train_loss | valid_loss | valid_accuracy | valid_top5; did you mean"),
        (["scheduler=one_cycle", "scheduler.momentum_range=[0.9]"], "momentum_range is two numbers"),
        (["scheduler=one_cycle", "scheduler.momentum_range=[0.9,0.8]"], "the smaller first"),
        (["sampler=balanced", "label_weights=sqrt"], "labels would be balanced twice"),
        (["augmentation.crop_scale=[0.9,0.1]"], "crop_scale is two numbers, the smaller first"),
        (["epochs"], "not a setting: epochs; settings are written KEY=VALUE; write epochs=VALUE"),
        (["epochs=[1"], "not readable as KEY=VALUE: epochs=[1"),
        (["~optimizer"], "a setting cannot be removed: ~optimizer"),
        (["hydra.run.dir=x"], "use output=DIR"),
        (["trainer=cpu", "trainer.devices=[0,1]"], "use trainer.devices=2"),
        (["trainer.max_steps=0"], "no step would run"),
        (["logger.own.x=3"], "it is a mapping"),
    ],
)  # fmt: skip
def test_mistakes(overrides, told):
    assert told in refused(*overrides)


def test_several_mistakes_are_told_together():
    message = refused("epochz=1", "lr=2", "optimizer=adm")
    assert message.startswith("3 faults")
    message = refused("epochs=0", "batch_size=x")
    assert message.startswith("2 faults") and "epochs=0" in message and "batch_size=x" in message


def test_a_missing_setting_says_what_to_pass():
    message = refused("model=resnet18", verb="score")
    assert "a setting is missing: data" in message and "pass data=VALUE" in message


def test_own_callbacks_and_loggers_may_be_added():
    settings = train("+callbacks.mine._target_=a.B", "callbacks.mine.x=3", "logger.own.z={_target_: c.D}")
    assert settings.callbacks == {"mine": {"_target_": "a.B", "x": 3}}
    assert settings.logger.own == {"z": {"_target_": "c.D"}}


def test_arguments_are_a_mapping():
    assert train("arguments.memory_efficient=true").arguments == {"memory_efficient": True}


def test_a_recipe_is_an_overlay_and_overrides_are_above_it():
    settings = train("recipe=azure", "optimizer.momentum=0.5", "label_smoothing=0.1")
    assert settings.recipe == "azure" and settings.label_smoothing == 0.1
    assert settings.scheduler.name == "azure_polynomial"
    assert (settings.optimizer.name, settings.optimizer.momentum, settings.optimizer.decay_norm_and_bias) == (
        "sgd",
        0.5,
        True,
    )


def test_an_experiment_of_ones_own(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "long.yaml").write_text("# @package _global_\nepochs: 90\n")
    source = check_source(Source(tmp_path, None), "train")
    assert train("experiment=long", source=source).epochs == 90
    assert train("experiment=long", "epochs=8", source=source).epochs == 8


def test_own_config_dir(tmp_path):
    own = tmp_path / "my conf=1"
    (own / "optimizer").mkdir(parents=True)
    (own / "optimizer" / "slow.yaml").write_text("defaults: [sgd]\nmomentum: 0.1\n")
    (own / "my_train.yaml").write_text("defaults: [train, _self_]\nepochs: 9\n")
    source = check_source(Source(own, "my_train"), "train")
    settings = train("optimizer=slow", source=source)
    assert (settings.epochs, settings.optimizer.momentum, settings.optimizer.nesterov) == (9, 0.1, True)
    assert "adamw | auto | azure_sgd | sgd | slow" in refused("optimizer=slwo", source=source)


def test_a_wrong_key_in_an_own_file_is_told(tmp_path):
    (tmp_path / "my_train.yaml").write_text("defaults: [train, _self_]\nepochz: 9\ntrainer: {devics: 2}\n")
    message = refused(source=check_source(Source(tmp_path, "my_train"), "train"))
    assert "epochz" in message and "did you mean epochs" in message
    assert "trainer.devics" in message and "did you mean trainer.devices" in message


def test_broken_yaml_and_missing_files_are_told(tmp_path):
    (tmp_path / "bad.yaml").write_text("epochs: [1\n")
    with pytest.raises(SettingsError):
        train(source=check_source(Source(tmp_path, "bad"), "train"))
    with pytest.raises(SettingsError, match="no such directory"):
        check_source(Source(tmp_path / "nowhere", None), "train")
    with pytest.raises(SettingsError, match="did you mean train"):
        check_source(Source(None, "trian"), "train")


def test_python_values_become_overrides():
    given_values = {
        "model": "resnet18", "train_data": Path("a 'b'"), "valid_data": "null", "epochs": 3, "optimizer": "sgd",
        "trainer": {"devices": 2, "precision": "32-true"}, "early_stopping": {"name": "none"}, "output": None,
        "arguments": {"x": [1, "two"], "y": None}, "overwrite": True,
    }  # fmt: skip
    settings = compose("train", overrides_from(given_values, "train"))
    assert settings.train_data == Path.cwd() / "a 'b'"
    assert settings.valid_data == Path.cwd() / "null"
    assert (settings.epochs, settings.optimizer.name, settings.trainer.devices, settings.output) == (
        3,
        "sgd",
        2,
        None,
    )
    assert settings.early_stopping.name == "none"
    assert settings.arguments == {"x": [1, "two"], "y": None}
    with pytest.raises(SettingsError, match="a group takes the name"):
        overrides_from({"optimizer": 3}, "train")


def test_inside_a_hydra_application_of_the_user(tmp_path):
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    (tmp_path / "mine.yaml").write_text("x: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert train("epochs=2").epochs == 2
        assert hydra_compose("mine").x == 1
        assert GlobalHydra.instance().is_initialized()
    assert not GlobalHydra.instance().is_initialized()
