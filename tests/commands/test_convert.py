"""`discerna convert`: any archive or layout becomes a labelled directory, and nothing else on the disk changes."""

import bz2
import gzip
import io
import json
import logging
import lzma
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

import discerna
from discerna import cli
from discerna.archives import archive as archives
from discerna.archives import limits
from discerna.commands.convert import run
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import DatasetError, InvalidDatasetError, NotLabeledDatasetError, OutputError
from discerna.settings.build import build
from discerna.settings.convert import ConvertSettings
from picture_sets import write_pictures

FLOWERS = {"rose/1.jpg": b"r1", "rose/2.jpg": b"r2", "lily/1.jpg": b"l1"}


def convert(given, output, **more):
    plain = {"input": given, "output": output, "link": "auto", "overwrite": False, **more}
    return run(build(ConvertSettings, plain))


def tree(root):
    """Every file and folder below, hidden ones too, with what it holds."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        kind = path.lstat().st_mode
        name = str(path.relative_to(root))
        found[name] = path.read_bytes() if stat.S_ISREG(kind) else f"{stat.S_IFMT(kind):o}"
    return found


def pictures(root):
    """The files of a converted directory but for its record."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in Path(root).rglob("*")
        if path.is_file() and path.name != ".convert.jsonl"
    }


def record(root):
    return [json.loads(line) for line in (root / ".convert.jsonl").read_text("ascii").splitlines()]


def write(root, files):
    for name, content in files.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


# --- every format, told by content


