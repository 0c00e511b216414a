"""The figures of an evaluation as scikit-learn has them."""

import math
import warnings
from dataclasses import astuple

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve


def compare(found, labels, truth, probabilities):
    """All figures against scikit-learn's; `truth` holds labels, `probabilities` is in their order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of figures without a value
        predicted = [labels[i] for i in probabilities.argmax(1)]
        compare_decisions(found, labels, truth, predicted)
        compare_probabilities(found, labels, truth, probabilities)
        compare_ranking(found, labels, truth, probabilities)
        compare_calibration(found, np.array(predicted) == np.array(truth), probabilities.max(1))


def compare_decisions(found, labels, truth, predicted):
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    for i, figures in enumerate(found.per_label):
        assert figures.label == labels[i]
        assert figures.support == support[i]
        for value, expected in [(figures.precision, precision[i]), (figures.recall, recall[i])]:
            assert (value is None) == math.isnan(expected)
            assert value is None or math.isclose(value, expected)
        assert (figures.f1 is None) == (support[i] == 0 and labels[i] not in predicted)
        assert figures.f1 is None or math.isclose(figures.f1, f1[i], abs_tol=1e-12)
    borne = sorted(set(truth))
    for average, means in [("macro", found.macro), ("weighted", found.weighted)]:
        expected = metrics.precision_recall_fscore_support(
            truth, predicted, labels=borne, average=average, zero_division=0
        )
        assert (means.precision, means.recall, means.f1) == pytest.approx(expected[:3])
    compare_azure(found.azure, truth, predicted)
    assert found.confusion == metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    assert found.pictures == len(truth)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    if len(borne) == 1 or len(set(predicted)) == 1:  # scikit-learn says 0 here
        assert found.mcc is None
    else:
        assert found.mcc == pytest.approx(metrics.matthews_corrcoef(truth, predicted))
    kappa = metrics.cohen_kappa_score(truth, predicted)
    assert (found.kappa is None) == math.isnan(kappa)
    assert found.kappa is None or found.kappa == pytest.approx(kappa)


def compare_azure(found, truth, predicted):
    expected = {"Overall_Accuracy": metrics.accuracy_score(truth, predicted)}
    for average in ("micro", "macro"):
        for name in ("precision", "recall"):
            score = getattr(metrics, f"{name}_score")
            expected[f"{average}_{name}".title()] = score(truth, predicted, average=average, zero_division=0)
    assert found == pytest.approx(expected)


def compare_probabilities(found, labels, truth, probabilities):
    if len(labels) == 1:  # which scikit-learn refuses
        assert found.loss == found.brier == 0
        return
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(1, keepdims=True)
    of_truth = exact[np.arange(len(truth)), [labels.index(label) for label in truth]]
    assert found.loss == pytest.approx(-np.log(np.maximum(of_truth, 1e-12)).mean(), rel=1e-6, abs=1e-7)
    if of_truth.all():  # scikit-learn takes another least probability
        assert found.loss == pytest.approx(metrics.log_loss(truth, exact, labels=labels), rel=1e-6, abs=1e-7)
    one_hot = np.array(labels) == np.array(truth)[:, None]
    brier = metrics.mean_squared_error(one_hot, exact) * len(labels)
    assert found.brier == pytest.approx(brier, rel=1e-5, abs=1e-7)
    if len(labels) == 2:
        binary = metrics.brier_score_loss(one_hot[:, 1], exact[:, 1])
        assert found.brier == pytest.approx(2 * binary, rel=1e-5, abs=1e-7)


def compare_ranking(found, labels, truth, probabilities):
    assert found.auroc_margin == 0
    bears = np.array(labels) == np.array(truth)[:, None]
    aurocs, precisions, supports = [], [], []
    for i, figures in enumerate(found.per_label):
        own = bears[:, i]
        assert (figures.auroc is None) == (own.all() or not own.any())
        assert (figures.average_precision is None) == (not own.any())
        if figures.auroc is not None:
            assert figures.auroc == pytest.approx(metrics.roc_auc_score(own, probabilities[:, i]))
            aurocs.append(figures.auroc)
            supports.append(own.sum())
        if own.any():
            precision = metrics.average_precision_score(own, probabilities[:, i])
            assert figures.average_precision == pytest.approx(precision)
            precisions.append(figures.average_precision)
    assert found.macro.average_precision == pytest.approx(np.mean(precisions))
    if not aurocs:
        assert found.macro.auroc is None and found.weighted.auroc is None
        return
    assert found.macro.auroc == pytest.approx(np.mean(aurocs))
    assert found.weighted.auroc == pytest.approx(np.average(aurocs, weights=supports))
    if len(aurocs) == len(labels) > 2:
        for average, means in [("macro", found.macro), ("weighted", found.weighted)]:
            exact = probabilities.astype(np.float64)  # scikit-learn wants rows that add up to 1
            auroc = metrics.roc_auc_score(truth, exact, multi_class="ovr", average=average, labels=labels)
            assert means.auroc == pytest.approx(auroc)
        precision = metrics.average_precision_score(bears, probabilities, average="weighted")
        assert found.weighted.average_precision == pytest.approx(precision)


def compare_calibration(found, right, highest):
    highest = highest.astype(np.float64)
    accuracy, confidence = calibration_curve(right, highest, n_bins=15, pos_label=True)
    used = [one for one in found.calibration.bins if one.pictures]
    assert [one.accuracy for one in used] == pytest.approx(accuracy)
    assert [one.confidence for one in used] == pytest.approx(confidence)
    gaps = np.abs(accuracy - confidence)
    shares = [one.pictures / found.pictures for one in used]
    assert found.calibration.error == pytest.approx(float((gaps * shares).sum()), abs=1e-9)
    assert found.calibration.max_error == pytest.approx(float(gaps.max()), abs=1e-9)
    assert len(found.calibration.bins) == 15
    for i, one in enumerate(found.calibration.bins):
        assert (one.above, one.upto) == pytest.approx((i / 15, (i + 1) / 15))
        assert one.pictures == int(((highest > one.above) & (highest <= one.upto)).sum())
        if not one.pictures:
            assert astuple(one)[2:] == (0, None, None)
