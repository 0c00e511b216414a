"""From measured steps to the time of a training: the arithmetic, on figures that can be added up by hand."""

from dataclasses import replace

import pytest

from discerna.composition import compose
from discerna.errors import SettingsError
from discerna.training.forecast import Extent, Measured, Phase, ReadingPace, ends_before, forecast

WARM = ReadingPace(first=0.0, cold=0.5, warm=0.1)
NOTHING = ReadingPace(first=0.0, cold=0.0, warm=0.0)
FOUND = Measured(
    start=7.0,
    phases=[Phase(epochs=4, batch=1.0, reading=WARM)],
    checking=NOTHING,
    validation=0.0,
    alongside=False,
    cache_share=1.0,
    best=0.0,
    checkpoint=0.0,
    end=3.0,
)
EXTENT = Extent(epochs=4, batches=10, steps=10, valid_batches=2, most_batches=None)


def settings(*typed):
    return compose("train", ["model=tiny", "train_data=a", "valid_data=b", "epochs=4", *typed])


def epochs_of(*typed, extent=EXTENT, **found):
    return forecast(settings(*typed), extent, replace(FOUND, **found)).epochs


def test_the_first_epoch_decodes_and_the_others_find_pictures_in_the_cache():
    planned = forecast(settings(), EXTENT, FOUND)
    assert planned.epochs == pytest.approx([14.0, 10.0, 10.0, 10.0])
    assert planned.seconds == pytest.approx(7 + 44 + 3)


def test_pictures_for_which_the_cache_has_no_room_are_decoded_in_each_epoch():
    assert epochs_of(cache_share=0.25) == pytest.approx([14.0, 13.0, 13.0, 13.0])
    assert epochs_of(cache_share=0.0) == pytest.approx([14.0] * 4)


def test_workers_read_while_the_network_computes():
    """Whatever is slower decides; their start is waited for once."""
    slow = [Phase(epochs=4, batch=1.0, reading=ReadingPace(first=2.0, cold=3.0, warm=0.5))]
    assert epochs_of(phases=slow, alongside=True) == pytest.approx([32.0, 10.0, 10.0, 10.0])


def test_epochs_that_freeze_or_grow_take_their_own_time():
    phases = [Phase(epochs=1, batch=0.3, reading=WARM), Phase(epochs=3, batch=1.0, reading=WARM)]
    assert epochs_of(phases=phases) == pytest.approx([7.0, 10.0, 10.0, 10.0])


def test_validation_and_what_is_written():
    checking = ReadingPace(first=0.0, cold=1.0, warm=0.25)
    found = epochs_of(checking=checking, validation=2.0, best=0.5)
    assert found == pytest.approx([14 + 6.5, 10 + 5.0, 10 + 5.0, 10 + 5.0])
    every_second = epochs_of("trainer.check_val_every_n_epoch=2", checking=checking, validation=2.0, best=0.5)
    assert every_second == pytest.approx([14.0, 10 + 6.5, 10.0, 10 + 5.0])
    twice = epochs_of("trainer.val_check_interval=0.5", validation=2.0)
    assert twice == pytest.approx([14 + 8.0, *[10 + 8.0] * 3])
    each_third_batch = epochs_of("trainer.val_check_interval=3", validation=2.0)
    assert each_third_batch == pytest.approx([14 + 12.0, *[10 + 12.0] * 3])


def test_workers_of_a_validation():
    checking = ReadingPace(first=1.0, cold=3.0, warm=0.5)
    found = epochs_of(checking=checking, validation=2.0, alongside=True)
    assert [one - 10.0 for one in found] == pytest.approx([1 + 6.0, *[1 + 4.0] * 3])


def test_max_steps_ends_in_mid_epoch_without_a_validation():
    extent = replace(EXTENT, most_batches=15)
    assert epochs_of(extent=extent, validation=2.0) == pytest.approx([14 + 4.0, 5.0])


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        # All 40 steps take 44 s: after the first epoch, after the last step, and what 2 % of the time allow.
        ("checkpoint.every_minutes=auto", 2 + 44 * 0.02 / 0.44),
        ("checkpoint.every_minutes=null", 1),
        ("checkpoint.every_minutes=0.1", 1 + 44 / 6),
    ],
)
def test_checkpoints(typed, written):
    planned = forecast(settings(typed), EXTENT, replace(FOUND, checkpoint=0.44))
    assert sum(planned.epochs) == pytest.approx(44 + written * 0.44)


def test_checkpoints_after_steps():
    typed = ["checkpoint.every_minutes=null", "checkpoint.every_steps=4"]
    planned = forecast(settings(*typed), EXTENT, replace(FOUND, checkpoint=1.0))
    assert sum(planned.epochs) == pytest.approx(44 + 11)
    pieces = forecast(
        settings(*typed, "trainer.accumulate_grad_batches=2"),
        replace(EXTENT, steps=5),
        replace(FOUND, checkpoint=1.0),
    )
    assert sum(pieces.epochs) == pytest.approx(44 + 6)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("max_minutes=0.5", 30.0),  # of everything
        ("trainer.max_time='00:00:00:30'", 40.0),  # of the epochs
        ("trainer.max_time={seconds: 30}", 40.0),
    ],
)
def test_a_limit_of_time(typed, seconds):
    own = settings(typed)
    planned = forecast(own, EXTENT, FOUND)
    assert planned.seconds == seconds
    assert ends_before(own, planned) == f"a limit of time ends it after {seconds:.0f} s"


@pytest.mark.parametrize("typed", ["'12:00:00'", "'soon'", "{hour: 3}", "'00:00:00:x'"])
def test_a_time_that_cannot_be_read(typed):
    with pytest.raises(SettingsError, match=r"a time that cannot be read: trainer\.max_time"):
        settings(f"trainer.max_time={typed}")


def test_what_may_end_it():
    planned = forecast(settings(), EXTENT, FOUND)
    assert ends_before(settings("patience=2"), planned) == "patience=2 may end it sooner"
    assert ends_before(settings("early_stopping=none"), planned) == ""
    assert ends_before(settings("early_stopping=none", "max_minutes=9"), planned) == ""
