import json

import pytest

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.old_ids import picture_ids
from discerna.errors import InvalidDatasetError
from listed_pictures import old_image_directory, plant

PICTURES = {"image/1_0.png": "dog", "image/0_1.png": "cat", "image/0_2.png": "cat"}


def ids(data):
    """name -> id of each picture of an index."""
    found = picture_ids(data, "data")
    return {data.name(i): found(i) for i in range(len(data))}


def append(root, *lines):
    with open(root / "images.lst", "a") as file:
        for name, id_ in lines:
            file.write(json.dumps({"image_info": {"file_name": name}, "category": "cat", "id": id_}) + "\n")


def test_ids_are_those_of_the_list(tmp_path):
    old_image_directory(tmp_path, PICTURES, ids=[7, -3, 2**63 - 1])
    expected = {"image/0_1.png": -3, "image/0_2.png": 2**63 - 1, "image/1_0.png": 7}
    assert ids(ImageDirectory.open(tmp_path)) == expected
    assert ids(ImageDirectory.open_any(tmp_path)) == expected
    # Beside a file that is no picture, names begin further up.
    (tmp_path / "notes.txt").touch()
    old = old_image_directory(tmp_path / "old", PICTURES, ids=[7, 8, 9])
    assert set(ids(ImageDirectory.open_any([old, tmp_path / "notes.txt"])).values()) == {7, 8, 9}


def test_elsewhere_ids_count_the_pictures(tmp_path):
    plant(tmp_path, "a/1.png", "b/2.png", "b/3.png")
    assert list(ids(ImageDirectory.open(tmp_path)).values()) == [0, 1, 2]
    old = [old_image_directory(tmp_path / name, PICTURES, ids=[7, 8, 9]) for name in ("one", "two")]
    assert list(ids(ImageDirectory.open_any(old)).values()) == [0, 1, 2, 3, 4, 5]


def test_pictures_that_are_not_listed_or_listed_twice(tmp_path):
    old_image_directory(tmp_path, PICTURES, ids=[7, 8, 9])
    plant(tmp_path, "image/9.png")
    append(tmp_path, ("./image/0_2.png", 10), ("image/gone.png", None))
    found = ids(ImageDirectory.open_any(tmp_path))
    assert found == {"image/9.png": None, "image/0_1.png": 8, "image/0_2.png": 9, "image/1_0.png": 7}


@pytest.mark.parametrize("id_", [None, "seven", 1.5, True, [1], 2**63, -(2**63), "1_0"])
def test_what_is_no_id(tmp_path, id_):
    old_image_directory(tmp_path, PICTURES)
    plant(tmp_path, "image/3.png")
    append(tmp_path, ("image/3.png", id_))
    with pytest.raises(InvalidDatasetError) as caught:
        ids(ImageDirectory.open(tmp_path))
    assert str(caught.value) == (
        f"pictures of the list have no whole number as id: data={tmp_path}/images.lst; line 4; "
        "mend these lines, or use format=discerna, which names the files"
    )


def test_many_lines_without_an_id(tmp_path):
    names = {f"image/{n}.png": "cat" if n % 2 else "dog" for n in range(8)}
    old_image_directory(tmp_path, names, ids=[None] * 8)
    with pytest.raises(InvalidDatasetError, match="line 1, line 2, line 3, line 4, line 5 … and 3 more; "):
        ids(ImageDirectory.open(tmp_path))
