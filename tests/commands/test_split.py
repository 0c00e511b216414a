import csv
import errno
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import discerna
import planted_faults
from discerna import cli
from discerna.errors import InvalidDatasetError, OutputError, SettingsError


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """48 pictures of four labels in train/."""
    return planted_faults.clean(tmp_path_factory.mktemp("clean")) / "train"


@pytest.fixture
def data(clean, tmp_path) -> Path:
    """A clean directory to plant things in."""
    return Path(shutil.copytree(clean, tmp_path / "data"))


@pytest.fixture
def split(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(**settings):
        return discerna.split(**{"data": data, "output": "parts", **settings})

    return run


def files(root: Path | str = "parts") -> dict[str, set[str]]:
    """The pictures of each part, as label/name."""
    return {
        part.name: {str(path.relative_to(part)) for path in part.glob("*/*")}
        for part in Path(root).iterdir()
        if part.is_dir()
    }


def record(root: str = "parts") -> list[dict[str, str]]:
    with open(f"{root}/split.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_three_parts(data, tmp_path, capsys):
    typed = ["split", f"data={data}", f"output={tmp_path}/parts", "fractions=[0.5,0.25,0.25]"]
    assert cli.main(typed) == 0
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines()[1:4]] == [
        ["train", "24", "50.0%", "4"],
        ["valid", "12", "25.0%", "4"],
        ["test", "12", "25.0%", "4"],
    ]
    assert "found    48 pictures = 48 used\n" in told
    found = files(tmp_path / "parts")
    assert set.union(*found.values()) == {str(path.relative_to(data)) for path in data.glob("*/*")}
    for part, count in (("train", 6), ("valid", 3), ("test", 3)):
        assert Counter(name.split("/")[0] for name in found[part]) == dict.fromkeys(
            planted_faults.LABELS, count
        )
    assert sorted(os.listdir(tmp_path / "parts")) == ["split.csv", "test", "train", "valid"]
    for path in (tmp_path / "parts/train").glob("*/*"):  # a hard link: the same file
        assert path.samefile(data / path.relative_to(tmp_path / "parts/train"))
    following = next(line for line in told.splitlines() if line.startswith("next"))
    assert cli.main([*shlex.split(following)[2:], "min_pictures=3"]) == 0
    assert "nothing found: fit to train on" in capsys.readouterr().out


def test_two_parts_unless_told_otherwise(split):
    result = split()
    assert [(part.name, part.pictures, part.labels) for part in result.parts] == [
        ("train", 43, 4),
        ("valid", 5, 4),
    ]
    assert result.found == result.used == 48


def test_names_of_the_parts(split):
    split(fractions=[0.5, 0.2, 0.2, 0.1], names=["a", "b", "c", "d"])
    assert set(files()) == {"a", "b", "c", "d"}


def test_the_seed_and_the_names_decide(split, data, tmp_path):
    split()
    first = files()
    shutil.copytree(data, tmp_path / "elsewhere")
    for path in (tmp_path / "elsewhere").glob("*/*"):
        os.utime(path, (1, 1))
    split(data=tmp_path / "elsewhere", output="again")
    assert files("again") == first
    split(output="other", random_seed=2)
    assert files("other") != first
    planted_faults.drawn(5000).save(data / "cat/new.png")
    split(output="more")
    assert len(first["train"] - files("more")["train"]) <= 2
    # Written down: a later version must not split otherwise.
    assert first["valid"] == {"cat/9.png", "dog/7.png", "frog/1.png", "frog/7.png", "newt/0.png"}


def test_trained_on_the_parts(split, data):
    split(fractions=[0.7, 0.3])
    trained = discerna.train(
        model="tiny",
        train_data="parts/train",
        valid_data="parts/valid",
        epochs=1,
        batch_size=8,
        output="model",
    )
    assert trained.accuracy is not None
    result = discerna.check(train_data="parts/train", valid_data="parts/valid", min_pictures=8)
    assert result.verdict.findings == []


def near(number: int, path: Path, side: int) -> None:
    planted_faults.drawn(number, 160).resize((side, side), Image.Resampling.LANCZOS).save(path)


def test_copies_and_look_alikes_stay_together(split, data):
    for number in range(6):
        shutil.copy(data / f"cat/{number}.png", data / f"cat/copy{number}.png")
        near(700 + number, data / f"dog/large{number}.png", 150)
        near(700 + number, data / f"dog/small{number}.png", 90)
    shutil.copy(data / "frog/1.png", data / "newt/contradiction.png")
    for seed in (1, 2, 3):
        result = split(fractions=[0.5, 0.5], random_seed=seed, overwrite=True)
        part = {row["file"]: row["part"] for row in record()}
        for number in range(6):
            assert part[f"cat/{number}.png"] == part[f"cat/copy{number}.png"]
            assert part[f"dog/large{number}.png"] == part[f"dog/small{number}.png"]
        assert part["frog/1.png"] == part["newt/contradiction.png"]
        checked = discerna.check(train_data="parts/train", valid_data="parts/valid").verdict.findings
        assert not {finding.code for finding in checked} & {"leak", "near_leak"}
        told = result.summary()
        assert (
            "copies   13 groups of pictures that are the same or look it, 26 pictures, the largest 2" in told
        )
        assert "1 of them under two labels, such as frog/1.png, newt/contradiction.png" in told
    groups = {row["file"]: row["group"] for row in record()}
    assert groups["cat/copy3.png"] == groups["cat/3.png"] == "cat/3.png"
    assert groups["newt/0.png"] == ""


def test_look_alikes_are_free_without_near_duplicates(split, data):
    for number in range(6):
        near(700 + number, data / f"dog/large{number}.png", 150)
        near(700 + number, data / f"dog/small{number}.png", 90)
    shutil.copy(data / "cat/1.png", data / "cat/copy.png")
    split(fractions=[0.5, 0.5], near_duplicates=False)
    part = {row["file"]: row["part"] for row in record()}
    assert any(part[f"dog/large{number}.png"] != part[f"dog/small{number}.png"] for number in range(6))
    assert part["cat/1.png"] == part["cat/copy.png"]


@pytest.fixture
def patients(data) -> Path:
    """Pictures p<patient>_<n>.png of eight patients, each with pictures of two labels; one named otherwise."""
    for path in list(data.glob("*/*")):
        if path.parent.name in ("frog", "newt"):
            path.unlink()
        else:
            number = int(path.stem)
            path.rename(path.with_name(f"p{number % 8}_{number}.png"))
    shutil.rmtree(data / "frog")
    shutil.rmtree(data / "newt")
    planted_faults.drawn(900).save(data / "cat/nobody.png")
    return data


def test_groups_by_name(patients, tmp_path, capsys):
    typed = ["split", f"data={patients}", f"output={tmp_path}/parts", "fractions=[0.6,0.4]"]
    assert cli.main([*typed, r"group_by=regex:^\w+/(p\d+)_"]) == 0
    assert (
        "groups   8 groups by group_by, 24 pictures, the largest 4: each in one part"
        in capsys.readouterr().out
    )
    found = files(tmp_path / "parts")
    sides = [{name.split("/")[1].split("_")[0] for name in found[part]} for part in ("train", "valid")]
    assert not sides[0] & sides[1]
    assert 8 <= len(found["valid"]) <= 12
    assert (
        cli.main([*typed, "overwrite=true", r"group_by=regex:dog|cat"]) == 1
    )  # without (...): the whole match
    assert "labels that cannot be both in train and in valid" in capsys.readouterr().err
    assert cli.main([*typed, "overwrite=true", r"group_by=regex:(zebra)"]) == 1
    assert "the expression matches no picture's name: group_by=regex:(zebra)" in capsys.readouterr().err
    assert files(tmp_path / "parts") == found


def test_groups_by_a_column_of_a_manifest(patients, tmp_path, capsys):
    paths = sorted(patients.glob("*/*.png"))
    rows = [f"{path},{path.parent.name},{path.name.split('_')[0][-1]}" for path in paths]
    manifest = patients / "list.csv"
    manifest.write_text("file,label,patient\n" + "\n".join(rows) + "\n", "utf-8")
    typed = ["split", f"data={manifest}", f"output={tmp_path}/parts", "fractions=[0.6,0.4]"]
    assert cli.main([*typed, "group_by=column:patient"]) == 0
    found = files(tmp_path / "parts")
    sides = [{name.split("_")[0][-1] for name in found[part]} for part in ("train", "valid")]
    assert all(sides) and not sides[0] & sides[1]
    capsys.readouterr()
    assert cli.main([*typed, "overwrite=true", "group_by=column:doctor"]) == 1
    assert "it has 'file', 'label', 'patient'" in capsys.readouterr().err
    assert cli.main(["split", f"data={patients}", f"output={tmp_path}/two", "group_by=column:patient"]) == 1
    assert "recognised as folders" in capsys.readouterr().err


def test_nested_label_folders(data, tmp_path):
    (data / "cat/deep").mkdir()
    for path in list((data / "cat").glob("*.png"))[:4]:
        path.rename(data / "cat/deep" / path.name)
    typed = ["split", f"data={data}", f"output={tmp_path}/parts"]
    assert cli.main(typed) == 1
    assert cli.main([*typed, "loading.nested=true"]) == 0
    assert sum(map(len, files(tmp_path / "parts").values())) == len(list(data.rglob("*.png")))


def test_a_label_with_one_picture(split, data):
    for path in sorted((data / "newt").iterdir())[1:]:
        path.unlink()
    with pytest.raises(
        InvalidDatasetError, match=r"cannot be both in train and in valid: .*'newt \(1 picture\)'.*rare="
    ):
        split()
    assert not Path("parts").exists()
    result = split(rare="leave_out", fractions=[0.5, 0.5])
    assert result.lacking == {"newt": ["train", "valid"]}
    assert result.skipped == {"rare_label": 1}
    assert "'newt': in no part" in result.summary()
    assert [part.labels for part in result.parts] == [3, 3]
    result = split(rare="train", output="other")
    assert (result.lacking, result.skipped) == ({"newt": ["valid"]}, {})
    assert "'newt': not in valid, for want of pictures" in result.summary()
    assert "discerna train will refuse this" in result.summary()


def test_a_label_of_copies_is_a_label_with_one_picture(split, data):
    for path in sorted((data / "newt").iterdir())[1:]:
        shutil.copy(data / "newt/0.png", path)
    with pytest.raises(
        InvalidDatasetError, match=r"'newt \(12 pictures\)'; pictures that must stay together"
    ):
        split()
    assert split(rare="leave_out").skipped == {"rare_label": 12}


def test_a_label_with_two_pictures_is_trained_and_validated_on(split, data):
    for path in sorted((data / "newt").iterdir())[2:]:
        path.unlink()
    result = split(fractions=[0.8, 0.1, 0.1])
    assert result.lacking == {"newt": ["test"]}
    assert "'newt': not in test, for want of pictures" in result.summary()
    assert "will refuse" not in result.summary()


def test_bad_pictures_go_nowhere_and_are_listed(split, data):
    (data / "cat/nothing.png").write_bytes(b"")
    (data / "dog/text.png").write_text("no picture")
    whole = planted_faults.encoded(planted_faults.drawn(1, 200), "JPEG")
    (data / "dog/cut.jpg").write_bytes(whole[:-10])
    told = r"3 pictures cannot be read: .*nothing.png \(empty\).*; max_bad=0.01 allows 0 of 51; .* or raise max_bad"
    with pytest.raises(InvalidDatasetError, match=told):
        split()
    result = split(max_bad=0.06)
    assert result.skipped == {"empty": 1, "truncated": 1, "not_an_image": 1}
    assert (result.found, result.used) == (51, 48)
    assert "51 pictures = 48 used + 3 in no part (" in result.summary()
    assert {row["file"]: row["error"] for row in record() if not row["part"]} == {
        "cat/nothing.png": "empty",
        "dog/cut.jpg": "truncated",
        "dog/text.png": "not_an_image",
    }
    assert len(record()) == 51


def test_a_label_without_a_readable_picture(split, data):
    for path in (data / "newt").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InvalidDatasetError, match=r"'newt \(0 pictures\)'"):
        split(max_bad=1)
    assert split(max_bad=1, rare="leave_out").lacking == {"newt": ["train", "valid"]}


