"""What a clock makes of batches that come."""

import pytest

from discerna.training.pace import WARM, StepClock, read_batches


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def coming(clock, seconds, closed=None):
    try:
        for wait in seconds:
            clock.now += wait
            yield
    finally:
        if closed is not None:
            closed.append(True)


def test_batches_that_this_process_reads():
    clock = Clock()
    found = read_batches(coming(clock, [3.0, 1.0, 2.0]), 0, clock=clock)
    assert (found.batches, found.first, found.each) == (3, 3.0, 2.0)


def test_the_first_batches_of_several_workers_come_together_and_tell_nothing():
    clock = Clock()
    # Four workers that take 2 s each: four batches at once, every two seconds.
    found = read_batches(coming(clock, [2.0, 0, 0, 0, 2.0, 0, 0, 0, 2.0, 0, 0, 0]), 4, clock=clock)
    assert found.first == 2.0
    assert found.each == pytest.approx(0.5)


def test_it_ends_when_patience_does_and_closes_what_reads():
    clock, closed = Clock(), []
    found = read_batches(coming(clock, [4.0] * 50, closed), 0, patience=10.0, clock=clock)
    assert found.batches == 3
    assert closed
    slow = read_batches(coming(clock, [40.0] * 50), 0, patience=10.0, clock=clock)
    assert slow.batches == 2


def test_nothing_to_read():
    assert read_batches(coming(Clock(), []), 3).each == 0.0


class Device:
    type = "cpu"


class Module:
    device = Device()


class Trainer:
    should_stop = False


def timed(epochs, patience=1e9):
    """The clock after batches that took so many seconds each, in epochs."""
    clock, trainer, advanced = Clock(), Trainer(), []
    steps = StepClock(patience, lambda count, note: advanced.append(count), clock)
    steps.on_train_start(trainer, Module())
    for epoch in epochs:
        steps.on_train_epoch_start(trainer, Module())
        for seconds in epoch:
            steps.on_train_batch_start(trainer, Module())
            clock.now += seconds
            steps.on_train_batch_end(trainer, Module())
        clock.now += 50  # what lies between epochs is no step
    assert len(advanced) == steps.batches
    return steps, trainer


def test_steps_that_warm_up_do_not_count():
    steps, trainer = timed([[9.0, *[5.0] * WARM, 1.0, 1.0, 1.2, 1.0]])
    assert steps.each == pytest.approx(1.0)
    assert steps.first == 9.0
    assert steps.computing[-2:] == pytest.approx([1.2, 1.0])
    assert steps.batches == 5 + WARM
    assert not trainer.should_stop


@pytest.mark.parametrize(("epochs", "expected"), [([[3.0], [1.0], [1.0]], 1.0), ([[3.0, 2.0]], 2.0)])
def test_epochs_of_one_or_two_steps(epochs, expected):
    assert timed(epochs)[0].each == expected


def test_slow_steps_are_few():
    steps, trainer = timed([[30.0, 20.0, 20.0]], patience=25)
    assert trainer.should_stop
    assert steps.each == 20.0
