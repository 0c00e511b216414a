import hashlib
import os
import pickle
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ImageFile

from discerna.errors import UnreadablePictureError
from discerna.images import picture_cache
from discerna.images.detail import Detail, decode_detail
from discerna.images.picture_cache import PictureCache
from picture_sets import photograph

DETAIL = Detail(60, longest=False, interpolation="bilinear")
ENTRY = 80 * 60 * 3 + 44
PLENTY = 10**8
LONG_AGO = 10**9


@pytest.fixture
def files(tmp_path):
    """Eight pictures that have not been touched for years."""
    return pictures(tmp_path, 8)


def pictures(tmp_path, count):
    made = [photograph(tmp_path / f"{n}.jpg") for n in range(count)]
    for path in made:
        path.write_bytes(path.read_bytes() + path.name.encode())  # no two the same
        os.utime(path, (LONG_AGO, LONG_AGO))
    return [str(path) for path in made]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded."""
    paths = []

    def noted(path, detail):
        paths.append(path)
        return decode_detail(path, detail)

    monkeypatch.setattr(picture_cache, "decode_detail", noted)
    return paths


def entries(place):
    return sorted(path for path in place.rglob("*") if path.is_file())


def size(place):
    return sum(path.stat().st_size for path in entries(place))


def expected(path, detail=DETAIL):
    return decode_detail(path, detail).tobytes()


def test_what_was_decoded_once_is_found_again(files, place, decoded):
    first = [PictureCache(place, PLENTY, DETAIL).picture(path) for path in files]
    assert decoded == files and len(entries(place)) == 8
    again = [PictureCache(place, PLENTY, DETAIL).picture(path) for path in files]
    assert decoded == files
    for path, one, other in zip(files, first, again, strict=True):
        assert one.tobytes() == other.tobytes() == expected(path)
        assert (other.mode, other.size) == ("RGB", one.size)


def test_it_is_nobody_elses_business(files, place):
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    (entry,) = entries(place)
    assert entry.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_file_that_changed_is_decoded_anew(files, place, decoded, change, tmp_path):
    cache = PictureCache(place, PLENTY, DETAIL)
    cache.picture(files[0])
    if change == "content":
        photograph(tmp_path / "0.jpg", (500, 300))
        os.utime(files[0], (LONG_AGO, LONG_AGO))
    else:
        os.utime(files[0], (LONG_AGO, LONG_AGO + 5))
    for fresh in (cache, PictureCache(place, PLENTY, DETAIL)):
        assert fresh.picture(files[0]).tobytes() == expected(files[0])
    assert decoded == [files[0]] * 2 and len(entries(place)) == 1


def test_a_change_that_size_and_time_do_not_tell_is_seen(files, place):
    cache = PictureCache(place, PLENTY, DETAIL)
    cache.picture(files[0])
    path = Path(files[0])
    content = bytearray(path.read_bytes())
    content[2000] ^= 64
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert cache.picture(files[0]).tobytes() == expected(files[0])


def test_a_file_that_changes_while_it_is_decoded_is_not_kept(files, place, monkeypatch):
    def changing(path, detail):
        image = decode_detail(path, detail)
        os.utime(path, (LONG_AGO, LONG_AGO + 7))
        return image

    monkeypatch.setattr(picture_cache, "decode_detail", changing)
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    assert entries(place) == []


def test_what_another_decoder_gave_is_not_taken(files, place, decoded, monkeypatch):
    for change in ("VERSION", None):
        PictureCache(place, PLENTY, DETAIL).picture(files[0])
        if change:
            monkeypatch.setattr(picture_cache, change, 0)
    assert len(decoded) == 2
    monkeypatch.setattr(
        ImageFile, "LOAD_TRUNCATED_IMAGES", True
    )  # by a program that wants half a picture, too
    cut = Path(files[1])
    cut.write_bytes(cut.read_bytes()[:-3000])
    os.utime(cut, (LONG_AGO, LONG_AGO))
    before = entries(place)
    PictureCache(place, PLENTY, DETAIL).picture(files[1])
    assert entries(place) == before


def test_a_file_that_may_still_change_unseen_is_not_kept(files, place):
    os.utime(files[0])
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    assert entries(place) == []


def test_small_files_are_not_worth_it(place, tmp_path):
    path = photograph(tmp_path / "small.png", (40, 40))
    os.utime(path, (LONG_AGO, LONG_AGO))
    PictureCache(place, PLENTY, DETAIL).picture(str(path))
    assert path.stat().st_size < picture_cache.SMALLEST and entries(place) == []


def test_another_detail_is_another_picture(files, place):
    for detail in (DETAIL, replace(DETAIL, side=30), replace(DETAIL, interpolation="bicubic"), None):
        for _ in range(2):
            found = PictureCache(place, PLENTY, detail).picture(files[0])
            assert found.tobytes() == expected(files[0], detail)
    assert len(entries(place)) == 4


@pytest.mark.parametrize("content", [b"text", b"", None], ids=["no picture", "empty", "gone"])
def test_what_cannot_be_read_is_told_as_without_a_cache(place, tmp_path, content):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadablePictureError) as with_cache:
        PictureCache(place, PLENTY, DETAIL).picture(str(path))
    with pytest.raises(UnreadablePictureError) as without:
        decode_detail(str(path), DETAIL)
    assert str(with_cache.value) == str(without.value)
    assert entries(place) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_entry_is_mended(files, tmp_path_factory, data):
    place = tmp_path_factory.mktemp("damaged")
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    (entry,) = entries(place)
    whole = entry.read_bytes()
    how = data.draw(st.sampled_from(["flip", "cut", "other"]))
    if how == "flip":
        at = data.draw(st.integers(0, len(whole) - 1))
        entry.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    elif how == "cut":
        entry.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        entry.write_bytes(whole[:8] + data.draw(st.binary(max_size=200)))
    assert PictureCache(place, PLENTY, DETAIL).picture(files[0]).tobytes() == expected(files[0])
    assert entry.read_bytes() == whole


def test_damage_is_seen_also_by_who_has_seen_it_whole(files, place):
    cache = PictureCache(place, PLENTY, DETAIL)
    cache.picture(files[0])
    cache.picture(files[0])
    (entry,) = entries(place)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-9] + bytes(9))
    assert cache.picture(files[0]).tobytes() == expected(files[0])
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_of_ours_is_not_opened(files, place, kind, tmp_path):
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    (entry,) = entries(place)
    entry.rename(tmp_path / "elsewhere")
    if kind == "link":
        entry.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(entry)
    assert PictureCache(place, PLENTY, DETAIL).picture(files[0]).tobytes() == expected(files[0])
    assert entry.is_file() and not entry.is_symlink()


def test_entries_of_others_are_not_believed(files, place, decoded, monkeypatch):
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    monkeypatch.setattr(picture_cache.os, "getuid", lambda: 12345)
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    assert len(decoded) == 2


def test_a_folder_in_the_place_of_an_entry_does_no_harm(files, place):
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    (entry,) = entries(place)
    entry.unlink()
    entry.mkdir()
    assert PictureCache(place, PLENTY, DETAIL).picture(files[0]).tobytes() == expected(files[0])


def aged(place, seconds):
    for entry in entries(place):
        then = entry.stat().st_mtime - seconds
        os.utime(entry, (then, then))


LIMIT = 10 * ENTRY
"""Eight and three quarters are kept, and one may be written before it is looked again."""


def test_what_was_used_longest_ago_makes_room(tmp_path, place, decoded):
    files = pictures(tmp_path, 16)
    for path in files[:8]:
        PictureCache(place, PLENTY, DETAIL).picture(path)
    aged(place, 10_000)
    for path in files[:3]:  # used once more, by a training a while ago
        PictureCache(place, LIMIT, DETAIL).picture(path)
    aged(place, 100)
    cache = PictureCache(place, LIMIT, DETAIL)
    for path in files[8:13]:
        cache.picture(path)
    assert size(place) <= LIMIT
    decoded.clear()
    later = PictureCache(place, LIMIT, DETAIL)
    for path in [*files[:3], *files[8:13]]:
        later.picture(path)
    assert decoded == [], "what was used last has stayed"
    later.picture(files[3])
    assert decoded == [files[3]]


def test_a_training_never_loses_what_it_uses_itself(tmp_path, place, decoded):
    files = pictures(tmp_path, 16)
    cache = PictureCache(place, LIMIT, DETAIL)
    for _ in range(3):
        for path in files:
            assert cache.picture(path).tobytes() == expected(path)
    assert size(place) <= cache.limit
    kept = len(entries(place))
    assert kept >= 8 and len(decoded) == 16 + 2 * (16 - kept)


def test_a_picture_that_is_too_large_keeps_no_other_out(tmp_path, place):
    path = photograph(tmp_path / "large.jpg", (3000, 400))
    os.utime(path, (LONG_AGO, LONG_AGO))
    cache = PictureCache(place, LIMIT, DETAIL)
    cache.picture(str(path))
    assert entries(place) == []
    cache.picture(pictures(tmp_path, 1)[0])
    assert len(entries(place)) == 1


def test_no_room_at_all(files, place):
    for limit in (0, 100):
        cache = PictureCache(place, limit, DETAIL)
        assert [cache.picture(path).tobytes() for path in files] == [expected(path) for path in files]
    assert entries(place) == []


def test_what_is_somebody_elses_stays(tmp_path, place):
    """Whatever a user has in a folder that he names."""
    others = [
        place / "ab" / "thesis.pdf",
        place / "letters" / "a.part",
        place / "00" / ("f" * 29),
        place / "notes",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(50_000))
        os.utime(path, (LONG_AGO, LONG_AGO))
    cache = PictureCache(place, LIMIT, DETAIL)
    for path in pictures(tmp_path, 16):
        cache.picture(path)
    assert all(path.exists() for path in others)


def test_training_and_validation_keep_to_the_limit_together(tmp_path, place):
    files = pictures(tmp_path, 40)
    limit = 20 * ENTRY
    caches = [PictureCache(place, limit, DETAIL, writers=2) for _ in range(2)]
    for number, path in enumerate(files):
        caches[number % 2].picture(path)
    assert limit * 0.8 < size(place) <= limit


def test_what_is_used_all_the_time_is_not_what_was_used_longest_ago(files, place):
    cache = PictureCache(place, PLENTY, DETAIL)
    cache.picture(files[0])
    aged(place, 2000)  # it has trained for a while
    (entry,) = entries(place)
    cache.picture(files[0])
    assert time.time() - entry.stat().st_mtime < 100


def test_a_time_to_come_is_no_use(tmp_path, place):
    files = pictures(tmp_path, 16)
    first = PictureCache(place, PLENTY, DETAIL)
    for path in files[:10]:
        first.picture(path)
    aged(place, -100_000)
    cache = PictureCache(place, LIMIT, DETAIL)
    for path in files[10:]:
        cache.picture(path)
    assert size(place) <= LIMIT


def test_what_killed_processes_left_is_removed(files, place):
    PictureCache(place, PLENTY, DETAIL).picture(files[0])
    (entry,) = entries(place)
    old, new = (entry.with_name(f"{entry.name}.{n * 8}.part") for n in "ab")
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (LONG_AGO, LONG_AGO))
    PictureCache(place, PLENTY, DETAIL).picture(files[1])
    assert not old.exists() and new.exists()


def test_a_disk_that_takes_nothing_costs_nothing(files, place, monkeypatch):
    place.write_text("a file where a folder should be")
    cache = PictureCache(place / "below", PLENTY, DETAIL)
    assert [cache.picture(path).tobytes() for path in files] == [expected(path) for path in files]


def test_a_disk_that_fills_up_leaves_nothing_half(files, place):
    cache = PictureCache(place, PLENTY, DETAIL)
    cache.picture(files[0])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ENTRY // 2, before[1]))
    try:
        assert cache.picture(files[1]).tobytes() == expected(files[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(entries(place)) == 1
    cache.picture(files[2])
    assert len(entries(place)) == 1, "it is not tried again in this training"


READ_ALL = """
import hashlib, random, sys
from pathlib import Path
from discerna.images.detail import Detail
from discerna.images.picture_cache import PictureCache
place, seed, *files = sys.argv[1:]
cache = PictureCache(Path(place), 10**8, Detail(60, longest=False, interpolation="bilinear"))
order = files * 3
random.Random(seed).shuffle(order)
for path in order:
    print(path, hashlib.sha256(cache.picture(path).tobytes()).hexdigest())
"""


def test_many_processes_share_one(files, place):
    command = [sys.executable, "-c", READ_ALL, str(place)]
    started = [
        subprocess.Popen([*command, str(seed), *files], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    wanted = {f"{path} {hashlib.sha256(expected(path)).hexdigest()}" for path in files}
    for process in started:
        told, _ = process.communicate()
        assert process.returncode == 0 and set(told.splitlines()) == wanted
    assert len(entries(place)) == 8


def test_many_threads_share_one(files, place):
    cache = PictureCache(place, PLENTY, DETAIL)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.picture, files * 5))
    assert [image.tobytes() for image in found] == [expected(path) for path in files] * 5
    assert len(entries(place)) == 8


def test_a_worker_that_is_not_forked_gets_it_whole(files, place, decoded):
    cache = pickle.loads(pickle.dumps(PictureCache(place, PLENTY, DETAIL)))
    cache.picture(files[0])
    cache.picture(files[0])
    assert decoded == [files[0]]
