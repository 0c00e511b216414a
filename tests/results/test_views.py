"""Several views of a picture: what the network is shown, and that its probabilities are averaged."""

import csv
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import discerna
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import SettingsError
from discerna.images.preprocessing import fit_picture
from discerna.images.tensors import normalise, to_tensor
from discerna.results.predictor import Predictor
from discerna.results.views import views_of

COUNTS = {"one": 1, "flip": 2, "crops": 10}


class LeftHalf(torch.nn.Module):
    """Looks at the red of the left half only, so sharply that averaged logits would tell another story."""

    def forward(self, pictures):
        red = pictures[..., : pictures.shape[-1] // 2].mean((2, 3))[:, 0]
        return torch.stack([20 * red, torch.zeros_like(red), -red], 1)


class Recording(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, pictures):
        self.seen.append(pictures.clone())
        return pictures.mean((2, 3))


@pytest.fixture
def looking(tiny_model):
    """A predictor around a network of the test's own: looking(network, views)."""

    def make(network, views="one"):
        return Predictor(network, tiny_model.spec, "cpu", views)

    return make


def matrix(predictor, pictures, batch_size=32):
    return np.array([list(p.probabilities.values()) for p in predictor.predict(pictures, batch_size)])


def two_coloured():
    image = Image.new("RGB", (16, 16), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 8, 16))
    return image


def test_a_flip_is_the_mean_of_a_picture_and_its_mirror_image(looking):
    image = two_coloured()
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    alone = matrix(looking(LeftHalf()), [image, mirrored])
    assert alone[0, 0] > 0.99 > 0.01 > alone[1, 0]
    for shown in (image, mirrored):
        assert np.allclose(matrix(looking(LeftHalf(), "flip"), shown), alone.mean(0), atol=1e-7)


def test_one_view_is_the_picture_to_the_byte(looking, tiny_model, mixed_pictures):
    spec = tiny_model.spec.preprocessing
    index = ImageDirectory.open_any(mixed_pictures)
    network = Recording()
    (batch,) = looking(network).stream(index, batch_size=15, workers=0)
    fitted = [to_tensor(fit_picture(Image.open(path).convert("RGB"), spec)) for path in mixed_pictures]
    ready = normalise(torch.stack(fitted), spec)
    assert torch.equal(network.seen[0], ready)
    assert len(network.seen) == 1
    assert batch.probabilities.tobytes() == network(ready).softmax(1).numpy().tobytes()


def gradient():
    """Red grows to the right, green downwards."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = np.arange(16) * 16
    pixels[..., 1] = np.arange(16)[:, None] * 16
    return Image.fromarray(pixels)


def test_crops_are_the_whole_and_four_corners_and_their_mirror_images(looking, tiny_model):
    network = Recording()
    looking(network, "crops").predict(gradient())
    spec = tiny_model.spec.preprocessing
    ready = normalise(to_tensor(fit_picture(gradient(), spec))[None], spec)
    whole, *corners = network.seen[:5]
    assert torch.equal(whole, ready)
    last = 13  # 14 of 16 pixels, so the corners begin at 0 or 2
    for view, (top, left) in zip(corners, [(0, 0), (0, 2), (2, 0), (2, 2)], strict=True):
        assert torch.allclose(view[0, :, 0, 0], ready[0, :, top, left])
        assert torch.allclose(view[0, :, -1, -1], ready[0, :, top + last, left + last])
        assert view.shape == ready.shape
    for view, mirrored in zip(network.seen[:5], network.seen[5:], strict=True):
        assert torch.equal(view.flip(-1), mirrored)


class InPlace(LeftHalf):
    def forward(self, pictures):
        return super().forward(pictures.mul_(0.5))


def test_a_network_may_change_what_it_is_given(looking):
    image = two_coloured()
    alone = matrix(looking(InPlace()), [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    assert np.allclose(matrix(looking(InPlace(), "flip"), image), alone.mean(0), atol=1e-7)


def test_all_views_weigh_the_same(looking):
    network = Recording()
    found = matrix(looking(network, "crops"), gradient())
    expected = torch.cat([network(seen).softmax(1) for seen in network.seen[:10]]).mean(0)
    assert np.allclose(found, expected, atol=1e-7)
    assert np.allclose(found.sum(), 1, atol=1e-6)


@pytest.mark.parametrize("views", COUNTS)
def test_the_batch_does_not_matter_and_bounds_memory(resnet_model, looking, mixed_pictures, views):
    predictor = Predictor.of(resnet_model, device="cpu", views=views)
    alone = matrix(predictor, mixed_pictures, 1)
    for size in (4, 15):
        assert np.abs(matrix(predictor, mixed_pictures, size) - alone).max() < 1e-4
    network = Recording()
    looking(network, views).predict(mixed_pictures, batch_size=8)
    assert [len(seen) for seen in network.seen] == [8] * COUNTS[views] + [7] * COUNTS[views]


def test_views_change_the_scores_a_little(resnet_model, mixed_pictures):
    one, flip, crops = (
        matrix(Predictor.of(resnet_model, device="cpu", views=views), mixed_pictures) for views in COUNTS
    )
    for more in (flip, crops):
        assert 1e-5 < np.abs(more - one).max() < 0.5


@pytest.mark.parametrize("size", [1, 2, 7, 224])
def test_pictures_of_any_size(size):
    for kind, count in COUNTS.items():
        shown = [view(torch.ones(2, 3, size, size)) for view in views_of(kind)]
        assert len(shown) == count
        assert all(torch.allclose(view, torch.ones(2, 3, size, size)) for view in shown)


def test_a_predictor_survives_pickling(resnet_model, mixed_pictures):
    predictor = Predictor.of(resnet_model, device="cpu", views="crops")
    again = pickle.loads(pickle.dumps(predictor))
    assert again.predict(mixed_pictures) == predictor.predict(mixed_pictures)


def test_other_views_are_refused(tiny_model):
    with pytest.raises(SettingsError, match=r"views=flips; it is one \| flip \| crops"):
        Predictor.of(tiny_model, device="cpu", views="flips")
    with pytest.raises(SettingsError, match=r"views=5; it is one \| flip \| crops"):
        discerna.evaluate(model=tiny_model.path, data="data", views="5")


@pytest.mark.parametrize("views", COUNTS)
def test_score_evaluate_and_load_agree(resnet_model, pictures, tmp_path, views):
    given = {"model": resnet_model.path, "data": pictures / "valid", "device": "cpu", "views": views}
    discerna.score(**given, output=tmp_path / "scores.csv")
    loss = discerna.evaluate(**given).evaluation.loss
    with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    model = discerna.load(resnet_model.path, device="cpu", views=views)
    found = model.predict([pictures / "valid" / row["file"] for row in rows])
    for row, prediction in zip(rows, found, strict=True):
        for label, probability in prediction.probabilities.items():
            assert abs(float(row[f"Scored Probabilities_{label}"]) - probability) < 1e-6
    right = [p.probabilities[row["label"]] for row, p in zip(rows, found, strict=True)]
    assert abs(loss + np.log(right).mean()) < 1e-5
