"""A run that ended before its time goes on, and gives the same weights as if nothing had happened."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

import discerna
from discerna.errors import InvalidDatasetError, InvalidModelDirectoryError, RunNotFoundError, SettingsError
from own_extensions import Died
from picture_sets import write_pictures
from run_folders import last_checkpoint

DIES = {"dies": {"_target_": "own_extensions.Dies"}}


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    """Train for three epochs; with `die_at` the process is as good as dead at the start of that batch."""
    monkeypatch.chdir(tmp_path)

    def run(name="m", die_at=None, **settings):
        monkeypatch.setenv("DIE_AT", str(die_at or 0))
        given = {
            "model": "tiny",
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / name,
            "epochs": 3,
            "batch_size": 8,
            "trainer": {"precision": "32-true"},
            "checkpoint": {"every_steps": 1, "every_minutes": None},
            "callbacks": DIES,
            **settings,
        }
        if die_at is None:
            return discerna.train(**given)
        with pytest.raises(Died):
            discerna.train(**given)
        return None

    return run


def weights(path: Path) -> bytes:
    return (path / "weights.safetensors").read_bytes()


def rows(run: Path) -> list[str]:
    """metrics.csv without the column of the speed."""
    return [line.rpartition(",")[0] for line in (run / "metrics.csv").read_text().splitlines()]


def the_same(tmp_path, one: str, other: str) -> bool:
    return weights(tmp_path / one) == weights(tmp_path / other) and rows(tmp_path / f"{one}.run") == rows(
        tmp_path / f"{other}.run"
    )


# 27 pictures by 8 are 4 steps an epoch, 11 by 8 two batches of validation.
FIRST, MID_EPOCH, LAST_STEP, VALIDATION, SECOND_EPOCH = 2, 3, 4, 5, 7
MEANS = {
    "plain": {},
    "average, mixed pictures, pieces": {
        "ema": 0.9,
        "augmentation": {"name": "strong", "mixup": 0.4},
        "trainer": {"precision": "32-true", "accumulate_grad_batches": 2},
    },
    "validation in mid-epoch": {"trainer": {"precision": "32-true", "val_check_interval": 3}},
    "validation every second epoch": {
        "trainer": {"precision": "32-true", "check_val_every_n_epoch": 2},
        "scheduler": "plateau",
    },
    "frozen body, growing pictures": {"freeze_epochs": 1, "scheduler": "one_cycle", "start_size": 8},
}


@pytest.mark.parametrize("means", MEANS)
def test_the_weights_are_those_of_an_unharmed_training(train, tmp_path, means):
    train("unharmed", **MEANS[means])
    for die_at in (MID_EPOCH, LAST_STEP, VALIDATION, SECOND_EPOCH):
        train(f"m{die_at}", die_at=die_at, **MEANS[means])
        train(f"m{die_at}", resume="auto", **MEANS[means])
        assert the_same(tmp_path, f"m{die_at}", "unharmed"), die_at


@pytest.mark.slow
@pytest.mark.parametrize("means", MEANS)
def test_wherever_it_ends(train, tmp_path, means):
    train("unharmed", **MEANS[means])
    batches = 3 * (7 if "pieces" in means else 4) + (2 if "second epoch" in means else 4)
    for die_at in range(1, batches, 2):
        train("m", die_at=die_at, **MEANS[means])
        train("m", resume="auto", **MEANS[means])
        assert the_same(tmp_path, "m", "unharmed"), die_at
        shutil.rmtree(tmp_path / "m")
        shutil.rmtree(tmp_path / "m.run")


def test_resumed_three_times_in_a_row_with_other_workers(train, tmp_path):
    train("unharmed")
    for die_at, workers in [(4, 0), (3, 2), (5, 0)]:
        train("m", die_at=die_at, resume="auto", loading={"workers": workers})
    train("m", resume="auto")
    assert the_same(tmp_path, "m", "unharmed")


def test_without_a_checkpoint_it_starts_again(train, tmp_path):
    seldom = {"checkpoint": {"every_steps": None, "every_minutes": None}}
    train("unharmed", **seldom)
    train("m", die_at=VALIDATION + 4, **seldom)
    train("m", resume="auto", **seldom)
    assert the_same(tmp_path, "m", "unharmed")


def test_auto_begins_a_run_and_has_nothing_to_do_once_it_has_ended(train, tmp_path, capsys):
    first = train(resume="auto")
    before = {path: path.stat().st_mtime_ns for path in first.output.iterdir()}
    again = train(resume="auto")
    assert again == first and "finished already" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in first.output.iterdir()} == before
    shutil.rmtree(first.output)
    assert train(resume="auto").output.is_dir(), "a model that is gone is made again"


def test_a_run_is_named_by_its_folder_or_its_model_and_may_have_moved(train, tmp_path, monkeypatch):
    train("unharmed")
    train("m", die_at=MID_EPOCH)
    monkeypatch.setenv("DIE_AT", "0")
    (tmp_path / "m.run").rename(tmp_path / "moved.run")
    result = discerna.resume(tmp_path / "moved")
    assert result.output == tmp_path / "moved" and weights(result.output) == weights(tmp_path / "unharmed")
    with pytest.raises(RunNotFoundError, match=r"no run to go on with: resume=.*nowhere"):
        discerna.resume(tmp_path / "nowhere")


def test_what_would_make_another_run_of_it_is_refused_by_name(train, tmp_path):
    train(die_at=MID_EPOCH)
    kept = sorted(path.name for path in (tmp_path / "m.run").rglob("*"))
    with pytest.raises(SettingsError) as refused:
        train(resume="auto", learning_rate=0.5, random_seed=2, augmentation="none", epochs=2)
    told = str(refused.value)
    assert "learning_rate=0.5; the run began with 0.001" in told and "random_seed=2" in told
    assert "augmentation=none; the run began with auto" in told and "epochs=2" in told
    assert sorted(path.name for path in (tmp_path / "m.run").rglob("*")) == kept, "nothing was touched"
    assert train(resume="auto", learning_rate=0.0005, force=True).epochs_trained == 3


def test_other_pictures_or_labels_are_refused(train, tmp_path):
    write_pictures(tmp_path / "train", {"red": 9, "green": 8, "blue": 10}, seed=1)
    own = {"train_data": tmp_path / "train"}
    train(die_at=MID_EPOCH, **own)
    (tmp_path / "train" / "red" / "0.png").rename(tmp_path / "away.png")
    with pytest.raises(InvalidDatasetError, match=r"train_data=.*27 pictures then, 26 now"):
        train(resume="auto", **own)
    (tmp_path / "away.png").rename(tmp_path / "train" / "red" / "0.png")
    write_pictures(tmp_path / "train", {"violet": 3})
    write_pictures(tmp_path / "valid", {"red": 4, "green": 3, "blue": 4, "violet": 1}, seed=2)
    with pytest.raises(InvalidDatasetError, match=r"labels have changed.*new 'violet'"):
        train(resume="auto", **own, valid_data=tmp_path / "valid", force=False)
    shutil.rmtree(tmp_path / "train" / "violet")
    (tmp_path / "train" / "red" / "0.png").unlink()
    assert train(resume="auto", force=True, **own).epochs_trained == 3


def test_the_model_it_began_from_may_not_change(train, tmp_path):
    discerna.create(network="tiny", output=tmp_path / "start")
    train(die_at=MID_EPOCH, model=tmp_path / "start")
    discerna.create(network="tiny", output=tmp_path / "start", random_seed=5, overwrite=True)
    with pytest.raises(InvalidModelDirectoryError, match=r"has changed since the run began: model="):
        train(resume="auto", model=tmp_path / "start")


def test_a_checkpoint_cut_short_is_told_and_the_one_before_it_is_used(train, tmp_path, capsys):
    train("unharmed")
    train(die_at=SECOND_EPOCH)
    newest = last_checkpoint(tmp_path / "m.run")
    newest.write_bytes(newest.read_bytes()[:-100])
    train(resume="auto")
    assert f"{newest} is damaged or cut short; the checkpoint before it is used" in capsys.readouterr().err
    assert the_same(tmp_path, "m", "unharmed")


def test_a_flipped_bit_in_a_checkpoint_is_noticed(train, tmp_path):
    train("unharmed")
    train(die_at=SECOND_EPOCH)
    newest = last_checkpoint(tmp_path / "m.run")
    content = bytearray(newest.read_bytes())
    with zipfile.ZipFile(newest) as archive:
        part = max(archive.infolist(), key=lambda part: part.file_size)
    content[part.header_offset + 200] ^= 1
    newest.write_bytes(content)
    train(resume="auto")
    assert the_same(tmp_path, "m", "unharmed")


def test_what_no_kept_checkpoint_needs_is_removed(train, tmp_path):
    result = train(checkpoint={"every_steps": 1, "every_minutes": None, "keep": 3})
    names = sorted(path.name for path in (result.run / "checkpoints").iterdir())
    assert [name for name in names if name.startswith("step-")] == [
        f"step-{n:08d}.ckpt" for n in (10, 11, 12)
    ]
    assert 1 <= sum(name.startswith("best-") for name in names) <= 2 and len(names) <= 5


def test_the_default_keeps_a_checkpoint_from_which_a_finished_run_can_be_extended(train):
    result = train(checkpoint={})
    assert last_checkpoint(result.run).name == "step-00000012.ckpt"


def test_a_finished_run_is_trained_on_with_its_schedule_planned_anew(train, tmp_path, capsys):
    whole = train("whole", epochs=6, scheduler="cosine", early_stopping="none")
    first = train(epochs=3, scheduler="cosine", early_stopping="none")
    longer = discerna.resume(first.run, epochs=6)
    assert longer.epochs_trained == 6 and [row["epoch"] for row in longer.epochs] == [1, 2, 3, 4, 5, 6]
    assert longer.epochs[:3] == [{**row, "pictures_per_second": now["pictures_per_second"]}
                                 for row, now in zip(first.epochs, longer.epochs[:3], strict=True)]  # fmt: skip
    for mine, planned in zip(longer.epochs[3:], whole.epochs[3:], strict=True):
        assert mine["learning_rate"] == pytest.approx(planned["learning_rate"])
    assert "the schedule is planned anew over 6 epochs" in capsys.readouterr().err
    record = json.loads((longer.output / "training.json").read_text())
    assert record["settings"]["epochs"] == 6
    with pytest.raises(SettingsError, match="does not become shorter: epochs=4"):
        discerna.resume(first.run, epochs=4)


def test_a_run_that_stopped_early_is_trained_on(train):
    stopped = train(epochs=20, learning_rate=1e-9, patience=1, early_stopping={"min_delta": 0.5})
    assert stopped.epochs_trained < 20
    assert discerna.resume(stopped.run, epochs=21).epochs_trained > stopped.epochs_trained


def test_a_failed_run_with_checkpoints_is_not_replaced_unasked(train, tmp_path, monkeypatch):
    monkeypatch.setenv("OOM_FROM", "6")
    dies = {"oom": {"_target_": "own_extensions.OutOfMemoryOver", "most": 0}}
    with pytest.raises(discerna.OutOfMemoryError):
        train(callbacks=dies)
    with pytest.raises(discerna.OutputError, match="add resume=auto to go on with it"):
        train(callbacks=dies)
    monkeypatch.setenv("OOM_FROM", "1000000")
    assert train(callbacks=dies, resume="auto").epochs_trained == 3


def test_secrets_must_be_typed_again(train, tmp_path, discerna, pictures):
    own = ["logger.own.x={_target_: own_extensions.NeedsToken, api_token: sesame, file: '{run}/got.txt'}"]
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    tiny = ["model=tiny", "networks.modules=[tiny_networks]", "epochs=1", "trainer.precision=32-true"]
    discerna("train", *tiny, *data, *own, "output=s")
    told = discerna("train", "resume=s", "epochs=2", "networks.modules=[tiny_networks]", code=1).stderr
    assert "a secret is in no file: logger.own.x.api_token; type it again beside resume" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"output": None, "resume": "auto"}, "resume=auto; it is found by its output"),
    ],
)
def test_what_resume_cannot_find(train, given, told):
    with pytest.raises(SettingsError, match=told):
        train(**given)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_a_checkpoint_with_code_in_it_is_refused_and_runs_nothing(train, tmp_path):
    train(die_at=SECOND_EPOCH)
    newest = last_checkpoint(tmp_path / "m.run")
    state = torch.load(newest, weights_only=True)
    torch.save({**state, "more": Payload(tmp_path / "ran")}, newest)
    with pytest.raises(InvalidModelDirectoryError, match="a checkpoint cannot be gone on from"):
        train(resume="auto")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("change", ["another shape", "no counters", "counters of text", "no weights"])
def test_a_checkpoint_that_does_not_fit_is_refused(train, tmp_path, change):
    train(die_at=SECOND_EPOCH)
    newest = last_checkpoint(tmp_path / "m.run")
    state = torch.load(newest, weights_only=True)
    match change:
        case "another shape":
            state["state_dict"]["network.6.bias"] = torch.zeros(9)
        case "no counters":
            del state["loops"]
        case "counters of text":
            state["loops"]["fit_loop"] = "x"
        case "no weights":
            state["state_dict"] = {}
    torch.save(state, newest)
    with pytest.raises(InvalidModelDirectoryError, match="a checkpoint cannot be gone on from"):
        train(resume="auto")


def test_a_run_from_before_a_setting_was_there_goes_on(train, tmp_path, monkeypatch):
    train("whole")
    train("cut", die_at=4)
    stored = tmp_path / "cut.run/settings.json"
    told = json.loads(stored.read_text())
    del (
        told["settings"]["plan"],
        told["settings"]["loading"]["cache"],
        told["settings"]["trainer"]["batch_finder"],
    )
    stored.write_text(json.dumps(told))
    monkeypatch.setenv("DIE_AT", "0")
    discerna.resume(tmp_path / "cut.run")
    assert the_same(tmp_path, "whole", "cut")
    del told["settings"]["loading"]["cache_gib"]
    stored.write_text(json.dumps(told))
    with pytest.raises(SettingsError, match=r"batch_size=4.*began with 8"):
        train("cut", resume="auto", batch_size=4)
