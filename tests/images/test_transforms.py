import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from discerna.images import transforms
from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture, ground_colour
from discerna.images.tensors import to_tensor
from discerna.images.transforms import augment
from discerna.settings.augmentation import AugmentationSettings

NONE = AugmentationSettings(
    name="none",
    crop_scale=[1.0, 1.0],
    random_crop=False,
    padding=0.0,
    flip=0.0,
    vertical_flip=0.0,
    rotation=0.0,
    affine=0.0,
    perspective=0.0,
    jitter=0.0,
    grayscale=0.0,
    trivial=False,
    erasing=0.0,
    mixup=0.0,
    cutmix=0.0,
)
CROPPED = replace(NONE, crop_scale=[0.35, 1.0])
TURNED = {"rotation": 40.0, "affine": 0.1, "perspective": 0.5, "padding": 0.1, "grayscale": 0.3}
STRONG = replace(CROPPED, flip=0.5, vertical_flip=0.5, jitter=0.2, trivial=True, erasing=0.5, **TURNED)


def gradient(width=90, height=60):
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[..., 2] = 99
    return Image.fromarray(pixels)


def views(image, spec, settings, number):
    """[number, height, width, 3] in whole numbers."""
    drawn = [augment(image, spec, settings, mix(key)).permute(1, 2, 0).numpy() for key in range(number)]
    return np.stack(drawn).astype(int)


def plain(image, spec):
    return np.asarray(fit_picture(image, spec), int)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_none_is_the_stored_preprocessing(spec, fit, interpolation):
    chosen = spec(fit=fit, interpolation=interpolation)
    view = augment(gradient(), chosen, NONE, 1)
    assert view.dtype == torch.uint8
    assert torch.equal(view, to_tensor(fit_picture(gradient(), chosen)))


def test_same_key_same_view(spec):
    found = [augment(gradient(), spec(), STRONG, mix(1, epoch, 5)) for epoch in (0, 0, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert len({view.numpy().tobytes() for view in found}) == 3


def test_only_the_key_is_drawn_from(spec):
    found = set()
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.add(views(gradient(), spec(), STRONG, 40).tobytes())
    assert len(found) == 1


def state():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def test_no_generator_is_left_changed(spec, monkeypatch):
    np.random.seed(1)
    before = state()
    views(gradient(), spec(), STRONG, 40)
    assert state() == before

    def failing(image):
        torch.rand(1)
        raise MemoryError

    monkeypatch.setattr(transforms, "_transforms", lambda spec, settings: [("failing", failing)])
    with pytest.raises(MemoryError):
        augment(gradient(), spec(), STRONG, 1)
    assert state() == before


@pytest.mark.parametrize("field", sorted({*vars(NONE)} - {"name", "mixup", "cutmix"}))
def test_auto_must_have_been_decided(spec, field):
    with pytest.raises(AssertionError, match="the recipe decides what auto stands for"):
        augment(gradient(), spec(), replace(NONE, **{field: "auto"}), 1)


def test_mixing_is_left_to_the_training(spec):
    for mixed in ({"mixup": 0.2, "cutmix": 1.0}, {"mixup": "auto", "cutmix": "auto"}):
        assert (views(gradient(), spec(), replace(NONE, **mixed), 3) == plain(gradient(), spec())).all()


def parts(image, spec, scale, number):
    """Left, top, right and bottom of what crops keep of a gradient, as shares of it."""
    found = views(image, spec, replace(NONE, crop_scale=scale), number) / 255
    return found[:, 0, 0, 0], found[:, 0, 0, 1], found[:, -1, -1, 0], found[:, -1, -1, 1]


def test_crops_are_distributed_as_asked(spec):
    left, top, right, bottom = parts(gradient(256, 256), spec(interpolation="nearest"), [0.2, 0.6], 1000)
    step = 31 / 32  # from the first pixel's middle to the last one's
    widths, heights = (right - left) / step, (bottom - top) / step
    areas, ratios = widths * heights, widths / heights
    assert 0.18 < areas.min() < 0.22
    assert 0.57 < areas.max() < 0.63
    assert abs(areas.mean() - 0.4) < 0.01
    assert 0.72 < ratios.min() < 0.78
    assert 1.28 < ratios.max() < 1.39
    assert abs(np.log(ratios).mean()) < 0.02
    assert left.min() < 0.02
    assert right.max() > 0.98
    assert abs((left + right).mean() - 1) < 0.03
    assert abs((top + bottom).mean() - 1) < 0.03


def test_crops_of_a_cropping_preprocessing_reach_beyond_the_middle(spec):
    left, _, right, _ = parts(gradient(300, 100), spec(), [0.2, 0.3], 200)
    assert left.min() < 0.05  # the middle square begins at a third
    assert right.max() > 0.95


def test_crops_of_a_padding_preprocessing_show_the_ground(spec):
    chosen = spec(fit="pad")
    ground = (views(gradient(300, 100), chosen, CROPPED, 100) == ground_colour(chosen)).all(3).mean((1, 2))
    assert 0.5 < ground.mean() < 0.75  # two thirds of the square
    assert ground.max() < 0.95


def test_crops_of_a_stretching_preprocessing_are_stretched(spec):
    left, top, right, bottom = parts(gradient(400, 20), spec(fit="stretch"), [0.8, 1.0], 100)
    for length in (right - left, bottom - top):
        assert length.min() > 0.7
        assert length.max() <= 1


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_crops_are_taken_in_more_detail_than_scoring_sees(spec, fit):
    board = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)).convert("RGB")
    quarter = replace(NONE, crop_scale=[0.25, 0.25])
    assert plain(board, spec(fit=fit))[4:-4, 4:-4].std() < 5  # grey, at half the size
    assert views(board, spec(fit=fit), quarter, 20).std((1, 2, 3)).min() > 20


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5000, 1), (1, 5000), (900, 30)])
@pytest.mark.parametrize("side", [1, 32])
def test_any_picture_becomes_the_square(spec, fit, size, side):
    chosen = spec(fit=fit, size=side)
    assert views(Image.new("RGB", size, (9, 99, 199)), chosen, STRONG, 60).shape == (60, side, side, 3)


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    st.integers(0, 2**64),
)
def test_a_part_lies_in_its_picture_and_is_the_same_in_any_size(size, scale, key):
    left, top, right, bottom = transforms._random_box(size, scale, random.Random(key))
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    larger = transforms._random_box((size[0] * 3, size[1] * 3), scale, random.Random(key))
    assert np.allclose(np.divide(larger, 3), (left, top, right, bottom), rtol=1e-6, atol=1e-6)