def test_hidden_and_foreign_files_stay_behind_and_odd_names_do_not(split, data):
    (data / "cat/.hidden.png").write_bytes(b"x")
    (data / "cat/notes.txt").write_text("mine")
    odd = [os.fsdecode(b"caf\xe9.png"), "two\nlines.png", 'a "b", c.png']
    for number, name in enumerate(odd):
        planted_faults.drawn(3000 + number).save(data / "dog" / name)
    split()
    found = files()
    assert {f"dog/{name}" for name in odd} <= found["train"] | found["valid"]
    assert not any("hidden" in name or "notes" in name for name in found["train"] | found["valid"])
    files_told = {row["file"] for row in record()}
    assert {r"dog/caf\udce9.png", "dog/two\nlines.png", 'dog/a "b", c.png'} <= files_told
    split(overwrite=True)
    assert files() == found
    with pytest.raises(InvalidDatasetError, match="no CSV file can hold"):
        split(output="lists", link="manifest")
    assert not Path("lists").exists()


def test_links(split, data):
    (data / "cat/link.png").symlink_to("../../elsewhere.png")
    planted_faults.drawn(4000).save("elsewhere.png")
    split(output="hard")
    split(output="copies", link="copy")
    split(output="symlinks", link="symlink")
    assert files("hard") == files("copies") == files("symlinks")
    for path in Path("hard").glob("*/*/*"):
        below = path.relative_to("hard")
        assert not path.is_symlink()
        assert path.samefile(Path("symlinks", below).resolve())
        copy = Path("copies", below)
        assert not copy.is_symlink()
        assert not copy.samefile(path)
        assert copy.read_bytes() == path.read_bytes()
        assert Path("symlinks", below).is_symlink()


