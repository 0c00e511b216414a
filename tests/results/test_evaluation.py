import json
import logging
import math

import numpy as np
import pytest
from sklearn import metrics

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError, UnreadablePictureError
from discerna.results.evaluation import evaluate
from discerna.results.predictor import Predictor, ScoredBatch
from expected_figures import compare


class Given:
    """Stands for a predictor whose probabilities are known."""

    def __init__(self, labels, probabilities, unreadable=()):
        self.labels = labels
        self.probabilities = np.asarray(probabilities, np.float32)
        self.unreadable = unreadable

    def stream(self, index, *, batch_size, workers, progress):
        assert len(index) == len(self.probabilities)
        for first in range(0, len(index), batch_size):
            all_ = range(first, min(first + batch_size, len(index)))
            good = [i for i in all_ if i not in self.unreadable]
            errors = [
                (i, UnreadablePictureError("empty", where="x", accepted="0 bytes"))
                for i in all_
                if i not in good
            ]
            yield ScoredBatch(good, self.probabilities[good], errors)


@pytest.fixture
def directory(tmp_path):
    """A directory whose pictures bear the labels of a list, which must be sorted; they are never opened."""

    def make(truth):
        for n, label in enumerate(truth):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / f"{n:04}.png").touch()
        return ImageDirectory.open(tmp_path)

    return make


def measured(labels, probabilities, data, batch_size=7, **more):
    return evaluate(
        Given(labels, probabilities, **more), data, setting="data", batch_size=batch_size, workers=0
    )


def random_case(labels, pictures, seed, used=None, ties=False):
    draw = np.random.default_rng(seed)
    truth = np.sort(draw.choice(labels if used is None else used, pictures))
    scores = draw.normal(size=(pictures, len(labels))) * 2
    scores[np.arange(pictures), np.searchsorted(labels, truth)] += 1
    scores = scores.round(0) if ties else scores
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return list(truth), probabilities.astype(np.float32)


@pytest.mark.parametrize("count", [2, 3, 8, 30])
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_figures_are_those_of_scikit_learn(directory, count, batch_size):
    labels = [f"l{n:02}" for n in range(count)]
    truth, probabilities = random_case(labels, 300, seed=count)
    found = measured(labels, probabilities, directory(truth), batch_size)
    compare(found, labels, truth, probabilities)
    if count > 5:
        assert found.top5 == pytest.approx(
            metrics.top_k_accuracy_score(truth, probabilities, k=5, labels=labels)
        )
        assert list(found.headline()) == ["accuracy", "balanced_accuracy", "loss", "top5"]
    else:
        assert found.top5 is None
        assert list(found.headline()) == ["accuracy", "balanced_accuracy", "loss"]


def test_absent_labels(directory, caplog):
    labels = [f"l{n}" for n in range(9)]
    truth, probabilities = random_case(labels, 40, seed=1, used=["l1", "l4", "l8"])
    with caplog.at_level(logging.INFO, "discerna"):
        found = measured(labels, probabilities, directory(truth))
    compare(found, labels, truth, probabilities)
    assert found.per_label[0].recall is None
    assert found.per_label[0].support == 0
    assert "data has no picture of 6 labels: 'l0', 'l2', 'l3', 'l5', 'l6', 'l7'" in caplog.text


def test_a_label_that_is_never_predicted(directory):
    found = measured(["a", "b", "c"], [[0.6, 0.3, 0.1]] * 4, directory(["a", "a", "b", "b"]))
    a, b, c = found.per_label
    assert (a.precision, a.recall, a.f1, a.support) == (0.5, 1, pytest.approx(2 / 3), 2)
    assert (b.precision, b.recall, b.f1, b.support) == (None, 0, 0, 2)
    assert (c.precision, c.recall, c.f1, c.support) == (None, None, None, 0)
    assert (found.macro.precision, found.macro.recall) == (0.25, 0.5)
    lines = found.table().splitlines()
    assert lines[:2] == [
        "accuracy 50.00%, balanced 50.00%, loss 0.8574, 4 pictures",
        "mcc -, kappa 0.000, brier 0.560, calibration error 0.100 (max 0.100)",
    ]
    assert lines[3:9] == [
        "label          precision  recall     f1  auroc     ap  pictures",
        "a                  0.500   1.000  0.667  0.500  0.500         2",
        "b                      -   0.000  0.000  0.500  0.500         2",
        "c                      -       -      -      -      -         0",
        "mean               0.250   0.500  0.333  0.500  0.500         4",
        "weighted mean      0.250   0.500  0.333  0.500  0.500         4",
    ]
    assert lines[10:] == [
        "true \\ predicted  a  b  c",
        "a                 2  .  .",
        "b                 2  .  .",
        "c                 .  .  .",
    ]


def test_ties_fall_to_the_first_label(directory):
    labels = [f"l{n}" for n in range(8)]
    even = [[1 / 8] * 8] * 8
    found = measured(labels, even, directory(labels))
    assert found.accuracy == 1 / 8
    assert found.top5 == 5 / 8
    assert [row[0] for row in found.confusion] == [1] * 8


def test_ties_in_random_data(directory):
    labels = [f"l{n}" for n in range(7)]
    truth, probabilities = random_case(labels, 200, seed=2, ties=True)
    found = measured(labels, probabilities, directory(truth))
    compare(found, labels, truth, probabilities)
    first_five = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    right = [labels.index(label) in row for label, row in zip(truth, first_five, strict=True)]
    assert found.top5 == pytest.approx(np.mean(right))


