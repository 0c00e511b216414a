"""The designer's image transformation, in our settings."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.directories.old_transforms import LARGEST_FILE, OPERATIONS, read_old_transforms
from discerna.errors import InvalidTransformationDirectoryError

META = "type: TransformationDirectory\nextension: {}\ntransform_type: Image\n"


def write(folder: Path, entries: object, meta: str | None = META) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "_transforms.json").write_text(entries if isinstance(entries, str) else json.dumps(entries))
    if meta is not None:
        (folder / "_meta.yaml").write_text(meta)
    return folder


@pytest.fixture
def read(tmp_path):
    return lambda entries: read_old_transforms(write(tmp_path / "old", entries))


def values(old):
    return {key: found.value for key, found in old.settings.items() if key != "augmentation"}


FLIP = ["RandomHorizontalFlip", {}]


@pytest.mark.parametrize(
    ("entries", "settings"),
    [
        ([], {}),
        (
            [["Resize", 256], ["CenterCrop", 224], FLIP],
            {"fit": "crop", "image_size": 224, "resize": 256, "augmentation.flip": 0.5},
        ),
        ([["Resize", 64]], {"fit": "crop", "image_size": 64, "resize": 64}),
        ([["CenterCrop", 64]], {"fit": "crop", "image_size": 64}),
        (
            [["Resize", 256], ["CenterCrop", 224], ["Pad", 10]],
            {"fit": "crop", "image_size": 244, "border": 10, "resize": 256},
        ),
        ([["Pad", 3]], {"border": 3}),
        ([["Pad", 0]], {}),
        ([["ColorJitter", {}]], {"augmentation.jitter": 0.2}),
        ([["Grayscale", {}]], {"grayscale": True}),
        (
            [["Resize", 256], ["RandomResizedCrop", 224]],
            {"fit": "crop", "image_size": 224, "resize": 256, "augmentation.crop_scale": [0.08, 1.0]},
        ),
        (
            [["Resize", 256], ["CenterCrop", 224], ["RandomResizedCrop", 256]],
            {"fit": "crop", "image_size": 224, "resize": 256, "augmentation.crop_scale": [0.08, 1.0]},
        ),
        (
            [["RandomResizedCrop", 100], ["RandomCrop", 50]],
            {"image_size": 50, "augmentation.crop_scale": [0.02, 0.25]},
        ),
        (
            [["Resize", 256], ["RandomCrop", 224]],
            {"fit": "crop", "image_size": 224, "resize": 256, "augmentation.random_crop": True},
        ),
        ([["RandomCrop", 224]], {"image_size": 224, "augmentation.random_crop": True}),
        (
            [["Resize", 32], ["CenterCrop", 32], ["Pad", 4], ["RandomCrop", 32]],
            {"fit": "crop", "image_size": 32, "resize": 32, "augmentation.padding": 0.125},
        ),
        (
            [["Resize", 32], ["Pad", 4], ["RandomCrop", 40]],
            {"fit": "crop", "image_size": 40, "resize": 32, "border": 4},
        ),
        ([["RandomVerticalFlip", {}]], {"augmentation.vertical_flip": 0.5}),
        ([["RandomRotation", 30]], {"augmentation.rotation": 30.0}),
        ([["RandomRotation", {"degrees": 12.5}]], {"augmentation.rotation": 12.5}),
        ([["RandomRotation", 0]], {"augmentation.rotation": 0.0}),
        ([["RandomAffine", 30]], {"augmentation.rotation": 30.0}),
        ([["RandomRotation", 150], ["RandomAffine", 90]], {"augmentation.rotation": 180.0}),
        ([["RandomGrayscale", {}]], {"augmentation.grayscale": 0.1}),
        ([["RandomPerspective", {}]], {"augmentation.perspective": 0.5}),
        ([["RandomErasing", {}]], {"augmentation.erasing": 0.5}),
    ],
    ids=str,
)
def test_every_operation_has_its_settings(read, entries, settings):
    old = read(entries)
    assert values(old) == settings
    assert old.settings["augmentation"].value == "none"
    assert all("_transforms.json" in found.reason for found in old.settings.values())


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([["ColorJitter", {}]], "changed nothing then; now brightness"),
        ([["Grayscale", {}]], "was ignored then; now every picture is grey, in scoring too"),
        ([["RandomGrayscale", {}]], "was ignored then; now one training picture in ten"),
        ([["RandomRotation", 0]], "RandomRotation: turned by 0 degrees"),
        ([["RandomAffine", 9]], "turned and did no more"),
        ([["RandomErasing", {}]], "never there"),
        ([["Resize", 64]], "now their middle square"),
        ([["CenterCrop", 64]], "64 pixels of the picture as it was"),
        ([["CenterCrop", 64], ["Pad", 1]], "was black"),
        ([["Resize", 9], ["CenterCrop", 9], ["RandomResizedCrop", 7]], "now both have 9"),
        ([["Resize", 9], ["CenterCrop", 9], ["RandomCrop", 7]], "now both have 7"),
        ([FLIP], "now afresh in each epoch"),
    ],
    ids=str,
)
def test_what_changes_is_told(read, entries, told):
    assert [note for note in read(entries).notes if told in note]


def test_what_is_as_it_was_is_not_told(read):
    assert read([["Resize", 256], ["CenterCrop", 224]]).notes == []


@pytest.mark.parametrize(
    ("entries", "faults"),
    [
        ("{", ["not readable as JSON"]),
        ("\0", ["not readable as JSON"]),
        ("[" * 100000, ["not readable as JSON"]),
        ('{"Resize": 256}', ["not an image transformation"]),
        (["Resize"], ["entry 1; it is ["]),
        ([["Resize"]], ["entry 1; it is ["]),
        ([[1, 2]], ["entry 1; it is ["]),
        ([["Resiz", 256]], ["unknown operation", "entry 1: Resiz", "did you mean Resize"]),
        ([["GaussianBlur\n", {}]], ["entry 1: GaussianBlur\\n", "the designer had Resize, CenterCrop"]),
        ([["Resize", 0]], ["wrong argument", "it takes a whole number, 1 to"]),
        ([["Resize", 2.5]], ["wrong argument"]),
        ([["Resize", True]], ["wrong argument"]),
        ([["Resize", "256"]], ["wrong argument"]),
        ([["Resize", None]], ["wrong argument"]),
        ([["Resize", 10**400]], ["wrong argument"]),
        ([["Pad", -1]], ["wrong argument"]),
        ([["RandomRotation", 181]], ["it takes a number, 0 to 180"]),
        ([["RandomHorizontalFlip", 0.5]], ["it takes {}"]),
        ([["Resize", 9], ["Resize", 8]], ["an operation twice"]),
        ([["CenterCrop", 8], ["Resize", 9]], ["another order than the designer's"]),
        ([["Resize", 224], ["CenterCrop", 256]], ["a crop larger than the picture", "CenterCrop 256"]),
        (
            [["Resize", 100], ["Pad", 2], ["RandomCrop", 105]],
            ["RandomCrop 105; what comes before makes pictures of 104"],
        ),
        (
            [["Resize", 1], ["Blur", 1], ["CenterCrop", 2], ["Pad", "x"]],
            ["3 faults", "Blur", '"Pad"', "CenterCrop 2"],
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_told_together(tmp_path, entries, faults):
    with pytest.raises(InvalidTransformationDirectoryError) as caught:
        read_old_transforms(write(tmp_path / "old", entries))
    for fault in (*faults, f"transforms={tmp_path / 'old'}"):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ("type: ImageDirectory\n", "_meta.yaml says type: ImageDirectory"),
        ("type: TransformationDirectory\ntransform_type: Text\n", "says transform_type: Text"),
    ],
)
def test_other_directories_are_refused(tmp_path, meta, told):
    with pytest.raises(InvalidTransformationDirectoryError, match=told):
        read_old_transforms(write(tmp_path / "old", [], meta))


def test_where_it_may_lie(tmp_path):
    folder = write(tmp_path / "old", [FLIP], meta=None)
    assert read_old_transforms(folder) == read_old_transforms(folder / "_transforms.json")
    for path, told in ((tmp_path / "none", "no such file"), (tmp_path, "it has no _transforms.json")):
        with pytest.raises(InvalidTransformationDirectoryError, match=told):
            read_old_transforms(path)
    write(folder, " " * (LARGEST_FILE + 1))
    with pytest.raises(InvalidTransformationDirectoryError, match="shorter than 1 MB"):
        read_old_transforms(folder)


def test_what_is_typed_wins(read):
    old = read([["Resize", 256], ["CenterCrop", 224], FLIP, ["RandomRotation", 9]])
    assert old.besides([]) == {"augmentation": "none", **values(old)}
    assert "augmentation.flip" not in old.besides(["augmentation.flip"])
    assert "resize" not in old.besides(["image_size"]) and "resize" not in old.besides(["fit"])
    assert old.besides(["augmentation"]) == {"fit": "crop", "image_size": 224, "resize": 256}


ARGUMENTS = st.one_of(
    st.integers(-1, 400), st.just({}), st.none(), st.floats(), st.text(max_size=2), st.booleans()
)


@given(
    st.lists(
        st.tuples(st.sampled_from([*OPERATIONS, "Other"]), ARGUMENTS), max_size=6, unique_by=lambda e: e[0]
    )
)
def test_any_file_gives_settings_that_can_be_or_is_refused(tmp_path_factory, entries):
    from discerna.composition import compose
    from discerna.settings.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, changed

    file = tmp_path_factory.getbasetemp() / "wild.json"
    file.write_text(json.dumps([list(entry) for entry in entries]))
    try:
        found = values(read_old_transforms(file))
    except InvalidTransformationDirectoryError:
        return
    settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b", f"transforms={file}"])
    assert settings.augmentation.name == "none"
    own = Preprocessing(
        size=224, fit="crop", resize=256, interpolation="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    seen = {key: value for key, value in found.items() if not key.startswith("augmentation")}
    if seen.get("border", 0) < 112 or "image_size" in seen:
        assert changed(own, **seen).inner > 0
