"""The preview shows what a training with the same settings sees."""

import pytest
from PIL import Image
from test_resolution import facts

from discerna.composition import compose
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import OutputError, SettingsError
from discerna.images.contact_sheet import sheet
from discerna.machine import Choice
from discerna.recipes import preview
from discerna.recipes.auto import choose
from discerna.recipes.preview import USUAL, write_preview
from discerna.recipes.resolution import resolve

SEEN = ("image_size", "fit", "resize", "interpolation", "mean", "std", "grayscale", "border")


@pytest.fixture
def write(pictures, tmp_path, monkeypatch):
    """Write a preview with some overrides of train; the call of `sheet` that it made, and the choices."""
    calls = []
    monkeypatch.setattr(
        preview, "sheet", lambda *given, **named: calls.append(given) or sheet(*given, **named)
    )

    def run(*overrides, **given):
        settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b", *overrides])
        seen = {key: getattr(settings, key) for key in SEEN}
        index = ImageDirectory.open(pictures / "train")
        output = tmp_path / "preview.png"
        used = write_preview(index, output, augmentation=settings.augmentation, seen=seen, **given)
        with Image.open(output) as page:
            assert page.format == "PNG" and page.width > 1000
        return (*calls[-1][1:], used)

    return run


def test_auto_is_what_a_training_would_choose(write):
    spec, augmentation, seed, used = write()
    assert (spec.size, spec.fit, seed) == (64, "crop", 1), "the pictures have 20x18 pixels"
    settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b"])
    chosen = choose(facts(), settings)
    wanted, _ = resolve(settings, {**chosen, **used})
    assert augmentation == wanted.augmentation and augmentation.crop_scale == [0.8, 1.0]
    assert {"augmentation", "augmentation.flip", "image_size"} <= used.keys()
    assert all(isinstance(choice, Choice) for choice in used.values())


def test_what_is_typed_is_seen(write):
    spec, augmentation, _, used = write("image_size=40", "grayscale=true", "border=3", "augmentation=strong")
    assert (spec.size, spec.grayscale, spec.border) == (40, True, 3)
    assert augmentation.erasing == 0.25 and "image_size" not in used and "augmentation" not in used


def test_a_model_directory_keeps_its_own(write):
    own = USUAL.scaled(96)
    spec, _, seed, used = write("interpolation=bicubic", own=own, seed=9)
    assert (spec.size, spec.resize, spec.interpolation, seed) == (96, own.resize, "bicubic", 9)
    assert "image_size" not in used
    assert write(pretrained=True)[0].size == 224


def test_settings_that_cannot_be_are_refused(write, pictures, tmp_path):
    with pytest.raises(SettingsError, match="without effect with fit=pad"):
        write("fit=pad", "resize=300")
    with pytest.raises(OutputError, match="the preview cannot be written"):
        settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b"])
        index = ImageDirectory.open(pictures / "train")
        write_preview(index, tmp_path / "no" / "p.png", augmentation=settings.augmentation, seen={})