def test_long_pictures_fall_back_to_their_middle(spec):
    left, _, right, _ = parts(gradient(900, 30), spec(), [0.9, 1.0], 5)
    assert np.allclose((left + right) / 2, 0.5, atol=0.01)
    assert np.allclose(right - left, 40 / 900, atol=0.01)


@pytest.mark.parametrize(("field", "axis"), [("flip", 2), ("vertical_flip", 1)])
def test_flips(spec, field, axis):
    image = gradient()
    found = views(image, spec(size=4), replace(NONE, **{field: 0.3}), 400)
    turned = (found == np.flip(plain(image, spec(size=4)), axis - 1)).all((1, 2, 3))
    assert ((found == plain(image, spec(size=4))).all((1, 2, 3)) != turned).all()
    assert 0.23 < turned.mean() < 0.37
    still = views(image, spec(), CROPPED, 5)  # the crop stays where it was
    assert (np.flip(still, axis) == views(image, spec(), replace(CROPPED, **{field: 1.0}), 5)).all()


def test_jitter(spec):
    found = views(Image.new("RGB", (9, 9), (100, 100, 100)), spec(size=4), replace(NONE, jitter=0.4), 200)
    assert 60 <= found.min() < 64  # of one grey only the brightness changes
    assert 136 < found.max() <= 140
    brightness = found.mean((1, 2, 3))
    assert abs(brightness.mean() - 100) < 5
    greyed = np.ptp(views(Image.new("RGB", (9, 9), (90, 100, 110)), spec(), replace(NONE, jitter=0.4), 99), 3)
    assert greyed.min() < 16 < 24 < greyed.max()


