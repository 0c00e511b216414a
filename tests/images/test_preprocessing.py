from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from discerna.errors import SettingsError
from discerna.images.preprocessing import fit_picture, ground_colour
from discerna.settings.preprocessing import LARGEST_SIZE, Preprocessing, changed

PLAIN = Preprocessing(size=8, fit="crop", resize=8, interpolation="bilinear", mean=[0.5] * 3, std=[1] * 3)
COLOUR = (9, 99, 199)


def gradient(width, height):
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000), (2, 3), (31, 32), (640, 480)])
def test_any_picture_becomes_the_square(spec, fit, interpolation, size):
    chosen = spec(fit=fit, interpolation=interpolation)
    view = fit_picture(Image.new("RGB", size, COLOUR), chosen)
    assert (view.size, view.mode) == ((32, 32), "RGB")
    ground = {ground_colour(chosen)} if fit == "pad" and size != (1, 1) else set()
    assert set(map(tuple, np.asarray(view).reshape(-1, 3).tolist())) - ground == {COLOUR}


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 64),
    st.integers(0, 40),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.sampled_from(["bilinear", "bicubic", "lanczos", "nearest"]),
)
def test_any_size(width, height, size, more, fit, interpolation):
    chosen = replace(PLAIN, size=size, resize=size + more, fit=fit, interpolation=interpolation)
    assert fit_picture(Image.new("RGB", (width, height)), chosen).size == (size, size)


def test_crop_is_the_middle_square(spec):
    image = Image.new("RGB", (300, 100), "black")
    image.paste("white", (98, 0, 202, 100))  # the filter looks a little over the edge, as in two steps
    assert fit_picture(image, spec(resize=32)).getextrema() == ((255, 255),) * 3


def test_crop_keeps_the_share_of_the_short_side(spec):
    view = np.asarray(fit_picture(gradient(200, 200), spec(size=32, resize=64)))
    # the middle half of the gradient runs from a quarter to three quarters
    assert abs(int(view[0, 0, 0]) - 64) < 4
    assert abs(int(view[0, -1, 0]) - 191) < 4


def test_crop_equals_resize_then_crop(spec):
    image = gradient(96, 72)
    two_steps = image.resize((48, 36), Image.Resampling.BILINEAR).crop((8, 2, 40, 34))
    difference = np.asarray(fit_picture(image, spec()), int) - np.asarray(two_steps, int)
    assert abs(difference).max() <= 1


def test_pad_shows_the_whole_picture_in_the_middle(spec):
    chosen = spec(fit="pad")
    view = np.asarray(fit_picture(Image.new("RGB", (64, 32), COLOUR), chosen))
    assert (view[8:24] == COLOUR).all()
    assert (view[:8] == ground_colour(chosen)).all()
    assert (view[24:] == ground_colour(chosen)).all()
    assert ground_colour(chosen) == (124, 116, 104)


def test_ground_colour_stays_within_8_bits(spec):
    assert ground_colour(spec(mean=[-1.0, 2.0, 0.0])) == (0, 255, 0)


def test_stretch_shows_the_whole_picture_deformed(spec):
    view = np.asarray(fit_picture(gradient(400, 20), spec(fit="stretch")))
    assert view[0, 0, 0] < 10
    assert view[0, -1, 0] > 245
    assert view[-1, 0, 1] > 240


def test_a_picture_of_the_right_size_is_untouched():
    image = gradient(8, 8)
    for fit in ("crop", "pad", "stretch"):
        assert fit_picture(image, replace(PLAIN, fit=fit)).tobytes() == image.tobytes()


def test_interpolations_differ(spec):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8))
    views = {
        fit_picture(image, spec(interpolation=name)).tobytes()
        for name in ("bilinear", "bicubic", "lanczos", "nearest")
    }
    assert len(views) == 4


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_grayscale_makes_the_channels_equal(spec, fit):
    seen = fit_picture(gradient(90, 40), spec(fit=fit, grayscale=True))
    red, green, blue = seen.split()
    assert seen.mode == "RGB" and red.tobytes() == green.tobytes() == blue.tobytes()
    wanted = fit_picture(gradient(90, 40), spec(fit=fit)).convert("L")
    assert abs(np.asarray(red, int) - np.asarray(wanted, int)).max() <= 2


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_border_surrounds_what_would_be_seen_without(spec, fit):
    chosen = spec(fit=fit, size=40, resize=36, border=4)
    view = np.asarray(fit_picture(gradient(90, 40), chosen))
    inner = np.asarray(fit_picture(gradient(90, 40), spec(fit=fit, size=32, resize=36)))
    assert (view[4:-4, 4:-4] == inner).all()
    frame = np.ones((40, 40), bool)
    frame[4:-4, 4:-4] = False
    assert (view[frame] == ground_colour(chosen)).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), st.integers(0, 99), st.integers(0, 80), st.integers(1, 300))
def test_a_border_grows_with_the_picture(size, border, more, other):
    border = min(border, (size - 1) // 2)
    spec = replace(PLAIN, size=size, border=border, resize=size - 2 * border + more)
    assume(spec.resize * other <= LARGEST_SIZE * spec.inner)
    scaled = spec.scaled(other)
    assert scaled.size == other and abs(scaled.border - border * other / size) <= 1
    assert fit_picture(Image.new("RGB", (9, 7)), scaled).size == (other, other)
    assert spec.scaled(size) == spec


def test_a_border_leaves_something_of_the_picture(spec):
    with pytest.raises(SettingsError, match="the border would cover the picture: border=16; less than half"):
        spec(border=16)


def test_what_is_typed_beside_a_border():
    own = replace(PLAIN, size=224, resize=256)
    assert changed(own, border=12).resize == round(256 * 200 / 224)
    typed = changed(own, image_size=244, border=10, resize=256, grayscale=True)
    assert (typed.size, typed.inner, typed.resize, typed.grayscale) == (244, 224, 256, True)
    assert changed(typed) == typed
    assert changed(typed, image_size=122).border == 5
