import logging
import os
import pickle
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discerna.directories import layout, picture_files
from discerna.directories.image_dir import PICTURE_EXTENSIONS, ImageDirectory
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError


def plant(root, *names):
    """Empty files (`a/1.png`) and folders (`a/`); names are text or bytes."""
    for name in map(os.fsdecode, names):
        path = Path(root, name)
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return root


def names(directory):
    return [directory.name(i) for i in range(len(directory))]


def refusal(error, *args, **kwargs):
    with pytest.raises(error) as caught:
        ImageDirectory.open(*args, **kwargs)
    assert type(caught.value) is error
    return str(caught.value)


# --- what is found


def test_labels_and_names_in_order(tmp_path):
    plant(tmp_path, "dog/2.png", "dog/10.png", "cat/b.JPG", "cat/a.jpeg", "Zebra/1.webp")
    data = ImageDirectory.open(tmp_path)
    assert data.root == tmp_path
    assert data.labels == ("Zebra", "cat", "dog")
    assert names(data) == ["Zebra/1.webp", "cat/a.jpeg", "cat/b.JPG", "dog/10.png", "dog/2.png"]
    assert [data.label(i) for i in range(len(data))] == ["Zebra", "cat", "cat", "dog", "dog"]
    assert [data.label_index(i) for i in range(len(data))] == [0, 1, 1, 2, 2]
    assert data.path(1) == str(tmp_path / "cat" / "a.jpeg")
    assert data.counts() == {"Zebra": 1, "cat": 2, "dog": 2}
    assert (data.ignored, data.others) == (0, [])


def test_positions_beyond_the_pictures(tmp_path):
    data = ImageDirectory.open(plant(tmp_path, "a/1.png", "b/1.png"))
    for i in (2, -1):
        with pytest.raises(IndexError):
            data.name(i)


def test_every_extension_in_any_case(tmp_path):
    plant(
        tmp_path, *(f"a/x{e}" for e in PICTURE_EXTENSIONS), *(f"b/x{e.upper()}" for e in PICTURE_EXTENSIONS)
    )
    assert ImageDirectory.open(tmp_path).counts() == dict.fromkeys("ab", len(PICTURE_EXTENSIONS))


def test_labels_are_folder_names_as_written(tmp_path):
    labels = ["007", "NA", "null", "1e5", "写真", "a b ", "x.png", "Fotoğraflar (1)", "žluté=a,b", "~", "a'b"]
    data = ImageDirectory.open(plant(tmp_path, *(f"{label}/1.png" for label in labels)))
    assert data.labels == tuple(sorted(labels))


@pytest.mark.parametrize(
    "name", ["Fotoğraflar (1)/žluté=a,b", "写真", "two\nlines", b"\xff\xfe caf\xe9", "'q\"", " "]
)
def test_awkward_names(tmp_path, name):
    raw = os.fsencode(name)
    plant(tmp_path, raw + b"/" + raw.replace(b"/", b"") + b".png", "other/1.png")
    if b"/" in raw:
        tmp_path = tmp_path / os.fsdecode(raw.split(b"/")[0])
        plant(tmp_path, "other/1.png")
    data = ImageDirectory.open(tmp_path)
    found = [i for i in range(len(data)) if data.label(i) != "other"]
    assert len(found) == 1
    i = found[0]
    assert os.fsencode(data.label(i)) == raw.split(b"/")[-1]
    assert os.fsencode(data.name(i)).endswith(raw.replace(b"/", b"") + b".png")
    assert Path(data.path(i)).exists()
    assert len(data.fingerprint()) == 64


def test_hidden_and_system_files_are_ignored_and_counted(tmp_path):
    plant(
        tmp_path,
        "cat/1.png",
        "dog/1.png",
        "cat/._1.png",
        "cat/.hidden.png",
        "cat/Thumbs.db",
        "dog/desktop.ini",
    )
    plant(
        tmp_path,
        "__MACOSX/cat/1.png",
        ".ipynb_checkpoints/1.png",
        "cat/.ipynb_checkpoints/1.png",
        ".DS_Store",
    )
    plant(tmp_path, "cat/ehthumbs.db")
    data = ImageDirectory.open(tmp_path)
    assert names(data) == ["cat/1.png", "dog/1.png"]
    assert data.ignored == 9
    assert data.others == []


