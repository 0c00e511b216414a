"""The contact sheet: every part where it belongs, in any script, for any directory."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_transforms import NONE, STRONG

from discerna.directories.image_dir import ImageDirectory
from discerna.images import drawing, fonts
from discerna.images.augmentation_in_words import augmentation_in_words, fit_in_words
from discerna.images.contact_sheet import sheet, spread
from discerna.images.decode import decode
from discerna.images.fonts import legible
from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture
from discerna.images.transforms import augment
from picture_sets import write_pictures


@pytest.fixture
def index(pictures):
    return ImageDirectory.open(pictures / "train")


def holds(page, view):
    """Whether the picture lies somewhere on the page, whole and unchanged."""
    wanted, found = np.asarray(view), np.asarray(page)
    windows = np.lib.stride_tricks.sliding_window_view(found, (4, 4, 3))[:, :, 0]
    corners = np.argwhere((windows == wanted[:4, :4]).all((2, 3, 4)))
    height, width = wanted.shape[:2]
    return any((found[y : y + height, x : x + width] == wanted).all() for y, x in corners)


def test_it_shows_what_training_sees(index, spec):
    chosen = spec(size=128, resize=128)
    settings = replace(NONE, rotation=30.0, jitter=0.3)
    page = sheet(index, chosen, settings, 5, epochs=3)
    firsts = [0, *np.cumsum(list(index.counts().values()))[:-1]]
    for i in map(int, firsts):
        image = decode(index.path(i))
        assert holds(page, fit_picture(image, chosen))
        for epoch in range(3):
            view = augment(image, chosen, settings, mix(5, epoch, i)).permute(1, 2, 0).numpy()
            assert holds(page, view)
        unseen = augment(image, chosen, settings, mix(5, 3, i)).permute(1, 2, 0).numpy()
        assert not holds(page, unseen)


def test_equal_settings_give_the_same_sheet(index, spec):
    pages = [sheet(index, spec(), STRONG, seed, epochs=2).tobytes() for seed in (1, 1, 2)]
    assert pages[0] == pages[1] != pages[2]


@pytest.mark.parametrize("size", [1, 31, 64, 100, 128, 300])
def test_pictures_of_every_size_find_room(index, spec, size):
    page = sheet(index, spec(size=size, resize=size), NONE, 1, epochs=2)
    assert page.mode == "RGB" and 400 < page.width < 1000 and page.height > 3 * 60


def test_of_many_labels_some_are_shown(tmp_path, spec, monkeypatch):
    written = []
    monkeypatch.setattr(drawing, "legible", lambda text, size: written.append(text) or legible(text, size))
    labels = [f"label{n:02}" for n in range(30)]
    index = ImageDirectory.open(write_pictures(tmp_path / "many", dict.fromkeys(labels, 1), size=(4, 4)))
    sheet(index, spec(), NONE, 1, epochs=1)
    assert [text for text in written if text.startswith("label0") or text in labels] == spread(labels, 12)
    assert any("12 of 30 are shown, evenly spread" in text for text in written)
    assert any("many: 30 pictures, 30 labels" in text for text in written)


def test_spread():
    assert spread("abc", 5) == ["a", "b", "c"]
    assert spread([str(n) for n in range(100)], 4) == ["0", "25", "50", "75"]


def test_pictures_that_cannot_be_read_are_passed_over(tmp_path, spec):
    root = write_pictures(tmp_path / "set", {"bad": 2, "good": 2})
    (root / "bad" / "0.png").write_bytes(b"")
    chosen = spec(size=128, resize=128)
    index = ImageDirectory.open(root)
    assert holds(sheet(index, chosen, NONE, 1, epochs=1), fit_picture(decode(root / "bad" / "1.png"), chosen))
    (root / "bad" / "1.png").write_bytes(b"")
    page = sheet(index, chosen, NONE, 1, epochs=1)
    assert holds(page, Image.new("RGB", (128, 128), drawing.BLANK))


@pytest.mark.parametrize("name", ["写真", "b\udcff", "x\ny", "a" * 250, "עברית", "🐈", "\u0301", "  "])
def test_any_name_can_be_written(tmp_path, spec, name):
    index = ImageDirectory.open(write_pictures(tmp_path / "set", {name: 1, "other": 1}))
    assert sheet(index, spec(), NONE, 1, epochs=1).width < 700


def test_letters_that_no_font_has_are_escaped(monkeypatch):
    monkeypatch.setattr(fonts, "_WIDE", ())
    fonts._fonts.cache_clear()
    try:
        assert legible("a写", 14)[0] == "a\\u5199"
        assert legible("sea lion", 14)[0] == "sea lion"
    finally:
        fonts._fonts.cache_clear()


def test_settings_in_words(spec):
    assert augmentation_in_words(NONE) == "nothing: training sees what scoring sees"
    told = augmentation_in_words(replace(STRONG, mixup=0.2, cutmix=1.0))
    for part in (
        "parts of 35 to 100 % of the area",
        "shifted by up to 10 %",
        "mirrored (50 %), upside down (50 %)",
        "turned by up to 40 degrees",
        "shifted, zoomed and slanted by up to 10 %",
        "seen from an angle (50 %)",
        "changed by up to 20 %",
        "without colours (30 %)",
        "one random operation",
        "a part painted over (50 %)",
        "MixUp and CutMix: not shown",
    ):
        assert part in told
    assert augmentation_in_words(replace(NONE, random_crop=True)) == "cut at any place"
    assert fit_in_words(spec(grayscale=True, border=2)) == (
        "32 x 32 pixels, the middle of the picture, a border of 2, without colours"
    )


@pytest.mark.parametrize("part", sorted({*vars(NONE)} - {"name"}))
def test_every_part_that_is_on_is_told(part):
    """A part that is added to the settings must not be forgotten here."""
    on = {"crop_scale": [0.5, 1.0], "random_crop": True, "trivial": True}.get(part, 0.5)
    assert augmentation_in_words(replace(NONE, **{part: on})) != augmentation_in_words(NONE)
