"""Commands on a directory of damaged pictures."""

import csv
import json

import pytest

import discerna
from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode
from picture_sets import write_pictures
from soaks.damaged_pictures import write_damaged


@pytest.mark.slow
def test_score_has_a_row_for_every_damaged_picture(discerna, models_for, tmp_path):
    made = write_damaged(tmp_path / "damaged", 840, seed=6)
    model = models_for(["blue", "green", "red"]) / "trained"
    done = discerna(
        "score",
        f"model={model}",
        f"data={tmp_path / 'damaged'}",
        "output=scores.csv",
        "device=cpu",
        "networks.modules=[tiny_networks]",
    )
    with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == sorted(picture.name for picture in made)
    unreadable = [row for row in rows.values() if row["error"]]
    assert all(bool(row["error"]) != bool(row["Scored Labels"]) for row in rows.values())
    assert {row["error"].partition(":")[0] for row in unreadable} <= {
        "empty", "not_an_image", "truncated", "unsupported_mode", "too_large", "missing_extra",
    }  # fmt: skip
    assert f"{len(unreadable)} pictures cannot be read" in done.stderr
    assert 100 < len(unreadable) < 800


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """train/ of two labels, 280 damaged pictures each, and a sound valid/; the names of those that do not decode."""
    root = tmp_path_factory.mktemp("damage")
    bad = set()
    for number, label in enumerate(("blue", "red")):
        for picture in write_damaged(root / "train" / label, 280, seed=number):
            try:
                decode(root / "train" / label / picture.name)
            except UnreadablePictureError as error:
                bad.add((f"{label}/{picture.name}", error.reason))
    write_pictures(root / "valid", {"blue": 4, "red": 4}, seed=3)
    return root, bad


def test_check_names_every_damaged_picture(labelled):
    root, bad = labelled
    result = discerna.check(train_data=root / "train", valid_data=root / "valid")
    codes = {reason for _, reason in bad}
    found = {
        (name, finding.code)
        for finding in result.verdict.findings
        if finding.code in codes
        for name in finding.examples
    }
    assert found == bad and 150 < len(bad) < 500


@pytest.mark.slow
@pytest.mark.parametrize("how", ["quick", "off"])
def test_training_accounts_for_every_damaged_picture(labelled, tmp_path, how):
    root, bad = labelled
    result = discerna.train(
        model="plain",
        train_data=root / "train",
        valid_data=root / "valid",
        output=tmp_path / "model",
        epochs=1,
        check=how,
        loading={"max_bad": 1},
    )
    told = json.loads((result.run / "pictures.json").read_text("utf-8"))["train_data"]
    assert told["found"] == 560 == told["used"] + len(told["skipped"])
    assert {(one["file"], one["reason"]) for one in told["skipped"]} == bad
