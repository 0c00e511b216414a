from dataclasses import replace

import pytest

from discerna.settings.preprocessing import Preprocessing

SPEC = Preprocessing(
    size=32,
    fit="crop",
    resize=36,
    interpolation="bilinear",
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
)


@pytest.fixture
def spec():
    """A preprocessing with some of its values changed: spec(size=8)."""
    return lambda **changes: replace(SPEC, **changes)