@pytest.mark.parametrize(
    "make",
    [
        lambda path: zipped(path, FLOWERS, zipfile.ZIP_STORED),
        lambda path: zipped(path, FLOWERS, zipfile.ZIP_DEFLATED),
        lambda path: zipped(path, FLOWERS, zipfile.ZIP_BZIP2),
        lambda path: zipped(path, FLOWERS, zipfile.ZIP_LZMA),
        lambda path: tarred(path, FLOWERS),
        lambda path: tarred(path, FLOWERS, "w:gz"),
        lambda path: tarred(path, FLOWERS, "w:bz2"),
        lambda path: tarred(path, FLOWERS, "w:xz"),
    ],
    ids=["stored", "deflated", "zip-bzip2", "zip-lzma", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
@pytest.mark.parametrize("name", ["flowers.bin", "flowers.zip", "flowers.tar.gz", "flowers"])
def test_every_format_under_any_name(tmp_path, make, name):
    made = make(tmp_path / name)
    result = convert(made, tmp_path / "out")
    assert pictures(tmp_path / "out") == FLOWERS
    assert (result.pictures, result.labels) == (3, ("lily", "rose"))
    assert result.parts == {"": {"lily": 1, "rose": 2}}
    assert sorted(os.listdir(tmp_path)) == sorted([name, "out"])
    assert ImageDirectory.open(tmp_path / "out").labels == ("lily", "rose")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this file is empty"),
        (b"hello" * 200, "this is no archive"),
        (gzip.compress(b"hello" * 200, mtime=0), "one file compressed by gzip"),
        (bz2.compress(b"hello" * 200), "one file compressed by bzip2"),
        (lzma.compress(b"hello"), "one file compressed by xz"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(600), "this is a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(600), "this is a RAR archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "compressed by zstd"),
        (gzip.compress(b"hello" * 200, mtime=0)[:12], "damaged or cut short"),
        (b"PK\3\4" + bytes(600), "damaged or cut short"),
        (bytes(10240), "there are no pictures in it: input=.*it holds no files"),
    ],
)
def test_what_is_no_archive(tmp_path, content, message):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InvalidDatasetError, match=message):
        convert(tmp_path / "a.zip", tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.zip"]


def test_an_input_that_is_missing(tmp_path):
    zipped(tmp_path / "flowers.zip", FLOWERS)
    with pytest.raises(InvalidDatasetError, match=r"did you mean flowers.zip"):
        convert(tmp_path / "flower.zip", tmp_path / "out")


# --- hostile archives


@pytest.fixture
def yard(tmp_path):
    """A folder to work in, with files around it that nothing may touch."""
    write(tmp_path, {"precious.jpg": b"mine", "rose/1.jpg": b"mine", "in/keep.txt": b"mine"})
    return tmp_path / "in"


def refuses_to_leave(yard, source):
    before = tree(yard.parent)
    result = convert(source, yard / "out")
    after = tree(yard.parent)
    new = {name for name in after if after[name] != before.get(name)}
    assert all(name == "in/out" or name.startswith("in/out/") for name in new)
    assert {name: after[name] for name in before} == before
    assert not [path for path in (yard / "out").rglob("*") if path.is_symlink()]
    return result


OUTSIDE = [
    "../evil.jpg",
    "rose/../../evil.jpg",
    "../../precious.jpg",
    "rose/..",
    "..\\evil.jpg",
    "a\\..\\..\\e.jpg",
]
ABSOLUTE = ["/tmp/discerna-evil.jpg", "//evil.jpg", "C:/evil.jpg", "C:evil.jpg", "c:\\evil.jpg", "\\evil.jpg"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out(yard, pack):
    wild = {name: b"evil" for name in [*OUTSIDE, *ABSOLUTE]}
    result = refuses_to_leave(yard, pack(yard / "a", {**wild, **FLOWERS}))
    assert pictures(yard / "out") == FLOWERS
    assert result.left_out == {"leads_outside": len(OUTSIDE), "absolute_path": len(ABSOLUTE)}
    assert {line["left_out"] for line in record(yard / "out")[-12:]} >= {
        "../evil.jpg",
        "/tmp/discerna-evil.jpg",
    }
    assert "6 leads_outside: '../evil.jpg'" in result.summary()
    assert not Path("/tmp/discerna-evil.jpg").exists()


def test_links_and_devices_in_a_tar(yard):
    target = str(yard.parent)
    with tarfile.open(yard / "a.tar", "w") as tar:
        for name, content in FLOWERS.items():
            tar.addfile(member(name, size=2), io.BytesIO(content))
        tar.addfile(member("out", tarfile.SYMTYPE, target))
        tar.addfile(member("out/evil.jpg", size=1), io.BytesIO(b"e"))  # through the link
        tar.addfile(member("rose/link.jpg", tarfile.SYMTYPE, "../../../../precious.jpg"))
        tar.addfile(member("rose/hard.jpg", tarfile.LNKTYPE, f"{target}/precious.jpg"))
        tar.addfile(member("rose/hard2.jpg", tarfile.LNKTYPE, "rose/1.jpg"))
        tar.addfile(member("rose/device.jpg", tarfile.CHRTYPE))
        tar.addfile(member("rose/block.jpg", tarfile.BLKTYPE))
        tar.addfile(member("rose/pipe.jpg", tarfile.FIFOTYPE))
    result = refuses_to_leave(yard, yard / "a.tar")
    assert pictures(yard / "out") == {**FLOWERS, "out/evil.jpg": b"e"}  # a folder of its own
    assert result.left_out == {"link": 4, "not_a_file": 3}


def test_links_and_devices_in_a_zip(yard):
    with zipfile.ZipFile(yard / "a.zip", "w") as archive:
        for name, content in FLOWERS.items():
            archive.writestr(name, content)
        for name, kind in [
            ("rose/link.jpg", stat.S_IFLNK),
            ("rose/pipe.jpg", stat.S_IFIFO),
            ("d.jpg", stat.S_IFCHR),
        ]:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, "../../../precious.jpg")
    result = refuses_to_leave(yard, yard / "a.zip")
    assert pictures(yard / "out") == FLOWERS
    assert result.left_out == {"link": 1, "not_a_file": 2}


def test_awkward_members(yard):
    long, deep = "x" * 252 + ".jpg", "/".join("d" * 70) + ".jpg"
    files = {
        **FLOWERS,
        long: b"",
        deep: b"",
        "rose/1.jpg/below.jpg": b"a picture cannot be a folder",
        "__MACOSX/rose/._1.jpg": b"x",
        "rose/.DS_Store": b"x",
        "rose/Thumbs.db": b"x",
        "more.ZIP": b"PK",
        "a/inner.tar.gz": b"x",
        "notes.md": b"x",
        "rose/box.xml": b"x",
        "README": b"x",
        "./lily//2.jpg": b"l2",
        "写真/žluté = a,b.jpg": b"w",
        "lily/new\nline.jpg": b"n",
    }
    result = refuses_to_leave(yard, tarred(yard / "a", files))
    kept = {"lily/2.jpg": b"l2", "写真/žluté = a,b.jpg": b"w", "lily/new\nline.jpg": b"n"}
    assert pictures(yard / "out") == {**FLOWERS, **kept}
    assert result.left_out == {
        "name_too_long": 2,
        "name_conflict": 1,
        "nested_archive": 2,
        "unsupported_format": 3,
    }
    summary = result.summary()
    assert ".md 1, .xml 1, no extension 1" in summary
    assert "3 hidden or system files" in summary and "unpack them yourself" in summary


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_name_twice_keeps_the_first(tmp_path, form):
    path = tmp_path / "a"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for content in ("first", "later"):
                archive.writestr("rose/1.jpg", content)
    else:
        with tarfile.open(path, "w") as tar:
            for content in (b"first", b"later"):
                tar.addfile(member("rose/1.jpg", size=5), io.BytesIO(content))
    assert convert(path, tmp_path / "out").left_out == {"duplicate_name": 1}
    assert pictures(tmp_path / "out") == {"rose/1.jpg": b"first"}


def test_names_that_differ_in_case_are_both_kept(tmp_path, caplog):
    files = {"rose/a.jpg": b"1", "rose/A.JPG": b"2", "Rose/a.jpg": b"3"}
    convert(zipped(tmp_path / "a", files), tmp_path / "out")
    assert pictures(tmp_path / "out") == files
    assert "differ only in case" in caplog.text


def test_names_in_other_encodings(tmp_path):
    raw = os.fsdecode(b"caf\xe9/\xff.jpg")
    convert(tarred(tmp_path / "a.tar", {raw: b"1", "b/2.jpg": b"2"}), tmp_path / "tar")
    assert pictures(tmp_path / "tar") == {raw: b"1", "b/2.jpg": b"2"}
    assert record(tmp_path / "tar")[2]["from"] == raw
    zipped(tmp_path / "a.zip", {"cafXX/1.jpg": b"1", "b\\2.jpg": b"2"})
    data = (tmp_path / "a.zip").read_bytes().replace(b"cafXX", "café".encode())  # UTF-8 that does not say so
    (tmp_path / "a.zip").write_bytes(data)
    convert(tmp_path / "a.zip", tmp_path / "zip")
    assert pictures(tmp_path / "zip") == {"café/1.jpg": b"1", "b/2.jpg": b"2"}


def test_a_zero_byte_in_a_name(tmp_path):
    zipped(tmp_path / "a.zip", {**FLOWERS, "rose/1.jpgX.png": b"x"})
    path = tmp_path / "a.zip"
    path.write_bytes(path.read_bytes().replace(b"1.jpgX.png", b"1.jpg\0.png"))
    assert convert(path, tmp_path / "out").left_out == {"nul_in_name": 1}
    assert pictures(tmp_path / "out") == FLOWERS


@pytest.fixture
def small_bombs(monkeypatch):
    """The same rules at a size that tests can afford."""
    monkeypatch.setattr(limits, "HARMLESS", 2**20)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: zipped(path, {**FLOWERS, "rose/bomb.jpg": bytes(8 << 20)}),
        lambda path: tarred(path, {**FLOWERS, "rose/bomb.jpg": bytes(8 << 20)}, "w:gz"),
        lambda path: tarred(path, {**FLOWERS, "junk.bin": bytes(8 << 20)}, "w:gz"),
        lambda path: tarred(path, {**FLOWERS, "rose/bomb.jpg": bytes(8 << 20)}, "w:bz2"),
        lambda path: tarred(path, {**FLOWERS, "rose/bomb.jpg": bytes(8 << 20)}, "w:xz"),
        lambda path: path.write_bytes(gzip.compress(tarred(path, FLOWERS).read_bytes() + bytes(8 << 20))),
    ],
    ids=["zip", "gz", "gz-not-a-picture", "bz2", "xz", "after-the-end"],
)
def test_bombs(yard, small_bombs, make):
    make(yard / "a")
    before = tree(yard.parent)
    with pytest.raises(InvalidDatasetError, match=r"zip bomb.*200 times"):
        convert(yard / "a", yard / "out")
    assert tree(yard.parent) == before


