import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import check_labels
from discerna.directories.manifests import read_manifest
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError
from listed_pictures import pairs, plant
from picture_sets import write_pictures


@pytest.fixture
def root(tmp_path):
    return plant(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")


def refusal(error, path, setting="train_data"):
    with pytest.raises(error) as caught:
        ImageDirectory.open(path, setting=setting)
    assert type(caught.value) is error
    return str(caught.value)


def manifest(root, text, name="labels.csv", encoding="utf-8"):
    path = root / name
    path.write_bytes(text.encode(encoding))
    return path


# --- what is found


def test_csv(root, caplog):
    caplog.set_level(logging.INFO, "discerna")
    path = manifest(root, "file,label\nsub/c.jpg,dog\nb.jpg,cat\na.jpg,dog\n")
    data = ImageDirectory.open(path, setting="train_data")
    assert pairs(data) == [("b.jpg", "cat"), ("a.jpg", "dog"), ("sub/c.jpg", "dog")]
    assert (data.root, data.place, data.labels) == (root, path, ("cat", "dog"))
    assert data.path(2) == str(root / "sub" / "c.jpg")
    assert data.counts() == {"cat": 1, "dog": 2}
    assert [data.label_index(i) for i in range(3)] == [0, 1, 1]
    assert caplog.messages == [
        "train_data: 3 pictures, 2 labels (manifest: labels.csv has the columns file, label)"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "\ufefffile,label\r\na.jpg,cat\r\nb.jpg,dog\r\n"),
        ("labels.csv", "id;Image_Path ; Class\n1;a.jpg;cat\n2;b.jpg;dog\n"),
        ("labels.CSV", 'label,note,path\ncat,"two\nlines, a comma",a.jpg\n\ndog,,./b.jpg,\n'),
        ("labels.tsv", "filename\tcategory\na.jpg\tcat\nb.jpg\tdog"),
        (
            "labels.jsonl",
            '{"file_name": "a.jpg", "label": "cat"}\r\n\n{"label": "dog", "file_name": "sub/../b.jpg"}',
        ),
        (
            "labels.jsonl",
            '{"image": "a.jpg"}\n{"image": "a.jpg", "label": "cat"}\n{"image": "b.jpg", "label": "dog"}',
        ),
    ],
)
def test_every_form_of_table(root, name, text):
    data = ImageDirectory.open(manifest(root, text, name))
    assert pairs(data) == [("a.jpg", "cat"), ("b.jpg", "dog")]


def test_spreadsheets_write_utf_16(root):
    path = manifest(root, "\ufefffile\tlabel\na.jpg\tžluť\nb.jpg\t写真\n", encoding="utf-16-le")
    assert ImageDirectory.open(path).labels == ("žluť", "写真")


def test_labels_are_as_written(root):
    labels = ["007", "NA", "null", "1e5", "cat ", "1.0", "True", "a'b", "写真"]
    plant(root, *(f"{i}.png" for i in range(len(labels))))
    text = "file,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))
    assert ImageDirectory.open(manifest(root, text)).labels == tuple(sorted(labels))
    text = '{"file": "a.jpg", "label": 7}\n{"file": "b.jpg", "label": 1.0}\n{"file": "sub/c.jpg", "label": true}\n'
    assert ImageDirectory.open(manifest(root, text, "labels.jsonl")).labels == ("1.0", "7", "true")


def test_the_first_of_several_columns_counts(root):
    text = "image,label_name,label,path\nx,one,1,a.jpg\ny,two,2,b.jpg\n"
    data = ImageDirectory.open(manifest(root, text))
    assert pairs(data) == [("a.jpg", "1"), ("b.jpg", "2")]
    assert str(data.layout) == "manifest: labels.csv has the columns path, label"


def test_pictures_anywhere_on_the_disk(root):
    lists = root / "lists"
    lists.mkdir()
    plant(root, "lists/d.jpg", "lists/e.jpg")
    text = f"file,label\n../a.jpg,cat\n{root}/b.jpg,dog\n{lists}/d.jpg,dog\ne.jpg,cat\n"
    data = ImageDirectory.open(manifest(lists, text))
    assert pairs(data) == [("../a.jpg", "cat"), ("e.jpg", "cat"), (f"{root}/b.jpg", "dog"), ("d.jpg", "dog")]
    assert all(Path(data.path(i)).exists() for i in range(4))
    assert data.path(2) == f"{root}/b.jpg"


