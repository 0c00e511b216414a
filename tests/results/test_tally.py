import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from discerna.results import ranking
from discerna.results.tally import Tally
from expected_figures import compare


def counted(labels, truth, probabilities, batch_size=7):
    tally = Tally(labels, len(truth))
    positions = np.array([labels.index(label) for label in truth], np.int64)
    for first in range(0, len(truth), batch_size):
        batch = slice(first, first + batch_size)
        tally.add(probabilities[batch], positions[batch])
    return tally.evaluation([])


def normalised(weights):
    """Rows of probabilities; one without any weight is even."""
    weights = np.where(weights.any(1, keepdims=True), weights, 1).astype(np.float32)
    return weights / weights.sum(1, keepdims=True)


@st.composite
def tables(draw):
    """Labels, truth and probabilities: with ties and exact 0 and 1, absent labels, all right or all wrong."""
    labels = [f"l{n}" for n in range(draw(st.integers(1, 7)))]
    pictures = draw(st.integers(1, 40))
    most = draw(st.sampled_from([1, 3, 1000]))
    weights = draw(arrays(np.int64, (pictures, len(labels)), elements=st.integers(0, most)))
    probabilities = normalised(weights)
    kind = draw(st.sampled_from(["any", "any", "right", "wrong"]))
    if kind == "any":
        borne = st.sampled_from(draw(st.lists(st.sampled_from(labels), min_size=1, unique=True)))
        return labels, draw(st.lists(borne, min_size=pictures, max_size=pictures)), probabilities
    shift = 1 if kind == "wrong" else 0
    return labels, [labels[(i + shift) % len(labels)] for i in probabilities.argmax(1)], probabilities


@given(table=tables(), batch_size=st.integers(1, 50))
@example((["a"], ["a"], np.ones((1, 1), np.float32)), 1)
@example((["a", "b"], ["a"], np.array([[0, 1]], np.float32)), 1)
@example((["a", "b", "c"], ["b"] * 4, np.full((4, 3), 1 / 3, np.float32)), 2)
@example((["a", "b", "c"], ["a", "b", "c"], np.eye(3, dtype=np.float32)), 3)
def test_all_figures_are_those_of_scikit_learn(table, batch_size):
    found = counted(*table, batch_size=batch_size)
    compare(found, *table)
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))  # refuses NaN
    assert told["balanced_accuracy"] == found.balanced_accuracy
    assert told["azure"] == found.azure
    assert "nan" not in found.table()


def test_one_picture():
    found = counted(["a", "b", "c"], ["b"], np.array([[0.25, 0.625, 0.125]], np.float32))
    assert (found.accuracy, found.balanced_accuracy, found.loss) == (1, 1, pytest.approx(-math.log(0.625)))
    assert found.brier == pytest.approx(0.25**2 + 0.375**2 + 0.125**2)
    assert (found.mcc, found.kappa) == (None, None)
    assert [f.auroc for f in found.per_label] == [None] * 3
    assert [f.average_precision for f in found.per_label] == [None, 1, None]
    assert (found.macro.auroc, found.macro.average_precision) == (None, 1)
    assert (found.calibration.error, found.calibration.max_error) == (0.375, 0.375)


def test_ties_count_half():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]], np.float32)
    found = counted(["a", "b"], ["a", "b", "a", "b"], probabilities)
    assert [f.auroc for f in found.per_label] == [0.875, 0.875]


def test_weights_are_those_of_the_pictures():
    probabilities = np.array([[0.9, 0.1]] * 8 + [[0.6, 0.4]] * 2, np.float32)
    found = counted(["a", "b"], ["a"] * 8 + ["b"] * 2, probabilities)
    assert (found.accuracy, found.balanced_accuracy, found.weighted.recall) == (0.8, 0.5, 0.8)
    assert (found.macro.precision, found.weighted.precision) == pytest.approx((0.4, 0.64))
    assert found.macro.auroc == 1
    used = [one for one in found.calibration.bins if one.pictures]
    assert [(one.pictures, one.accuracy) for one in used] == [(2, 0), (8, 1)]
    assert found.calibration.error == pytest.approx(0.2 * 0.6 + 0.8 * 0.1)
    assert found.calibration.max_error == pytest.approx(0.6)


@given(table=tables(), bins=st.sampled_from([2, 5, 60, 5_000_000]))
def test_counting_in_bins_tells_how_far_it_may_be_off(table, bins):
    labels, truth, probabilities = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "KEPT", 0)
        patch.setattr(ranking, "CELLS", bins * len(labels))
        found = counted(labels, truth, probabilities)
    exact = counted(labels, truth, probabilities)
    for ours, theirs in zip(found.per_label, exact.per_label, strict=True):
        assert (ours.auroc is None) == (theirs.auroc is None)
        assert (ours.average_precision is None) == (theirs.average_precision is None)
        if ours.auroc is not None:
            assert abs(ours.auroc - theirs.auroc) <= found.auroc_margin + 1e-12
    assert ("auroc is exact within" in found.table()) == (found.auroc_margin > 0)


def test_many_bins_are_close():
    draw = np.random.default_rng(1)
    labels = [f"l{n}" for n in range(100)]
    truth = draw.integers(0, 100, 3000)
    scores = draw.normal(size=(3000, 100)) * 3
    scores[np.arange(3000), truth] += 8
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "KEPT", 0)
        patch.setattr(ranking, "CELLS", 2**25 // 10)  # a label has as many as one of 1000 labels
        found = counted(labels, [labels[i] for i in truth], probabilities.astype(np.float32), 500)
    assert 0 < found.auroc_margin < 2e-4
    for i, figures in enumerate(found.per_label):
        auroc = metrics.roc_auc_score(truth == i, probabilities[:, i])
        precision = metrics.average_precision_score(truth == i, probabilities[:, i])
        assert figures.auroc == pytest.approx(auroc, abs=found.auroc_margin)
        assert figures.average_precision == pytest.approx(precision, abs=0.02)


@pytest.mark.parametrize(
    ("labels", "pictures"), [(1000, 64_000), (1000, 64_001), (20_000, 10**6), (2, 5 * 10**6), (10, 10**7)]
)
def test_memory_is_bounded(labels, pictures):
    """256 MB for the probabilities or their bins, and eight bytes a picture."""
    tracemalloc.start()
    try:
        Tally([""] * labels, pictures)
        assert tracemalloc.get_traced_memory()[1] < 257e6 + 8 * pictures
    finally:
        tracemalloc.stop()


def test_probabilities_a_little_above_1():
    """A softmax in 32 bits may give one."""
    above = np.nextafter(np.float32(1), np.float32(2))
    probabilities = np.array([[above, 0], [0, above]], np.float32)
    for kept in (ranking.KEPT, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranking, "KEPT", kept)
            patch.setattr(ranking, "CELLS", 2000)
            found = counted(["a", "b"], ["a", "b"], probabilities)
        assert (found.macro.auroc, found.calibration.error) == (1, pytest.approx(0, abs=1e-6))
        assert found.loss == 0
        assert found.calibration.bins[-1].pictures == 2
