import json
import logging

import pytest

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError
from listed_pictures import coco, pairs, plant

IMAGES = {1: "a.jpg", 2: "b.jpg", "3": "c.jpg"}
NAMES = {7: "dog", 9: "cat", 11: "never"}


@pytest.fixture
def root(tmp_path):
    return plant(tmp_path, "a.jpg", "b.jpg", "c.jpg")


def refusal(error, path):
    with pytest.raises(error) as caught:
        ImageDirectory.open(path)
    assert type(caught.value) is error
    return str(caught.value)


@pytest.mark.parametrize("by_folder", [True, False])
def test_labels_are_names_of_categories(root, by_folder, caplog):
    caplog.set_level(logging.INFO, "discerna")
    path = coco(root / "instances.json", IMAGES, [(1, 9), (2, 7), ("3", 7), ("3", 7)], NAMES)
    data = ImageDirectory.open(root if by_folder else path)
    assert pairs(data) == [("a.jpg", "cat"), ("b.jpg", "dog"), ("c.jpg", "dog")]
    assert data.others == []
    assert caplog.messages == [
        "data: 3 pictures, 2 labels (COCO: instances.json has images, annotations and categories)"
    ]


def test_pictures_in_the_folder_images(tmp_path):
    plant(tmp_path, "images/a.jpg", "images/train/b.jpg", "c.jpg", "images/d.jpg")
    images = {1: "a.jpg", 2: "train/b.jpg", 3: "c.jpg", 4: "e.jpg"}
    coco(tmp_path / "x.json", images, [(1, 7), (2, 9), (3, 9), (4, 9)], NAMES)
    data = ImageDirectory.open(tmp_path)
    assert pairs(data) == [("c.jpg", "cat"), ("images/train/b.jpg", "cat"), ("images/a.jpg", "dog")]
    assert data.others == [("e.jpg", "missing"), ("images/d.jpg", "no_label")]


def test_pictures_without_an_annotation_and_addresses(root):
    images = {**IMAGES, 4: "https://x.org/d.jpg"}
    path = coco(root / "x.json", images, [(1, 9), (2, 7), (99, 7)], NAMES)
    content = json.loads(path.read_text())
    content["images"].append({"id": 5, "coco_url": "http://x.org/e.jpg"})
    path.write_text(json.dumps(content))
    data = ImageDirectory.open(path)
    assert data.others == [
        ("c.jpg", "no_label"),
        ("http://x.org/e.jpg", "remote"),
        ("https://x.org/d.jpg", "remote"),
    ]
    assert pairs(ImageDirectory.open_any(path)) == [("c.jpg", None), ("a.jpg", "cat"), ("b.jpg", "dog")]


def test_pictures_with_several_labels_are_refused(root, caplog):
    path = coco(
        root / "x.json", IMAGES, [(1, 9), (1, 7), (2, 7), (2, 7), ("3", 7), ("3", 9), ("3", 11)], NAMES
    )
    text = refusal(InvalidDatasetError, path)
    assert text.startswith(
        f"2 pictures have more than one label: data={path}; a.jpg ('cat', 'dog'), c.jpg ('dog', 'cat', 'never'); "
    )
    assert pairs(ImageDirectory.open_any(root)) == [("a.jpg", None), ("c.jpg", None), ("b.jpg", "dog")]
    assert "more than one label" in caplog.text


def test_a_json_beside_label_folders_is_not_used(tmp_path):
    plant(tmp_path, "cat/a.jpg", "dog/b.jpg")
    coco(tmp_path / "x.json", {1: "cat/a.jpg", 2: "dog/b.jpg"}, [(1, 7), (2, 9)], NAMES)
    data = ImageDirectory.open(tmp_path)
    assert pairs(data) == [("cat/a.jpg", "cat"), ("dog/b.jpg", "dog")]
    assert data.others == [("x.json", "unsupported_format")]


@pytest.mark.parametrize("text", ["{}", '{"images": [], "x": 1}', "[1", "", '"images"'])
def test_a_json_that_is_something_else(root, text):
    (root / "x.json").write_text(text)
    assert refusal(NotLabeledDatasetError, root).startswith("the pictures lie in no label folders")
    assert len(ImageDirectory.open_any(root)) == 3
    assert refusal(InvalidDatasetError, root / "x.json").split(":")[0] in (
        "this JSON is no COCO file",
        "the list is no JSON",
    )


def test_entries_that_cannot_be_used(root):
    content = {
        "images": [{"id": 1}, 5, {"id": [2], "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 99}, None],
        "categories": [{"id": 7, "name": "dog"}, {"id": 8}],
    }
    (root / "x.json").write_text(json.dumps(content))
    text = refusal(InvalidDatasetError, root / "x.json")
    assert text.startswith(
        f"entries of the list cannot be used: data={root}/x.json; an annotation of the category_id 99, which has no "
        "name, annotations[1] is no object, images[0] has no file_name, images[1] is no object; mend or remove them"
    )


def test_without_annotations(root):
    path = coco(root / "x.json", IMAGES, [], NAMES)
    assert refusal(NotLabeledDatasetError, path).startswith("no picture of the list has a label: ")
    assert len(ImageDirectory.open_any(path)) == 3
