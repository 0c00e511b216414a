"""Steps, pieces and shares: every picture once, whatever the number of processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.errors import SettingsError
from discerna.training.batch_plan import BatchPlan


@st.composite
def plans(draw):
    processes = draw(st.integers(1, 5))
    pieces = draw(st.integers(1, 4))
    smallest = draw(st.integers(1, 2))
    size = draw(st.integers(smallest * processes * pieces, 60))
    pictures = draw(st.integers(smallest, 150))
    return BatchPlan(
        pictures=pictures, batch_size=size, pieces=pieces, processes=processes, smallest=smallest
    )


def by_step(plan, seed=1, epoch=0):
    """For each step the shares of each piece, process by process, as Lightning groups a loader's batches."""
    shares = [plan.shares(seed, epoch, process) for process in range(plan.processes)]
    assert {len(of_one) for of_one in shares} == {len(plan.piece_sizes())}
    pieces = list(zip(*shares, strict=True))
    return [pieces[i : i + plan.pieces] for i in range(0, len(pieces), plan.pieces)]


@given(plans(), st.integers(), st.integers(0, 5))
def test_each_picture_once(plan, seed, epoch):
    used = [
        p for step in by_step(plan, seed, epoch) for piece in step for share in piece for p in share.pictures
    ]
    assert used == plan.order(seed, epoch)


@given(plans(), st.integers(0, 3))
def test_step_sizes_are_what_the_steps_have(plan, epoch):
    steps = by_step(plan, epoch=epoch)
    assert len(steps) == len(plan.steps())
    for step in steps:
        shares = [share for piece in step for share in piece]
        assert {share.step_size for share in shares} == {sum(len(share.pictures) for share in shares)}


@given(plans())
def test_no_share_is_too_small_and_the_first_process_has_one_of_each_piece(plan):
    for step in by_step(plan):
        for piece in step:
            assert piece[0].pictures
            assert all(len(share.pictures) >= plan.smallest for share in piece if share.pictures)
            whole = {p for share in piece for p in share.pictures}
            for share in piece:
                assert len(share.stand_ins) == plan.smallest and whole.issuperset(share.stand_ins)


@given(plans())
def test_only_the_last_step_leaves_a_process_without_a_share(plan):
    for step in by_step(plan)[:-1]:
        assert len(step) == plan.pieces
        assert all(share.pictures for piece in step for share in piece)


@given(plans())
def test_pieces_are_of_one_size(plan):
    """Memory decides on the number of pieces, so none may be larger than the others have to be."""
    ordinary = -(-plan.batch_size // plan.pieces)
    for step in plan.steps():
        assert max(step) - min(step) <= 1
        assert max(step) <= ordinary + plan.smallest - 1


@given(plans(), st.integers(0, 3))
def test_pieces_and_processes_change_no_step(plan, epoch):
    alone = BatchPlan(pictures=plan.pictures, batch_size=plan.batch_size, smallest=plan.smallest)
    assert [
        [p for piece in step for share in piece for p in share.pictures]
        for step in by_step(plan, epoch=epoch)
    ] == [[p for share in step[0] for p in share.pictures] for step in by_step(alone, epoch=epoch)]


@given(plans())
def test_lightning_counts_the_same_steps(plan):
    """It divides the loader's length by `accumulate_grad_batches`; schedules and global_step rest on that."""
    assert -(-len(plan.piece_sizes()) // plan.pieces) == len(plan.steps())
    alone = BatchPlan(pictures=plan.pictures, batch_size=plan.batch_size, smallest=plan.smallest)
    assert len(plan.steps()) == len(alone.steps())


def test_order_depends_on_seed_and_epoch_only():
    plan = BatchPlan(pictures=50, batch_size=8)
    other = BatchPlan(pictures=50, batch_size=4)
    assert plan.order(1, 0) == other.order(1, 0)
    assert plan.order(1, 0) != plan.order(1, 1)
    assert plan.order(1, 0) != plan.order(2, 0)
    assert plan.order(-1, 0) != plan.order(1, 0)


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({"pictures": 17, "batch_size": 8}, [[8], [8], [1]]),
        ({"pictures": 17, "batch_size": 8, "smallest": 2}, [[8], [9]]),
        ({"pictures": 9, "batch_size": 8, "smallest": 2}, [[9]]),
        ({"pictures": 5, "batch_size": 16, "smallest": 2}, [[5]]),
        ({"pictures": 21, "batch_size": 9, "pieces": 4}, [[2, 2, 2, 3], [2, 2, 2, 3], [3]]),
        ({"pictures": 17, "batch_size": 8, "pieces": 4, "smallest": 2}, [[2, 2, 2, 2], [2, 2, 2, 3]]),
        ({"pictures": 13, "batch_size": 8, "pieces": 4, "smallest": 2}, [[2, 2, 2, 2], [2, 3]]),
        ({"pictures": 11, "batch_size": 8, "pieces": 4, "smallest": 2}, [[2, 2, 2, 2], [3]]),
        ({"pictures": 11, "batch_size": 8, "pieces": 2, "smallest": 2, "processes": 2}, [[4, 4], [3]]),
    ],
)
def test_steps_and_their_pieces(arguments, steps):
    assert BatchPlan(**arguments).steps() == steps


@pytest.mark.parametrize(("rest", "shares"), [(2, [2, 0, 0]), (3, [3, 0, 0]), (4, [2, 2, 0]), (5, [2, 3, 0])])
def test_a_small_last_batch_is_shared_by_as_many_as_it_has_shares_for(rest, shares):
    plan = BatchPlan(pictures=12 + rest, batch_size=12, smallest=2, processes=3)
    assert [len(share.pictures) for share in by_step(plan)[-1][0]] == shares


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pictures": 9, "batch_size": 1, "smallest": 2}, "the batch is too small: batch_size=1"),
        ({"pictures": 9, "batch_size": 4, "smallest": 2, "processes": 3}, "use batch_size=6"),
        (
            {"pictures": 9, "batch_size": 2, "pieces": 2, "processes": 2},
            "each process needs a picture: 4 or more",
        ),
        ({"pictures": 1, "batch_size": 8, "smallest": 2}, "no training step would run: 1 training picture"),
    ],
)
def test_impossible_plans_are_refused(arguments, message):
    with pytest.raises(SettingsError) as caught:
        BatchPlan(**arguments)
    assert message in str(caught.value)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 2), st.integers(2, 40))
def test_the_remedy_is_the_smallest_batch_that_works(processes, pieces, smallest, pictures):
    needed = processes * pieces * smallest
    given = {"pictures": pictures, "processes": processes, "pieces": pieces, "smallest": smallest}
    BatchPlan(batch_size=needed, **given)
    with pytest.raises(SettingsError, match=f"use batch_size={needed}\\b"):
        BatchPlan(batch_size=needed - 1, **given)


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