def test_one_readable_picture(directory):
    found = measured(["a", "b"], [[0.25, 0.75], [1, 0]], directory(["a", "b"]), unreadable=[1])
    assert (found.pictures, found.accuracy, found.loss) == (1, 0, pytest.approx(math.log(4)))
    assert found.skipped == [("b/0001.png", "empty: 0 bytes")]
    assert found.macro.precision == 0


def test_the_loss_is_finite(directory):
    found = measured(["a", "b"], [[0, 1], [0, 1]], directory(["a", "b"]))
    assert found.loss == pytest.approx(-math.log(1e-12) / 2)


def test_labels_are_matched_by_name(directory):
    """The model's order is not that of the folders."""
    found = measured(["b", "a"], [[0.1, 0.9], [0.9, 0.1]], directory(["a", "b"]))
    assert found.accuracy == 1
    assert found.confusion == [[1, 0], [0, 1]]


def test_an_unknown_label_is_refused(directory):
    with pytest.raises(InvalidDatasetError, match="'Dog' here looks like 'dog' in the model"):
        measured(["cat", "dog"], [[1, 0]] * 2, directory(["Dog", "cat"]))


def test_nothing_readable(directory):
    with pytest.raises(
        InvalidDatasetError, match=r"no picture can be read: data=.*all 2 are damaged, such as a/0000"
    ):
        measured(["a", "b"], [[1, 0]] * 2, directory(["a", "b"]), unreadable=[0, 1])


def test_unreadable_pictures_are_listed(directory, caplog):
    found = measured(["a", "b"], [[1, 0]] * 30, directory(["a"] * 20 + ["b"] * 10), unreadable=range(3, 17))
    assert (found.pictures, found.per_label[0].support) == (16, 6)
    assert "data: 14 unreadable pictures not counted: a/0003.png (empty: 0 bytes), a/0004.png" in caplog.text
    assert "… and 4 more" in caplog.text
    tail = found.table().splitlines()[-12:]
    assert tail[0] == "14 pictures cannot be read and count nowhere"
    assert tail[1] == "  a/0003.png  empty: 0 bytes"
    assert tail[-1] == "  and 4 more"


def test_many_labels_show_the_most_frequent_confusions(directory):
    labels = [f"l{n:02}" for n in range(21)]
    probabilities = np.zeros((24, 21))
    probabilities[range(21), range(21)] = 1
    probabilities[21:, 5] = 1
    data = directory([*labels[:20], *["l20"] * 4])
    lines = measured(labels, probabilities, data).table().splitlines()
    assert lines[-2:] == [
        "most frequent confusions: true  predicted  pictures",
        "l20                             l05               3",
    ]
    probabilities[21:] = probabilities[20]
    assert measured(labels, probabilities, data).table().endswith("\n\nno confusions")


def test_wide_labels_are_numbered_in_the_matrix(directory):
    labels = [f"a rather long name {n}" for n in range(5)]
    lines = measured(labels, np.eye(5), directory(labels)).table().splitlines()
    assert lines[-6].split() == ["true", "\\", "predicted", "1", "2", "3", "4", "5"]
    assert lines[-5] == "1 a rather long name 0  1  .  .  .  ."


@pytest.mark.parametrize(
    ("count", "shows"), [(2, "names"), (8, "names"), (9, "numbers"), (12, "numbers"), (40, "pairs")]
)
def test_a_terminal_of_80_columns(directory, count, shows):
    labels = [f"name{n:02}" for n in range(count)]
    lines = measured(labels, np.roll(np.eye(count), 1, axis=1), directory(labels)).table().splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line.split() for line in lines if "predicted" in line)
    assert head[-1] == {"names": labels[-1], "numbers": str(count), "pairs": "pictures"}[shows]


def test_json(directory):
    labels = ["a", "b", "caf\udce9"]
    found = measured(labels, np.eye(3), directory(["a", "b", "caf\udce9"]), unreadable=[1])
    told = json.loads(json.dumps(found.as_json(), allow_nan=False).encode("utf-8"))
    assert told["labels"] == ["a", "b", "caf\\udce9"]
    assert told["pictures"] == 2
    assert told["top5"] is None
    assert told["confusion"] == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert told["skipped"] == [{"file": "b/0001.png", "reason": "empty: 0 bytes"}]
    assert told["per_label"][1] == {
        "label": "b",
        "precision": None,
        "recall": None,
        "f1": None,
        "auroc": None,
        "average_precision": None,
        "support": 0,
    }
    means = {"precision", "recall", "f1", "auroc", "average_precision"}
    assert set(told["macro"]) == set(told["weighted"]) == means
    assert (told["balanced_accuracy"], told["brier"], told["mcc"], told["kappa"]) == (1, 0, 1, 1)
    assert told["auroc_margin"] == 0
    assert (told["calibration"]["error"], told["calibration"]["max_error"]) == (0, 0)
    assert told["calibration"]["bins"][-1] == {
        "above": pytest.approx(14 / 15),
        "upto": 1,
        "pictures": 2,
        "confidence": 1,
        "accuracy": 1,
    }
    assert "caf\\udce9" in found.table()


def test_a_real_model(tiny_model, pictures):
    """Once through the pixels, and the batches that a caller sees are those that are counted."""
    data = ImageDirectory.open(pictures / "valid")
    predictor = Predictor.of(tiny_model, device="cpu")
    seen = []
    found = evaluate(predictor, data, setting="data", batch_size=4, workers=0, on_batch=seen.append)
    assert [i for batch in seen for i in batch.indices] == list(range(11))
    probabilities = np.concatenate([batch.probabilities for batch in seen])
    compare(found, predictor.labels, [data.label(i) for i in range(11)], probabilities)
