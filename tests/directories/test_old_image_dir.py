import json

import pytest

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError, NotLabeledDatasetError
from listed_pictures import old_image_directory, pairs, plant

PICTURES = {"image/0_0.png": "cat", "image/1_1.png": "007", "image/0_2.png": "cat"}


def test_labels_are_categories(tmp_path):
    data = ImageDirectory.open(old_image_directory(tmp_path, PICTURES))
    assert pairs(data) == [("image/1_1.png", "007"), ("image/0_0.png", "cat"), ("image/0_2.png", "cat")]
    assert str(data.layout) == "old ImageDirectory: _meta.yaml has type: ImageDirectory"
    assert (data.others, data.ignored) == ([], 0)
    assert pairs(ImageDirectory.open_any(tmp_path, labels=["x"])) == pairs(data)


def test_it_goes_before_label_folders(tmp_path):
    data = ImageDirectory.open(old_image_directory(tmp_path, {"image/0.png": "cat", "more/1.png": "dog"}))
    assert data.labels == ("cat", "dog")


def test_without_categories(tmp_path):
    old_image_directory(tmp_path, dict.fromkeys(PICTURES))
    with pytest.raises(NotLabeledDatasetError) as caught:
        ImageDirectory.open(tmp_path, setting="train_data")
    assert str(caught.value).startswith(f"the list has no labels: train_data={tmp_path}/images.lst; ")
    data = ImageDirectory.open_any(tmp_path)
    assert pairs(data) == [(name, None) for name in sorted(PICTURES)]
    assert str(data.layout) == "old ImageDirectory: _meta.yaml has type: ImageDirectory, no category"


def test_pictures_that_are_missing_or_not_listed(tmp_path):
    old_image_directory(tmp_path, PICTURES)
    (tmp_path / "image" / "0_2.png").unlink()
    plant(tmp_path, "image/9.png")
    data = ImageDirectory.open(tmp_path)
    assert data.others == [("image/0_2.png", "missing"), ("image/9.png", "no_label")]
    assert len(ImageDirectory.open_any(tmp_path)) == 3


def test_another_kind_of_old_directory(tmp_path):
    plant(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "_meta.yaml").write_text("type: ModelDirectory\n")
    data = ImageDirectory.open(tmp_path)
    assert data.labels == ("cat", "dog")


def test_lines_that_cannot_be_used(tmp_path):
    old_image_directory(tmp_path, PICTURES)
    with open(tmp_path / "images.lst", "a") as file:
        file.write('{"category": "cat"}\n')
        file.write(
            json.dumps({"image_info": {"file_name": "image/0_0.png"}, "category": ["cat", "dog"]}) + "\n"
        )
    with pytest.raises(InvalidDatasetError, match="line 4 names no file, line 5 has no single category"):
        ImageDirectory.open(tmp_path)


def test_without_its_list(tmp_path):
    old_image_directory(tmp_path, PICTURES)
    (tmp_path / "images.lst").unlink()
    with pytest.raises(InvalidDatasetError, match=r"it cannot be read: data=.*/images\.lst; No such file"):
        ImageDirectory.open(tmp_path)
