from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_transforms import NONE

from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode
from discerna.images.detail import Detail, decode_detail, needed
from discerna.images.preprocessing import fit_picture
from picture_sets import photograph

SHORT = Detail(60, longest=False, interpolation="bilinear")


@pytest.mark.parametrize(
    ("size", "becomes"),
    [
        ((400, 300), (80, 60)), ((300, 400), (60, 80)), ((61, 61), (60, 60)), ((60, 900), (60, 900)),
        ((59, 40), (59, 40)), ((1, 1), (1, 1)), ((5000, 61), (4918, 60)),
    ],
)  # fmt: skip
def test_only_larger_pictures_become_smaller(size, becomes):
    assert SHORT.size_of(size) == becomes


def test_of_padded_pictures_the_long_side_counts():
    longest = replace(SHORT, longest=True)
    assert longest.size_of((400, 300)) == (60, 45)
    assert longest.size_of((6000, 3)) == (60, 1)


def test_what_a_preprocessing_needs(spec):
    assert needed(spec(size=224, resize=256), None).side == 256
    assert needed(spec(size=224, resize=256, fit="stretch"), None).side == 224
    assert needed(spec(size=224, resize=256, fit="pad"), None) == Detail(224, True, "bilinear")
    assert needed(spec(size=64, resize=70, border=16), None).side == 70
    assert needed(spec(interpolation="nearest"), None) is None


@pytest.mark.parametrize(("scale", "side"), [(1.0, 230), (0.81, 249), (0.25, 448), (0.01, 448)])
def test_random_crops_are_not_enlarged_for_want_of_detail(spec, scale, side):
    cropped = replace(NONE, crop_scale=[scale, 1.0])
    assert needed(spec(size=224, resize=230), cropped).side == side


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_it_shows_what_the_whole_picture_shows(spec, tmp_path, kind, interpolation):
    path = photograph(tmp_path / f"a.{kind}", (1200, 900))
    chosen = spec(size=56, resize=64, interpolation=interpolation)
    whole = np.asarray(fit_picture(decode(path), chosen), int)
    seen = np.asarray(fit_picture(decode_detail(path, needed(chosen, None)), chosen), int)
    assert np.abs(whole - seen).mean() < 3


def test_it_is_the_same_each_time_and_whole_without_a_detail(tmp_path):
    path = photograph(tmp_path / "a.jpg")
    one, other = decode_detail(path, SHORT), decode_detail(path, SHORT)
    assert one.size == (80, 60) and one.mode == "RGB"
    assert one.tobytes() == other.tobytes()
    assert decode_detail(path, None).tobytes() == decode(path).tobytes()


def test_turned_pictures_are_measured_as_they_stand(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    path = photograph(tmp_path / "a.jpg", (400, 300), exif=turned)
    assert decode_detail(path, SHORT).size == (60, 80)


def test_what_is_no_picture_is_told(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(UnreadablePictureError, match="not_an_image"):
        decode_detail(tmp_path / "a.jpg", SHORT)
