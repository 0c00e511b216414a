import numpy as np
import pytest
import torch
from PIL import Image

from discerna.images.tensors import normalise, to_tensor


@pytest.mark.parametrize("size", [(5, 4), (1, 1), (1, 4), (4, 1)])
def test_to_tensor(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    tensor = to_tensor(image)
    assert (tensor.dtype, tensor.shape) == (torch.uint8, (3, size[1], size[0]))
    assert tensor.is_contiguous()
    assert (tensor.numpy() == pixels.transpose(2, 0, 1)).all()
    tensor.zero_()
    assert (np.asarray(image) == pixels).all()


def test_normalise(spec):
    chosen = spec()
    pictures = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    before = pictures.clone()
    ready = normalise(pictures, chosen)
    for channel in range(3):
        expected = (pictures[:, channel].double() / 255 - chosen.mean[channel]) / chosen.std[channel]
        torch.testing.assert_close(ready[:, channel].double(), expected, atol=1e-6, rtol=0)
    assert ready.dtype == torch.float32
    assert (pictures == before).all()


def test_normalise_keeps_the_memory_layout(spec):
    pictures = torch.zeros((2, 3, 5, 4), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    assert normalise(pictures, spec()).is_contiguous(memory_format=torch.channels_last)


def test_normalise_nothing(spec):
    assert normalise(torch.empty((0, 3, 0, 0), dtype=torch.uint8), spec()).shape == (0, 3, 0, 0)


def test_the_ground_of_pad_is_close_to_zero(spec):
    from discerna.images.preprocessing import ground_colour

    ground = torch.tensor(ground_colour(spec()), dtype=torch.uint8).view(1, 3, 1, 1)
    assert normalise(ground, spec()).abs().max() < 0.01