def test_a_bomb_is_refused_before_it_is_large(tmp_path, small_bombs, monkeypatch):
    written = []
    write_bytes = os.write
    monkeypatch.setattr(os, "write", lambda file, data: written.append(len(data)) or write_bytes(file, data))
    zipped(tmp_path / "a", {"rose/bomb.jpg": bytes(64 << 20)})
    with pytest.raises(InvalidDatasetError, match=r"zip bomb"):
        convert(tmp_path / "a", tmp_path / "out")
    assert sum(written) < 14 << 20


def overlapping(path, count=50):
    """Many entries of the table over one content, as in David Fifield's bombs."""
    content = zlib.compress(bytes(100_000))[2:-4]
    name, crc = b"rose/000.jpg", zlib.crc32(bytes(100_000))
    local = (
        struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(content), 100_000, len(name), 0)
        + name
    )
    table = b"".join(
        struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(content), 100_000, len(name),
                    0, 0, 0, 0, 0, 0) + b"rose/%03d.jpg" % number
        for number in range(count)
    )  # fmt: skip
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(table), len(local) + len(content), 0)
    path.write_bytes(local + content + table + end)
    return path


def test_members_that_share_their_bytes(yard):
    source = overlapping(yard / "a")
    before = tree(yard.parent)
    with pytest.raises(InvalidDatasetError, match=r"zip bomb.*lie over one another"):
        convert(source, yard / "out")
    assert tree(yard.parent) == before


def test_a_zip_in_several_files(tmp_path):
    data = bytearray(zipped(tmp_path / "a.zip", FLOWERS).read_bytes())
    data[data.rfind(b"PK\5\6") + 4] = 2
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InvalidDatasetError, match=r"one part of an archive in several files.*zip -s 0"):
        convert(tmp_path / "a.zip", tmp_path / "out")


