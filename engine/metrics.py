"""Metrics: how good the answers of a classifier are.

Labels are the truth, predictions the classes answered, scores whatever grows with the belief in class 1. All are (n,)
or (n, 1). The answers are scikit-learn's; where a metric divides by nothing (no example of a class, no answer for it),
it has no value and is nan, as with scikit-learn's `zero_division=nan`.
"""

import numpy as np


def roc_curve(
    labels: np.ndarray, scores: np.ndarray, drop_intermediate: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The receiver operating characteristic: what each threshold on the score catches, and what it costs.

    Answering 1 wherever score >= threshold catches the true positive rate of class 1, and the false positive rate of
    class 0. The curve says nothing about which threshold to choose, nor whether the scores are honest probabilities.

    labels are 0 and 1. Returns (false_positive_rate, true_positive_rate, thresholds), each (k,): thresholds fall from
    infinity, rates rise from 0 to 1. There is one point per distinct score, or with `drop_intermediate` only those at
    which the curve bends. The rate of a class without examples is nan, and so are both when a score is nan.
    Source: Fawcett 2006, algorithm 1.
    """
    labels, scores = _binary(labels, "roc_curve"), _flat(scores, "scores")
    _same_length(labels, scores, "scores")
    order = np.argsort(scores, kind="stable")[::-1]
    thresholds, caught = scores[order], np.cumsum(labels[order])
    ends = np.append(np.flatnonzero(thresholds[1:] != thresholds[:-1]), len(scores) - 1)
    caught = caught[ends]
    wrong = 1 + ends - caught
    if drop_intermediate:
        bends = _bends(wrong, caught)
        ends, wrong, caught = ends[bends], wrong[bends], caught[bends]
    undefined = np.isnan(scores).any()
    return _rate(wrong, undefined), _rate(caught, undefined), np.append(np.inf, thresholds[ends])


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve: how likely an example of class 1 scores higher than one of class 0.

    A tie counts half; 1 is a perfect order, 0.5 is chance, 0 the perfect order upside down. It takes the labels and
    scores, not the curve. With examples of one class only there are no pairs to order, and the area is nan.
    """
    false_positive_rate, true_positive_rate, _ = roc_curve(labels, scores)
    return float(np.trapezoid(true_positive_rate, false_positive_rate))


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, n_classes: int | None = None) -> np.ndarray:
    """How often each class (row) was answered by each class (column).

    Classes count from 0. Without `n_classes` there are as many as the largest one seen asks for, two at least.
    Returns (n_classes, n_classes) int64; for two classes [[true negatives, false positives], [false negatives,
    true positives]].
    Raises ValueError when something is not a class.
    """
    labels, predictions = _flat(labels, "labels"), _flat(predictions, "predictions")
    _same_length(labels, predictions, "predictions")
    k = int(max(labels.max(), predictions.max(), 1)) + 1 if n_classes is None else n_classes
    labels, predictions = _classes(labels, k, "label"), _classes(predictions, k, "prediction")
    return np.bincount(labels * k + predictions, minlength=k * k).reshape(k, k)


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The share of the examples answered rightly. It flatters whoever always answers the commonest class."""
    labels, predictions = _flat(labels, "labels"), _flat(predictions, "predictions")
    _same_length(labels, predictions, "predictions")
    return float(np.mean(labels == predictions))


def precision(labels: np.ndarray, predictions: np.ndarray, n_classes: int | None = None) -> float:
    """Of the answers "class 1", the share that is right; nan when the answer was never given.

    With more than two classes: the mean over those that were answered at all ("macro").
    """
    matrix = confusion_matrix(labels, predictions, n_classes)
    return _of_interest(np.diag(matrix), matrix.sum(axis=0))


def recall(labels: np.ndarray, predictions: np.ndarray, n_classes: int | None = None) -> float:
    """Of the examples of class 1, the share that was found; nan when there are none.

    With more than two classes: the mean over those that have examples ("macro").
    """
    matrix = confusion_matrix(labels, predictions, n_classes)
    return _of_interest(np.diag(matrix), matrix.sum(axis=1))


def f1(labels: np.ndarray, predictions: np.ndarray, n_classes: int | None = None) -> float:
    """The harmonic mean of precision and recall; nan when class 1 was neither there nor answered.

    With more than two classes: the mean over those that were there or answered ("macro").
    """
    matrix = confusion_matrix(labels, predictions, n_classes)
    return _of_interest(2 * np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))


def _of_interest(right: np.ndarray, total: np.ndarray) -> float:
    """right / total of class 1, or of more than two classes the mean over those where it is defined."""
    asked = total > 0
    if len(total) == 2:
        asked[0] = False
    return float(np.mean(right[asked] / total[asked])) if asked.any() else np.nan


def _rate(counts: np.ndarray, undefined: bool) -> np.ndarray:
    """Counts as shares of the last of them, from 0 on; all nan if that has no meaning."""
    counts = np.append(0, counts)
    if undefined or counts[-1] == 0:
        return np.full(len(counts), np.nan)
    return counts / counts[-1]


def _bends(wrong: np.ndarray, caught: np.ndarray) -> np.ndarray:
    """Which points of the curve are not in the middle of a straight stretch; the ends always count."""
    if len(wrong) <= 2:
        return np.ones(len(wrong), bool)
    inner = (np.diff(wrong, 2) != 0) | (np.diff(caught, 2) != 0)
    return np.concatenate([[True], inner, [True]])


def _flat(values: np.ndarray, noun: str) -> np.ndarray:
    """(n,) from (n,) or (n, 1)."""
    values = np.asarray(values)
    if values.size == 0 or values.shape not in ((values.size,), (values.size, 1)):
        raise ValueError(f"{noun} have the shape {values.shape}; give (n,) or (n, 1) with n of 1 or more")
    return values.reshape(-1)


def _same_length(labels: np.ndarray, others: np.ndarray, noun: str) -> None:
    if len(labels) != len(others):
        raise ValueError(f"{len(labels)} labels do not go with {len(others)} {noun}; give one for each example")


def _binary(labels: np.ndarray, name: str) -> np.ndarray:
    labels = _flat(labels, "labels")
    strange = labels[(labels != 0) & (labels != 1)]
    if len(strange):
        raise ValueError(f"label {strange[0]} is neither 0 nor 1; {name} takes (labels, scores) of a binary problem")
    return labels.astype(np.int64)


def _classes(values: np.ndarray, k: int, noun: str) -> np.ndarray:
    known = np.isin(values, np.arange(k))
    if not known.all():
        raise ValueError(f"{noun} {values[~known][0]} is not a class; choose whole numbers from 0 to {k - 1}")
    return values.astype(np.int64)
