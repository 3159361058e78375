"""PyTorch's, scikit-learn's and SciPy's answers to the questions that test_surfaces and test_landscape ask.

`python tests/oracle_surfaces.py` stores them in tests/references; it needs the libraries, the tests do not.
"""

from pathlib import Path

import numpy as np
from oracle_optimizers import torch_optimizer

from engine.datasets import DATASETS

REFERENCES = Path(__file__).parent / "references"

# Written down here once more, from the literature, for numbers as for tensors.
FORMULAS = {
    "quadratic": lambda x, y: x**2 / 2 + 10 * y**2 / 2,
    "quadratic, turned": lambda x, y: (3**0.5 * x + y) ** 2 / 8 + 100 * (3**0.5 * y - x) ** 2 / 8,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    "beale": lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "saddle": lambda x, y: x**2 / 2 + (y**2 - 1) ** 2 / 4,
}
OPTIMIZER_RATES = {
    "sgd": 1e-3,
    "momentum": 2e-4,
    "nesterov": 2e-4,
    "adagrad": 0.1,
    "rmsprop": 0.01,
    "adam": 0.1,
    "adamw": 0.1,
}
START = (-1.2, 1.0)
STRENGTHS = (0.0, 0.1)


def points() -> np.ndarray:
    """Twenty points, (20, 2)."""
    return np.random.default_rng(0).uniform(-3, 3, (20, 2))


def overlapping():
    """A hundred examples that no line separates."""
    return DATASETS["linear"](n=100, noise=0.3, gap=-0.2, seed=0)


def recorded_paths() -> dict[str, np.ndarray]:
    """Paths of more epochs than parameters, and of fewer."""
    rng = np.random.default_rng(1)
    walk = rng.normal(size=(40, 700)).cumsum(axis=0) + 5
    return {"long": walk[:, :12], "wide": walk}


def torch_derivatives(formula: str) -> np.ndarray:
    """Value, gradient and Hessian of a formula at all points by automatic differentiation, (20, 1 + 2 + 4)."""
    import torch

    function = FORMULAS[formula]
    return np.array([_derivatives(lambda p: function(p[0], p[1]), torch.tensor(point)) for point in points()])


def torch_logistic(l2: float) -> np.ndarray:
    """The same of the logistic loss."""
    import torch

    data = overlapping()
    x, y = torch.tensor(data.x), torch.tensor(data.y)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    return np.array(
        [_derivatives(lambda w: entropy(x @ w, y) + l2 / 2 * (w @ w), torch.tensor(point)) for point in points()]
    )


def _derivatives(function, point) -> np.ndarray:
    from torch.autograd.functional import hessian, jacobian

    parts = function(point), jacobian(function, point), hessian(function, point)
    return np.concatenate([part.numpy().ravel() for part in parts])


def torch_descent(name: str) -> np.ndarray:
    """The points of fifty steps of PyTorch's optimizer on Rosenbrock's function, and the start, (51, 2)."""
    import torch

    point = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch_optimizer(name, {})([point], lr=OPTIMIZER_RATES[name])
    path = [START]
    for _ in range(50):
        optimizer.zero_grad()
        FORMULAS["rosenbrock"](point[0], point[1]).backward()
        optimizer.step()
        path.append(point.detach().numpy().copy())
    return np.array(path)


def sklearn_minimum(l2: float) -> np.ndarray:
    """scikit-learn's weights without a bias, (2,)."""
    from sklearn.linear_model import LogisticRegression

    data = overlapping()
    strength = 1 / (l2 * len(data)) if l2 else np.inf
    model = LogisticRegression(C=strength, fit_intercept=False, tol=1e-14, solver="newton-cholesky", max_iter=1000)
    return model.fit(data.x, data.y).coef_[0]


def sklearn_components(case: str) -> np.ndarray:
    """scikit-learn's two principal components of a path, and the share of variance each explains as a last column."""
    from sklearn.decomposition import PCA

    model = PCA(2, svd_solver="full").fit(recorded_paths()[case])
    return np.column_stack([model.components_, model.explained_variance_ratio_])


def store() -> None:
    """Ask everything and write the answers down."""
    REFERENCES.mkdir(exist_ok=True)
    answers = {f"derivatives, {formula}": torch_derivatives(formula) for formula in FORMULAS}
    answers |= {f"logistic, {l2}": torch_logistic(l2) for l2 in STRENGTHS}
    answers |= {f"minimum, {l2}": sklearn_minimum(l2) for l2 in STRENGTHS}
    answers |= {f"descent, {name}": torch_descent(name) for name in OPTIMIZER_RATES}
    answers |= {f"components, {case}": sklearn_components(case) for case in recorded_paths()}
    np.savez_compressed(REFERENCES / "surfaces.npz", **answers)


if __name__ == "__main__":
    store()
