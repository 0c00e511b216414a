"""The arithmetic of a split: whole groups, every label in every part, counts near the fractions."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discerna.splitting.allotment import Group, allot, rounded
from discerna.splitting.grouping import joined
from discerna.splitting.naming import file_names

TWO = [(0.9, 0.1), (0.5, 0.5), (0.1, 0.9)]
THREE = [(0.8, 0.1, 0.1), (0.7, 0.15, 0.15), (1 / 3, 1 / 3, 1 / 3)]
FRACTIONS = st.sampled_from([*TWO, *THREE, (0.4, 0.3, 0.2, 0.1)])
KEYS = st.integers(0, 2**64 - 1)
ONE_LABEL = st.tuples(st.integers(0, 5), st.integers(1, 12)).map(lambda pair: (pair,))
SEVERAL = st.dictionaries(st.integers(0, 5), st.integers(1, 4), min_size=1, max_size=3).map(
    lambda counts: tuple(sorted(counts.items()))
)


def groups_of(counts) -> st.SearchStrategy[list[Group]]:
    return st.lists(st.builds(Group, KEYS, counts), min_size=1, max_size=60)


SINGLE = st.lists(st.integers(1, 120), min_size=1, max_size=12)
"""Of how many single pictures each label consists."""


def singles(sizes: list[int]) -> list[Group]:
    return [
        Group((number * 7919 + label) % 10007, ((label, 1),))
        for label, size in enumerate(sizes)
        for number in range(size)
    ]


def pictures_in(groups: list[Group], parts: list[int]) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for group, part in zip(groups, parts, strict=True):
        for label, count in group.counts:
            found[label, part] += count
    return found


@given(groups_of(SEVERAL), FRACTIONS)
def test_every_group_is_in_one_part(groups, fractions):
    parts = allot(groups, fractions)
    assert len(parts) == len(groups)
    assert set(parts) <= set(range(len(fractions)))


@given(groups_of(ONE_LABEL), FRACTIONS)
def test_every_label_is_in_as_many_parts_as_it_can(groups, fractions):
    number = Counter(group.counts[0][0] for group in groups)
    found = pictures_in(groups, allot(groups, fractions))
    for label, count in number.items():
        parts = [part for part in range(len(fractions)) if found[label, part]]
        assert parts == list(range(min(count, len(fractions))))


@given(groups_of(SEVERAL), FRACTIONS)
def test_labels_with_enough_groups_of_their_own_are_everywhere(groups, fractions):
    alone = Counter(group.counts[0][0] for group in groups if len(group.counts) == 1)
    found = pictures_in(groups, allot(groups, fractions))
    for label, count in alone.items():
        if count >= len(fractions):
            assert all(found[label, part] for part in range(len(fractions)))


@given(SINGLE, FRACTIONS)
def test_counts_of_single_pictures_are_within_one(sizes, fractions):
    groups = singles(sizes)
    found = pictures_in(groups, allot(groups, fractions))
    for label, size in enumerate(sizes):
        if size * min(fractions) >= 1:  # a smaller label gives some to parts that would have none
            for part, fraction in enumerate(fractions):
                assert abs(found[label, part] - size * fraction) < 1
        elif size >= len(fractions):
            for part, fraction in enumerate(fractions):
                assert abs(found[label, part] - size * fraction) < len(fractions)


@given(st.lists(st.integers(10, 120), min_size=1, max_size=40), FRACTIONS)
def test_totals_are_near_the_fractions_too(sizes, fractions):
    """Rounding each label down or to the nearest would be off by up to one a label."""
    groups = singles(sizes)
    totals = Counter(allot(groups, fractions))
    for part, fraction in enumerate(fractions):
        assert abs(totals[part] - len(groups) * fraction) < 2


def test_many_labels_of_one_size():
    groups = singles([14] * 100)
    totals = Counter(allot(groups, (0.8, 0.1, 0.1)))
    assert [totals[part] for part in range(3)] == [1120, 140, 140]


@given(groups_of(ONE_LABEL), FRACTIONS)
def test_a_part_is_off_by_less_than_a_group(groups, fractions):
    found = pictures_in(groups, allot(groups, fractions))
    for label in {group.counts[0][0] for group in groups}:
        sizes = [group.size for group in groups if group.counts[0][0] == label]
        if len(sizes) >= len(fractions):
            for part, fraction in enumerate(fractions[1:], 1):
                assert found[label, part] - sum(sizes) * fraction <= max(sizes) + 1


@given(groups_of(SEVERAL), FRACTIONS, st.randoms())
@example([Group(1, ((0, 1),)), Group(2, ((0, 1),)), Group(3, ((0, 1), (1, 1)))], (0.5, 0.5), None)
def test_the_order_in_which_groups_come_means_nothing(groups, fractions, random):
    groups = list({group.key: group for group in groups}.values())
    mixed = list(groups)
    if random is not None:
        random.shuffle(mixed)
    else:
        mixed.reverse()
    assert dict(zip(groups, allot(groups, fractions), strict=True)) == dict(
        zip(mixed, allot(mixed, fractions), strict=True)
    )


@given(st.integers(20, 200), KEYS)
def test_one_picture_more_moves_few(size, key):
    groups = [Group(hash((number, 5)) % 2**64, ((0, 1),)) for number in range(size)]
    before = allot(groups, (0.8, 0.1, 0.1))
    after = allot([*groups, Group(key, ((0, 1),))], (0.8, 0.1, 0.1))
    assert sum(one != other for one, other in zip(before, after, strict=False)) <= 2


def test_patients_with_pictures_of_several_labels():
    """Groups that span labels come near the fractions of each."""
    rare = ((2, 1),)
    groups = [
        Group(hash((n, 1)) % 2**64, ((0, 3 + n % 4), (1, 1 + n % 2), *(rare if n % 11 == 0 else ())))
        for n in range(100)
    ]
    found = pictures_in(groups, allot(groups, (0.8, 0.1, 0.1)))
    totals = Counter({label: sum(found[label, part] for part in range(3)) for label in range(3)})
    for label in range(3):
        for part, fraction in enumerate((0.8, 0.1, 0.1)):
            assert abs(found[label, part] - totals[label] * fraction) <= max(2, 0.03 * totals[label])
            assert found[label, part]


def test_a_large_group_goes_where_there_is_room():
    groups = [Group(0, ((0, 50),)), *(Group(n, ((0, 1),)) for n in range(1, 51))]
    parts = allot(groups, (0.8, 0.1, 0.1))
    assert parts[0] == 0
    assert Counter(parts[1:]) == {0: 30, 1: 10, 2: 10}


@pytest.mark.parametrize(
    ("size", "fractions", "wanted", "goal"),
    [
        (10, (0.8, 0.1, 0.1), 3, [8, 1, 1]),
        (30, (0.9, 0.1), 2, [27, 3]),
        (3, (0.8, 0.1, 0.1), 3, [1, 1, 1]),
        (2, (0.9, 0.1), 2, [1, 1]),
        (2, (0.8, 0.1, 0.1), 2, [1, 1, 0]),
        (5, (0.8, 0.1, 0.1), 1, [5, 0, 0]),
    ],
)
def test_rounding(size, fractions, wanted, goal):
    assert rounded(size, fractions, [0.0] * len(fractions), wanted) == goal


def test_rounding_pays_what_is_owed():
    assert rounded(5, (0.5, 0.5), [0.0, 0.5], 2) == [2, 3]
    assert rounded(5, (0.5, 0.5), [0.5, 0.0], 2) == [3, 2]


def test_groups_that_share_a_picture_are_one():
    assert joined([[1, 2], [5, 6], [2, 9], [], [9, 5]]) == [[1, 2, 5, 6, 9]]
    assert joined([[8, 3], [4, 7]]) == [[3, 8], [4, 7]]


def test_file_names_that_collide_are_told_apart():
    given = [("cat", "cat/1.png"), ("cat", "cat/deep/1.png"), ("cat", "cat/x.png"), ("dog", "dog/1.png")]
    assert file_names(given) == ["1.png", "1-deep.png", "x.png", "1.png"]
    assert file_names([("cat", "one/1.png"), ("cat", "two/1.png"), ("cat", "one/two/1.png")]) == [
        "1.png",
        "1-two.png",
        "1-one-two.png",
    ]


def test_a_rare_label_is_spread_even_if_its_pictures_are_tied_to_others():
    many = [Group(n + 10, ((0, 1),)) for n in range(40)]
    tied = [Group(1, ((0, 3), (1, 1))), Group(2, ((0, 3), (1, 1)))]
    assert sorted(allot([*tied, *many], (0.9, 0.1))[:2]) == [0, 1]
    assert allot([Group(1, ((0, 30), (1, 1))), Group(2, ((0, 3),)), *many], (0.1, 0.9))[0] == 0
