"""Pictures that are listed by a file do the main job like those in label folders, down to the last bit."""

import csv
import json
import shutil

import pytest

from discerna.cli import main
from listed_pictures import coco, old_image_directory


@pytest.fixture
def room(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in ("train", "valid"):
        shutil.copytree(pictures / part, tmp_path / part)
    return tmp_path


def listed(folder):
    """path -> label, for pictures in label folders."""
    return {str(path.relative_to(folder)): path.parent.name for path in sorted(folder.glob("*/*.png"))}


def as_manifest(folder):
    path = folder.with_suffix(".csv")
    rows = [(f"{folder.name}/{name}", label) for name, label in listed(folder).items()]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("path", "class"), *reversed(rows)])
    return path


def as_coco(folder):
    root = folder.with_name(f"{folder.name}_coco")
    shutil.copytree(folder, root / "images")
    found = listed(folder)
    categories = {number: label for number, label in enumerate(["red", "green", "blue"], 1)}
    numbers = {label: number for number, label in categories.items()}
    annotations = [(i, numbers[label]) for i, label in enumerate(found.values())]
    coco(root / "labels.json", dict(enumerate(found)), annotations, categories)
    return root


def as_old(folder):
    root = folder.with_name(f"{folder.name}_old")
    shutil.copytree(folder, root / "image")
    return old_image_directory(root, {f"image/{name}": label for name, label in listed(folder).items()})


def train(train_data, valid_data, output):
    return main(
        [
            "train", "model=tiny", f"train_data={train_data}", f"valid_data={valid_data}", f"output={output}",
            "epochs=1", "batch_size=8", "trainer.precision=32-true", "trainer.accelerator=cpu",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        (as_manifest, "27 pictures, 3 labels (manifest: train.csv has the columns path, class)"),
        (as_coco, "27 pictures, 3 labels (COCO: labels.json has images, annotations and categories)"),
        (as_old, "27 pictures, 3 labels (old ImageDirectory: _meta.yaml has type: ImageDirectory)"),
    ],
)
def test_the_same_model_as_from_label_folders(room, layout, reason, capsys):
    valid = layout(room / "valid")
    assert train(layout(room / "train"), valid, room / "model") == 0
    assert f"train_data: {reason}" in "".join(capsys.readouterr())
    assert train(room / "train", room / "valid", room / "expected") == 0
    weights = [(room / name / "weights.safetensors").read_bytes() for name in ("model", "expected")]
    assert weights[0] == weights[1]

    assert main(["evaluate", "model=model", f"data={valid}", "output=evaluation", "device=cpu"]) == 0
    assert main(["evaluate", "model=model", "data=valid", "output=expected_evaluation", "device=cpu"]) == 0
    figures = [
        json.loads((room / name / "evaluation.json").read_text())
        for name in ("evaluation", "expected_evaluation")
    ]
    assert figures[0] == figures[1]

    assert main(["score", "model=model", f"data={valid}", "output=scores.csv", "device=cpu"]) == 0
    with open(room / "scores.csv", newline="") as file:
        found = {row["file"]: row["label"] for row in csv.DictReader(file)}
    prefix = {as_manifest: "valid/", as_coco: "images/", as_old: "image/"}[layout]
    assert found == {f"{prefix}{name}": label for name, label in listed(room / "valid").items()}


def test_nested_label_folders(room, capsys):
    (room / "train" / "red" / "more").mkdir()
    (room / "train" / "red" / "0.png").rename(room / "train" / "red" / "more" / "0.png")
    assert train("train", "valid", "model") == 1
    assert "loading.nested=true" in capsys.readouterr().err
    assert main(["train", "model=tiny", "train_data=train", "valid_data=valid", "output=model", "epochs=1",
                 "loading.nested=true", "trainer.accelerator=cpu"]) == 0  # fmt: skip
    assert main(["evaluate", "model=model", "data=train", "loading.nested=true", "device=cpu"]) == 0
    assert "27" in capsys.readouterr().out


def test_a_list_is_never_overwritten(room, capsys):
    as_manifest(room / "valid")
    before = (room / "valid.csv").read_bytes()
    assert main(["score", "model=valid", "data=valid.csv", "output=valid.csv", "overwrite=true"]) == 1
    assert "the output is an input" in capsys.readouterr().err
    assert (room / "valid.csv").read_bytes() == before
