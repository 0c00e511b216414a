"""Settings with auto -> settings without."""

import json

import pytest

from discerna.composition import compose
from discerna.machine import Choice
from discerna.recipes.auto import choose, waste
from discerna.recipes.facts import Facts
from discerna.recipes.pictures import Look
from discerna.recipes.resolution import resolve
from discerna.settings.build import plain
from discerna.settings.recipe import Recipe

REQUIRED = ["model=resnet18", "train_data=a", "valid_data=b"]
SQUARE = Look(short_side=500, aspect=1.3, mirror=0.0, upside=0.5)


def facts(**changed) -> Facts:
    known = {
        "counts": {"a": 100, "b": 100},
        "valid_counts": {"a": 20, "b": 20},
        "look": SQUARE,
        "pretrained": False,
        "by_name": True,
        "own_size": 224,
        "fixed_size": False,
    }
    return Facts(**{**known, **changed})


def resolved(*overrides, **changed):
    settings = compose("train", [*REQUIRED, *overrides])
    return resolve(settings, choose(facts(**changed), settings))


def test_nothing_is_left_open():
    settings, used = resolved()
    values = plain(settings)
    own = ("image_size", "fit", "resize", "interpolation", "mean", "std", "grayscale", "border")
    for name in ("trainer", "loading", "checkpoint", "recipe", "sweep", *own):
        del values[name]
    assert '"auto"' not in json.dumps(values)
    assert Recipe.of(settings).learning_rate == 0.001
    assert all(choice.reason for choice in used.values())


@pytest.mark.parametrize(
    ("typed", "where", "value"),
    [
        ("augmentation.flip=0.3", ("augmentation", "flip"), 0.3),
        ("augmentation=strong", ("augmentation", "cutmix"), 1.0),
        ("optimizer=sgd", ("optimizer", "momentum"), 0.9),
        ("optimizer.weight_decay=0.3", ("optimizer", "weight_decay"), 0.3),
        ("optimizer.body_rate=0.5", ("optimizer", "body_rate"), 0.5),
        ("scheduler=plateau", ("scheduler", "wait"), 2),
        ("trainer.gradient_clip_val=7.0", ("trainer", "gradient_clip_val"), 7.0),
        ("trainer.gradient_clip_val=null", ("trainer", "gradient_clip_val"), None),
        ("label_smoothing=0.2", ("label_smoothing",), 0.2),
        ("label_weights=none", ("label_weights",), "none"),
        ("ema=0", ("ema",), 0.0),
        ("start_size=null", ("start_size",), None),
        ("image_size=100", ("image_size",), 100),
        ("fit=stretch", ("fit",), "stretch"),
        ("learning_rate=0.7", ("learning_rate",), 0.7),
    ],
)
@pytest.mark.parametrize("recipe", ["auto", "azure"])
def test_what_is_typed_stays(recipe, typed, where, value):
    if recipe == "azure" and typed in ("optimizer.weight_decay=0.3", "optimizer.body_rate=0.5"):
        where = ("optimizer", typed.split(".")[1].split("=")[0])
    settings, used = resolved(f"recipe={recipe}", typed)
    found = plain(settings)
    for key in where:
        found = found[key]
    assert found == value
    assert (".".join(where) not in used and where[0] not in used) or where[0] in ("optimizer", "augmentation")


def test_the_originals_recipe_leaves_nothing_to_choose():
    settings, used = resolved("recipe=azure", look=Look(short_side=32, aspect=1.0, mirror=0.0, upside=0.0))
    assert set(used) <= {"image_size", "fit"}
    recipe = Recipe.of(settings)
    assert (recipe.optimizer.name, recipe.optimizer.momentum, recipe.optimizer.nesterov) == ("sgd", 0.9, True)
    assert recipe.scheduler.name == "azure_polynomial" and recipe.augmentation.flip == 0
    assert (recipe.ema, recipe.label_smoothing, recipe.freeze_epochs) == (0.0, 0.0, 0)
    assert settings.early_stopping.rule == "consecutive" and settings.trainer.precision == "32-true"


@pytest.mark.parametrize(
    ("mirror", "upside", "flip", "vertical"),
    [(0.0, 0.5, 0.5, 0.0), (0.0, 0.02, 0.5, 0.5), (0.4, 0.4, 0.0, 0.0), (None, None, 0.0, 0.0)],
)
def test_flips_follow_the_pictures(mirror, upside, flip, vertical):
    seen = Look(short_side=200, aspect=1.0, mirror=mirror, upside=upside)
    settings, used = resolved("augmentation=light", look=seen)
    assert (settings.augmentation.flip, settings.augmentation.vertical_flip) == (flip, vertical)
    assert "matter" in used["augmentation.flip"].reason or "arbitrary" in used["augmentation.flip"].reason


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({"short_side": 32}, 64),
        ({"short_side": 64}, 96),
        ({"short_side": 70}, 128),
        ({"short_side": 120}, 192),
        ({"short_side": 150}, "auto"),
        ({"short_side": 0}, "auto"),
    ],
)
def test_small_pictures_are_not_blown_up(changed, size):
    seen = Look(**{"aspect": 1.0, "mirror": 0.0, "upside": 0.0, **changed})
    assert resolved(look=seen)[0].image_size == size
    assert resolved(look=seen, pretrained=True)[0].image_size == "auto"
    assert resolved(look=seen, fixed_size=True)[0].image_size == "auto"
    assert resolved(look=seen, by_name=False)[0].image_size == "auto"


def test_a_directory_that_wastes_time_is_told():
    seen = Look(short_side=64, aspect=1.0, mirror=0.0, upside=0.0)
    told = waste(facts(look=seen, by_name=False))
    assert "image_size=96" in told and "5 times less" in told
    assert not waste(facts(look=seen, by_name=False, own_size=128))
    assert not waste(facts(look=seen)) and not waste(facts(look=SQUARE, by_name=False))


def test_long_pictures_are_padded():
    seen = Look(short_side=200, aspect=3.0, mirror=0.0, upside=0.0)
    settings, used = resolved(look=seen)
    assert settings.fit == "pad" and "3.0 times as long" in used["fit"].reason
    assert resolved(look=seen, by_name=False)[0].fit == "auto"


@pytest.mark.parametrize(
    ("counts", "valid", "sampler"),
    [
        ({"a": 100, "b": 10}, {"a": 20, "b": 20}, "balanced"),
        ({"a": 100, "b": 10}, {"a": 20, "b": 2}, "shuffle"),  # as rare where it is measured
        ({"a": 100, "b": 90}, {"a": 20, "b": 2}, "shuffle"),  # nothing is rare in training
        ({"a": 100, "b": 90}, {"a": 20, "b": 20}, "shuffle"),
    ],
)
def test_labels_are_drawn_as_often_as_they_are_asked(counts, valid, sampler):
    settings, used = resolved(counts=counts, valid_counts=valid)
    assert settings.sampler == sampler and settings.label_weights == "none"
    if sampler == "balanced":
        assert "10 times rarer" in used["sampler"].reason


def test_what_is_typed_is_not_balanced_again():
    rare = {"counts": {"a": 1000, "b": 10}}
    assert resolved("sampler=balanced", **rare)[0].label_weights == "none"
    assert resolved("label_weights=sqrt", **rare)[0].sampler == "shuffle"


def test_choices_keep_their_reasons():
    chosen = choose(facts(), compose("train", REQUIRED))
    assert all(isinstance(choice, Choice) and choice.reason for choice in chosen.values())
