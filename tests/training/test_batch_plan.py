"""Steps, pieces and shares: every picture once, whatever the number of processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.errors import SettingsError
from discerna.training.batch_plan import BatchPlan


@st.composite
def plans(draw):
    processes = draw(st.integers(1, 5))
    pieces = draw(st.integers(1, 3))
    smallest = draw(st.integers(1, 2))
    size = pieces * draw(st.integers(smallest * processes, 12))
    pictures = draw(st.integers(smallest * processes, 100))
    return BatchPlan(
        pictures=pictures, batch_size=size, pieces=pieces, processes=processes, smallest=smallest
    )


@given(plans(), st.integers(), st.integers(0, 5))
def test_each_picture_once(plan, seed, epoch):
    shares = [plan.shares(seed, epoch, process) for process in range(plan.processes)]
    used = [picture for process in shares for share in process for picture in share.pictures]
    assert sorted(used) == list(range(plan.pictures))
    assert len({len(process) for process in shares}) == 1  # all processes take the same number of steps


@given(plans(), st.integers(0, 3))
def test_step_sizes_and_smallest_share(plan, epoch):
    shares = [plan.shares(1, epoch, process) for process in range(plan.processes)]
    for number in range(0, len(shares[0]), plan.pieces):
        group = [share for process in shares for share in process[number : number + plan.pieces]]
        assert {share.step_size for share in group} == {sum(len(share.pictures) for share in group)}
    if plan.smallest > 1:
        assert all(len(share.pictures) >= plan.smallest for process in shares for share in process)


@given(plans(), st.integers(2, 4))
def test_processes_share_what_one_would_take(plan, processes):
    size = plan.pieces * processes * 4
    several = BatchPlan(pictures=plan.pictures, batch_size=size, pieces=plan.pieces, processes=processes)
    alone = BatchPlan(pictures=several.pictures, batch_size=several.batch_size, pieces=plan.pieces)
    together = [several.shares(3, 0, process) for process in range(processes)]
    for number, share in enumerate(alone.shares(3, 0, 0)):
        assert [p for process in together for p in process[number].pictures] == share.pictures


def test_order_depends_on_seed_and_epoch_only():
    plan = BatchPlan(pictures=50, batch_size=8)
    other = BatchPlan(pictures=50, batch_size=4)
    assert plan.order(1, 0) == other.order(1, 0)
    assert plan.order(1, 0) != plan.order(1, 1)
    assert plan.order(1, 0) != plan.order(2, 0)
    assert plan.order(-1, 0) != plan.order(1, 0)


@pytest.mark.parametrize("multiple", [1, 2, 5])
def test_one_picture_in_the_last_batch_joins_the_one_before_with_batch_norm(multiple):
    assert BatchPlan(pictures=multiple * 8 + 1, batch_size=8, smallest=2).piece_sizes() == [8] * (
        multiple - 1
    ) + [9]
    assert BatchPlan(pictures=multiple * 8 + 1, batch_size=8).piece_sizes() == [8] * multiple + [1]


def test_more_pictures_than_the_batch_is_not_needed():
    assert BatchPlan(pictures=5, batch_size=16, smallest=2).piece_sizes() == [5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pictures": 9, "batch_size": 1, "smallest": 2}, "the batch is too small: batch_size=1"),
        ({"pictures": 9, "batch_size": 4, "smallest": 2, "processes": 3}, "use batch_size=6"),
        (
            {"pictures": 9, "batch_size": 2, "pieces": 2, "processes": 2},
            "each process needs a picture: 4 or more",
        ),
        ({"pictures": 3, "batch_size": 8, "smallest": 2, "processes": 2}, "no training step would run"),
    ],
)
def test_impossible_plans_are_refused(arguments, message):
    with pytest.raises(SettingsError) as caught:
        BatchPlan(**arguments)
    assert message in str(caught.value)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 3))
def test_balanced_labels_are_drawn_equally_often(labels, epoch):
    plan = BatchPlan(pictures=len(labels), batch_size=4, balanced=labels)
    order = plan.order(1, epoch)
    drawn = [labels[position % len(labels)] for position in order]
    counts = {label: drawn.count(label) for label in set(labels)}
    assert len(order) == len(labels)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(set(order)) == len(order), "a picture's second turn has a position of its own"
    for label, wanted in counts.items():  # none a third time before all had their second
        turns = [p for p in order if labels[p % len(labels)] == label]
        each = [
            sum(1 for p in turns if p % len(labels) == own) for own, la in enumerate(labels) if la == label
        ]
        assert max(each) - min(each) <= 1 and sum(each) == wanted
    assert order == plan.order(1, epoch)
