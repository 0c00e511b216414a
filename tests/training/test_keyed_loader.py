"""Batches of one epoch after the other, read by the same workers."""

import multiprocessing
import os

import pytest
import torch

from discerna.images.loading import Sample
from discerna.training import keyed_loader
from discerna.training.batch_plan import Share
from discerna.training.keyed_loader import EpochsOfBatches, Readers, load


class Told(torch.utils.data.Dataset):
    """Pictures that tell which process has read them: as their label."""

    def __getitem__(self, key):
        epoch, i = key
        return Sample(torch.zeros(3, 1, 1, dtype=torch.uint8), os.getpid(), 100 * epoch + i, None)


def shares(epoch):
    return [Share([i, i + 1], 2, [0]) for i in (0, 2, 4, 6)]


def batches(workers=2, epochs=3):
    return EpochsOfBatches(Told(), Readers(workers, 1), False, shares, epochs)


def indices(found):
    return [batch.indices.tolist() for batch in found]


def of_epoch(epoch, done=0):
    return [[100 * epoch + i, 100 * epoch + i + 1] for i in (0, 2, 4, 6)][done:]


@pytest.fixture(autouse=True)
def no_worker_is_left():
    yield
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("epochs", [0, 3, None])
def test_epochs_come_whole_and_in_order(workers, epochs):
    reading = batches(workers, epochs)
    assert [indices(reading.take(epoch, 0)) for epoch in range(3)] == [of_epoch(epoch) for epoch in range(3)]
    reading.close()


def test_the_same_workers_read_all_epochs_and_end_with_the_last():
    reading = batches(2, 3)
    readers = [{int(label) for batch in reading.take(epoch, 0) for label in batch.labels} for epoch in (0, 1)]
    assert readers[0] == readers[1] and len(readers[0]) == 2
    assert len(multiprocessing.active_children()) == 2
    list(reading.take(2, 0))
    assert not multiprocessing.active_children()


def test_each_validation_has_workers_of_its_own_and_no_more_than_batches():
    reading = EpochsOfBatches(Told(), Readers(2, 1), False, lambda epoch: shares(epoch)[:1], 0)
    seen = set()
    for _ in range(2):
        (batch,) = reading.take(0, 0)
        assert not set(batch.labels.tolist()) & seen
        seen |= set(batch.labels.tolist())
        assert not multiprocessing.active_children()


def test_it_begins_anywhere_and_anew_where_something_else_is_asked_for():
    reading = batches(1, 3)
    assert indices(reading.take(1, 2)) == of_epoch(1, 2)
    assert indices(reading.take(2, 0)) == of_epoch(2)
    assert indices(reading.take(0, 1)) == of_epoch(0, 1)
    part = reading.take(1, 0)
    assert indices([next(part), next(part)]) == of_epoch(1)[:2]
    part.close()
    assert indices(reading.take(1, 2)) == of_epoch(1, 2)  # what was read ahead is not thrown away
    assert indices(reading.take(1, 0)) == of_epoch(1)
    reading.close()


def test_an_epoch_beyond_the_last_can_be_asked_for():
    reading = batches(1, 2)
    assert indices(reading.take(5, 0)) == of_epoch(5)


def test_workers_end_with_the_last_batch_though_nobody_asks_for_more():
    part = batches(2, 0).take(0, 0)
    kept = [next(part) for _ in range(4)]
    assert len(kept) == 4 and not multiprocessing.active_children()


def test_a_validation_that_is_cut_short_leaves_no_worker():
    part = batches(2, 0).take(0, 0)
    next(part)
    assert multiprocessing.active_children()
    part.close()
    assert not multiprocessing.active_children()


class Fragile(Told):
    """Its reader is killed at a picture, once."""

    def __init__(self, folder):
        self.folder = folder

    def __getitem__(self, key):
        if key == (1, 4) and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), 9)
        return super().__getitem__(key)


def test_workers_that_die_while_they_read_ahead_are_replaced(tmp_path, caplog):
    reading = EpochsOfBatches(Fragile(tmp_path), Readers(1, 1), False, shares, 2)
    found = [
        [batch.indices.tolist() for _, batch in load(reading, epoch, shares(epoch), 0, None)]
        for epoch in (0, 1)
    ]
    assert found == [of_epoch(0), of_epoch(1)]
    assert (tmp_path / "died").exists()
    assert "a process that reads pictures was killed" in caplog.text


@pytest.mark.parametrize(
    "sign", [ConnectionResetError(104, "reset"), EOFError(), FileNotFoundError(2, "gone")]
)
def test_a_worker_that_dies_while_it_hands_over_is_replaced_too(monkeypatch, caplog, sign):
    """Torch has not noticed yet, and says what became of the connection."""
    real, breaks = keyed_loader.DataLoader, [sign]

    class Loader(real):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == 2 and breaks:
                    raise breaks.pop()
                yield batch

    monkeypatch.setattr(keyed_loader, "DataLoader", Loader)
    reading = batches(1, 1)
    found = [batch.indices.tolist() for _, batch in load(reading, 0, shares(0), 0, None)]
    assert found == of_epoch(0)
    assert type(sign).__name__ in caplog.text