def changed(path, offset, value):
    """Set a field in the headers of every member: at the same place behind both of its signatures."""
    data = bytearray(path.read_bytes())
    for magic, skip in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            data[start + offset + skip] = value
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (6, 1, "the archive is encrypted: .*'rose/1.jpg'"),
        (8, 9, "compression that is not read here.*method 9"),
    ],
)
def test_zips_that_only_others_can_read(tmp_path, offset, value, message):
    changed(zipped(tmp_path / "a.zip", FLOWERS), offset, value)
    with pytest.raises(InvalidDatasetError, match=message):
        convert(tmp_path / "a.zip", tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_archives_that_are_cut_short(yard, form, share):
    files = {f"rose/{n}.jpg": os.urandom(3000) for n in range(20)} | FLOWERS
    path = yard / "a"
    zipped(path, files) if form == "zip" else tarred(path, files, f"w:{form[4:]}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    before = tree(yard.parent)
    with pytest.raises(InvalidDatasetError, match=r"damaged or cut short"):
        convert(path, yard / "out")
    assert tree(yard.parent) == before


def test_a_tar_cut_between_two_members(tmp_path):
    """The standard library takes it for the end."""
    data = tarred(tmp_path / "a", FLOWERS).read_bytes()
    (tmp_path / "a").write_bytes(data[:2048])
    with pytest.raises(InvalidDatasetError, match=r"it has no end mark"):
        convert(tmp_path / "a", tmp_path / "out")
    (tmp_path / "a").write_bytes(data[:1024] + b"garbage!" * 64 + data[1536:])
    with pytest.raises(InvalidDatasetError, match=r"it has no end mark"):
        convert(tmp_path / "a", tmp_path / "out")


def test_a_damaged_member_of_a_zip_is_listed(tmp_path):
    zipped(tmp_path / "a.zip", {**FLOWERS, "rose/bad.jpg": b"CONTENT"}, zipfile.ZIP_STORED)
    path = tmp_path / "a.zip"
    path.write_bytes(path.read_bytes().replace(b"CONTENT", b"CHANGED"))
    assert convert(path, tmp_path / "out").left_out == {"damaged": 1}
    assert pictures(tmp_path / "out") == FLOWERS


def test_a_damaged_gzip_stream(tmp_path):
    data = bytearray(tarred(tmp_path / "a", FLOWERS, "w:gz").read_bytes())
    data[-6] ^= 0xFF  # its checksum
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InvalidDatasetError, match=r"damaged or cut short.*CRC"):
        convert(tmp_path / "a", tmp_path / "out")


def test_headers_that_lie(tmp_path):
    huge = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=1 << 40).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "long").write_bytes(huge + bytes(10240))
    with pytest.raises(InvalidDatasetError, match=r"a header is longer"):
        convert(tmp_path / "long", tmp_path / "out")
    minus = bytearray(member("rose/1.jpg").tobuf(tarfile.GNU_FORMAT))
    minus[124:136] = b"\xff" * 12  # -1
    minus[148:156] = b"%06o\0 " % (256 + sum(minus[:148]) + sum(minus[156:512]))
    (tmp_path / "minus").write_bytes(bytes(minus) + bytes(10240))
    with pytest.raises(InvalidDatasetError, match=r"damaged or cut short"):
        convert(tmp_path / "minus", tmp_path / "out")
    far = member("rose/1.jpg", size=1 << 50).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "far").write_bytes(far + bytes(10240))
    with pytest.raises(InvalidDatasetError, match=r"damaged or cut short"):
        convert(tmp_path / "far", tmp_path / "out")


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
def test_a_sparse_file_is_not_filled(tmp_path):
    write(tmp_path / "data", FLOWERS)
    with open(tmp_path / "data" / "rose" / "huge.bmp", "wb") as file:
        file.truncate(1 << 33)
    subprocess.run(["tar", "-S", "-cf", tmp_path / "a.tar", "-C", tmp_path / "data", "."], check=True)
    assert convert(tmp_path / "a.tar", tmp_path / "out").left_out == {"sparse_file": 1}
    assert pictures(tmp_path / "out") == FLOWERS


def test_too_many_members(tmp_path, monkeypatch):
    for module in (
        archives,
        sys.modules["discerna.archives.zip_archive"],
        sys.modules["discerna.archives.unpacking"],
    ):
        monkeypatch.setattr(module, "MOST_MEMBERS", 5)
    files = {f"rose/{n}.jpg": b"" for n in range(9)}
    for pack in (zipped, tarred):
        with pytest.raises(InvalidDatasetError, match=r"too many members.*5 at most"):
            convert(pack(tmp_path / "a", files), tmp_path / "out")


