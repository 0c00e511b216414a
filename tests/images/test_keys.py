import pytest

from discerna.images.keys import mix


def test_keys_stay_what_they_are():
    """Written down: another value would change every training of the same seed."""
    assert mix(1, 0, 0) == 6007265541593936466
    assert mix("shuffle", 1, 2) == 1845935250360163250


@pytest.mark.parametrize("seed", [0, -1, 2**63, -(2**64), 10**5000, -(10**5000)], ids=range(6))
def test_any_whole_number(seed):
    assert 0 <= mix(seed) < 2**64
    assert mix(seed) == mix(seed)
    assert mix(seed) != mix(seed + 1)


def test_parts_are_kept_apart():
    keys = [
        mix(1, 23),
        mix(12, 3),
        mix(123),
        mix("1", 23),
        mix("123"),
        mix("12", "3"),
        mix(-1, 23),
        mix(),
        mix(""),
    ]
    assert len(set(keys)) == len(keys)


def test_text_of_any_kind():
    assert mix("写真", "\udcff\n") == mix("写真", "\udcff\n")


def test_spread():
    keys = [mix(seed, epoch, i) for seed in range(20) for epoch in range(20) for i in range(20)]
    assert len(set(keys)) == 8000
    assert abs(sum(key / 2**64 for key in keys) / 8000 - 0.5) < 0.02
