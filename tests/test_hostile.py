"""Models that an enemy made: every door refuses them with one error in one line, in little memory, and nothing runs."""

import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hostile_checkpoints  # noqa: F401 - its entries
import hostile_doors
from discerna.directories.model_dir import ModelDirectory, ModelSpec, write_model_directory
from discerna.errors import InvalidModelDirectoryError
from discerna.results.predictor import Predictor
from discerna.settings.preprocessing import Preprocessing
from hostile_models import CORPUS, MANIFEST, MARKER, MODEL, SECRET, TRAINING, WEIGHTS, put
from tiny_networks import tiny

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
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "TMPDIR": str(root),
                    "DISCERNA_CACHE": "off",  # a folder of its own would be a file outside
                },
            )
        told = self._answer("the start", 180)
        self.good = {kind: Path(path) for kind, path in told["good"].items()}
        self.controls: list[str] = told["controls"]

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
        assert "a secret" not in told["message"], fault
        assert told["bytes"] < BYTES, fault
    shutil.rmtree(path.parent)


def test_every_door_opens_for_a_good_model(doors: Doors):
    """Else that all is refused would say nothing."""
    for kind, good in doors.good.items():
        for door, told in doors.ask(kind=kind, path=str(copy_of(good, doors.root))).items():
            assert (told["error"], told["crimes"]) == (None, []), f"{kind} {door}: {told}"


def test_the_canary_sings(doors: Doors):
    """A canary that hears nothing would make all of this worthless."""
    for control in doors.controls:
        told = doors.ask(control=control)["control"]
        if control == "memory":
            assert told["bytes"] > BYTES, told
        elif control == "nothing":
            assert (told["crimes"], told["error"]) == ([], None), told
        else:
            assert told["crimes"], f"{control}: {told}"
        if "pickle" in control or "torch.load" in control:
            assert MARKER in told["crimes"], "the payloads do run"


def test_the_corpus_is_large_and_says_what_it_attacks():
    assert len(CORPUS) > 200
    assert all(entry.attack and "\n" not in entry.attack for entry in CORPUS.values())
    assert {entry.kind for entry in CORPUS.values()} == {"model", "run", "from"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("pickle_model.pt", "score model={} data={data}"),
        ("arguments_deep_target", "train model={} train_data={data} valid_data={data} output=m"),
        ("old_pickle", "create from={} output=m"),
    ],
)
def test_the_command_line_tells_one_line(doors: Doors, discerna, pictures: Path, name: str, line: str):
    entry = CORPUS[name]
    path = copy_of(doors.good[entry.kind], doors.root)
    entry.make(path)
    words = line.format(path, data=pictures / "valid").split()
    told = discerna(*words, *(["output=s.csv"] if words[0] == "score" else []), code=1).stderr.splitlines()
    assert sum(text.startswith("error: ") for text in told) == 1, told
    assert "Traceback" not in "\n".join(told)


# Damage and altering of all sorts, by chance


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model directory."""
    path = tmp_path_factory.mktemp("good") / "model"
    seen = Preprocessing(size=8, fit="pad", resize=8, interpolation="nearest", mean=[0.5] * 3, std=[0.5] * 3)
    spec = ModelSpec(
        state="trained",
        network="tiny",
        arguments={"width": 2},
        labels=["a", "b", "c"],
        preprocessing=seen,
        weights_from={"name": "x"},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = tiny(3, width=2).state_dict()
    write_model_directory(path, spec, weights, training={"epochs": [{"loss": 0.5}]}, overwrite=False)
    return path


def scores(path: Path) -> list[float]:
    """What a model says of a picture."""
    predictor = Predictor.of(ModelDirectory.open(path), device="cpu")
    return list(predictor.predict(Image.new("RGB", (9, 7), (200, 100, 0)))[0].probabilities.values())


def refused_or_scores(path: Path) -> list[float] | None:
    """The scores, or None where the model is refused; any other error is a bug of ours."""
    try:
        return scores(path)
    except InvalidModelDirectoryError as error:
        assert str(error).isprintable() and len(str(error)) < LENGTH
        return None


def altered(data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """Some bytes flipped, cut out, put in, or all after a place cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(changed) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "truncate"])):
            case "flip" if changed:
                changed[place] ^= draw(st.integers(1, 255))
            case "cut":
                del changed[place : place + draw(st.integers(1, 40))]
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=40))
            case _:
                del changed[place:]
    return bytes(changed)


@contextmanager
def changed_for_a_moment(path: Path) -> Iterator[None]:
    """The files of the folder are as before afterwards."""
    before = {file: file.read_bytes() for file in path.iterdir()}
    try:
        yield
    finally:
        for file in path.iterdir():
            file.unlink()
        for file, data in before.items():
            file.write_bytes(data)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from([MODEL, WEIGHTS, TRAINING, MANIFEST]))
def test_damage_is_refused_or_changes_nothing(good: Path, data: st.DataObject, name: str):
    right = scores(good)
    with changed_for_a_moment(good):
        (good / name).write_bytes(altered((good / name).read_bytes(), data.draw))
        found = refused_or_scores(good)
    assert found is None or found == right


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from([MODEL, WEIGHTS, TRAINING]))
def test_damage_with_right_checksums_is_refused_or_read(good: Path, data: st.DataObject, name: str):
    with changed_for_a_moment(good):
        put(good, name, altered((good / name).read_bytes(), data.draw))
        found = refused_or_scores(good)
    assert found is None or sum(found) == pytest.approx(1, abs=1e-3)


NUMBERS = st.integers(-3, 20) | st.sampled_from([10**9, 2**63, -(10**30), 10**400]) | st.floats()
LEAVES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text(max_size=8)
    | st.sampled_from(["a", "tiny", "plain", "resnet18"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a structure."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [*([way] if way else []), *(found for key in keys for found in places(value[key], (*way, key)))]


@settings(max_examples=300)
@given(data=st.data(), count=st.integers(1, 2))
def test_another_description_is_refused_or_read(good: Path, data: st.DataObject, count: int):
    """Values of all sorts at all places of model.json, with right checksums."""
    content = json.loads((good / MODEL).read_text())
    for _ in range(count):
        *parents, key = data.draw(st.sampled_from(places(content)))
        place = content
        for parent in parents:
            place = place[parent]
        if data.draw(st.integers(0, 9)):
            place[key] = data.draw(VALUES)
        elif isinstance(place, dict):
            place[data.draw(st.text(max_size=8))] = place.pop(key)
        else:
            del place[key]
    with changed_for_a_moment(good):
        put(good, MODEL, json.dumps(content))
        found = refused_or_scores(good)
    assert found is None or sum(found) == pytest.approx(1, abs=1e-3)