def test_a_disk_without_room(tmp_path, monkeypatch):
    class Disk:
        free = limits.RESERVE + (40 << 20)

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk)
    noise = {**FLOWERS, "rose/large.jpg": os.urandom(41 << 20)}
    with pytest.raises(
        OutputError, match=r"no room.*43 MB or more are needed"
    ):  # the table tells it beforehand
        convert(zipped(tmp_path / "a", noise, zipfile.ZIP_STORED), tmp_path / "out")
    Disk.free = limits.RESERVE
    with pytest.raises(OutputError, match=r"no room"):
        convert(tarred(tmp_path / "a", FLOWERS), tmp_path / "out")
    assert os.listdir(tmp_path) == ["a"]


# --- what lies in it


@pytest.mark.parametrize(
    "wrap",
    ["flowers/", "flowers/flowers/", "deep/er/and deeper/"],
)
def test_wrapping_folders_are_passed(tmp_path, wrap):
    files = {f"{wrap}{name}": content for name, content in FLOWERS.items()}
    files |= {"__MACOSX/x": b"", ".DS_Store": b"", "flowers.md": b"words beside the wrapping folder"}
    result = convert(zipped(tmp_path / "a", files), tmp_path / "out")
    assert pictures(tmp_path / "out") == FLOWERS
    assert result.left_out == {"unsupported_format": 1}
    assert {(line["file"], line["from"]) for line in record(tmp_path / "out")[1:4]} == {
        (name, f"{wrap}{name}") for name in FLOWERS
    }


def test_a_single_folder_of_pictures_is_a_label(tmp_path, caplog):
    result = convert(zipped(tmp_path / "a", {"x/rose/1.jpg": b"1", "x/rose/2.jpg": b"2"}), tmp_path / "out")
    assert pictures(tmp_path / "out") == {"rose/1.jpg": b"1", "rose/2.jpg": b"2"}
    assert result.labels == ("rose",) and "only one label" in caplog.text


def test_pictures_without_labels(tmp_path, caplog):
    files = {"1.jpg": b"1", "2.PNG": b"2", "a.txt": b"x"}
    result = convert(zipped(tmp_path / "a", files), tmp_path / "out")
    assert pictures(tmp_path / "out") == {"1.jpg": b"1", "2.PNG": b"2"}
    assert result.labels == () and "have no labels" in caplog.text
    assert "converted 2 pictures, no labels" in result.summary()


def test_a_picture_beside_label_folders_has_no_label(tmp_path):
    for source in (
        zipped(tmp_path / "a", {**FLOWERS, "x.jpg": b""}),
        write(tmp_path / "d", {**FLOWERS, "x.jpg": b""}),
    ):
        result = convert(source, tmp_path / "out", overwrite=True)
        assert pictures(tmp_path / "out") == FLOWERS and result.left_out == {"no_label": 1}


def test_folders_below_a_label_join_it(tmp_path):
    files = {
        "rose/1.jpg": b"1",
        "rose/a/1.jpg": b"2",
        "rose/b/c/1.jpg": b"3",
        "rose/a/2.jpg": b"4",
        "lily/x/9.jpg": b"5",
    }
    result = convert(tarred(tmp_path / "a", files), tmp_path / "out")
    assert pictures(tmp_path / "out") == {
        "rose/1.jpg": b"1", "rose/1-a.jpg": b"2", "rose/1-b-c.jpg": b"3", "rose/2.jpg": b"4", "lily/9.jpg": b"5"
    }  # fmt: skip
    assert result.renamed == 2 and "2 pictures whose name was taken: 'rose/1-a.jpg'" in result.summary()
    origin = {line["file"]: line["from"] for line in record(tmp_path / "out")[1:]}
    assert origin["rose/1-b-c.jpg"] == "rose/b/c/1.jpg"


def test_a_mark_that_is_taken_too(tmp_path):
    files = {"rose/1.jpg": b"1", "rose/1-a.jpg": b"2", "rose/a/1.jpg": b"3", f"rose/{'n' * 251}.jpg": b"4"}
    files[f"rose/é{'m' * 90}/{'n' * 251}.jpg"] = b"5"
    convert(tarred(tmp_path / "a", {**files, "lily/1.jpg": b""}), tmp_path / "out")
    found = pictures(tmp_path / "out")
    assert sorted(found.values()) == [b"", b"1", b"2", b"3", b"4", b"5"]
    assert found["rose/1-2.jpg"] == b"3"