def test_every_other_file_has_a_reason(tmp_path):
    plant(
        tmp_path, "cat/1.png", "dog/1.png", "loose.jpg", "README.md", "cat/notes.txt", "cat/png", "cat/x.png/"
    )
    plant(tmp_path, "cat/sub/boxes.xml")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    (tmp_path / "dog" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "dog" / "self.png").symlink_to("self.png")
    (tmp_path / "dog" / "folder.png").symlink_to(tmp_path / "cat")
    data = ImageDirectory.open(tmp_path)
    assert names(data) == ["cat/1.png", "dog/1.png"]
    assert data.others == [
        ("README.md", "unsupported_format"),
        ("cat/notes.txt", "unsupported_format"),
        ("cat/png", "unsupported_format"),
        ("cat/sub/boxes.xml", "unsupported_format"),
        ("cat/x.png", "not_a_file"),
        ("dog/folder.png", "not_a_file"),
        ("dog/gone.png", "broken_link"),
        ("dog/pipe.png", "not_a_file"),
        ("dog/self.png", "broken_link"),
        ("loose.jpg", "no_label"),
    ]


def test_links_to_label_folders_and_to_files(tmp_path):
    plant(tmp_path, "store/cat/1.png", "store/2.png", "data/dog/1.png")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "store" / "cat")
    (tmp_path / "data" / "dog" / "2.png").symlink_to(tmp_path / "store" / "2.png")
    assert names(ImageDirectory.open(tmp_path / "data")) == ["cat/1.png", "dog/1.png", "dog/2.png"]