def test_copies_where_links_cannot_be_made(split, monkeypatch):
    def refusing(*arguments, **options):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refusing)
    assert "copied   48 pictures: no hard link can be made to that disk" in split().summary()
    assert sum(map(len, files().values())) == 48


def test_lists_only(split, data):
    result = split(link="manifest", fractions=[0.5, 0.25, 0.25])
    assert sorted(os.listdir("parts")) == ["split.csv", "test.csv", "train.csv", "valid.csv"]
    split(output="folders", fractions=[0.5, 0.25, 0.25])
    for part, expected in files("folders").items():
        with open(f"parts/{part}.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["file", "label"]
        assert {os.path.normpath(f"parts/{path}") for path, _ in rows[1:]} == {
            f"data/{name}" for name in expected
        }
        assert all(path.split("/")[-2] == label for path, label in rows[1:])
    assert "train_data=parts/train.csv valid_data=parts/valid.csv" in result.summary()
    split(overwrite=True)
    assert set(files()) == {"train", "valid"}


def test_what_stands_there_is_safe(split, data):
    split()
    first = files()
    with pytest.raises(OutputError, match="overwrite=true"):
        split()
    split(overwrite=True, random_seed=2)
    assert files() != first
    own = Path("parts/train/cat/mine.png")
    planted_faults.drawn(1).save(own)
    with pytest.raises(OutputError, match="cannot be replaced"):
        split(overwrite=True)
    assert own.exists()
    Path("folder").mkdir()
    split(output="folder", overwrite=True)
    with pytest.raises(OutputError, match="an input lies in the output"):
        split(data="folder/train", output="folder", overwrite=True)
    with pytest.raises(OutputError, match="input directory"):
        split(output=data / "parts")
    assert not list(Path().glob(".discerna*"))


@pytest.mark.parametrize("names", [["valid", "split"], ["train"]])
def test_a_folder_of_people_s_own_is_not_taken_for_ours(split, tmp_path, names):
    for name in names:
        (tmp_path / "own" / name).mkdir(parents=True)
    (tmp_path / "own/split.csv").write_text("file,label\n")
    with pytest.raises(OutputError, match="cannot be replaced"):
        split(output="own", overwrite=True)


def test_nothing_stays_of_a_split_that_fails(split, monkeypatch):
    calls = []
    real = os.link

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments, **options)

    monkeypatch.setattr(os, "link", failing)
    with pytest.raises(OutputError, match="No space left on device"):
        split()
    assert sorted(os.listdir()) == ["data"]