def test_label_folders_too_deep_are_not_guessed(tmp_path):
    files = {"one/rose/1.jpg": b"1", "two/lily/1.jpg": b"2"}
    with pytest.raises(
        NotLabeledDatasetError, match=rf"too deep: input={tmp_path}/a; .*'one/rose', 'two/lily'"
    ):
        convert(zipped(tmp_path / "a", files), tmp_path / "out")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("train", "valid"), [("train", "valid"), ("Train", "val"), ("training", "validation")]
)
@pytest.mark.parametrize("wrap", ["", "flowers/"])
def test_train_and_valid_are_kept_apart(tmp_path, train, valid, wrap):
    files = {f"{train}/{name}": content for name, content in FLOWERS.items()}
    files |= {f"{valid}/rose/1.jpg": b"v", f"{valid}/lily/1.jpg": b"w", "test/1.jpg": b"t"}
    source = zipped(tmp_path / "a", {f"{wrap}{name}": content for name, content in files.items()})
    result = convert(source, tmp_path / "out")
    assert pictures(tmp_path / "out") == files
    assert set(result.parts) == {train, valid, "test"}
    assert f"train_data={tmp_path}/out/{train} valid_data={tmp_path}/out/{valid}" in result.summary()
    write(tmp_path / "d", files)
    convert(tmp_path / "d", tmp_path / "out2")
    assert pictures(tmp_path / "out2") == files


def test_labels_that_are_called_train_and_test(tmp_path):
    files = {"train/1.jpg": b"a locomotive", "test/1.jpg": b"a pupil"}
    assert convert(zipped(tmp_path / "a", files), tmp_path / "out").labels == ("test", "train")