def test_a_file_listed_twice_counts_once(root, caplog):
    caplog.set_level(logging.INFO, "discerna")
    path = manifest(root, "file,label\na.jpg,cat\n./a.jpg,cat\nb.jpg,dog\nb.jpg,\n")
    assert len(ImageDirectory.open(path)) == 2
    assert "2 rows of pictures listed before" in caplog.text


def test_every_other_row_has_a_reason(root):
    plant(root, "notes.txt", "folder.png/x")
    (root / "loop.jpg").symlink_to("loop.jpg")
    rows = [
        "a.jpg,cat",
        "b.jpg,dog",
        "gone.jpg,cat",
        "gone.jpg,cat",
        "http://x.org/1.jpg,cat",
        "folder.png,cat",
    ]
    rows += ["notes.txt,dog", "sub/c.jpg,", "a.jpg/x.jpg,cat", "loop.jpg,cat", f"{'x' * 300}.jpg,cat"]
    rows += ["nu\0ll.jpg,cat"]
    data = ImageDirectory.open(manifest(root, "\n".join(["file,label", *rows])))
    assert pairs(data) == [("a.jpg", "cat"), ("b.jpg", "dog")]
    assert data.others == [
        ("a.jpg/x.jpg", "missing"),
        ("folder.png", "not_a_file"),
        ("gone.jpg", "missing"),
        ("http://x.org/1.jpg", "remote"),
        ("loop.jpg", "unreadable"),
        ("notes.txt", "unsupported_format"),
        ("nu\0ll.jpg", "missing"),
        ("sub/c.jpg", "no_label"),
        (f"{'x' * 300}.jpg", "unreadable"),
    ]


def test_names_that_are_no_utf_8(root):
    plant(root, os.fsdecode(b"\xff.jpg"))
    names = [("\\udcff.jpg", "cat"), ("\\ud800.jpg", "x"), ("b.jpg", "dog")]
    text = "\n".join(f'{{"file": "{name}", "label": "{label}"}}' for name, label in names)
    data = ImageDirectory.open(manifest(root, text, "labels.jsonl"))
    assert os.fsencode(data.path(0)) == os.fsencode(root) + b"/\xff.jpg"
    assert [reason for _, reason in data.others] == ["missing"]


def test_the_fingerprint_tells_labels(root):
    prints = set()
    for labels in ("cat cat dog", "cat dog dog", "cat cat owl"):
        one, two, three = labels.split()
        text = f"file,label\na.jpg,{one}\nb.jpg,{two}\nsub/c.jpg,{three}\n"
        prints.add(ImageDirectory.open(manifest(root, text)).fingerprint())
    assert len(prints) == 3


# --- a directory that holds one


def test_a_directory_with_a_manifest(root, caplog):
    caplog.set_level(logging.INFO, "discerna")
    manifest(root, "file,label\na.jpg,cat\nsub/c.jpg,dog\n")
    manifest(root, "x,y\n1,2\n", "other.csv")
    data = ImageDirectory.open(root, setting="train_data")
    assert pairs(data) == [("a.jpg", "cat"), ("sub/c.jpg", "dog")]
    assert data.others == [("b.jpg", "no_label"), ("other.csv", "unsupported_format")]
    assert "(manifest: labels.csv has the columns file, label)" in caplog.text


def test_label_folders_go_before_a_manifest(tmp_path):
    plant(tmp_path, "cat/1.jpg", "dog/1.jpg")
    manifest(tmp_path, "file,label\ncat/1.jpg,x\ndog/1.jpg,y\n")
    data = ImageDirectory.open(tmp_path)
    assert data.labels == ("cat", "dog")
    assert (
        str(data.layout)
        == "folders: a folder for each label; labels.csv is not used unless it is given itself"
    )
    assert data.others == [("labels.csv", "unsupported_format")]


