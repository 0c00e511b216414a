"""What is varied on whole batches is of each picture alone, and as torchvision has it."""

from dataclasses import replace

import pytest
import torch
from test_transforms import NONE
from torchvision.transforms.v2 import functional as reference

from discerna.images.keys import mix
from discerna.images.preprocessing import ground_colour
from discerna.images.variation import DRAWN, UNIT, draw, varies, vary

ALL = replace(NONE, jitter=0.4, grayscale=0.3, erasing=0.5)


def batch(count=7, side=11):
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(count))


def drawn(settings, count=7, side=11):
    return torch.tensor([draw(settings, side, mix(key)) for key in range(count)])


def test_a_picture_is_varied_alike_in_any_batch(spec):
    together = vary(batch(), drawn(ALL), ALL, spec())
    alone = [vary(batch()[i : i + 1], drawn(ALL)[i : i + 1], ALL, spec())[0] for i in range(7)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-6)
    assert not torch.allclose(together, batch(), atol=1e-2)


@pytest.mark.parametrize(
    ("place", "of_torchvision"),
    [(0, reference.adjust_brightness), (1, reference.adjust_contrast), (2, reference.adjust_saturation)],
)
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.4])
def test_colours_are_changed_as_torchvision_does(spec, place, of_torchvision, factor):
    row = torch.full((1, DRAWN), UNIT)
    row[0, place] = round(factor * UNIT)
    found = vary(batch(1), row, replace(NONE, jitter=0.4), spec())
    assert torch.allclose(found, of_torchvision(batch(1), factor), atol=2e-3)  # it weighs red by 0.2989


def test_what_is_drawn_lies_in_its_range():
    numbers = drawn(ALL, 2000, 32) / UNIT
    factors, grey, part = numbers[:, :3], numbers[:, 3], numbers[:, 4:]
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4
    assert set(grey.tolist()) == {0.0, 1.0} and 0.25 < grey.mean() < 0.35
    top, left, bottom, right = part.T
    hit = bottom > top
    assert 0.45 < hit.float().mean() < 0.55
    assert (right[hit] > left[hit]).all() and part.min() == 0 and part.max() <= 32
    area = ((bottom - top) * (right - left))[hit] / 32**2
    assert area.min() < 0.05 and 0.25 < area.max() < 0.36


def test_a_part_is_painted_over_in_the_mean_colour(spec):
    row = torch.tensor([[1, 1, 1, 0, 2, 3, 5, 9]]) * UNIT
    found = vary(batch(1), row, replace(NONE, erasing=1.0), spec())[0]
    ground = torch.tensor(ground_colour(spec())).view(3, 1, 1) / 255
    assert (found[:, 2:5, 3:9] == ground).all()
    unchanged = torch.ones(11, 11, dtype=torch.bool)
    unchanged[2:5, 3:9] = False
    assert torch.equal(found[:, unchanged], batch(1)[0][:, unchanged])


def test_nothing_is_drawn_where_nothing_varies():
    assert not varies(NONE)
    assert draw(NONE, 8, 1) == [UNIT, UNIT, UNIT, 0, 0, 0, 0, 0]
    tiny = [draw(replace(NONE, erasing=1.0), 1, key) for key in range(20)]
    assert all(top == bottom for *_, top, _, bottom, _ in tiny)  # a single pixel has no part


def test_a_trainer_that_computes_in_bf16_leaves_places_as_they_are():
    """It rounds whatever is a fraction: 301 would become 302."""
    assert not drawn(ALL).is_floating_point()
