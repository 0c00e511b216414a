"""Commands on a directory of damaged pictures."""

import csv

import pytest

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