def test_a_manifest_beside_the_parts_of_a_data_set(tmp_path):
    plant(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    manifest(tmp_path, "file,label\ntrain/1.jpg,x\ntrain/2.jpg,y\n")
    assert pairs(ImageDirectory.open(tmp_path)) == [("train/1.jpg", "x"), ("train/2.jpg", "y")]


def test_two_manifests(root):
    for name in ("one.csv", "two.csv"):
        manifest(root, "file,label\na.jpg,cat\nb.jpg,dog\n", name)
    text = refusal(InvalidDatasetError, root)
    assert text == (
        f"several files list pictures: train_data={root}; 'one.csv', 'two.csv'; "
        f"pass the one that counts: train_data={root}/one.csv or train_data={root}/two.csv"
    )
    assert ImageDirectory.open_any(root).labels == ()


def test_a_table_for_each_picture_is_no_manifest(tmp_path):
    root = plant(tmp_path, "a.jpg", "b.jpg")
    for i in range(60):
        manifest(root, "file,label\na.jpg,cat\nb.jpg,dog\n", f"{i}.csv")
    assert refusal(NotLabeledDatasetError, root).startswith("the pictures lie in no label folders")


# --- to be scored


def test_scored_with_and_without_labels(root):
    path = manifest(root, "file,label\na.jpg,cat\nb.jpg,\n")
    data = ImageDirectory.open_any(path, labels=["dog"])
    assert pairs(data) == [("b.jpg", None), ("a.jpg", "cat")]
    assert pairs(ImageDirectory.open_any(root)) == [("b.jpg", None), ("sub/c.jpg", None), ("a.jpg", "cat")]
    assert data.counts() == {"cat": 1}
    assert str(data.layout) == "manifest: labels.csv has the columns file, label"
    assert len(data.fingerprint()) == 64


def test_scored_without_a_column_of_labels(root):
    assert pairs(ImageDirectory.open_any(manifest(root, "path\nb.jpg\n"))) == [("b.jpg", None)]
    assert len(ImageDirectory.open_any(root)) == 3  # in a directory only a table with labels says anything


def test_several_places(root):
    path = manifest(root / "sub", "file,label\nc.jpg,cat\n../b.jpg,dog\n")
    other = manifest(root, "x\n1\n", "other.csv")
    plant(root, "new/d.jpg")
    data = ImageDirectory.open_any([root / "new", path, root / "a.jpg", other])
    assert pairs(data) == [("new/d.jpg", None), ("sub/c.jpg", "cat"), ("b.jpg", "dog"), ("a.jpg", None)]
    assert data.others == [("other.csv", "unsupported_format")]
    assert str(data.layout) == "several places: 3 of them"


def test_scored_with_two_labels_for_a_picture(root, caplog):
    path = manifest(root, "file,label\na.jpg,cat\na.jpg,dog\nb.jpg,dog\n")
    assert pairs(ImageDirectory.open_any(path)) == [("a.jpg", None), ("b.jpg", "dog")]
    assert "1 picture has more than one label" in caplog.text


# --- what is refused


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a.jpg,cat\nb.jpg,dog\n", "no column names the files: train_data={path}; its columns are 'a.jpg', 'cat'; a "),
        ("", "no column names the files: train_data={path}; it is empty; a header"),
        ("file,label,label\n", "the list has columns of the same name: train_data={path}; 'label'; "),
        ("file,label\n", "none of the files that are listed is a picture here: train_data={path}; it lists none; "),
        (
            "file,label\nx.jpg,cat\ny.txt,dog\n",
            "none of the files that are listed is a picture here: train_data={path}; x.jpg (missing), y.txt (missing)",
        ),
        ("file,label\na.jpg,cat\nb.jpg,cat\n", "there is only one label: train_data={path}; 'cat'; "),
        (
            "file,label\na.jpg,cat\n./a.jpg,dog\na.jpg,owl\nb.jpg,dog\n",
            "1 picture has more than one label: train_data={path}; a.jpg ('cat', 'dog', 'owl'); ",
        ),
        (
            "file,label\na,b.jpg,cat\nb.jpg,x/y\n,cat\n",
            "entries of the list cannot be used: train_data={path}; line 2 has more cells than the header, "
            "the label 'x/y' of b.jpg, which no folder can bear, line 4 names no file; mend",
        ),
        ('file,label\n"a.jpg,cat\n', "the list is damaged: train_data={path}; line 2: unexpected end of data; "),
        ('file,label\n"a"x,cat\n', "the list is damaged: train_data={path}; line 2: "),
        (f"file,label\n{'x' * 200_000},cat\n", "the list is damaged: train_data={path}; line 2: field larger than"),
    ],
)  # fmt: skip
def test_refused(root, text, start):
    path = manifest(root, text)
    assert refusal(InvalidDatasetError, path).startswith(start.format(path=path))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("file,breed\na.jpg,cat\n", "the list has no labels: train_data={path}; labels.csv has the column file, "),
        ("file,label\na.jpg,\nb.jpg,\n", "no picture of the list has a label: train_data={path}; it holds "),
    ],
)  # fmt: skip
def test_without_labels(root, text, start):
    path = manifest(root, text)
    assert refusal(NotLabeledDatasetError, path).startswith(start.format(path=path))
    assert refusal(NotLabeledDatasetError, root).startswith(start.format(path=path))  # and so by its folder