def test_trivial_draws_every_operation_once_a_picture(spec):
    ops = set(v2.TrivialAugmentWide._AUGMENTATION_SPACE)
    drawn = []

    class Recording(v2.TrivialAugmentWide):
        def _apply_image_or_video_transform(self, image, name, *others, **named):
            drawn.append(name)
            return super()._apply_image_or_video_transform(image, name, *others, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(v2, "TrivialAugmentWide", Recording)
        found = views(gradient(), spec(), replace(NONE, trivial=True), 300)
    assert len(drawn) == 300
    assert set(drawn) == ops
    same = (found == plain(gradient(), spec())).all((1, 2, 3))
    assert all(same[place] for place, name in enumerate(drawn) if name == "Identity")
    assert 0.03 < same.mean() < 0.3
    # what a turn, a shear or a shift leaves bare has the mean colour
    bare = (found == ground_colour(spec())).all(3).mean((1, 2))
    moving = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"}
    assert {name for name, share in zip(drawn, bare, strict=True) if share > 0.1} == moving


def test_trivial_takes_every_interpolation(spec):
    for interpolation in ("bilinear", "bicubic", "lanczos", "nearest"):
        views(gradient(), spec(interpolation=interpolation), replace(NONE, trivial=True), 60)


def erased(spec, settings, number, image=None):
    image = image or Image.new("RGB", (40, 40), (255, 255, 255))
    return (views(image, spec, settings, number) == ground_colour(spec)).all(3)


def test_erasing(spec):
    found = erased(spec(), replace(NONE, erasing=0.3), 400)
    shares = found.mean((1, 2))
    assert 0.23 < (shares > 0).mean() < 0.37
    assert shares[shares > 0].min() > 0.01
    assert 0.25 < shares.max() < 0.36
    for mask in found[shares > 0][:20]:  # a rectangle
        assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()


@pytest.mark.parametrize(
    "changes",
    [
        *({"crop_scale": [0.2, 0.9]}, {"flip": 1.0}, {"vertical_flip": 0.5}, {"jitter": 0.1}),
        *({"random_crop": True}, {"grayscale": 0.5}),
    ],
    ids=str,
)
def test_an_option_does_not_shift_what_others_draw(spec, changes):
    alone = replace(NONE, erasing=1.0)
    assert (erased(spec(), alone, 10) == erased(spec(), replace(alone, **changes), 10)).all()


def test_the_options_draw_independently(spec):
    halves = replace(NONE, flip=0.5, vertical_flip=0.5, erasing=0.5)
    corners = views(gradient(), spec(), replace(halves, erasing=0.0), 400)[:, 0, 0]
    left, up = corners[:, 0] < 128, corners[:, 1] < 128
    hit = erased(spec(), replace(NONE, erasing=0.5), 400).any((1, 2))
    for one, other in ((left, up), (left, hit), (up, hit)):
        assert 0.4 < (one == other).mean() < 0.6


def test_another_size_takes_the_same_part(spec):
    large = parts(gradient(256, 256), spec(), [0.35, 1.0], 20)
    small = parts(gradient(256, 256), spec().scaled(16), [0.35, 1.0], 20)
    assert all(abs(a - b).max() < 0.03 for a, b in zip(large, small, strict=True))


SQUARE = {"size": 32, "resize": 32}


def test_random_crop_cuts_anywhere_what_scoring_cuts_from_the_middle(spec):
    chosen = spec(size=32, resize=64, interpolation="nearest")
    found = views(gradient(256, 256), chosen, replace(NONE, random_crop=True), 400) / 255
    left, right, top = found[:, 0, 0, 0], found[:, -1, -1, 0], found[:, 0, 0, 1]
    assert left.min() < 0.03 and right.max() > 0.97
    assert np.allclose(right - left, 31 / 64, atol=0.02), "every part is as large as in scoring"
    assert abs(left.mean() - 0.25) < 0.02 and abs(np.corrcoef(left, top)[0, 1]) < 0.15


def test_random_crop_places_a_padded_picture_anywhere(spec):
    chosen = spec(fit="pad")
    white = Image.new("RGB", (64, 32), "white")
    shown = (views(white, chosen, replace(NONE, random_crop=True), 200) == 255).all((2, 3))
    assert (shown.sum(1) == 16).all()
    first = shown.argmax(1)
    assert first.min() == 0 and first.max() in (15, 16)


def test_padding_shifts_by_up_to_its_share(spec):
    chosen = spec(**SQUARE)
    white = Image.new("RGB", (40, 40), "white")
    bare = (views(white, chosen, replace(NONE, padding=0.125), 300) == ground_colour(chosen)).all(3)
    columns, rows = bare.all(1).sum(1), bare.all(2).sum(1)
    assert set(columns) == set(rows) == {0, 1, 2, 3, 4}
    assert (bare.sum((1, 2)) == 32 * (columns + rows) - columns * rows).all()


def angles(spec, settings, number):
    """By how many degrees each view of a picture with one dark half has been turned."""
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (0, 0, 32, 64))
    found = views(image, spec(size=64, resize=64), settings, number).mean(3)
    middle = slice(16, 48)  # no bare corner lies in it
    down, across = np.gradient(found[:, middle, middle], axis=(1, 2))
    return np.degrees(np.arctan2(down.sum((1, 2)), across.sum((1, 2))))


