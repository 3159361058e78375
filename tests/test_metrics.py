"""scikit-learn's answers, and what has no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_optimizers import REFERENCES, answer_cases, roc_cases, sklearn_answers, sklearn_roc

from engine import metrics
from engine.metrics import auc, confusion_matrix, roc_curve

METRICS = ("confusion_matrix", "accuracy", "precision", "recall", "f1")

every_roc_case = pytest.mark.parametrize("case", roc_cases())
every_answer_case = pytest.mark.parametrize("case", answer_cases())
dropping_or_not = pytest.mark.parametrize("drop", [False, True])


@every_roc_case
@dropping_or_not
def test_the_roc_curve_is_scikit_learns(case, drop):
    expected = np.load(REFERENCES / "metrics.npz")[f"roc, {case}, {drop}"]
    assert np.array_equal(roc_curve(*roc_cases()[case], drop), expected, equal_nan=True)


@pytest.mark.torch
@every_roc_case
@dropping_or_not
def test_the_roc_curve_is_scikit_learns_live(case, drop):
    pytest.importorskip("sklearn")
    expected = sklearn_roc(*roc_cases()[case], drop)
    assert np.array_equal(roc_curve(*roc_cases()[case], drop), expected, equal_nan=True)


@every_answer_case
@pytest.mark.parametrize("metric", METRICS)
def test_counts_and_shares_are_scikit_learns(case, metric):
    """To 1e-12: means over classes are summed in another order."""
    expected = np.load(REFERENCES / "metrics.npz")[f"{metric}, {case}"]
    np.testing.assert_allclose(getattr(metrics, metric)(*answer_cases()[case]), expected, rtol=1e-12)


@pytest.mark.torch
@every_answer_case
def test_counts_and_shares_are_scikit_learns_live(case):
    pytest.importorskip("sklearn")
    for metric, expected in sklearn_answers(*answer_cases()[case]).items():
        np.testing.assert_allclose(getattr(metrics, metric)(*answer_cases()[case]), expected, rtol=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2))
def test_auc_is_the_share_of_pairs_in_the_right_order(examples):
    labels, scores = np.array(examples).T
    difference = scores[labels == 1][:, None] - scores[labels == 0]
    expected = np.mean((np.sign(difference) + 1) / 2) if difference.size else np.nan
    np.testing.assert_allclose(auc(labels, scores), expected, atol=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2))
def test_every_point_of_the_roc_curve_is_what_its_threshold_does(examples):
    labels, scores = np.array(examples).T
    x, y, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    for point in zip(x, y, thresholds, strict=True):
        (negatives, alarms), (misses, hits) = confusion_matrix(labels, scores >= point[2])
        assert np.isnan(point[0]) or point[0] == alarms / (negatives + alarms)
        assert np.isnan(point[1]) or point[1] == hits / (misses + hits)


def test_dropping_points_does_not_change_the_area():
    labels, scores = roc_cases()["ties"]
    x, y, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert auc(labels, scores) == pytest.approx(np.trapezoid(y, x), abs=1e-15)


def test_scores_that_are_not_numbers_have_no_curve():
    x, y, _ = roc_curve([0, 1, 1], [0.5, np.nan, 0.2])
    assert np.isnan(x).all() and np.isnan(y).all()
    assert np.isnan(auc([0, 1, 1], [0.5, np.nan, 0.2]))


def test_columns_are_taken_like_flat_arrays():
    labels, scores = roc_cases()["ties"]
    assert auc(labels[:, None], scores[:, None]) == auc(labels, scores)


def test_a_given_number_of_classes_makes_room_for_the_missing():
    assert np.array_equal(confusion_matrix([0, 1], [0, 0], n_classes=3), [[1, 0, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("metric", "labels", "others", "message"),
    [
        ("roc_curve", [0, 2], [0.1, 0.2], "label 2 is neither 0 nor 1"),
        ("auc", [0.0, 0.4, 1.0], [0.0, 0.9, 1.0], "label 0.4 is neither 0 nor 1"),
        ("auc", [], [], r"labels have the shape \(0,\)"),
        ("auc", [0, 1], [0.1], "2 labels do not go with 1 scores"),
        ("accuracy", [0, 1], [1], "2 labels do not go with 1 predictions"),
        ("precision", [0, 1], [0.2, 0.7], "prediction 0.2 is not a class"),
        ("confusion_matrix", [0, -1], [0, 0], "label -1 is not a class"),
        ("recall", [0, 1], [[0, 1]], r"predictions have the shape \(1, 2\)"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(metric, labels, others, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, metric)(np.array(labels), np.array(others))
