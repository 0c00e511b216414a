import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import discerna
import planted_faults
from discerna import cli
from discerna.checks.findings import KINDS
from discerna.errors import InvalidDatasetError, SettingsError


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return planted_faults.clean(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def own(clean, tmp_path) -> Path:
    """A clean set to plant things in."""
    return Path(shutil.copytree(clean, tmp_path / "own"))


def found(root: Path, **settings) -> dict[tuple[str, str], int]:
    result = discerna.check(train_data=root / "train", valid_data=root / "valid", **settings)
    return {(finding.code, finding.where): finding.count for finding in result.verdict.findings}


def test_a_clean_set_has_no_finding(clean, capsys):
    assert found(clean) == {}
    assert cli.main(["check", f"train_data={clean}/train", f"valid_data={clean}/valid", "strict=true"]) == 0
    told = capsys.readouterr().out
    assert "train_data  48 pictures  4 labels  48x48 pixels  PNG 48" in told
    assert "verdict  nothing found: fit to train on" in told
    assert f"next     discerna train model=resnet18 train_data={clean}/train valid_data={clean}/valid" in told


def test_one_of_each_planted_gives_exactly_that_list(own):
    planted = planted_faults.plant(own)
    assert found(own) == planted


def test_what_the_planted_set_does_not_hold(own, monkeypatch):
    from discerna.checks import survey

    monkeypatch.setattr(survey, "HUGE", 48 * 48 - 1)
    assert found(own) == {("huge", "train_data"): 48, ("huge", "valid_data"): 16}
    everything = {code for code, _ in planted_faults.plant(own)} | {
        "huge",
        "nested",
        "one_label",
        "layout",
        "unlabelled",
    }
    # What only a list of files, a locked folder or a missing package gives: see the tests of layouts and of decoding.
    elsewhere = {"missing", "remote", "link_loop", "unreadable", "missing_extra"}
    assert everything | elsewhere == set(KINDS)


def test_heic_with_and_without_the_extra(own, monkeypatch):
    shutil.copy(
        Path(__file__).parents[1] / "images" / "heif" / "rgb.heic", own / "train" / "cat" / "new.heic"
    )
    assert not {code for code, _ in found(own)} & {"missing_extra", "wrong_extension", "animated"}
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert found(own)["missing_extra", "train_data"] == 1


def nest(root: Path) -> None:
    (root / "train/cat/deep").mkdir()
    shutil.copy(root / "train/cat/0.png", root / "train/cat/deep/x.png")


def leave_one_label(root: Path) -> None:
    for label in ("dog", "frog", "newt"):
        shutil.rmtree(root / "train" / label)


def flatten(root: Path) -> None:
    for path in list((root / "train").glob("*/*")):
        path.rename(root / "train" / f"{path.parent.name}{path.name}")


@pytest.mark.parametrize(
    ("plant", "code"), [(nest, "nested"), (leave_one_label, "one_label"), (flatten, "layout")]
)
def test_how_pictures_lie(own, plant, code):
    plant(own)
    assert (code, "train_data") in found(own)


def test_unreadable_files(own, monkeypatch):
    """Root may read everything, so the system's answer is made up."""
    real = open
    locked = str(own / "train/cat/3.png")

    def refusing(path, *arguments, **options):
        if path == locked:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refusing)
    assert found(own) == {("unreadable", "train_data"): 1}


def test_the_report_and_the_exit_code(own, tmp_path, capsys):
    (own / "train/cat/0.png").write_bytes(b"")
    typed = ["check", f"train_data={own}/train", f"valid_data={own}/valid", f"output={tmp_path}/report"]
    assert cli.main(typed) == 1
    out, err = capsys.readouterr()
    assert "error    empty  1  files without a byte  [train_data]\n" in out
    assert "verdict  1 error: not fit to train on" in out
    assert "error: the pictures did not pass the check: train_data; empty;" in err
    report = json.loads((tmp_path / "report/check.json").read_text("utf-8"))
    assert report["ok"] is False
    assert report["directories"]["train_data"]["labels"] == {"cat": 12, "dog": 12, "frog": 12, "newt": 12}
    (finding,) = report["findings"]
    assert (finding["code"], finding["severity"], finding["count"]) == ("empty", "error", 1)
    assert finding["examples"] == ["cat/0.png"]
    assert cli.main(typed) == 1
    assert "overwrite=true" in capsys.readouterr().err
    (own / "train/cat/0.png").unlink()
    assert cli.main([*typed, "overwrite=true"]) == 0
    assert json.loads((tmp_path / "report/check.json").read_text("utf-8"))["findings"] == []


def test_strict_counts_warnings_but_not_notes(own):
    def check(*more: str) -> int:
        return cli.main(["check", f"train_data={own}/train", f"valid_data={own}/valid", *more])

    (own / "train/cat/.DS_Store").write_bytes(b"x")
    assert check("strict=true") == 0
    shutil.copy(own / "train/cat/0.png", own / "train/cat/copy.png")
    assert check() == 0
    assert check("strict=true") == 1