def test_rotation_turns_by_up_to_its_degrees(spec):
    found = angles(spec, replace(NONE, rotation=30.0), 300)
    assert -32 < found.min() < -26 and 26 < found.max() < 32
    assert abs(found.mean()) < 4
    whole = angles(spec, replace(NONE, rotation=180.0), 300)
    assert whole.min() < -170 and whole.max() > 170
    assert np.histogram(whole, 4, (-180, 180))[0].min() > 45


def test_affine_shifts_zooms_and_slants(spec):
    white = Image.new("RGB", (40, 40), "white")
    chosen = spec(**SQUARE)
    bare = (views(white, chosen, replace(NONE, affine=0.1), 200) == ground_colour(chosen)).all(3)
    shares = bare.mean((1, 2))
    assert shares.min() < 0.02 and 0.15 < shares.max() < 0.45
    square = Image.new("RGB", (64, 64), "black")
    square.paste("white", (22, 22, 42, 42))
    found = views(square, spec(size=64, resize=64), replace(NONE, affine=0.1), 200)[..., 0]
    where = np.array([np.argwhere(view > 128).mean(0) for view in found])
    assert 5.5 < np.abs(where - 31.5).max() <= 7.5, "shifted by up to a tenth of 64"
    sides = np.sqrt((found > 128).sum((1, 2))) / 20
    assert 0.85 < sides.min() < 0.93 and 1.07 < sides.max() < 1.15, "zoomed out and in by up to a tenth"
    leaning = np.array([np.corrcoef(np.argwhere(view > 128).T)[0, 1] for view in found])
    assert leaning.min() < -0.1 and leaning.max() > 0.1, "slanted both ways"


def test_perspective_bends_as_many_as_asked(spec):
    chosen = spec(**SQUARE)
    found = views(gradient(64, 64), chosen, replace(NONE, perspective=0.3), 400)
    bent = (found != plain(gradient(64, 64), chosen)).any((1, 2, 3))
    assert 0.23 < bent.mean() < 0.37
    assert (found[bent] == ground_colour(chosen)).all(3).any((1, 2)).mean() > 0.9


def test_grayscale_takes_the_colours_of_as_many_as_asked(spec):
    found = views(gradient(), spec(), replace(NONE, grayscale=0.3), 400)
    grey = (np.ptp(found, 3) == 0).all((1, 2))
    assert 0.23 < grey.mean() < 0.37
    assert (found[~grey] == plain(gradient(), spec())).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("settings", [NONE, STRONG, replace(NONE, random_crop=True, rotation=90.0)], ids=str)
def test_pictures_without_colours_stay_so(spec, fit, settings):
    chosen = spec(fit=fit, grayscale=True, border=2)
    assert np.ptp(views(gradient(90, 40), chosen, settings, 60), 3).max() == 0
    assert np.ptp(plain(gradient(90, 40), spec(fit=fit)), 2).max() > 50, "or nothing would be tested"


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_parts_are_taken_of_the_picture_with_its_border(spec, fit):
    chosen = spec(fit=fit, border=8)
    bare = (views(gradient(60, 60), chosen, CROPPED, 100) == ground_colour(chosen)).all(3).mean((1, 2))
    assert 0.2 < bare.mean() < 0.9


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_turns_take_every_interpolation(spec, interpolation):
    views(gradient(), spec(interpolation=interpolation), replace(NONE, **TURNED), 10)
