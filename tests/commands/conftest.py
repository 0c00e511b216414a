"""Model directories that several commands are tried on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from discerna.directories.model_dir import write_model_directory
from discerna.networks.assembly import create_untrained, network_for_labels


@pytest.fixture(scope="session")
def models_for(tmp_path_factory) -> Callable[[list[str]], Path]:
    """A folder with untrained/ and, for such labels, trained/."""

    def make(labels: list[str]) -> Path:
        root = tmp_path_factory.mktemp("models")
        spec, weights = create_untrained(
            "tiny", pretrained=False, arguments={}, random_seed=1, image_size=None,
            fit=None, resize=None, interpolation=None, mean=None, std=None,
        )  # fmt: skip
        write_model_directory(root / "untrained", spec, weights, overwrite=False)
        network, spec = network_for_labels(spec, weights, labels, random_seed=2)
        write_model_directory(root / "trained", spec, network.state_dict(), overwrite=False)
        return root

    return make
