"""Trained model directories, made without training."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from discerna.directories.model_dir import ModelDirectory, write_model_directory
from discerna.networks.assembly import create_untrained, network_for_labels

LABELS = ["blue", "green", "red"]

Make = Callable[..., ModelDirectory]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Make:
    def make(
        network: str = "tiny", labels: list[str] = LABELS, size: int = 16, trained: bool = True
    ) -> ModelDirectory:
        spec, weights = create_untrained(
            network, pretrained=False, arguments={}, random_seed=5, image_size=size,
            fit=None, resize=None, interpolation=None, mean=None, std=None,
        )  # fmt: skip
        if trained:
            made, spec = network_for_labels(spec, weights, labels, random_seed=6)
            weights = made.state_dict()
        path = tmp_path_factory.mktemp("models") / network
        write_model_directory(path, spec, weights, overwrite=False)
        return ModelDirectory.open(path)

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: Make) -> ModelDirectory:
    return make_model()


@pytest.fixture(scope="session")
def resnet_model(make_model: Make) -> ModelDirectory:
    return make_model("resnet18", size=32)


@pytest.fixture(scope="session")
def mixed_pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifteen pictures of many sizes, colours and formats."""
    draw = random.Random(3)
    folder = tmp_path_factory.mktemp("mixed")
    paths = []
    for n in range(15):
        size = draw.randint(9, 70), draw.randint(9, 70)
        base = [draw.randint(0, 255) for _ in range(3)]
        picture = Image.new("RGB", size)
        picture.putdata(
            [tuple((part + draw.randint(0, 80)) % 256 for part in base) for _ in range(size[0] * size[1])]
        )
        paths.append(folder / f"{n:02}.{('png', 'jpg', 'bmp')[n % 3]}")
        picture.save(paths[-1])
    return paths
