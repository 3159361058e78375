"""PyTorch's and scikit-learn's answers to the questions that test_optimizers and test_metrics ask.

`python tests/oracle_optimizers.py` stores them in tests/references; it needs both libraries, the tests do not.
"""

from pathlib import Path

import numpy as np

REFERENCES = Path(__file__).parent / "references"

OPTIMIZER_CASES = {
    "sgd": ("sgd", {}),
    "momentum": ("momentum", {}),
    "momentum, light": ("momentum", {"momentum": 0.3}),
    "nesterov": ("nesterov", {}),
    "nesterov, light": ("nesterov", {"momentum": 0.3}),
    "adagrad": ("adagrad", {}),
    "adagrad, large epsilon": ("adagrad", {"epsilon": 0.01}),
    "rmsprop": ("rmsprop", {}),
    "rmsprop, forgetful": ("rmsprop", {"smoothing": 0.7, "epsilon": 0.01}),
    "adam": ("adam", {}),
    "adam, forgetful": ("adam", {"beta1": 0.4, "beta2": 0.8, "epsilon": 0.01}),
    "adamw": ("adamw", {}),
    "adamw, strong decay": ("adamw", {"beta1": 0.4, "weight_decay": 0.3}),
}
LEARNING_RATE = 0.05


def parameters_and_gradients() -> tuple[np.ndarray, np.ndarray]:
    """A start (8,) and fifty gradients (50, 8), their sizes spread over eight powers of ten."""
    rng = np.random.default_rng(0)
    return rng.normal(size=8), rng.normal(size=(50, 8)) * 10.0 ** np.arange(-6, 2)


def torch_path(name: str, options: dict[str, float]) -> np.ndarray:
    """The parameters after each of the fifty steps of PyTorch's optimizer, (50, 8)."""
    import torch

    parameters, gradients = parameters_and_gradients()
    tensor = torch.tensor(parameters, requires_grad=True)
    optimizer = torch_optimizer(name, options)([tensor], lr=LEARNING_RATE)
    path = []
    for gradient in gradients:
        tensor.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(tensor.detach().numpy().copy())
    return np.array(path)


def torch_optimizer(name: str, options: dict[str, float]):
    """PyTorch's optimizer of that name as a function of the tensors and `lr`, with our options in its words."""
    from functools import partial

    from torch import optim

    words = {"smoothing": "alpha", "epsilon": "eps"}
    given = {words.get(option, option): value for option, value in options.items()}
    if name in ("adam", "adamw"):
        given["betas"] = given.pop("beta1", 0.9), given.pop("beta2", 0.999)
    kinds = {
        "sgd": partial(optim.SGD, momentum=0.0),
        "momentum": partial(optim.SGD, momentum=0.9),
        "nesterov": partial(optim.SGD, momentum=0.9, nesterov=True),
        "adagrad": optim.Adagrad,
        "rmsprop": optim.RMSprop,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
    }
    return partial(kinds[name], **given)


def roc_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Labels and scores: without ties, with many, all tied, perfect, upside down, and one example of each class."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    scores = rng.normal(size=60) + labels
    return {
        "no ties": (labels, scores),
        "ties": (labels, scores.round()),
        "all tied": (labels, np.full(60, 0.5)),
        "perfect": (labels, labels + rng.uniform(0, 0.5, 60)),
        "upside down": (labels, -labels + rng.uniform(0, 0.5, 60)),
        "infinite": (labels, np.where(scores > 0, np.inf, scores)),
        "two examples": (np.array([0, 1]), np.array([0.3, 0.3])),
        "no class 1": (np.zeros(5, int), np.arange(5) / 5),
        "no class 0": (np.ones(5, int), np.arange(5) / 5),
    }


def sklearn_roc(labels: np.ndarray, scores: np.ndarray, drop_intermediate: bool) -> np.ndarray:
    """scikit-learn's curve as rows (3, k): false positive rate, true positive rate, threshold.

    It refuses infinite scores, so that the largest number stands in for infinity.
    """
    import warnings

    from sklearn import metrics

    huge = np.finfo(float).max
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y, thresholds = metrics.roc_curve(labels, scores.clip(-huge, huge), drop_intermediate=drop_intermediate)
    thresholds[1:][thresholds[1:] == huge] = np.inf
    return np.array([x, y, thresholds])


def answer_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Labels and predictions of two and more classes, complete and with classes that are missing."""
    rng = np.random.default_rng(2)
    return {
        "two classes": (rng.integers(0, 2, 50), rng.integers(0, 2, 50)),
        "four classes": (rng.integers(0, 4, 80), rng.integers(0, 4, 80)),
        "never answered": (rng.integers(0, 2, 20), np.zeros(20, int)),
        "never there": (np.zeros(20, int), rng.integers(0, 2, 20)),
        "neither": (np.zeros(20, int), np.zeros(20, int)),
        "class 1 only": (np.ones(20, int), np.ones(20, int)),
        "class 2 never answered": (rng.integers(0, 4, 80), rng.choice([0, 1, 3], 80)),
        "class 2 never there": (rng.choice([0, 1, 3], 80), rng.integers(0, 4, 80)),
    }


def sklearn_answers(labels: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
    """scikit-learn's confusion matrix, accuracy, precision, recall and F1."""
    from sklearn import metrics

    k = max(labels.max(), predictions.max(), 1) + 1
    how = {"average": "binary" if k == 2 else "macro", "zero_division": np.nan}
    return {
        "confusion_matrix": metrics.confusion_matrix(labels, predictions, labels=range(k)),
        "accuracy": metrics.accuracy_score(labels, predictions),
        "precision": metrics.precision_score(labels, predictions, **how),
        "recall": metrics.recall_score(labels, predictions, **how),
        "f1": metrics.f1_score(labels, predictions, **how),
    }


def store() -> None:
    """Ask both libraries everything and write the answers down."""
    REFERENCES.mkdir(exist_ok=True)
    paths = {case: torch_path(*question) for case, question in OPTIMIZER_CASES.items()}
    np.savez_compressed(REFERENCES / "optimizers.npz", **paths)
    answers = {
        f"roc, {case}, {drop}": sklearn_roc(*question, drop)
        for case, question in roc_cases().items()
        for drop in (False, True)
    }
    for case, question in answer_cases().items():
        answers |= {f"{metric}, {case}": answer for metric, answer in sklearn_answers(*question).items()}
    np.savez_compressed(REFERENCES / "metrics.npz", **answers)


if __name__ == "__main__":
    store()