def test_several_archives_become_one(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    zipped(folder / "one.zip", FLOWERS)
    tarred(folder / "two.tgz", {"flowers/rose/1.jpg": b"t1", "flowers/rose/3.jpg": b"t3"}, "w:gz")
    tarred(folder / "empty.tar", {"a.md": b""})
    write(folder, {"notes.txt": b"x", ".hidden.zip": b"PK"})
    result = convert(folder, tmp_path / "out")
    assert pictures(tmp_path / "out") == {**FLOWERS, "rose/1-two.jpg": b"t1", "rose/3.jpg": b"t3"}
    lines = {line["file"]: line for line in record(tmp_path / "out") if "file" in line}
    assert lines["rose/1-two.jpg"] == {
        "file": "rose/1-two.jpg",
        "from": "flowers/rose/1.jpg",
        "archive": "two.tgz",
    }
    assert result.left_out == {"unsupported_format": 1, "no_pictures": 1}


def test_archives_called_train_and_valid(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    zipped(folder / "train.zip", FLOWERS)
    tarred(folder / "valid.tar.gz", {"valid/rose/1.jpg": b"v", "valid/lily/1.jpg": b"w"}, "w:gz")
    assert set(convert(folder, tmp_path / "out").parts) == {"train", "valid"}
    zipped(folder / "more.zip", FLOWERS)
    with pytest.raises(InvalidDatasetError, match=r"some of the archives hold parts.*'more.zip'"):
        convert(folder, tmp_path / "out2")


def test_nothing_usable_is_exit_code_1(tmp_path, discerna):
    zipped(tmp_path / "a.zip", {"a.md": b"", "b.md": b"", "x/c.zip": b""})
    done = discerna("convert", "input=a.zip", "output=out", code=1)
    assert (
        "no pictures in it" in done.stderr and "2 unsupported_format: .md 2; 1 nested_archive" in done.stderr
    )
    assert os.listdir(tmp_path) == ["a.zip"]


# --- directories


def test_a_directory_is_linked(tmp_path):
    source = write(tmp_path / "in", {f"wrap/{name}": content for name, content in FLOWERS.items()})
    before = tree(source)
    (source / "wrap" / "rose" / "3.jpg").symlink_to("1.jpg")
    convert(source, tmp_path / "out")
    out = tmp_path / "out"
    assert pictures(out) == {**FLOWERS, "rose/3.jpg": b"r1"}
    assert (out / "rose" / "1.jpg").samefile(source / "wrap" / "rose" / "1.jpg")
    assert not (out / "rose" / "3.jpg").is_symlink()
    convert(source, tmp_path / "copy", link="copy")
    assert pictures(tmp_path / "copy") == pictures(out)
    assert (tmp_path / "copy" / "rose" / "1.jpg").stat().st_nlink == 1
    (source / "wrap" / "rose" / "3.jpg").unlink()
    assert tree(source) == before


def test_where_no_hard_link_can_be_made(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    source = write(tmp_path / "in", FLOWERS)
    monkeypatch.setattr(os, "link", refuse)
    convert(source, tmp_path / "out")
    assert pictures(tmp_path / "out") == FLOWERS
    convert(zipped(tmp_path / "a", FLOWERS), tmp_path / "unpacked")
    assert pictures(tmp_path / "unpacked") == FLOWERS
    with pytest.raises(OutputError, match=r"hard link cannot be made.*cross-device.*link=copy"):
        convert(source, tmp_path / "hard", link="hard")
    assert not (tmp_path / "hard").exists()


def test_empty_label_folders_and_unreadable_pictures_are_listed(tmp_path):
    source = write(tmp_path / "in", FLOWERS)
    (source / "tulip").mkdir()
    (source / "rose" / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(source / "rose" / "pipe.jpg")
    result = convert(source, tmp_path / "out")
    assert result.left_out == {"empty_folder": 1, "broken_link": 1, "not_a_file": 1}
    assert pictures(tmp_path / "out") == FLOWERS


class Listed:
    """A directory whose pictures a file lists, as far as convert looks at one."""

    def __init__(self, root, rows):
        self.root, self.rows = Path(root), rows
        self.labels = tuple(sorted({label for _, label in rows}))
        self.ignored, self.others = 0, []

    def __len__(self):
        return len(self.rows)

    def name(self, i):
        return self.rows[i][0]

    def path(self, i):
        return str(self.root / self.rows[i][0])

    def label(self, i):
        return self.rows[i][1]

    def fingerprint(self):
        return "listed"


def listing(monkeypatch, rows):
    monkeypatch.setattr(ImageDirectory, "open", lambda path, setting: Listed(path, rows))


def test_a_list_in_an_archive_cannot_name_files_outside_of_it(tmp_path, monkeypatch):
    secret = write(tmp_path, {"secret.jpg": b"mine"}) / "secret.jpg"
    up = os.path.relpath(secret, tmp_path / ".discerna-convert-x" / "unpacked" / "0")
    rows = [
        ("rose/1.jpg", "a"),
        ("lily/1.jpg", "b"),
        (str(secret), "a"),
        (up, "b"),
        ("rose/../lily/1.jpg", "a"),
    ]
    listing(monkeypatch, rows)
    result = convert(zipped(tmp_path / "a", FLOWERS), tmp_path / "out")
    assert pictures(tmp_path / "out") == {"a/1.jpg": b"r1", "b/1.jpg": b"l1", "a/1-rose-..-lily.jpg": b"l1"}
    assert result.left_out == {"leads_outside": 2}
    listing(monkeypatch, rows[:3])  # a list in a directory of one's own may
    convert(write(tmp_path / "in", FLOWERS), tmp_path / "out2")
    assert pictures(tmp_path / "out2")["a/secret.jpg"] == b"mine"


@pytest.mark.parametrize("label", ["a/b", ".", "..", "", "x" * 256, ".hidden", "__MACOSX", "nul\0"])
def test_labels_that_no_folder_can_bear(tmp_path, monkeypatch, label):
    listing(monkeypatch, [("rose/1.jpg", label), ("lily/1.jpg", "good")])
    with pytest.raises(InvalidDatasetError, match=r"cannot be the names of folders.*rename them"):
        convert(write(tmp_path / "in", FLOWERS), tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]


def test_names_that_would_not_be_found_again(tmp_path, monkeypatch):
    listing(monkeypatch, [("rose/.1.jpg", "a"), ("rose/1.data", "b"), ("lily/1.jpg", "b"), ("gone.jpg", "a")])
    result = convert(
        write(tmp_path / "in", {**FLOWERS, "rose/.1.jpg": b"", "rose/1.data": b""}), tmp_path / "out"
    )
    assert result.left_out == {"hidden_name": 1, "unsupported_format": 1, "unreadable": 1}
    assert pictures(tmp_path / "out") == {"b/1.jpg": b"l1"}
    assert not (tmp_path / "out" / "a").exists()  # a label folder without a picture would be a fault


# --- the output


def test_an_output_that_exists(tmp_path):
    source = zipped(tmp_path / "a.zip", FLOWERS)
    out = tmp_path / "out"
    convert(source, out)
    with pytest.raises(OutputError, match=r"overwrite=true"):
        convert(source, out)
    zipped(source, {"rose/9.jpg": b"9", "lily/9.jpg": b"9"})
    convert(source, out, overwrite=True)
    assert pictures(out) == {"rose/9.jpg": b"9", "lily/9.jpg": b"9"}
    write(out, {"rose/mine.jpg": b"precious"})
    with pytest.raises(OutputError, match=r"replaces what an earlier convert wrote, and nothing else"):
        convert(source, out, overwrite=True)
    assert (out / "rose" / "mine.jpg").exists()
    with pytest.raises(OutputError):
        convert(source, write(tmp_path / "other", FLOWERS), overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "other", "out"]


def test_an_output_in_the_input(tmp_path):
    with pytest.raises(OutputError, match=r"lies in an input directory"):
        convert(write(tmp_path / "in", FLOWERS), tmp_path / "in" / "out")


def test_a_working_folder_that_is_not_ours(tmp_path):
    source = zipped(tmp_path / "a.zip", FLOWERS)
    victim = write(tmp_path / "victim", {"x": b"precious"})
    from discerna.conversion import working_folder

    with working_folder.working_folder(tmp_path / "out", None) as working:
        with pytest.raises(OutputError, match=r"another convert is making this output"):
            convert(source, tmp_path / "out")
        place = working.path
    place.symlink_to(victim)
    with pytest.raises(OutputError):
        convert(source, tmp_path / "out")
    assert tree(victim) == {"x": b"precious"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "directory"])
def test_kill_9_and_again(tmp_path, kind):
    files = {f"{label}/{n}.jpg": os.urandom(700) for label in ("rose", "lily") for n in range(1500)}
    source = tmp_path / "source"
    if kind == "directory":
        write(source, files)
    else:
        zipped(source, files) if kind == "zip" else tarred(source, files, "w:gz")
    command = [sys.executable, "-m", "discerna", "convert", f"input={source}", f"output={tmp_path / 'out'}"]
    killed = 0
    for wanted in (300, 1900):
        more = ["link=copy"] if kind == "directory" else []
        process = subprocess.Popen(
            [*command, *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        while process.poll() is None:
            if sum(len(names) for _, _, names in os.walk(tmp_path)) - 3000 * (kind == "directory") > wanted:
                process.kill()
                break
            time.sleep(0.005)
        out, err = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        assert not (tmp_path / "out").exists()
        killed += 1
    else:
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        out, err = done.stdout, done.stderr
    assert killed and "going on with an earlier call" in err
    assert pictures(tmp_path / "out") == files
    assert "converted 3000 pictures, 2 labels" in out
    assert len(record(tmp_path / "out")) == 3001
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]


def test_another_input_does_not_go_on(tmp_path, monkeypatch):
    source, out = zipped(tmp_path / "a.zip", FLOWERS), tmp_path / "out"

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("discerna.commands.convert.put", interrupt)
        with pytest.raises(KeyboardInterrupt):
            convert(source, out)
    assert len(os.listdir(tmp_path)) == 2  # what is done so far stays
    zipped(source, {"rose/other.jpg": b"o", "lily/other.jpg": b"o"})
    convert(source, out)
    assert pictures(out) == {"rose/other.jpg": b"o", "lily/other.jpg": b"o"}
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "out"]


def test_no_torch(tmp_path):
    zipped(tmp_path / "a.zip", FLOWERS)
    script = (
        "import sys; from discerna.cli import main\n"
        "assert main(['convert', 'input=a.zip', 'output=out']) == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert not set(done.stdout.splitlines()[-1].split()) & {"torch", "lightning", "numpy", "PIL"}


def test_from_python(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    zipped(tmp_path / "a.zip", FLOWERS)
    result = discerna.convert(input=tmp_path / "a.zip", output=tmp_path / "out")
    assert result.pictures == 3 and result.output == tmp_path / "out"
    assert f"next  discerna check data={tmp_path}/out" in result.summary()
    with pytest.raises(DatasetError):
        discerna.convert(input=tmp_path / "none", output=tmp_path / "out2", link="copy")


# --- any tree

PART = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=12
).filter(lambda text: not text.startswith((".", "__")) and text.strip())
TREES = st.dictionaries(
    st.tuples(PART, PART).map(lambda names: f"{names[0]}/{names[1]}.jpg"),
    st.binary(max_size=40),
    min_size=1,
    max_size=12,
)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=TREES, form=st.sampled_from(["zip", "tar", "tar.gz"]), wrap=st.sampled_from(["", "data/", "a/b/"])
)
def test_any_tree_comes_out_as_it_went_in(tmp_path, files, form, wrap):
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    packed = {f"{wrap}{name}": content for name, content in files.items()}
    path = tmp_path / "a"
    zipped(path, packed) if form == "zip" else tarred(path, packed, f"w:{form[4:]}")
    result = convert(path, tmp_path / "out")
    assert pictures(tmp_path / "out") == files
    assert result.pictures == len(files) and not result.left_out
    assert sorted(os.listdir(tmp_path)) == ["a", "out"]


def test_an_input_in_the_output_is_not_deleted(tmp_path, capsys):
    source = tmp_path / "source"
    write_pictures(source / "train", {"blue": 2, "red": 2})
    write_pictures(source / "valid", {"blue": 1, "red": 1})
    assert cli.main(["convert", f"input={source}", f"output={tmp_path}/out"]) == 0
    typed = ["convert", f"input={tmp_path}/out/train", f"output={tmp_path}/out", "overwrite=true"]
    assert cli.main(typed) == 1
    assert "an input lies in the output" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6


def test_an_archive_does_not_decide_which_file_is_read(tmp_path, capsys):
    for name in ("/dev/zero", "../../x.lst"):
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr("_meta.yaml", f"type: ImageDirectory\nimage_list: {name}\n")
            archive.writestr("a/1.png", b"x")
        assert cli.main(["convert", f"input={tmp_path}/evil.zip", f"output={tmp_path}/out"]) == 1
        assert "the list lies elsewhere" in capsys.readouterr().err
