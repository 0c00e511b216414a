"""Pictures and surroundings that many tests share."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from picture_sets import TESTS, write_pictures

# Machines are shared and noisy: a slow example is no failure.
settings.register_profile("discerna", deadline=None, max_examples=60)
settings.load_profile("discerna")


@pytest.fixture(autouse=True)
def unchanged_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment and discerna's log handlers are as before after each test."""
    before = dict(os.environ)
    logger = logging.getLogger("discerna")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    os.environ.clear()
    os.environ.update(before)
    logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


@pytest.fixture(scope="session", autouse=True)
def own_picture_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded pictures of tests go to no cache of the user's."""
    os.environ["DISCERNA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and valid/ with three labels."""
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root / "train", {"red": 9, "green": 8, "blue": 10}, seed=1)
    write_pictures(root / "valid", {"red": 4, "green": 3, "blue": 4}, seed=2)
    return root


@pytest.fixture(scope="session", autouse=True)
def tiny_networks() -> None:
    """`model=tiny` and `model=plain` in this process."""
    import tiny_networks  # noqa: F401


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def discerna(tmp_path: Path) -> Run:
    """Run the command line as a process of its own, in an empty directory."""

    def run(
        *arguments: str, code: int = 0, cwd: Path = tmp_path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "discerna", *arguments],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
            timeout=300,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
