"""Which piece of a batch is found the largest that fits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import discerna
from discerna.composition import compose
from discerna.errors import OutOfMemoryError, SettingsError
from discerna.training.batch_finder import LEAP, in_pieces_of, largest
from picture_sets import TESTS


def pieces(batch):
    return [n for n in range(1, batch + 1) if batch % n == 0]


class Memory:
    """A device where so many bytes are taken by anything, and so many by each picture."""

    def __init__(self, fixed, each, refuses_above=float("inf")):
        self.fixed, self.each, self.refuses_above = fixed, each, refuses_above
        self.tried = []

    def __call__(self, size):
        self.tried.append(size)
        taken = self.fixed + self.each * size
        if taken > self.refuses_above:
            raise OutOfMemoryError("out of memory")
        return taken


@given(
    batch=st.integers(1, 2000),
    fixed=st.integers(0, 10**9),
    each=st.integers(1, 10**7),
    room=st.integers(1, 10**10),
)
def test_the_largest_that_fits_and_nothing_larger_is_tried(batch, fixed, each, room):
    memory = Memory(fixed, each)
    found = largest(pieces(batch), memory, room)
    fitting = [n for n in pieces(batch) if fixed + each * n <= room]
    assert found == (fitting[-1] if fitting else None)
    # But for the first two, which nothing foretells.
    assert all(fixed + each * size <= room for size in memory.tried[2:])
    assert len(memory.tried) <= 2 + len(pieces(batch))


def test_no_leap_into_the_dark():
    memory = Memory(0, 1)
    assert largest(pieces(1024), memory, 10**6) == 1024
    leaps = [after / before for before, after in zip(memory.tried[1:], memory.tried[2:], strict=False)]
    assert max(leaps) <= LEAP


@pytest.mark.parametrize("refuses", [16, 100])
def test_memory_that_runs_out_below_what_should_be_there(refuses):
    memory = Memory(0, 1, refuses_above=refuses)
    assert largest(pieces(256), memory, 10**6) == max(n for n in pieces(256) if n <= refuses)
    with pytest.raises(OutOfMemoryError):
        largest(pieces(256), memory, 10**6, reraise=True)


def test_memory_that_grows_faster_than_the_first_pieces_let_expect():
    def steep(size):
        return size if size <= 4 else 100 * size

    assert largest(pieces(64), steep, 1000) == 8


def typed(*more):
    return compose("train", ["model=tiny", "train_data=a", "valid_data=b", "batch_size=8", *more])


def test_a_piece_is_tried_with_another_of_the_same_batch():
    own = in_pieces_of(2, typed("trainer.batch_finder=true", "trainer.limit_train_batches=3"))
    assert (own.batch_size, own.trainer.accumulate_grad_batches) == (4, 2)
    whole = in_pieces_of(8, typed("trainer.batch_finder=true"))
    assert (whole.batch_size, whole.trainer.accumulate_grad_batches) == (8, 1)


@pytest.mark.parametrize("more", ["trainer.accumulate_grad_batches=2", "trainer.limit_train_batches=0.5"])
def test_what_cannot_be_found(more):
    with pytest.raises(SettingsError, match=r"trainer\.batch_finder=true"):
        typed("trainer.batch_finder=true", more)


@pytest.fixture
def train(pictures, tmp_path):
    def run(name, **settings):
        return discerna.train(
            train_data=pictures / "train",
            valid_data=pictures / "valid",
            output=tmp_path / name,
            epochs=1,
            batch_size=8,
            **settings,
        )

    return run


def test_the_whole_batch_where_it_fits(train, tmp_path, capsys):
    found = train("found", model="tiny", trainer={"batch_finder": True})
    told = capsys.readouterr().err
    assert "all 8 pictures at once take" in told
    plain = train("plain", model="tiny")
    assert found.epochs[0]["train_loss"] == plain.epochs[0]["train_loss"]
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("found", "plain")]
    assert weights[0] == weights[1]


def test_smaller_pieces_where_it_does_not_and_a_restart_does_not_search_again(train, tmp_path, capsys):
    train("m", model="greedy", trainer={"batch_finder": True})
    told = capsys.readouterr().err
    assert "trainer.accumulate_grad_batches  2" in told
    assert "4 of 8 pictures at once take" in told
    assert "out of memory" not in told
    discerna.resume(tmp_path / "m.run", epochs=2)
    told = capsys.readouterr().err
    assert "4 of 8 pictures at once take" in told
    assert "finding" not in told


def test_not_even_one_picture(train):
    with pytest.raises(OutOfMemoryError, match=r"not even the smallest piece.*smaller network"):
        train("m", model="greedy", arguments={"most": 0}, trainer={"batch_finder": True})


def test_a_batch_that_is_too_small_for_anything(pictures):
    with pytest.raises(SettingsError, match="the batch is too small: batch_size=1"):
        discerna.train(
            model="tiny",
            train_data=pictures / "train",
            valid_data=pictures / "valid",
            batch_size=1,
            trainer={"batch_finder": True},
        )


@pytest.mark.slow
def test_two_processes_find_together(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    done = discerna.train(
        model="tiny",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "m",
        epochs=1,
        batch_size=8,
        trainer={"batch_finder": True, "devices": 2, "accelerator": "cpu"},
        networks={"modules": ["tiny_networks"]},
    )
    told = json.loads((done.output / "training.json").read_text())["recipe"]
    assert told["trainer.accumulate_grad_batches"]["value"] == 1
    assert json.loads((done.run / "decisions.json").read_text())["pieces"] == 1