def test_a_picture_that_vanishes(split, data, monkeypatch):
    real = os.link

    def late(source, target):
        Path(source).unlink()
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(InvalidDatasetError, match="a picture has gone since it was read"):
        split()
    assert sorted(os.listdir()) == ["data"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fractions": [0.5, 0.4]}, "sum to 1, here 0.9"),
        ({"fractions": [80, 20]}, r"fractions=\[0.8,0.2\]"),
        ({"fractions": [1.0]}, "two or more"),
        ({"fractions": [1.0, 0.0]}, "above 0"),
        ({"fractions": [0.4, 0.2, 0.2, 0.2]}, "a name is needed for each part"),
        ({"names": ["a"]}, "a name is needed for each part"),
        ({"names": ["Train", "train"]}, "different ones"),
        ({"names": ["a/b", "c"]}, "of letters"),
        ({"names": [".a", "c"]}, "of letters"),
        ({"names": ["split", "c"]}, "none of them split"),
        ({"group_by": "regex:("}, "the expression is wrong"),
        ({"group_by": "patient"}, "it begins with regex: or column:"),
        ({"group_by": "column:"}, "it begins with regex: or column:"),
        ({"max_bad": 2}, "0 to 1"),
        ({"link": "soft"}, "hard | symlink"),
    ],
)
def test_settings_that_cannot_be(split, settings, told):
    with pytest.raises(SettingsError, match=told):
        split(**settings)


