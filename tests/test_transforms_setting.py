"""`train transforms=OLD`: an old transformation becomes settings, in which whatever is typed wins."""

import json

import pytest

import discerna
from discerna.composition import as_yaml, compose
from discerna.errors import InvalidTransformationDirectoryError
from discerna.overrides import PACKAGED, Source

OLD = [
    ["Resize", 40],
    ["CenterCrop", 32],
    ["ColorJitter", {}],
    ["Grayscale", {}],
    ["RandomHorizontalFlip", {}],
]
REQUIRED = ["model=tiny", "train_data=a", "valid_data=b"]


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "old, transforms"
    folder.mkdir()
    (folder / "_meta.yaml").write_text("type: TransformationDirectory\ntransform_type: Image\n")
    (folder / "_transforms.json").write_text(json.dumps(OLD))
    return folder


def composed(old, *overrides):
    return compose("train", [*REQUIRED, f"transforms={old}", *overrides])


@pytest.mark.parametrize("recipe", ["auto", "azure"])
def test_it_becomes_settings(old, recipe):
    settings = composed(old, f"recipe={recipe}")
    assert (settings.image_size, settings.resize, settings.fit, settings.grayscale) == (32, 40, "crop", True)
    assert (settings.augmentation.flip, settings.augmentation.jitter) == (0.5, 0.2)
    assert settings.augmentation.crop_scale == [1.0, 1.0]


@pytest.mark.parametrize("place", [0, -1])
def test_what_is_typed_wins(old, place):
    typed = ["augmentation.flip=0.1", "grayscale=false", "image_size=64"]
    overrides = [*typed, f"transforms={old}"] if place else [f"transforms={old}", *typed]
    settings = compose("train", [*REQUIRED, *overrides])
    assert (settings.augmentation.flip, settings.grayscale, settings.image_size) == (0.1, False, 64)
    assert settings.resize == "auto" and settings.augmentation.jitter == 0.2
    assert composed(old, "augmentation=strong").augmentation.jitter == 0.2
    assert composed(old, "augmentation=light").augmentation.jitter == 0.0
    assert composed(old, "fit=pad").resize == "auto"


def test_a_file_of_the_user_may_name_it(old, tmp_path):
    (tmp_path / "experiment").mkdir()
    text = f"# @package _global_\ntransforms: {json.dumps(str(old))}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    settings = compose("train", [*REQUIRED, "experiment=mine", "grayscale=false"], Source(tmp_path))
    assert settings.resize == 40 and settings.grayscale is False


def test_it_is_shown_composed(old):
    shown = as_yaml("train", [f"transforms={old}"], PACKAGED, "job", False)
    assert "resize: 40" in shown and "jitter: 0.2" in shown


def test_what_is_wrong_with_it_is_told_before_anything_else(old, discerna):
    (old / "_transforms.json").write_text('[["Resize", 9], ["CenterCrop", 10], ["Blur", 1]]')
    with pytest.raises(InvalidTransformationDirectoryError, match="2 faults"):
        composed(old)
    done = discerna("train", *REQUIRED, f"transforms={old}", code=1)
    assert "D0158" in done.stderr and "Traceback" not in done.stderr


def test_a_training_tells_and_stores_it(old, pictures, tmp_path):
    result = discerna.train(
        model="tiny",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "model",
        epochs=1,
        recipe="azure",
        transforms=old,
        augmentation={"flip": 0.25},
    )
    log = (result.run / "run.log").read_text("utf-8")
    assert "transforms: ColorJitter: changed nothing then" in log
    assert "augmentation.flip is 0.25, not 0.5 (RandomHorizontalFlip in _transforms.json)" in log
    stored = json.loads((result.output / "training.json").read_text())
    assert stored["recipe"]["resize"] == {"value": 40, "reason": "Resize in _transforms.json"}
    assert stored["recipe"]["augmentation"]["value"] == "none" and "augmentation.flip" not in stored["recipe"]
    assert stored["settings"]["transforms"] == old.name
    model = json.loads((result.output / "model.json").read_text())
    assert model["format_version"] == 2
    seen = model["preprocessing"]
    assert (seen["size"], seen["resize"], seen["grayscale"]) == (32, 40, True)


def test_how_a_trained_model_sees_pictures_holds_in_scoring_too(pictures, tmp_path):
    """A model without colours cannot tell a picture from its grey twin."""
    from PIL import Image

    given = {"model": "tiny", "train_data": pictures / "train", "valid_data": pictures / "valid", "epochs": 1}
    colour = Image.open(next((pictures / "valid" / "red").iterdir())).convert("RGB")
    grey = colour.convert("L").convert("RGB")
    alike = []
    for name, own in (
        ("grey", {"grayscale": True, "border": 2, "resize": 40, "image_size": 32}),
        ("plain", {}),
    ):
        result = discerna.train(**given, output=tmp_path / name, **own)
        one, other = discerna.load(result.output).predict([colour, grey])
        alike.append(one.probabilities == other.probabilities)
        if own:
            stored = json.loads((result.output / "model.json").read_text())["preprocessing"]
            assert own.items() <= {**stored, "image_size": stored["size"]}.items()
    assert alike == [True, False]


def test_a_directory_keeps_how_it_sees_unless_something_is_typed(pictures, tmp_path):
    given = {"train_data": pictures / "train", "valid_data": pictures / "valid", "epochs": 1}
    start = discerna.create("tiny", tmp_path / "start", image_size=20, border=2, grayscale=True, resize=18)
    kept = discerna.train(model=start.output, output=tmp_path / "kept", **given)
    again = discerna.train(
        model=start.output, output=tmp_path / "other", image_size=40, resize=50, grayscale=False, **given
    )
    seen = [json.loads((r.output / "model.json").read_text())["preprocessing"] for r in (kept, again)]
    assert (seen[0]["size"], seen[0]["border"], seen[0]["resize"], seen[0]["grayscale"]) == (20, 2, 18, True)
    assert (seen[1]["size"], seen[1]["border"], seen[1]["resize"]) == (40, 4, 50) and "grayscale" not in seen[
        1
    ]