def test_links_do_not_lead_round_in_circles(tmp_path):
    plant(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    data = ImageDirectory.open(tmp_path)
    assert len(data) == 2
    assert data.others == [("cat/up", "not_a_file")]


def test_links_that_lead_back_to_the_top(tmp_path):
    plant(tmp_path, "data/cat/1.png", "data/dog/1.png", "2.png")
    top = tmp_path / "data"
    (top / "all").symlink_to(top)
    (top / "above").symlink_to(tmp_path)
    (top / "Cat").symlink_to("cat")
    data = ImageDirectory.open_any(top)
    assert names(data) == ["above/2.png", "cat/1.png", "dog/1.png"]
    assert data.others == [("Cat", "link_loop"), ("above/data", "link_loop"), ("all", "link_loop")]
    (top / "above").unlink()
    assert names(ImageDirectory.open(top)) == ["cat/1.png", "dog/1.png"]
    (tmp_path / "same").symlink_to(top)
    assert names(ImageDirectory.open_any([top, tmp_path / "same"])) == ["data/cat/1.png", "data/dog/1.png"]


def test_network_disks_without_inodes(tmp_path, monkeypatch):
    plant(tmp_path, "cat/1.png", "dog/1.png")
    stat = os.stat

    def without(*args, **kwargs):
        found = stat(*args, **kwargs)
        return os.stat_result((found.st_mode, 0, *tuple(found)[2:10]))

    monkeypatch.setattr(picture_files.os, "stat", without)
    assert len(ImageDirectory.open(tmp_path)) == 2


def test_files_that_differ_only_in_case(tmp_path):
    plant(tmp_path, "cat/x.png", "cat/X.PNG", "dog/1.png")
    assert names(ImageDirectory.open(tmp_path)) == ["cat/X.PNG", "cat/x.png", "dog/1.png"]


def test_notices(tmp_path, caplog):
    caplog.set_level(logging.INFO, "discerna")
    plant(tmp_path, "cat/1.png", "dog/1.png", "cat/.x.png", *(f"cat/{i}.txt" for i in range(7)), "a\nb.pdf")
    ImageDirectory.open(tmp_path, setting="train_data")
    told = {record.levelname: record.getMessage() for record in caplog.records}
    assert told["INFO"].startswith(
        "train_data: 2 pictures, 2 labels (folders: a folder for each label); 1 hidden"
    )
    assert told["WARNING"].startswith(
        r"train_data: 8 files not used: a\nb.pdf (unsupported_format), cat/0.txt"
    )
    assert told["WARNING"].endswith(" … and 3 more")


@pytest.mark.parametrize("twins", [("cat", "Cat"), ("caf\u00e9", "cafe\u0301")])
def test_warning_for_labels_that_differ_only_in_case_or_encoding(tmp_path, caplog, twins):
    ImageDirectory.open(plant(tmp_path, *(f"{label}/1.png" for label in (*twins, "dog"))))
    assert "differ only in case or encoding" in caplog.text
    assert "dog" not in caplog.text


def test_fingerprint_tells_added_and_removed_files(tmp_path):
    plant(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    prints = [ImageDirectory.open(tmp_path).fingerprint()]
    (tmp_path / "a" / "2.png").unlink()
    prints.append(ImageDirectory.open(tmp_path).fingerprint())
    plant(tmp_path, "b/2.png")
    prints.append(ImageDirectory.open(tmp_path).fingerprint())
    assert len(set(prints)) == 3


def test_fingerprint_follows_names_and_labels_only(tmp_path):
    one = ImageDirectory.open(plant(tmp_path / "one", "a/1.png", "b/1.png"))
    (tmp_path / "one" / "a" / "1.png").write_bytes(b"x")
    same = ImageDirectory.open(plant(tmp_path / "same", "b/1.png", "a/1.png", "a/.hidden"))
    other = ImageDirectory.open(plant(tmp_path / "other", "a/1.png", "b/2.png"))
    unlabelled = ImageDirectory.open_any(tmp_path / "one")
    prints = [data.fingerprint() for data in (one, same, other, unlabelled)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_pickled_and_back(tmp_path):
    data = ImageDirectory.open(plant(tmp_path, "a/1.png", b"b/\xff.png", "a/x.txt"))
    again = pickle.loads(pickle.dumps(data))
    assert vars(again) == vars(data)
    assert again.path(1) == data.path(1)


def test_memory_of_100_000_files(tmp_path):
    number = 50_000
    for label in ("cat", "dog"):
        folder = tmp_path / label
        folder.mkdir()
        first = folder / "00000.png"
        first.touch()
        descriptor = os.open(folder, os.O_RDONLY)
        # links to one file are made twice as fast as files; a file system allows 65,000 of them
        for i in range(1, number):
            os.link(first, f"{i:05}.png", dst_dir_fd=descriptor)
        os.close(descriptor)
    tracemalloc.start()
    try:
        data = ImageDirectory.open(tmp_path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(data) == 2 * number
    assert kept < 2 * number * (len("cat/00000.png") + 12)
    assert peak < 2 * number * 100
    assert len(pickle.dumps(data)) < 2 * number * 30


def test_imports_neither_torch_nor_pillow():
    code = "import sys, discerna.directories.label_check; print({'torch', 'PIL', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- what is refused


def test_missing(tmp_path):
    plant(tmp_path, "train/")
    text = refusal(InvalidDatasetError, tmp_path / "trian", setting="train_data")
    assert text.startswith(f"there is no such file or directory: train_data={tmp_path}/trian; ")
    assert text.endswith("did you mean train")
    assert "does not exist or is empty" in refusal(InvalidDatasetError, tmp_path / "nowhere" / "train")


def test_link_that_leads_nowhere(tmp_path):
    (tmp_path / "train").symlink_to("nowhere")
    assert refusal(InvalidDatasetError, tmp_path / "train").startswith("this link leads nowhere: data=")


@pytest.mark.parametrize("name", ["pipe", "pipe.png"])
def test_pipe_in_place_of_a_directory_or_a_picture(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for door in (ImageDirectory.open, ImageDirectory.open_any):
        with pytest.raises(
            InvalidDatasetError, match=rf"this is a pipe or a device: data={tmp_path}/{name}; "
        ):
            door(tmp_path / name, setting="data")


def test_file_in_place_of_a_directory(tmp_path):
    plant(tmp_path, "train.zip")
    text = refusal(InvalidDatasetError, tmp_path / "train.zip", setting="train_data")
    assert text.startswith(f"this is a file, not a directory: train_data={tmp_path}/train.zip; ")


def test_empty(tmp_path):
    assert refusal(InvalidDatasetError, tmp_path, setting="valid_data").startswith(
        f"there are no files in it: valid_data={tmp_path}; pictures end with .avif .bmp"
    )
    plant(tmp_path, ".DS_Store", "Thumbs.db")
    assert "; only 2 hidden or system files; " in refusal(InvalidDatasetError, tmp_path)


def test_no_pictures(tmp_path):
    plant(tmp_path, "cat/1.psd", "cat/2.psd", "dog/1.svg", "README")
    text = refusal(InvalidDatasetError, tmp_path)
    assert text.startswith(f"there are no pictures in it: data={tmp_path}; it holds .psd (2)")
    assert ".svg (1)" in text
    assert "no extension (1)" in text


def test_model_directory(tmp_path):
    plant(tmp_path, "manifest.json", "model.json")
    text = refusal(InvalidDatasetError, tmp_path, setting="train_data")
    assert text.startswith(f"this is a model directory, not an image directory: train_data={tmp_path}; ")
    assert text.endswith("pass a model directory as model=")


@pytest.mark.parametrize("broken", [layout.Path, None])
def test_not_readable(tmp_path, monkeypatch, broken):
    plant(tmp_path, "cat/1.png", "dog/1.png")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # patched, since the superuser reads everything
    if broken:
        monkeypatch.setattr(broken, "stat", refuse)
    else:
        monkeypatch.setattr(picture_files.os, "scandir", refuse)
    text = refusal(InvalidDatasetError, tmp_path, setting="train_data")
    assert text.startswith(f"it cannot be read: train_data={tmp_path}; Permission denied; ")


def close(monkeypatch, name):
    """Make folders of this name unreadable."""
    scandir = os.scandir

    def refuse(path):
        if path.endswith(os.fsencode(f"/{name}")):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(picture_files.os, "scandir", refuse)


def test_label_folder_that_is_not_readable(tmp_path, monkeypatch):
    plant(tmp_path, "cat/1.png", "dog/1.png", "fox/1.png")
    close(monkeypatch, "fox")
    text = refusal(InvalidDatasetError, tmp_path)
    assert text == f"label folders cannot be read: data={tmp_path}; 'fox'; check their permissions"


def test_folder_in_a_label_folder_that_is_not_readable(tmp_path, monkeypatch):
    plant(tmp_path, "cat/1.png", "dog/1.png", "dog/old/1.png")
    close(monkeypatch, "old")
    assert ImageDirectory.open(tmp_path).others == [("dog/old", "unreadable")]


def test_no_label_folders(tmp_path):
    plant(tmp_path, "b.png", "a.png", "notes/list.txt")
    text = refusal(NotLabeledDatasetError, tmp_path, setting="train_data")
    assert text.startswith(f"the pictures lie in no label folders: train_data={tmp_path}; ")
    assert "it holds 2 pictures directly, such as a.png" in text
    assert f"move each into a folder named after its label: {tmp_path}/<label>/a.png" in text
    assert text.endswith("; or list them in a .csv file with the columns file and label")


def test_one_level_too_deep(tmp_path):
    plant(tmp_path, "flowers/rose/1.png", "flowers/lily/1.png", "README.md")
    text = refusal(NotLabeledDatasetError, tmp_path, setting="train_data")
    assert text.startswith(f"the label folders lie one level too deep: train_data={tmp_path}; ")
    assert "'flowers/lily', 'flowers/rose'" in text
    assert text.endswith(f"; use train_data={tmp_path}/flowers")


def test_one_level_too_deep_with_several_choices(tmp_path):
    plant(tmp_path, "garden/rose/1.png", "field/rose/1.png")
    text = refusal(NotLabeledDatasetError, tmp_path, setting="train_data")
    assert text.endswith(f"; use train_data={tmp_path}/field or train_data={tmp_path}/garden")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("train", "valid"), [("train", "val"), ("Training", "validation")])
def test_the_parent_of_the_parts(tmp_path, train, valid, nested):
    plant(tmp_path, f"{train}/rose/1.png", f"{valid}/rose/1.png", "test/rose/1.png", "README.md", "docs/")
    plant(tmp_path, "new/1.png")
    for setting in ("train_data", "valid_data"):
        text = refusal(NotLabeledDatasetError, tmp_path, setting=setting, nested=nested)
        assert text.startswith(
            f"this directory holds the parts of a data set, not labels: {setting}={tmp_path}; '"
        )
        assert text.endswith(f"; pass train_data={tmp_path}/{train} valid_data={tmp_path}/{valid}")
    text = refusal(NotLabeledDatasetError, tmp_path, nested=nested)
    assert f"data={tmp_path}/test or data={tmp_path}/{valid}" in text
    assert len(ImageDirectory.open_any(tmp_path, labels=["rose"], nested=nested)) == 4


def test_parts_without_label_folders(tmp_path):
    text = refusal(NotLabeledDatasetError, plant(tmp_path, "train/1.png", "test/1.png"))
    assert text.startswith("this directory holds the parts of a data set, not labels")


def test_labels_that_are_called_like_parts(tmp_path):
    plant(tmp_path, "train/1.png", "bus/1.png", "test/1.png")
    assert ImageDirectory.open(tmp_path).labels == ("bus", "test", "train")


def test_several_levels_too_deep(tmp_path):
    plant(tmp_path, "a/b/rose/1.png", "a/b/lily/1.png")
    text = refusal(NotLabeledDatasetError, tmp_path)
    assert text.startswith("the label folders lie too deep: ")
    assert text.endswith(f"; use data={tmp_path}/a/b")


def test_folders_with_pictures_in_label_folders(tmp_path):
    plant(tmp_path, "cat/1.png", "cat/more/2.png", "dog/1.png", "fox/x/y/1.png")
    text = refusal(InvalidDatasetError, tmp_path, setting="valid_data")
    assert text.startswith(
        f"label folders hold folders with pictures: valid_data={tmp_path}; 'cat/more', 'fox/x/y'; "
    )
    assert "without a picture" not in text
    assert text.endswith(
        "; pass loading.nested=true where the label is the top folder, or move the pictures up into it"
    )


def test_nested(tmp_path):
    plant(tmp_path, "cat/1.png", "cat/a/b/2.png", "cat/a.png", "dog/x/1.png", "loose.png")
    data = ImageDirectory.open(tmp_path, nested=True)
    assert names(data) == ["cat/1.png", "cat/a.png", "cat/a/b/2.png", "dog/x/1.png"]
    assert data.counts() == {"cat": 3, "dog": 1}
    assert data.others == [("loose.png", "no_label")]
    assert str(data.layout) == "folders: the label is the top folder"


def test_nested_label_folders_without_a_picture(tmp_path):
    text = refusal(InvalidDatasetError, plant(tmp_path, "cat/a/1.png", "dog/b/1.png", "fox/a/"), nested=True)
    assert text.startswith(f"label folders without a picture: data={tmp_path}; 'fox'; ")


def test_nested_to_be_scored(tmp_path):
    plant(tmp_path, "cat/a/1.png", "dog/1.png")
    assert ImageDirectory.open_any(tmp_path, labels=["cat"]).labels == ()
    assert ImageDirectory.open_any(tmp_path, labels=["cat"], nested=True).counts() == {"cat": 1, "dog": 1}


def test_label_folders_without_a_picture(tmp_path):
    plant(tmp_path, "cat/1.png", "dog/1.png", "fox/", "owl/1.psd")
    text = refusal(InvalidDatasetError, tmp_path)
    assert text.startswith(f"label folders without a picture: data={tmp_path}; 'fox', 'owl'; ")


def test_one_label(tmp_path):
    text = refusal(InvalidDatasetError, plant(tmp_path, "cat/1.png"), setting="train_data")
    assert text.startswith(f"there is only one label: train_data={tmp_path}; 'cat'; at least two labels")


def test_several_faults_are_told_together(tmp_path):
    plant(tmp_path, "cat/1.png", "cat/more/1.png", "fox/")
    text = refusal(InvalidDatasetError, tmp_path)
    assert text.startswith("2 faults")
    assert "'cat/more'" in text
    assert "'fox'" in text


# --- any layout, to be scored


def test_any_flat_and_nested(tmp_path):
    plant(tmp_path, "b.png", "a/2.png", "a/x/y/1.png", "a/x.txt", ".hidden.png")
    data = ImageDirectory.open_any(tmp_path, labels=["a"])
    assert names(data) == ["b.png", "a/2.png", "a/x/y/1.png"]
    assert data.labels == ()
    assert {data.label(i) for i in range(3)} == {None}
    assert [data.label_index(i) for i in range(3)] == [-1] * 3
    assert data.counts() == {}
    assert (data.ignored, data.others) == (1, [("a/x.txt", "unsupported_format")])


def test_any_one_file(tmp_path):
    plant(tmp_path, "a/2.png", "a/3.png")
    data = ImageDirectory.open_any(tmp_path / "a" / "2.png", labels=["a"])
    assert (names(data), data.root, data.label(0)) == (["2.png"], tmp_path / "a", None)


def test_any_labelled(tmp_path):
    plant(tmp_path, "a/1.png", "b/1.png", "empty/", "notes.txt")
    data = ImageDirectory.open_any(tmp_path, labels=["b", "c"])
    assert data.labels == ("a", "b")
    assert [data.label(i) for i in range(2)] == ["a", "b"]


@pytest.mark.parametrize("spoiler", ["loose.png", "a/deeper/1.png"])
def test_any_is_unlabelled_unless_the_shape_is_exact(tmp_path, spoiler):
    plant(tmp_path, "a/1.png", "b/1.png", spoiler)
    assert ImageDirectory.open_any(tmp_path, labels=["a", "b"]).labels == ()


def test_any_is_unlabelled_when_no_folder_is_a_label_of_the_model(tmp_path):
    plant(tmp_path, "2024-05/1.png", "2024-06/1.png")
    assert ImageDirectory.open_any(tmp_path, labels=["cat", "dog"]).labels == ()


def test_any_list_of_labelled_directories(tmp_path):
    plant(tmp_path, "day2/dog/1.png", "day1/cat/1.png", "day1/dog/1.png", "day2/cat/1.png")
    data = ImageDirectory.open_any([tmp_path / "day2", tmp_path / "day1"], labels=["cat"])
    assert data.root == tmp_path
    assert data.labels == ("cat", "dog")
    assert names(data) == ["day2/cat/1.png", "day2/dog/1.png", "day1/cat/1.png", "day1/dog/1.png"]
    assert [data.label(i) for i in range(4)] == ["cat", "dog", "cat", "dog"]
    assert data.counts() == {"cat": 2, "dog": 2}
    assert all(Path(data.path(i)).exists() for i in range(4))


def test_any_list_of_files_and_directories_uses_each_once(tmp_path):
    plant(tmp_path, "new/1.png", "new/sub/2.png", "old/3.png", "old/4.txt")
    given = [
        tmp_path / "old" / "3.png",
        tmp_path / "new",
        tmp_path / "new" / "sub",
        tmp_path / "new" / "1.png",
    ]
    data = ImageDirectory.open_any([*given, *given, tmp_path / "old" / "4.txt"])
    assert names(data) == ["old/3.png", "new/1.png", "new/sub/2.png"]
    assert data.others == [("old/4.txt", "unsupported_format")]


def test_any_relative_paths(tmp_path, monkeypatch):
    plant(tmp_path, "new/1.png")
    monkeypatch.chdir(tmp_path)
    data = ImageDirectory.open_any("new")
    assert data.path(0) == str(tmp_path / "new" / "1.png")


@pytest.mark.parametrize(
    ("paths", "start"),
    [
        ([], "no pictures are given: data=[]"),
        ("nowhere", "there is no such file or directory: data=nowhere"),
        (["new", "nowhere.png"], "there is no such file or directory: data=nowhere.png"),
        ("empty", "there are no files in it: data=empty"),
        ("text", "there are no pictures in it: data=text; it holds .txt (1)"),
        ("text/a.txt", "there are no pictures in it: data=text/a.txt; it holds .txt (1)"),
        ("model", "this is a model directory"),
    ],
)
def test_any_refuses(tmp_path, monkeypatch, paths, start):
    plant(tmp_path, "new/1.png", "empty/", "text/a.txt", "model/manifest.json", "model/model.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidDatasetError) as caught:
        ImageDirectory.open_any(paths)
    assert str(caught.value).startswith(start)


# --- every file found is accounted for

files = st.sampled_from(
    ["1.png", "2.JPG", "x.txt", "noext", ".hidden", "Thumbs.db", "._3.png", "a b.gif", "é.webp"]
)
folders = st.sampled_from(["cat", "dog", "x.png", "__MACOSX", ".git", "deep"])
paths = st.lists(folders, max_size=3).flatmap(lambda above: files.map(lambda name: "/".join([*above, name])))


def visible(name):
    *above, leaf = name.split("/")
    return not any(folder.startswith(".") or folder == "__MACOSX" for folder in above) and not (
        leaf.startswith(".") or leaf == "Thumbs.db"
    )


@settings(max_examples=100, deadline=None)
@given(st.sets(paths, max_size=12))
def test_found_is_used_ignored_or_listed(tree):
    with tempfile.TemporaryDirectory() as root:
        plant(root, *tree)
        found = {name for name in tree if visible(name)}
        try:
            data = ImageDirectory.open_any(root)
        except InvalidDatasetError:
            assert not any(Path(name).suffix.lower() in PICTURE_EXTENSIONS for name in found)
            return
        used = names(data)
        others = [name for name, reason in data.others if reason != "not_a_file"]
        assert sorted([*used, *others]) == sorted(found)
        if not any("__MACOSX" in name or ".git" in name for name in tree):
            assert len(tree) == len(used) + len(others) + data.ignored
        try:
            labelled = ImageDirectory.open(root)
        except (InvalidDatasetError, NotLabeledDatasetError):
            return
        others = [name for name, reason in labelled.others if reason != "not_a_file"]
        assert sorted([*names(labelled), *others]) == sorted(found)
        assert labelled.ignored == data.ignored
