"""What PyTorch and scikit-learn answer, for networks and data that any version of NumPy makes alike.

    python -m tests.oracle_gradients        asks both and writes their answers into tests/references

The tests compare the engine with the stored answers, and with PyTorch itself where it can be imported.
"""

from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from engine import ACTIVATIONS, LOSSES, OUTPUTS, Network

REFERENCES = Path(__file__).parent / "references"
L2 = 0.03


@dataclass(frozen=True)
class Case:
    """One network on one set of data, and what is asked of it."""

    network: Network
    data: SimpleNamespace
    loss: str
    l1: float
    l2: float
    name: str = field(default="")


def wave(*shape: int, seed: int) -> np.ndarray:
    """Numbers between -1 and 1 without a pattern that matters: a sine sampled ever faster."""
    i = np.arange(np.prod(shape, dtype=int), dtype=float)
    return np.sin(seed + 1.7 * i + 0.61 * i * i).reshape(shape)


def cases() -> list[Case]:
    """Every activation with every loss on every output it goes with; depth 0 to 8, a third with skip connections."""
    pairs = [(loss, output) for loss, output in product(LOSSES, OUTPUTS) if output in LOSSES[loss].outputs]
    return [case(i, *which) for i, which in enumerate(product(ACTIVATIONS, pairs))]


def case(i: int, activation: str, pair: tuple[str, str]) -> Case:
    """The i-th case."""
    loss, output = pair
    outputs = {"sigmoid": 1, "softmax": 3, "linear": 1 if loss == "hinge" else 2}[output]
    # Of squares a depth of 8 would be a polynomial of degree 256, which shows rounding and nothing else.
    depth = i % 3 if activation == "square" else i % 9
    hidden = [3 + (i + layer // 2) % 3 for layer in range(depth)]
    network = Network([2, *hidden, outputs], activation, output, "zeros", skip=i % 3 == 0)
    network.parameters = 0.9 * wave(network.n_parameters, seed=i + 3) + 0.1
    n = 5 + i % 4
    y = wave(n, outputs, seed=i + 2)
    if output == "softmax":
        y = np.arange(n) % outputs
    elif output == "sigmoid" or loss == "hinge":
        y = (y[:, 0] > 0).astype(float)
    data = SimpleNamespace(x=2 * wave(n, 2, seed=i + 1), y=y)
    return Case(network, data, loss, 0.01 * (i % 2), 0.1 * (i % 5), f"{i} {activation}, {loss} on {output}")


def torch_answer(case: Case) -> tuple[float, np.ndarray]:
    """PyTorch's loss and its gradient, laid out like the network's parameters."""
    import torch

    parameters = torch.tensor(case.network.parameters, requires_grad=True)
    h, start, penalty = torch.tensor(case.data.x), 0, 0.0
    for layer, (fan_in, fan_out) in enumerate(pairwise(case.network.sizes)):
        w = parameters[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        b = parameters[start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
        start += (fan_in + 1) * fan_out
        penalty = penalty + case.l2 / 2 * (w * w).sum() + case.l1 * w.abs().sum()
        z = h @ w + b
        if layer < len(case.network.activations):
            a = _torch_activation(case.network.activations[layer], z)
            h = a + h if case.network.skip and fan_in == fan_out else a
    loss = _torch_loss(case, z) + penalty
    loss.backward()
    return loss.item(), parameters.grad.numpy()


def _torch_activation(name: str, z):
    import torch
    from torch.nn import functional

    special = {"linear": lambda: z, "sine": lambda: torch.sin(z), "square": lambda: z**2, "erf": lambda: torch.erf(z)}
    return special[name]() if name in special else getattr(functional, name.replace(" ", "_"))(z)


def _torch_loss(case: Case, z):
    import torch
    from torch.nn import functional

    y, output = torch.tensor(case.data.y), case.network.output
    if output == "softmax" and case.loss in ("cross-entropy", "hinge"):
        return {"cross-entropy": functional.cross_entropy, "hinge": functional.multi_margin_loss}[case.loss](z, y)
    if output == "softmax":
        y, p = functional.one_hot(y, z.shape[1]).double(), torch.softmax(z, dim=1)
    else:
        y, p = y.reshape(z.shape), torch.sigmoid(z) if output == "sigmoid" else z
    if case.loss == "hinge":
        return torch.clamp(1 - (2 * y - 1) * z, min=0).mean()
    if case.loss == "binary cross-entropy":
        return functional.binary_cross_entropy_with_logits(z, y)
    if case.loss == "half mse":
        return ((p - y) ** 2 / 2).mean()
    return {"mse": functional.mse_loss, "huber": functional.huber_loss}[case.loss](p, y)


def logistic_data() -> SimpleNamespace:
    """Two overlapping classes of 60 points."""
    x, noise = wave(60, 2, seed=5), wave(60, seed=9)
    return SimpleNamespace(x=x, y=(x[:, 0] - 0.5 * x[:, 1] + 0.7 * noise > 0.1).astype(float))


def sklearn_answer() -> np.ndarray:
    """scikit-learn's logistic regression with L2: the two weights and the bias."""
    from sklearn.linear_model import LogisticRegression

    data = logistic_data()
    model = LogisticRegression(C=1 / (len(data.y) * L2), solver="newton-cholesky", tol=1e-12).fit(data.x, data.y)
    return np.append(model.coef_[0], model.intercept_)


def write() -> None:
    """Ask PyTorch and scikit-learn, and store what they say."""
    REFERENCES.mkdir(exist_ok=True)
    losses, gradients = zip(*(torch_answer(case) for case in cases()), strict=True)
    np.savez_compressed(
        REFERENCES / "gradients.npz", losses=losses, gradients=np.concatenate(gradients), logistic=sklearn_answer()
    )


if __name__ == "__main__":
    write()
