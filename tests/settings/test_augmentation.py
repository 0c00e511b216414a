"""The group `augmentation`: every part has a value in every choice, and can be changed alone."""

import pytest

from discerna.composition import compose
from discerna.errors import SettingsError
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.build import build, hints, plain


def chosen(*overrides):
    return compose("train", ["model=resnet18", "train_data=a", "valid_data=b", *overrides]).augmentation


def test_auto_leaves_everything_to_the_recipe():
    values = plain(chosen("augmentation=auto"))
    assert set(values.values()) == {"auto"}
    assert set(values) == set(hints(AugmentationSettings))


def test_none_is_nothing():
    values = plain(chosen("augmentation=none"))
    assert values.pop("name") == "none"
    assert values.pop("crop_scale") == [1.0, 1.0]
    assert not any(values.values())


def test_each_choice_does_all_that_the_one_before_does():
    light, medium, strong = (chosen(f"augmentation={name}") for name in ("light", "medium", "strong"))
    assert (light.crop_scale, light.jitter, light.trivial) == ([0.8, 1.0], 0.0, False)
    further = {"name": "medium", "crop_scale": [0.35, 1.0], "jitter": 0.2, "trivial": True}
    assert {**plain(light), **further} == plain(medium)
    more = {"name": "strong", "crop_scale": [0.2, 1.0], "erasing": 0.25, "mixup": 0.2, "cutmix": 1.0}
    assert plain(medium) | more == plain(strong)
    assert (strong.flip, strong.vertical_flip) == ("auto", "auto")


@pytest.mark.parametrize("name", ["auto", "none", "light", "medium", "strong"])
@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("crop_scale", "[0.5,1]", [0.5, 1.0]),
        ("crop_scale", "auto", "auto"),
        ("flip", "0", 0.0),
        ("vertical_flip", "auto", "auto"),
        ("random_crop", "false", False),
        ("padding", "0.125", 0.125),
        ("rotation", "180", 180.0),
        ("affine", "0.1", 0.1),
        ("perspective", "1", 1.0),
        ("jitter", "1", 1.0),
        ("grayscale", "0.5", 0.5),
        ("trivial", "true", True),
        ("erasing", "0.1", 0.1),
        ("mixup", "2", 2.0),
        ("cutmix", "0", 0.0),
    ],
)
def test_every_part_can_be_changed_alone(name, field, typed, value):
    before = plain(chosen(f"augmentation={name}"))
    found = chosen(f"augmentation={name}", f"augmentation.{field}={typed}")
    assert plain(found) == before | {field: value}
    assert build(AugmentationSettings, plain(found)) == found


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("flip=2", "augmentation.flip=2; it is a number, 0 to 1 or auto"),
        ("flip=often", "augmentation.flip=often; it is a number, 0 to 1 or auto"),
        ("mixup=-1", "augmentation.mixup=-1; it is a number, 0 or more or auto"),
        ("trivial=1", "augmentation.trivial=1; it is true or false or auto"),
        ("crop_scale=[0,1]", "it is a list as [a,b] (a number, 0.01 to 1) or auto"),
        ("crop_scale=0.5", "it is a list as [a,b] (a number, 0.01 to 1) or auto"),
        ("crop_scale=[0.5]", "crop_scale is two numbers, the smaller first"),
        ("rotation=181", "augmentation.rotation=181; it is a number, 0 to 180 or auto"),
        ("rotation=-1", "it is a number, 0 to 180 or auto"),
        ("affine=1", "augmentation.affine=1; it is a number, 0 to 0.9 or auto"),
        ("padding=2", "it is a number, 0 to 1 or auto"),
        ("rotate=1", "unknown setting: augmentation.rotate"),
    ],
)
def test_mistakes(typed, told):
    with pytest.raises(SettingsError) as caught:
        chosen(f"augmentation.{typed}")
    assert told in str(caught.value)


def test_two_ways_to_cut_are_refused():
    with pytest.raises(SettingsError, match="two settings choose the part of the picture"):
        chosen("augmentation=light", "augmentation.random_crop=true")
    assert chosen(
        "augmentation=light", "augmentation.random_crop=true", "augmentation.crop_scale=[1,1]"
    ).random_crop
    with pytest.raises(SettingsError, match="a setting without effect with fit=stretch"):
        chosen("augmentation=none", "augmentation.random_crop=true", "fit=stretch")


@pytest.mark.parametrize("name", ["none", "light", "medium", "strong"])
def test_what_no_preset_had_is_off_in_all(name):
    values = plain(chosen(f"augmentation={name}"))
    new = ("random_crop", "padding", "rotation", "affine", "perspective", "grayscale")
    assert not any(values[key] for key in new)