def test_thirds_may_be_rounded(split):
    result = split(fractions=[0.33, 0.33, 0.33])
    assert [part.pictures for part in result.parts] == [16, 16, 16]


def test_too_few_for_so_many_parts(split, data):
    for path in data.glob("*/*"):
        if path.stem not in ("0", "1"):
            path.unlink()
    with pytest.raises(InvalidDatasetError, match=r"a part would be without a picture.*'test'"):
        split(fractions=[0.8, 0.1, 0.1])


def test_split_needs_no_torch(clean, tmp_path):
    script = (
        "import sys\nfrom discerna.cli import main\n"
        f"assert main(['split', 'data={clean}', 'output={tmp_path}/parts']) == 0\n"
        "print('torch' in sys.modules, 'lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


def test_input_is_only_read(split, data):
    def state():
        return sorted((str(path), os.lstat(path).st_mtime_ns) for path in data.rglob("*"))

    before = state()
    split()
    split(output="copies", link="copy")
    assert state() == before


@pytest.fixture
def listed_in_output(data, tmp_path) -> Path:
    """A list of pictures that an earlier split put where the next one is to go."""
    assert cli.main(["split", f"data={data}", f"output={tmp_path}/parts", "link=copy"]) == 0
    manifest = tmp_path / "all.csv"
    rows = [f"{path},{path.parent.name}" for path in (tmp_path / "parts").rglob("*.png")]
    manifest.write_text("file,label\n" + "\n".join(rows) + "\n", "utf-8")
    return manifest


@pytest.mark.parametrize("link", ["symlink", "manifest"])
def test_pictures_listed_in_the_output_are_not_lost(listed_in_output, tmp_path, capsys, link):
    before = sorted((tmp_path / "parts").rglob("*.png"))
    typed = ["split", f"data={listed_in_output}", f"output={tmp_path}/parts", "overwrite=true"]
    assert cli.main([*typed, f"link={link}"]) == 1
    assert "a picture lies in the output" in capsys.readouterr().err
    assert sorted((tmp_path / "parts").rglob("*.png")) == before
    assert cli.main([*typed, "link=copy"]) == 0


def test_lists_lead_to_their_pictures_though_the_output_lies_behind_a_link(data, tmp_path):
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "scratch").symlink_to(tmp_path / "real/deep")
    parts = tmp_path / "scratch/parts"
    assert cli.main(["split", f"data={data}", f"output={parts}", "link=manifest"]) == 0
    assert cli.main(["check", f"train_data={parts}/train.csv", f"valid_data={parts}/valid.csv"]) == 0


def test_what_readers_pass_over_is_in_no_part(data, tmp_path, capsys):
    rows = [f"{path},{path.parent.name}" for path in sorted(data.glob("*/*.png"))]
    planted_faults.drawn(4444).save(data / ".hidden.png")
    manifest = data / "list.csv"
    manifest.write_text("file,label\n" + "\n".join([*rows, ".hidden.png,cat"]) + "\n", "utf-8")
    typed = ["split", f"data={manifest}", f"output={tmp_path}/parts"]
    assert cli.main(typed) == 0
    assert "hidden_name 1" in capsys.readouterr().out
    manifest.write_text(manifest.read_text("utf-8").replace(",cat\n", ",.cat\n"), "utf-8")
    assert cli.main([*typed, "overwrite=true"]) == 1
    assert "labels that cannot be folders" in capsys.readouterr().err


def test_each_row_of_a_picture_ties_it(data, tmp_path):
    cats = sorted((data / "cat").glob("*.png"))
    rows = [f"{path},{path.parent.name}," for path in sorted(data.glob("*/*.png")) if path not in cats]
    chain = [f"{path},cat,{group}" for n, path in enumerate(cats) for group in (f"g{n}", f"g{n + 1}")]
    manifest = data / "list.csv"
    manifest.write_text("file,label,patient\n" + "\n".join([*rows, *chain]) + "\n", "utf-8")
    typed = ["split", f"data={manifest}", f"output={tmp_path}/parts", "group_by=column:patient", "rare=train"]
    assert cli.main(typed) == 0
    with (tmp_path / "parts/split.csv").open(newline="") as file:
        assert len({row["part"] for row in csv.DictReader(file) if row["label"] == "cat"}) == 1
