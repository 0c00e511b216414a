"""A look at the pictures: their sizes, and whether left and right matter in them."""

import random

import pytest
from PIL import Image, ImageDraw

from discerna.directories.image_dir import ImageDirectory
from discerna.recipes.pictures import SAMPLE, _sample, look


def write(root, label, count, draw, size=(40, 40)):
    (root / label).mkdir(parents=True)
    for n in range(count):
        key = random.Random(f"{label}{n}")
        picture = Image.new("L", size, 90)
        draw(ImageDraw.Draw(picture), key)
        noise = Image.frombytes("L", size, bytes(key.randrange(0, 60) for _ in range(size[0] * size[1])))
        Image.blend(picture, noise, 0.3).save(root / label / f"{n}.png")
    return root


def spot(x):
    """A spot about `x`, somewhere between top and bottom."""

    def draw(picture, key):
        cx, cy = x + key.randint(-4, 4), key.randint(8, 32)
        picture.ellipse((cx - 6, cy - 6, cx + 6, cy + 6), fill=250)

    return draw


def anywhere(picture, key):
    cx, cy = key.randint(8, 32), key.randint(8, 32)
    picture.ellipse((cx - 6, cy - 6, cx + 6, cy + 6), fill=250)


def leaning(sign):
    """A line that leans to one side, anywhere."""

    def draw(picture, key):
        cx, cy = key.randint(12, 28), key.randint(12, 28)
        picture.line((cx - 10 * sign, cy - 10, cx + 10 * sign, cy + 10), fill=250, width=4)

    return draw


def test_places_that_tell_labels_apart(tmp_path):
    write(tmp_path, "left", 30, spot(12))
    write(tmp_path, "right", 30, spot(28))
    seen = look(ImageDirectory.open(tmp_path))
    assert seen.mirror > 0.3
    assert abs(seen.upside) < 0.1


def test_arbitrary_places(tmp_path):
    write(tmp_path, "a", 40, anywhere)
    write(tmp_path, "b", 40, anywhere)
    seen = look(ImageDirectory.open(tmp_path))
    assert abs(seen.mirror) < 0.1 and abs(seen.upside) < 0.1


def test_lines_that_lean_matter_wherever_they_are(tmp_path):
    write(tmp_path, "fall", 30, leaning(1))
    write(tmp_path, "rise", 30, leaning(-1))
    seen = look(ImageDirectory.open(tmp_path))
    assert seen.mirror > 0.3 and seen.upside > 0.3


def test_no_two_pictures_no_answer(tmp_path):
    write(tmp_path, "a", 1, anywhere)
    write(tmp_path, "b", 1, anywhere)
    seen = look(ImageDirectory.open(tmp_path))
    assert seen.mirror is None and seen.upside is None


def test_plain_pictures_have_no_direction(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for n in range(3):
            Image.new("RGB", (30, 30), "grey").save(tmp_path / label / f"{n}.png")
    assert look(ImageDirectory.open(tmp_path)).mirror == 0.0


def test_sizes_and_broken_pictures(tmp_path):
    for label in "ab":
        write(tmp_path, label, 5, anywhere, size=(50, 120))
        (tmp_path / label / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    seen = look(ImageDirectory.open(tmp_path))
    assert seen.short_side == 50 and seen.aspect == pytest.approx(2.4)


def test_nothing_readable(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "broken.png").write_bytes(b"nothing")
    seen = look(ImageDirectory.open(tmp_path))
    assert (seen.short_side, seen.aspect, seen.mirror) == (0, 1.0, None)


def test_the_sample_is_small_and_spread(tmp_path):
    for label in range(100):
        (tmp_path / f"{label:03}").mkdir()
        for n in range(20):
            (tmp_path / f"{label:03}" / f"{n:02}.png").touch()
    index = ImageDirectory.open(tmp_path)
    sample = _sample(index)
    labels = [index.label_index(i) for i in sample]
    assert len(sample) == len(set(sample)) <= SAMPLE
    assert len(set(labels)) == 64 and max(labels) > 90 and min(labels) == 0
    assert {labels.count(label) for label in labels} == {4}
