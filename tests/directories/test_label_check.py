import pytest

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import check_labels, label_positions
from discerna.errors import InvalidDatasetError


def labelled(root, *labels):
    for label in labels:
        (root / label).mkdir(parents=True)
        (root / label / "1.png").touch()
    return ImageDirectory.open(root)


def mismatch(tmp_path, train, valid):
    with pytest.raises(InvalidDatasetError) as caught:
        check_labels(labelled(tmp_path / "train", *train), labelled(tmp_path / "valid", *valid))
    return str(caught.value)


def test_same_labels(tmp_path):
    check_labels(labelled(tmp_path / "train", "cat", "dog"), labelled(tmp_path / "valid", "dog", "cat"))


def test_both_sides_are_named(tmp_path):
    text = mismatch(tmp_path, ["cat", "dog", "frog"], ["dog", "newt, red", "toad"])
    assert text == (
        f"training and validation data have different labels: valid_data={tmp_path}/valid; "
        "validation lacks 2 labels: 'cat', 'frog'; validation adds 2 labels: 'newt, red', 'toad'; "
        f"give it exactly the labels of train_data={tmp_path}/train"
    )


def test_only_lacking_and_only_added(tmp_path):
    assert "adds" not in mismatch(tmp_path / "1", ["cat", "dog", "frog"], ["cat", "dog"])
    text = mismatch(tmp_path / "2", ["cat", "dog"], ["cat", "dog", "frog"])
    assert "lacks" not in text
    assert "validation adds 1 label: 'frog'" in text


def test_long_lists_are_cut(tmp_path):
    text = mismatch(tmp_path, [f"t{i:03}" for i in range(25)], ["x", "y"])
    assert "lacks 25 labels: 't000', " in text
    assert "'t019' … and 5 more" in text
    assert "t020" not in text


@pytest.mark.parametrize(
    ("here", "there", "difference"),
    [
        ("Dog", "dog", "upper and lower case"),
        ("dog ", "dog", "spaces"),
        ("sea lion", "sealion", "spaces"),
        ("cafe\u0301", "caf\u00e9", "another Unicode form"),
        ("Sea  lion", "sea lion", "case, spaces and Unicode form"),
        ("chrysantemum", "chrysanthemum", "spelling"),
    ],
)
def test_near_names_are_pointed_out(tmp_path, here, there, difference):
    text = mismatch(tmp_path, [there, "other"], [here, "other"])
    assert f"'{here}' in validation looks like '{there}' in training (" in text
    assert f"{difference}" in text


def test_twin_beside_a_label_that_both_have(tmp_path):
    text = mismatch(tmp_path, ["dog", "cat"], ["dog", "cat", "Dog"])
    assert "'Dog' in validation looks like 'dog' in training" in text


def test_unlike_names_are_not_called_alike(tmp_path):
    assert "looks like" not in mismatch(tmp_path, ["cat", "dog"], ["newt", "owl"])


def test_positions_are_by_name(tmp_path):
    data = labelled(tmp_path, "dog", "frog")
    assert label_positions(data, ["frog", "cat", "dog"], setting="data", allow_missing=True) == [2, 0]


def test_positions_with_a_label_that_is_not_known(tmp_path):
    data = labelled(tmp_path, "Dog", "owl", "cat")
    with pytest.raises(InvalidDatasetError) as caught:
        label_positions(data, ["cat", "dog"], setting="data", allow_missing=True)
    assert str(caught.value) == (
        f"the labels do not match those of the model: data={tmp_path}; it adds 2 labels: 'Dog', 'owl'; "
        "'Dog' here looks like 'dog' in the model (upper and lower case); known are 2 labels: 'cat', 'dog'; "
        "rename or remove these labels"
    )


def test_positions_with_a_label_missing(tmp_path):
    data = labelled(tmp_path, "cat", "dog")
    with pytest.raises(InvalidDatasetError) as caught:
        label_positions(data, ["cat", "dog", "fox"], setting="valid_data", allow_missing=False)
    assert "it lacks 1 label: 'fox'" in str(caught.value)
    assert str(caught.value).startswith("the labels do not match those of the model: valid_data=")
