"""The two rules of early stopping on curves that tell them apart."""

import csv

import pytest
import torch

import discerna
from discerna.composition import compose
from discerna.training.stopping import build_stopping
from picture_sets import write_pictures

SAW = [1.0, 0.8, 0.9, 0.85, 0.9, 0.85, 0.9, 0.85]
RISING = [1.0, 0.8, 0.9, 1.0, 1.1, 1.2]
RECOVERING = [1.0, 0.5, 0.9, 0.8, 0.7, 0.6]


def stops_after(curve, rule, patience=3):
    settings = compose(
        "train",
        [
            "model=tiny",
            "train_data=a",
            "valid_data=b",
            f"early_stopping.rule={rule}",
            f"patience={patience}",
            "early_stopping.cooldown=0",
        ],
    )
    stopping = build_stopping(settings)
    for number, value in enumerate(curve, start=1):
        if stopping._evaluate_stopping_criteria(torch.tensor(value))[0]:
            return number
    return None


@pytest.mark.parametrize(
    ("curve", "rule", "expected"),
    [
        (SAW, "best", 5),
        (SAW, "consecutive", None),
        (RISING, "best", 5),
        (RISING, "consecutive", 5),
        (RECOVERING, "best", 5),
        (RECOVERING, "consecutive", None),
    ],
)
def test_rules(curve, rule, expected):
    assert stops_after(curve, rule) == expected


def test_none():
    settings = compose("train", ["model=tiny", "train_data=a", "valid_data=b", "early_stopping=none"])
    assert build_stopping(settings) is None


@pytest.fixture
def hopeless(tmp_path, monkeypatch):
    """A training in which validation, its labels exchanged, gets worse with each epoch."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "train", {"blue": 12, "red": 12}, seed=1)
    write_pictures(tmp_path / "other", {"blue": 6, "red": 6}, seed=2)
    (tmp_path / "valid").mkdir()
    (tmp_path / "other/red").rename(tmp_path / "valid/blue")
    (tmp_path / "other/blue").rename(tmp_path / "valid/red")

    def run(**settings):
        given = {"model": "plain", "train_data": "train", "valid_data": "valid", "output": tmp_path / "model"}
        given |= {"epochs": 20, "patience": 2, "learning_rate": 0.02, "batch_size": 8}
        given |= {"early_stopping": {"cooldown": 2}, "trainer": {"precision": "32-true"}, **settings}
        result = discerna.train(**given)
        with (result.run / "metrics.csv").open(newline="") as file:
            return result, [float(row["learning_rate"]) for row in csv.DictReader(file)]

    return run


@pytest.mark.parametrize("scheduler", ["cosine", "constant", "one_cycle", "polynomial"])
def test_the_rate_is_brought_down_before_the_end(hopeless, scheduler):
    result, rates = hopeless(scheduler=scheduler)
    assert result.epochs_trained == 5  # the first is the best, two are not better, two cool down
    assert rates[2] > rates[3] > rates[4] > 0
    assert rates[4] <= rates[2] / 5
    assert result.stopped.endswith(
        "was not better than the best epoch for 2 epochs, and the rate was brought down in 2 epochs"
    )


def test_without_a_cooldown_it_stops_at_once(hopeless):
    result, _ = hopeless(early_stopping={"cooldown": 0})
    assert result.epochs_trained == 3 and result.stopped.endswith("for 2 epochs")


def test_the_plateau_schedule_lowers_the_rate_by_itself(hopeless):
    result, _ = hopeless(scheduler="plateau")
    assert (result.epochs_trained, result.stopped[-12:]) == (3, "for 2 epochs")


def test_the_landing_counts_steps_whatever_the_checks(hopeless):
    """Validation each half epoch, and every other epoch: the rate is at its end when training stops, and not before."""
    halves, rates = hopeless(trainer={"precision": "32-true", "val_check_interval": 0.5}, batch_size=4)
    assert halves.stopped.endswith("was brought down in 2 epochs") and rates[-1] < 0.02 / 5
    others, rates = hopeless(
        trainer={"precision": "32-true", "check_val_every_n_epoch": 2}, output="others", learning_rate=0.05
    )
    assert others.stopped.endswith("was brought down in 2 epochs")
    assert rates[-2] > 0 and others.epochs_trained % 2 == 0


def test_no_landing_before_the_least_number_of_epochs(hopeless):
    result, rates = hopeless(trainer={"precision": "32-true", "min_epochs": 9}, scheduler="constant")
    assert result.epochs_trained == 11
    assert rates[7] == pytest.approx(0.02, rel=0.01)  # until then the rate stays


def test_a_cooldown_goes_on_where_a_checkpoint_left_it():
    from discerna.training.schedules import Landing

    def one(step: float) -> float:
        return 1.0

    weight = torch.nn.Parameter(torch.zeros(1))
    before = torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([weight], lr=1.0), Landing(one))
    before.optimizer.step()
    before.step()
    before.lr_lambdas[0].begin(before.last_epoch, 4)
    before.optimizer.step()
    before.step()
    after = torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([weight], lr=1.0), Landing(one))
    after.load_state_dict(before.state_dict())
    for schedule in (before, after):
        schedule.optimizer.step()
        schedule.step()
    assert before.get_last_lr() == after.get_last_lr() == [0.5]


def test_the_last_epoch_ends_a_cooldown(hopeless):
    result, _ = hopeless(epochs=4)
    assert (result.epochs_trained, result.stopped) == (4, "all epochs trained")
