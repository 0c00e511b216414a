import random
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from discerna.images import transforms
from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture
from discerna.images.transforms import augment
from discerna.settings.augmentation import LightAugmentationSettings, NoAugmentationSettings

LIGHT = LightAugmentationSettings(name="light", crop_scale=[0.35, 1.0], flip=0.5, jitter=0.2)
WHOLE = replace(LIGHT, crop_scale=[1.0, 1.0], flip=0.0, jitter=0.0)


def gradient(width=90, height=60):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[..., 2] = 99
    return Image.fromarray(pixels)


class Counting(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.draws = 0

    def random(self):
        self.draws += 1
        return super().random()


def test_none_is_the_stored_preprocessing(spec):
    for fit in ("crop", "pad", "stretch"):
        view = augment(gradient(), spec(fit=fit), NoAugmentationSettings(name="none"), Random(1))
        assert view.tobytes() == fit_picture(gradient(), spec(fit=fit)).tobytes()


def test_same_key_same_view(spec):
    views = [augment(gradient(), spec(), LIGHT, Random(mix(1, epoch, 5))).tobytes() for epoch in (0, 0, 1, 2)]
    assert views[0] == views[1]
    assert len(set(views)) == 3


def test_no_global_generator_is_touched(spec):
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    augment(gradient(), spec(), LIGHT, Random(1))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


@pytest.mark.parametrize("size", [(90, 60), (5000, 1), (1, 1)])
@pytest.mark.parametrize("changes", [{}, {"flip": 0.0}, {"jitter": 0.0}, {"crop_scale": [0.01, 0.02]}])
def test_draws_are_as_many_whatever_is_switched_off(spec, size, changes):
    key = Counting(3)
    view = augment(Image.new("RGB", size), spec(), replace(LIGHT, **changes), key)
    assert view.size == (32, 32)
    assert key.draws == 26


def test_switching_the_flip_off_leaves_the_crop_alone(spec):
    still = replace(LIGHT, jitter=0.0, flip=0.0)
    turned = replace(LIGHT, jitter=0.0, flip=1.0)
    for seed in range(5):
        plain = augment(gradient(), spec(), still, Random(seed))
        flipped = augment(gradient(), spec(), turned, Random(seed))
        assert flipped.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes() == plain.tobytes()


def test_flip_happens_as_often_as_asked(spec):
    image = gradient()
    share = 0
    for seed in range(400):
        view = np.asarray(
            augment(image, spec(size=4), replace(LIGHT, jitter=0.0, flip=0.3), Random(mix(seed))), int
        )
        share += view[0, 0, 0] > view[0, -1, 0]
    assert 0.23 < share / 400 < 0.37


def test_jitter_goes_through_pillow_in_a_fixed_order(spec):
    settings = replace(WHOLE, jitter=0.4)
    image = gradient(60, 60)
    key = Random(7)
    for _ in range(23):
        key.random()
    expected = augment(image, spec(), WHOLE, Random(7))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        expected = enhancer(expected).enhance(1 + 0.4 * (2 * key.random() - 1))
    assert augment(image, spec(), settings, Random(7)).tobytes() == expected.tobytes()


def boxes(width, height, scale, number=2000):
    for seed in range(number):
        key = Random(mix(seed))
        yield transforms._crop_box(width, height, scale, [key.random() for _ in range(22)])


def test_crops_are_distributed_as_asked():
    areas, ratios, lefts = [], [], []
    for left, top, right, bottom in boxes(1000, 1000, [0.2, 0.6]):
        assert 0 <= left < right <= 1000
        assert 0 <= top < bottom <= 1000
        areas.append((right - left) * (bottom - top) / 1e6)
        ratios.append((right - left) / (bottom - top))
        lefts.append(left / max(1, 1000 - (right - left)))
    assert 0.199 < min(areas) < 0.21
    assert 0.59 < max(areas) < 0.601
    assert abs(np.mean(areas) - 0.4) < 0.01
    assert 0.748 < min(ratios) < 0.76
    assert 1.32 < max(ratios) < 1.336
    assert abs(np.mean(np.log(ratios))) < 0.02
    assert abs(np.mean(lefts) - 0.5) < 0.03


def test_crops_agree_with_torchvision_on_average():
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    blank = torch.empty(3, 300, 200)
    theirs = [RandomResizedCrop.get_params(blank, [0.35, 1.0], [3 / 4, 4 / 3]) for _ in range(2000)]
    ours = np.array(list(boxes(200, 300, [0.35, 1.0])))
    ours = np.stack([ours[:, 1], ours[:, 0], ours[:, 3] - ours[:, 1], ours[:, 2] - ours[:, 0]], 1)
    assert abs(ours.mean(0) - np.mean(theirs, 0)).max() < 4
    assert abs(ours.std(0) - np.std(theirs, 0)).max() < 4


@pytest.mark.parametrize(
    ("size", "box"),
    [((5000, 1), (2499, 0, 2500, 1)), ((1, 5000), (0, 2499, 1, 2500)), ((900, 30), (430, 0, 470, 30))],
)
def test_long_pictures_fall_back_to_their_middle(size, box):
    assert set(boxes(*size, [0.9, 1.0], number=20)) == {box}


def test_whole_square_picture():
    found = set(boxes(60, 60, [1.0, 1.0], number=50))
    assert found == {(0, 0, 60, 60)}