def test_one_directory_by_itself(own, capsys):
    assert cli.main(["check", f"data={own}/train"]) == 0
    assert "data  48 pictures  4 labels" in capsys.readouterr().out
    flat = own / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((own / "train").rglob("*.png"))):
        shutil.copy(path, flat / f"{number}.png")
    result = discerna.check(data=flat)
    assert result.verdict.findings == []
    assert "labels unknown" in result.summary()
    assert "nothing found: fit to be scored, as labels are not known" in result.summary()


def test_folders_that_are_no_labels(clean):
    result = discerna.check(data=clean)
    assert [finding.code for finding in result.verdict.findings] == ["unlabelled"]
    assert "this directory holds the parts of a data set" in result.verdict.findings[0].examples[0]
    assert result.ok and "fit to be scored" in result.summary()


def test_a_damaged_later_frame_costs_the_first_one_nothing(own):
    moving = planted_faults.encoded(
        planted_faults.drawn(1), "GIF", save_all=True, append_images=[planted_faults.drawn(n) for n in (2, 3)]
    )
    (own / "train/cat/moving.gif").write_bytes(moving[: len(moving) * 2 // 3])
    codes = {code for code, _ in found(own)}
    assert "truncated" not in codes and "animated" in codes


def test_limits_can_be_set(own):
    for path in sorted((own / "train/newt").iterdir())[3:]:
        path.unlink()
    assert found(own) == {("few_pictures", "train_data"): 1}
    assert found(own, min_pictures=3) == {}
    assert found(own, min_pictures=3, max_imbalance=3) == {("imbalance", "train_data"): 1}


def test_copies_of_many_pictures_are_told_once(own):
    for number in range(6):
        shutil.copy(own / "train/cat/0.png", own / f"valid/dog/{number}copy.png")
    result = discerna.check(train_data=own / "train", valid_data=own / "valid")
    told = {finding.code: finding.examples for finding in result.verdict.findings}
    same = "train/cat/0.png = valid/dog/0copy.png = valid/dog/1copy.png = valid/dog/2copy.png = … (7)"
    assert told == {"leak": [same], "two_labels": [same]}


def test_another_picture_of_one_colour_is_no_near_duplicate(own):
    """Pictures of one tone all look alike and mean nothing."""
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 200, 90)).save(own / f"train/cat/flat{number}.png")
    assert found(own) == {}


def test_near_duplicates_can_be_left_out(own):
    shutil.copy(own / "train/cat/0.png", own / "train/cat/copy.png")
    picture = planted_faults.drawn(77, 160)
    picture.save(own / "train/cat/big.png")
    picture.resize((90, 90)).save(own / "train/cat/small.png")
    assert found(own) == {("duplicates", "train_data"): 1, ("near_duplicates", "train_data"): 1}
    assert found(own, near_duplicates=False) == {("duplicates", "train_data"): 1}


@pytest.mark.parametrize(
    "given", [{}, {"data": "a", "train_data": "b"}, {"train_data": "a", "valid_data": "a"}]
)
def test_what_is_to_be_checked_must_be_clear(given):
    with pytest.raises(SettingsError):
        discerna.check(**given)


def test_nothing_there_is_an_error_of_its_own(tmp_path):
    result = discerna.check(data=tmp_path / "nowhere")
    assert [finding.code for finding in result.verdict.findings] == ["layout"]
    with pytest.raises(InvalidDatasetError, match="layout"):
        result.raise_failures()


def test_check_needs_no_torch(clean):
    script = (
        "import sys\nfrom discerna.cli import main\n"
        f"main(['check', 'data={clean}/train'])\nprint('torch' in sys.modules, 'lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


def test_input_is_only_read(own):
    planted_faults.plant(own)

    def state():
        return sorted(
            (str(path), os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in own.rglob("*")
        )

    before = state()
    found(own)
    assert state() == before


def test_a_preview_of_what_training_sees(clean, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    typed = ["check", f"train_data={clean}/train", "preview=true", "image_size=64", "augmentation=medium"]
    assert cli.main(typed) == 0
    assert "written  check/check.json, check/preview.png" in capsys.readouterr().out
    with Image.open("check/preview.png") as sheet:
        first = sheet.convert("RGB")
    assert cli.main([*typed, "augmentation.rotation=180", "overwrite=true"]) == 0
    with Image.open("check/preview.png") as sheet:
        assert sheet.size[0] > 4 * 64
        assert sheet.convert("RGB").tobytes() != first.tobytes()


def test_a_preview_passes_over_bad_pictures(own, tmp_path):
    (own / "train/cat/0.png").write_bytes(b"")
    result = discerna.check(data=own / "train", preview=True, output=tmp_path / "report")
    assert sorted(os.listdir(tmp_path / "report")) == ["check.json", "preview.png"]
    assert not result.ok


def test_a_preview_by_the_old_transformations(own, tmp_path):
    (own / "_transforms.json").write_text(
        '[["Resize", 40], ["CenterCrop", 32], ["RandomHorizontalFlip", {}]]'
    )
    result = discerna.check(
        data=own / "train", preview=True, output=tmp_path / "report", transforms=own / "_transforms.json"
    )
    assert result.ok
    with Image.open(tmp_path / "report/preview.png") as sheet:
        by_the_old = sheet.convert("RGB").tobytes()
    discerna.check(data=own / "train", preview=True, output=tmp_path / "without")
    with Image.open(tmp_path / "without/preview.png") as sheet:
        assert sheet.convert("RGB").tobytes() != by_the_old
