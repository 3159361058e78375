"""How good the predictions of a classifier are.

Labels are the truth, predictions the classes answered, scores whatever grows with the belief in class 1. All are (n,)
or (n, 1). The answers are scikit-learn's; where a metric divides by nothing (no example of a class, no answer for it),
it has no value and is nan, as with scikit-learn's `zero_division=nan`.
"""

from dataclasses import dataclass

import numpy as np

CERTAIN = np.finfo(np.float64).eps


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
    undefined = bool(np.isnan(scores).any())
    return _rate(wrong, undefined), _rate(caught, undefined), np.append(np.inf, thresholds[ends])


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve: how likely an example of class 1 scores higher than one of class 0.

    A tie counts half; 1 is a perfect order, 0.5 is chance, 0 the perfect order upside down. It takes the labels and
    scores, not the curve. With examples of one class only there are no pairs to order, and the area is nan.
    """
    false_positive_rate, true_positive_rate, _ = roc_curve(labels, scores)
    return float(np.trapezoid(true_positive_rate, false_positive_rate))


def precision_recall_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each threshold on the score finds of class 1, and how much of what it answers is right.

    Unlike the ROC curve it depends on how common class 1 is: chance is a flat line at the share of class 1. Where one
    example in a hundred is of class 1, it shows the false alarms that a ROC curve hides.

    labels are 0 and 1. Returns (precision, recall, thresholds), the first two (k + 1,), the last (k,): thresholds rise
    through the distinct scores, and a last point, precision 1 at recall 0, belongs to no threshold. Recall is nan when
    there is no example of class 1, and so are both when a score is nan.
    """
    labels, scores = _binary(labels, "precision_recall_curve"), _flat(scores, "scores")
    thresholds = np.unique(scores)
    sweep = threshold_sweep(labels, scores, thresholds)
    if np.isnan(scores).any():
        return np.full(len(thresholds) + 1, np.nan), np.full(len(thresholds) + 1, np.nan), thresholds
    return np.append(sweep.precision, 1.0), np.append(sweep.recall, 0.0 * sweep.recall[0]), thresholds


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """The precision averaged over the recall it is reached at: the area under the precision-recall curve, in steps.

    1 is a perfect order, the share of class 1 is chance. It is nan when there is no example of class 1 (where
    scikit-learn says 0), or when a score is nan.
    """
    found, caught, _ = precision_recall_curve(labels, scores)
    return float(-(np.diff(caught) * found[:-1]).sum())


@dataclass(frozen=True, eq=False)
class ThresholdSweep:
    """What happens at every threshold when 1 is answered wherever score >= threshold; arrays (k,), counts int64.

    A rate or share is nan where it divides by nothing.
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray
    false_negatives: np.ndarray

    @property
    def true_positive_rate(self) -> np.ndarray:
        """Of the examples of class 1, the share that is found."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> np.ndarray:
        """Of the examples of class 0, the share that is taken for class 1."""
        return _share(self.false_positives, self.false_positives + self.true_negatives)

    @property
    def recall(self) -> np.ndarray:
        """The true positive rate by its other name."""
        return self.true_positive_rate

    @property
    def precision(self) -> np.ndarray:
        """Of the answers "class 1", the share that is right."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def accuracy(self) -> np.ndarray:
        """The share of the examples answered rightly."""
        right = self.true_positives + self.true_negatives
        return _share(right, right + self.false_positives + self.false_negatives)


def threshold_sweep(labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray | None = None) -> ThresholdSweep:
    """What every threshold on the score would do, counted.

    A score that is not a number reaches no threshold.

    labels are 0 and 1; thresholds (k,) in any order, or without any those of the whole ROC curve: infinity, then every
    distinct score, falling. Takes one sorting, however many thresholds there are.
    """
    labels, scores = _binary(labels, "threshold_sweep"), _flat(scores, "scores")
    _same_length(labels, scores, "scores")
    known = ~np.isnan(scores)
    if thresholds is None:
        thresholds = np.append(np.inf, np.unique(scores[known])[::-1])
    thresholds = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    ones, zeros = scores[known & (labels == 1)], scores[known & (labels == 0)]
    caught, wrong = _reaching(ones, thresholds), _reaching(zeros, thresholds)
    positives = int(labels.sum())
    return ThresholdSweep(thresholds, caught, wrong, len(labels) - positives - wrong, positives - caught)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of minus the log of the probability given to the true label: honest probabilities make it smallest.

    A wrong answer given with certainty costs 36, not infinity: like scikit-learn, it keeps probabilities 2.2e-16 away
    from 0 and 1. labels are 0 and 1, probabilities those of class 1; nan when one of them is nan.
    """
    labels, p = _binary(labels, "log_loss"), _probabilities(probabilities)
    _same_length(labels, p, "probabilities")
    true = np.where(labels == 1, p, 1 - p)
    return float(-np.log(np.clip(true, CERTAIN, 1 - CERTAIN)).mean())


def brier_score(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean squared distance of the probabilities from the labels; always answering 1/2 gives 1/4.

    Like the log loss it is smallest for honest probabilities, but what a certain error costs is bounded by 1.
    labels are 0 and 1, probabilities those of class 1; nan when one of them is nan.
    Source: Brier 1950.
    """
    labels, p = _binary(labels, "brier_score"), _probabilities(probabilities)
    _same_length(labels, p, "probabilities")
    return float(((p - labels) ** 2).mean())


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


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, nan where there is nothing to have a part of."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(k,) how many scores are at or above each threshold; none for one that is not a number."""
    counts = len(scores) - np.searchsorted(np.sort(scores), thresholds)
    return np.where(np.isnan(thresholds), 0, counts)


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


def _probabilities(values: np.ndarray) -> np.ndarray:
    values = _flat(values, "probabilities")
    strange = values[(values < 0) | (values > 1)]
    if len(strange):
        raise ValueError(f"{strange[0]} is not a probability; give numbers from 0 to 1, such as `Network.predict`'s")
    return values


def _classes(values: np.ndarray, k: int, noun: str) -> np.ndarray:
    known = np.isin(values, np.arange(k))
    if not known.all():
        raise ValueError(f"{noun} {values[~known][0]} is not a class; choose whole numbers from 0 to {k - 1}")
    return values.astype(np.int64)
