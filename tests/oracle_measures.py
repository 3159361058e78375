"""PyTorch's and scikit-learn's answers to the questions that test_measures and test_metrics ask.

    python tests/oracle_measures.py        asks both and writes their answers into tests/references

The tests compare the engine with the stored answers, and with the libraries themselves where they can be imported.
"""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from oracle_gradients import REFERENCES, Case, case, torch_answer
from oracle_optimizers import roc_cases

KINDS = [
    ("sigmoid", "binary cross-entropy", "sigmoid"),
    ("tanh", "mse", "softmax"),
    ("relu", "huber", "linear"),
    ("relu", "hinge", "softmax"),
    ("leaky relu", "mse", "sigmoid"),
    ("elu", "cross-entropy", "softmax"),
    ("gelu", "hinge", "sigmoid"),
    ("silu", "mse", "linear"),
    ("softplus", "hinge", "linear"),
]
MEASURED = [case(i, activation, (loss, output)) for i, (activation, loss, output) in enumerate(KINDS)]
"""Networks of depth 0 to 8, a third with skip connections, half with penalties."""


def torch_example_gradients(asked: Case) -> np.ndarray:
    """PyTorch's gradient of each example's cost by itself, (n, n_parameters)."""
    x, y = asked.data.x, asked.data.y
    alone = [SimpleNamespace(x=x[i : i + 1], y=y[i : i + 1]) for i in range(len(x))]
    return np.array([torch_answer(replace(asked, data=data, l1=0.0, l2=0.0))[1] for data in alone])


def torch_norms(asked: Case) -> np.ndarray:
    """The norm of each example's gradient in each layer, (n, layers)."""
    sizes = asked.network.sizes
    ends = np.cumsum([(fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes)])
    layers = np.split(torch_example_gradients(asked), ends[:-1], axis=1)
    return np.stack([np.linalg.norm(layer, axis=1) for layer in layers], axis=1)


def torch_noise_scale(asked: Case) -> float:
    """The trace of the covariance of the examples' gradients over the squared norm of the objective's gradient."""
    gradients, whole = torch_example_gradients(asked), torch_answer(asked)[1]
    return gradients.var(axis=0).sum() / (whole @ whole)


def probability_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Labels and probabilities of class 1: doubtful, certain, certain and wrong."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40)
    doubtful = rng.uniform(size=40)
    return {
        "doubtful": (labels, doubtful),
        "certain": (labels, labels.astype(float)),
        "certain and wrong": (labels, np.where(doubtful < 0.2, 1.0 - labels, doubtful)),
        "class 1 only": (np.ones(40, int), doubtful),
    }


def sklearn_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """scikit-learn's log loss and Brier score."""
    from sklearn import metrics

    return np.array(
        [
            metrics.log_loss(labels, probabilities, labels=[0, 1]),
            metrics.brier_score_loss(labels, probabilities, labels=[0, 1]),
        ]
    )


def sklearn_precision_recall(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """scikit-learn's curve as rows (3, k + 1): precision, recall, and thresholds with the average precision at the end.

    It refuses infinite scores, so that the largest number stands in for infinity.
    """
    import warnings

    from sklearn import metrics

    huge = np.finfo(float).max
    scores = scores.clip(-huge, huge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, thresholds = metrics.precision_recall_curve(labels, scores)
        average = metrics.average_precision_score(labels, scores)
    return np.array([precision, recall, np.append(np.where(thresholds == huge, np.inf, thresholds), average)])


def store() -> None:
    """Ask both libraries everything and write the answers down."""
    REFERENCES.mkdir(exist_ok=True)
    answers = {f"norms, {asked.name}": torch_norms(asked) for asked in MEASURED}
    answers |= {f"noise, {asked.name}": torch_noise_scale(asked) for asked in MEASURED}
    answers |= {f"scores, {case}": sklearn_scores(*question) for case, question in probability_cases().items()}
    answers |= {f"curve, {case}": sklearn_precision_recall(*question) for case, question in roc_cases().items()}
    np.savez_compressed(REFERENCES / "measures.npz", **answers)


if __name__ == "__main__":
    store()
