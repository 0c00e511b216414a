"""An outbox for a tracker: in order, tried again, never in the way."""

import logging
import threading

import pytest

from discerna.tracking import outbox
from discerna.tracking.outbox import Outbox, cause_of


class Refused(Exception):
    pass


def hopeless(error):
    return isinstance(error, Refused)


@pytest.fixture
def told(caplog):
    logging.getLogger("discerna").propagate = True
    caplog.set_level(logging.INFO, "discerna")
    return lambda level: [r.getMessage() for r in caplog.records if r.levelno >= level]


def test_jobs_are_done_in_order():
    done = []
    box = Outbox("T", "here", hopeless)
    for number in range(100):
        box.put(lambda number=number: done.append(number))
    box.close()
    assert done == list(range(100))


def test_a_tracker_that_comes_back_gets_everything(monkeypatch, told):
    monkeypatch.setattr(outbox, "PAUSE", 0.01)
    done, failures = [], iter([OSError("away"), OSError("away"), None])

    def first():
        if error := next(failures):
            raise error
        done.append("first")

    box = Outbox("T", "here", hopeless)
    finished = threading.Event()
    box.put(first)
    box.put(lambda: done.append("second"))
    box.put(finished.set)
    assert finished.wait(20)
    box.close()
    assert done == ["first", "second"]
    assert told(logging.WARNING) == ["T (here) failed: away; the training goes on, and it is tried again"]


def test_a_tracker_that_stays_away_is_left(told):
    tries = []

    def job():
        tries.append(1)
        raise OSError("away")

    box = Outbox("T", "here", hopeless)
    box.put(job)
    box.put(job)
    box.close()
    assert 1 <= len(tries) <= 2, "at the end once more, and not for each job"
    assert told(logging.WARNING)[-1] == "T (here) did not get everything; the run folder has it"


def test_what_is_refused_is_left_out_and_the_rest_goes_on(told):
    done = []

    def refused():
        raise Refused("no such thing")

    box = Outbox("T", "here", hopeless)
    box.put(refused)
    box.put(lambda: done.append(1))
    box.close()
    assert done == [1]
    assert told(logging.WARNING) == ["T (here) failed: no such thing; it is left out"]


def test_the_bottom_of_an_error_without_secrets():
    try:
        try:
            raise OSError("cannot reach http://me:sesame@host/\nmore")
        except OSError as inner:
            raise RuntimeError("wrapped") from inner
    except RuntimeError as outer:
        assert cause_of(outer) == "cannot reach http://***@host/"
    assert cause_of(ValueError()) == "ValueError"
    assert cause_of(KeyError("foo")) == "KeyError: 'foo'"
