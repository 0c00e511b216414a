import os
from pathlib import Path

import pytest

from discerna.errors import OutputError
from discerna.images import cache_choice
from discerna.images.cache_choice import GIB, choose_cache
from discerna.settings.loading import TrainLoadingSettings


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.delenv("DISCERNA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache_choice.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setattr(cache_choice, "_file_system", lambda folder: "ext4")


def chosen(cache="auto", cache_gib="auto"):
    return choose_cache(
        TrainLoadingSettings(
            workers="auto", nested=False, on_bad="skip", max_bad=0.01, cache=cache, cache_gib=cache_gib
        )
    )


def test_the_users_cache_folder_by_default(tmp_path):
    place, choice = chosen()
    assert place.folder == tmp_path / "home" / "discerna" / "pictures"
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert choice.value == "on"
    assert choice.reason.startswith("later epochs and trainings find pictures decoded: up to ")
    assert choice.reason.endswith(f" GiB in {place.folder}")


def test_off(monkeypatch):
    assert chosen("off")[0] is None
    monkeypatch.setenv("DISCERNA_CACHE", "off")
    place, choice = chosen()
    assert place is None and (choice.value, choice.reason) == ("off", "DISCERNA_CACHE")


def test_a_directory(tmp_path, monkeypatch):
    own = Path(f"discerna-{os.getuid()}", "pictures")
    assert chosen(tmp_path / "mine")[0].folder == tmp_path / "mine" / own
    monkeypatch.setenv("DISCERNA_CACHE", str(tmp_path / "everyones"))
    assert chosen()[0].folder == tmp_path / "everyones" / own
    assert chosen(tmp_path / "mine")[0].folder == tmp_path / "mine" / own, "what is typed wins"


def test_a_directory_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "cache"
    with pytest.raises(OutputError, match=r"the cache cannot be written: .*loading.cache=off"):
        chosen(place)
    monkeypatch.setenv("DISCERNA_CACHE", str(place))
    found, choice = chosen()
    assert found is None and choice.reason == f"DISCERNA_CACHE={place} cannot be written"


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("which", ["pictures", "discerna-UID"])
def test_a_place_that_others_can_write_is_not_trusted(tmp_path, mode, which):
    folder = chosen(tmp_path / "mine")[0].folder
    (folder if which == "pictures" else folder.parent).chmod(mode)
    with pytest.raises(OutputError):
        chosen(tmp_path / "mine")


@pytest.mark.parametrize("system", ["nfs4", "lustre", "sshfs", "tmpfs"])
def test_no_cache_on_the_disk_of_another_machine_nor_in_memory(tmp_path, monkeypatch, system):
    home = tmp_path / "home"
    monkeypatch.setattr(
        cache_choice, "_file_system", lambda folder: system if home in folder.parents else "ext4"
    )
    assert chosen()[0].folder.is_relative_to(tmp_path / "temporary")
    assert chosen(home / "typed")[0].folder.is_relative_to(home / "typed"), "who names one knows"
    monkeypatch.setattr(cache_choice, "_file_system", lambda folder: system)
    place, choice = chosen()
    assert place is None and f"is on {system}; loading.cache=DIR" in choice.reason


def test_a_home_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("")
    assert chosen()[0].folder.is_relative_to(tmp_path / "temporary")
    monkeypatch.setattr(cache_choice.tempfile, "gettempdir", lambda: str(tmp_path / "home"))
    place, choice = chosen()
    assert place is None and "cannot be written" in choice.reason


def test_no_home_and_no_temporary_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.setattr(
        cache_choice.tempfile, "gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError("no place"))
    )
    place, choice = chosen()
    assert place is None and choice.reason == "no place; loading.cache=DIR names a place"


def test_a_folder_of_somebody_else_in_the_temporary_folder_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("")
    monkeypatch.setattr(cache_choice.os, "getuid", lambda: 12345)
    (tmp_path / "temporary" / "discerna-12345").mkdir(parents=True)
    assert chosen()[0] is None


def test_how_much_it_may_take(tmp_path, monkeypatch):
    assert chosen(cache_gib=2.5)[0].limit == int(2.5 * GIB)

    def free(size):
        monkeypatch.setattr(
            cache_choice.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": size})
        )

    free(8 * GIB)
    assert chosen()[0].limit == 2 * GIB
    free(1000 * GIB)
    assert chosen()[0].limit == cache_choice.MOST
    free(0)
    folder = chosen()[0].folder / "00"
    folder.mkdir()
    (folder / "entry").write_bytes(bytes(4000))
    assert chosen()[0].limit == 4000 * 16 // 4, "what a cache holds already can be used again"


def test_the_file_system_of_a_folder(monkeypatch, tmp_path):
    monkeypatch.undo()
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /mnt/a nfs4 rw 0 0\nm /mnt/a\\040b tmpfs rw 0 0\n"
    mounts += "host:/ /mnt/c fuse.sshfs rw 0 0\nbad\n"
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: mounts)
    for folder, system in [
        ("/mnt/a/x", "nfs4"),
        ("/mnt/ab", "ext4"),
        ("/mnt/a b/c", "tmpfs"),
        ("/", "ext4"),
        ("/mnt/c/d", "sshfs"),
    ]:
        assert cache_choice._file_system(Path(folder)) == system
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: (_ for _ in ()).throw(OSError()))
    assert cache_choice._file_system(tmp_path) == ""
