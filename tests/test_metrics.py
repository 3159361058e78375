"""scikit-learn's answers, and what has no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_measures import probability_cases, sklearn_precision_recall, sklearn_scores
from oracle_optimizers import REFERENCES, answer_cases, roc_cases, sklearn_answers, sklearn_roc

from engine import metrics
from engine.metrics import (
    auc,
    average_precision,
    brier_score,
    confusion_matrix,
    log_loss,
    precision_recall_curve,
    roc_curve,
    threshold_sweep,
)

METRICS = ("confusion_matrix", "accuracy", "precision", "recall", "f1")

every_roc_case = pytest.mark.parametrize("case", roc_cases())
every_probability_case = pytest.mark.parametrize("case", probability_cases())
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


def assert_precision_and_recall_are(case: str, expected: np.ndarray) -> None:
    """But for recall and average precision without examples of class 1, which scikit-learn takes to be 1 and 0."""
    labels, scores = roc_cases()[case]
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    np.testing.assert_allclose(precision, expected[0], rtol=1e-12)
    assert np.array_equal(thresholds, expected[2, :-1])
    if case == "no class 1":
        expected = np.full_like(expected, np.nan)
    np.testing.assert_allclose(recall, expected[1], rtol=1e-12)
    np.testing.assert_allclose(average_precision(labels, scores), expected[2, -1], rtol=1e-12)


@every_roc_case
def test_precision_and_recall_are_scikit_learns(case):
    assert_precision_and_recall_are(case, np.load(REFERENCES / "measures.npz")[f"curve, {case}"])


@pytest.mark.torch
@every_roc_case
def test_precision_and_recall_are_scikit_learns_live(case):
    pytest.importorskip("sklearn")
    assert_precision_and_recall_are(case, sklearn_precision_recall(*roc_cases()[case]))


def ours(labels: np.ndarray, probabilities: np.ndarray) -> list[float]:
    return [log_loss(labels, probabilities), brier_score(labels, probabilities)]


@every_probability_case
def test_log_loss_and_brier_score_are_scikit_learns(case):
    expected = np.load(REFERENCES / "measures.npz")[f"scores, {case}"]
    np.testing.assert_allclose(ours(*probability_cases()[case]), expected, rtol=1e-12)


@pytest.mark.torch
@every_probability_case
def test_log_loss_and_brier_score_are_scikit_learns_live(case):
    pytest.importorskip("sklearn")
    np.testing.assert_allclose(ours(*probability_cases()[case]), sklearn_scores(*probability_cases()[case]), rtol=1e-12)


def test_probabilities_that_are_not_numbers_have_no_score():
    assert np.isnan(ours([0, 1], [0.5, np.nan])).all()


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1),
    st.lists(st.integers(-1, 12).map(lambda i: i / 2), max_size=5),
)
def test_every_row_of_a_sweep_is_what_its_threshold_does(examples, thresholds):
    labels, scores = np.array(examples).T
    sweep = threshold_sweep(labels, scores, thresholds)
    assert sweep.thresholds.tolist() == thresholds
    for i, threshold in enumerate(thresholds):
        answers = (scores >= threshold).astype(int)
        (tn, fp), (fn, tp) = confusion_matrix(labels, answers)
        assert [sweep.true_negatives[i], sweep.false_positives[i]] == [tn, fp]
        assert [sweep.false_negatives[i], sweep.true_positives[i]] == [fn, tp]
        for name in ("accuracy", "precision", "recall", "f1"):
            mine, other = getattr(sweep, name)[i], getattr(metrics, name)(labels, answers)
            np.testing.assert_allclose(mine, other, rtol=1e-12, err_msg=name)


@every_roc_case
def test_a_sweep_without_thresholds_is_the_whole_roc_curve(case):
    labels, scores = roc_cases()[case]
    sweep = threshold_sweep(labels, scores)
    x, y, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    if np.inf in scores:
        x, y, thresholds = x[1:], y[1:], thresholds[1:]
        sweep = threshold_sweep(labels, scores, thresholds)
    assert np.array_equal(sweep.thresholds, thresholds)
    np.testing.assert_allclose(sweep.false_positive_rate, x, rtol=1e-15)
    np.testing.assert_allclose(sweep.true_positive_rate, y, rtol=1e-15)


def test_a_score_or_a_threshold_that_is_not_a_number_is_never_reached():
    sweep = threshold_sweep([0, 1, 1], [0.5, np.nan, 0.2], [-np.inf, 0.3, np.nan])
    assert sweep.true_positives.tolist() == [1, 0, 0] and sweep.false_positives.tolist() == [1, 1, 0]
    assert sweep.false_negatives.tolist() == [1, 2, 2] and sweep.true_negatives.tolist() == [0, 0, 1]


def test_scores_that_are_not_numbers_have_no_precision_recall_curve():
    precision, recall, _ = precision_recall_curve([0, 1, 1], [0.5, np.nan, 0.2])
    assert np.isnan(precision).all() and np.isnan(recall).all()
    assert np.isnan(average_precision([0, 1, 1], [0.5, np.nan, 0.2]))


def test_a_sweep_may_be_asked_for_nothing_or_a_single_threshold():
    assert threshold_sweep([0, 1], [0.1, 0.9], []).accuracy.shape == (0,)
    assert threshold_sweep([0, 1], [0.1, 0.9], 0.5).accuracy.tolist() == [1.0]


def test_the_average_precision_of_chance_is_the_share_of_class_1():
    """2000 random scores with 30 % of class 1: known to 0.015; twice that."""
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) % 10 < 3).astype(int)
    assert average_precision(labels, rng.normal(size=2000)) == pytest.approx(0.3, abs=0.03)


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
        ("threshold_sweep", [0, 1], [0.1], "2 labels do not go with 1 scores"),
        ("threshold_sweep", [0, 3], [0.1, 0.2], "label 3 is neither 0 nor 1"),
        ("average_precision", [0, 1], [0.1], "2 labels do not go with 1 scores"),
        ("log_loss", [0, 1], [0.1, 1.5], "1.5 is not a probability; give numbers from 0 to 1"),
        ("brier_score", [0, 1], [-0.5, 1.0], "-0.5 is not a probability"),
        ("brier_score", [0, 1], [0.5], "2 labels do not go with 1 probabilities"),
        ("accuracy", [0, 1], [1], "2 labels do not go with 1 predictions"),
        ("precision", [0, 1], [0.2, 0.7], "prediction 0.2 is not a class"),
        ("confusion_matrix", [0, -1], [0, 0], "label -1 is not a class"),
        ("recall", [0, 1], [[0, 1]], r"predictions have the shape \(1, 2\)"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(metric, labels, others, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, metric)(np.array(labels), np.array(others))