def test_faults_are_told_together(root):
    path = manifest(root, "file,label\na.jpg,cat\na.jpg,dog\nb.jpg,..\n")
    text = refusal(InvalidDatasetError, path)
    assert text.startswith("2 faults\n")
    assert "more than one label" in text and "the label '..' of b.jpg" in text


def test_broken_lines_of_json(root):
    lines = [
        '{"file": "a.jpg", "label": "cat"}',
        "[1]",
        "{",
        '{"file": "b.jpg", "label": ["x"]}',
        '{"label": "cat"}',
    ]
    text = refusal(InvalidDatasetError, manifest(root, "\n".join(lines), "labels.jsonl"))
    assert (
        "line 2 is no JSON object, line 3 is no JSON object, line 4 has no text as label, line 5 names no"
        in text
    )


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
def test_other_encodings(root, name):
    path = manifest(root, 'file,label\na.jpg,"café"\n', name, "latin-1")
    assert refusal(InvalidDatasetError, path).startswith(f"the list is no text in UTF-8: train_data={path}; ")
    path.write_bytes(b"\xff\xfef")
    assert "no text in UTF-16" in refusal(InvalidDatasetError, path)


def test_labels_that_do_not_match_name_the_manifests(root):
    train = manifest(root, "file,label\na.jpg,cat\nb.jpg,dog\n")
    valid = manifest(root, "file,label\na.jpg,cat\nb.jpg,owl\n", "valid.csv")
    with pytest.raises(InvalidDatasetError) as caught:
        check_labels(ImageDirectory.open(train), ImageDirectory.open(valid))
    assert f"valid_data={valid}" in str(caught.value)
    assert str(caught.value).endswith(f"give it exactly the labels of train_data={train}")


# --- further columns, and whatever may stand in a table


def test_further_columns(root):
    path = manifest(root, "file,patient,label\na.jpg,p1,cat\nb.jpg,p2\n")
    read = read_manifest(str(path), "data")
    assert read.columns == ["file", "patient", "label"]
    assert list(read.rows("patient")) == [(2, "a.jpg", "cat", ("p1",)), (3, "b.jpg", None, ("p2",))]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(st.sampled_from(["a.jpg", "b.jpg", "gone.jpg", "./a.jpg"]), cells), max_size=6))
def test_any_cells(rows):
    import csv

    with tempfile.TemporaryDirectory() as folder:
        root = plant(Path(folder), "a.jpg", "b.jpg")
        with open(root / "labels.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "label"), *rows])
        wanted = {}
        for name, label in rows:
            wanted.setdefault(os.path.normpath(name), set()).update({label} - {""})
        labels = {name: found for name, found in wanted.items() if name != "gone.jpg"}
        good = all(len(found) < 2 for found in labels.values()) and all(
            not any("/" in label or label in (".", "..") for label in found) for found in labels.values()
        )
        try:
            data = ImageDirectory.open(root / "labels.csv")
        except (InvalidDatasetError, NotLabeledDatasetError):
            assert not good or len({label for found in labels.values() for label in found}) < 2
            return
        assert good
        assert dict(pairs(data)) == {name: next(iter(found)) for name, found in labels.items() if found}


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.json"])
def test_a_pipe_named_like_a_list_is_not_waited_for(tmp_path, name):
    write_pictures(tmp_path / "data", {"blue": 2, "red": 2})
    os.mkfifo(tmp_path / "data" / name)
    assert len(ImageDirectory.open(tmp_path / "data")) == 4
    with pytest.raises(InvalidDatasetError):
        ImageDirectory.open(tmp_path / "data" / name)


def test_blanks_after_a_comma(tmp_path):
    write_pictures(tmp_path, {"blue": 1, "red": 1})
    (tmp_path / "list.csv").write_text("file, label\nblue/0.png, a\nred/0.png, b\n", "utf-8")
    assert ImageDirectory.open(tmp_path / "list.csv").labels == ("a", "b")


def test_a_line_without_end(tmp_path):
    (tmp_path / "list.jsonl").write_text('{"file": "a.png", "label": "a"}\n' + "x" * (1 << 20), "utf-8")
    with pytest.raises(InvalidDatasetError, match="line without end"):
        ImageDirectory.open(tmp_path / "list.jsonl")
