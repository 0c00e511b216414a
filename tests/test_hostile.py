"""Models that an enemy made: every door refuses them with one error in one line, in little memory, and nothing runs."""

import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hostile_doors
from conftest import Run
from hostile_models import CORPUS, MARKER, SECRET

SECONDS = 60
"""For all doors together; the slowest entry needs a few."""

BYTES = 200 << 20
"""What refusing a model may need beyond what was there."""

LENGTH = 2000
"""Of a message: no name of megabytes is repeated in it."""


class Doors:
    """The process in which the doors are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._log = root.with_suffix(".log")
        root.mkdir()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, hostile_doors.__file__, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=root,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        told = self._answer("the start", 180)
        self.good = {kind: Path(path) for kind, path in told["good"].items()}

    def ask(self, **question: str) -> dict[str, dict[str, Any]]:
        """What happened, door by door."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, dict[str, Any]] = self._answer(str(question), SECONDS)
        return answer

    def _answer(self, question: str, seconds: float) -> Any:
        stream = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as ready:
            ready.register(stream, selectors.EVENT_READ)
            line = stream.readline() if ready.select(seconds) else None
        if not line:
            told = f"no answer for {seconds:.0f} s" if line is None else f"it ended: {self.close()}"
            self.close()
            pytest.fail(f"{question}: {told}\n{self.log()}")
        return json.loads(line)

    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def close(self) -> int:
        """End it; a child that hangs is killed."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        return self._process.wait()

    def log(self) -> str:
        """The end of what the process said."""
        return self._log.read_bytes()[-3000:].decode(errors="replace")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Doors]]:
    found: list[Doors] = []
    yield found
    for doors in found:
        doors.close()


@pytest.fixture
def doors(opened: list[Doors], tmp_path_factory: pytest.TempPathFactory) -> Doors:
    """The process; a new one where the last was lost."""
    if not opened or not opened[-1].alive():
        opened.append(Doors(tmp_path_factory.mktemp("hostile") / "root"))
    return opened[-1]


def copy_of(good: Path, root: Path) -> Path:
    """A copy to be altered, with a secret beside it."""
    place = root / "copy"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / SECRET).write_text("a secret")
    shutil.copytree(good, place / "model")
    return place / "model"


@pytest.mark.parametrize("name", CORPUS)
def test_every_door_refuses(doors: Doors, name: str):
    entry = CORPUS[name]
    path = copy_of(doors.good[entry.kind], doors.root)
    entry.make(path)
    for door, told in doors.ask(kind=entry.kind, path=str(path)).items():
        fault = f"{entry.attack}: {door}: {json.dumps(told, indent=1)[:3000]}"
        assert told["crimes"] == [], fault
        assert told["error"] == "InvalidModelDirectoryError", fault
        assert told["message"].isprintable() and told["length"] < LENGTH, fault
        assert "secret" not in told["message"].replace(SECRET, ""), fault
        assert told["bytes"] < BYTES, fault
    shutil.rmtree(path.parent)
