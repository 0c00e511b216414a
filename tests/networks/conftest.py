"""What the tests of networks share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from discerna.networks import registration
from discerna.networks.assembly import create_untrained

NOTHING_TYPED = dict.fromkeys(("image_size", "fit", "resize", "interpolation", "mean", "std"))
DEFAULTS: dict[str, Any] = {"pretrained": False, "arguments": {}, "random_seed": 1, **NOTHING_TYPED}


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = dict(registration._registered)
    yield
    registration._registered.clear()
    registration._registered.update(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """No test reaches for the internet or for the weights that somebody downloaded."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a test went to the network")

    monkeypatch.setattr("discerna.networks.downloads.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def create() -> Callable[..., Any]:
    """`create_untrained` with every setting at its default but those given."""
    return lambda network, **settings: create_untrained(network, **{**DEFAULTS, **settings})


class SmallNet(nn.Module):
    """A network of a user's own, with batch norm, dropout and a buffer that is not stored."""

    def __init__(self, num_labels: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, num_labels)
        self.register_buffer("scale", torch.ones(1) * 3, persistent=False)
        self.shift = torch.zeros(1) + 0.5  # neither parameter nor buffer

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(pictures).mean((2, 3)) * self.scale + self.shift)


@pytest.fixture
def small_net() -> str:
    """The name of a small network of a user's own."""
    registration.register("small", lambda num_labels, width=4: SmallNet(num_labels, width), image_size=8)
    return "small"
