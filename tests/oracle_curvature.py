"""What PyTorch's double backpropagation answers about second derivatives.

    python -m tests.oracle_curvature        asks it and writes its answers into tests/references

The tests compare the engine with the stored products, and with PyTorch's whole Hessians where it can be imported.
"""

from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from engine import ACTIVATIONS, LOSSES, OUTPUTS, Network

REFERENCES = Path(__file__).parent / "references"
HIDDEN = ([4, 4], [2, 2, 3, 3], [3, 3, 3], [2, 5], [2, 2])


@dataclass(frozen=True)
class Case:
    """One objective: a network, its data, its loss and its penalties."""

    name: str
    network: Network
    data: SimpleNamespace
    loss: str
    l1: float
    l2: float

    @property
    def objective(self) -> tuple:
        """The arguments that all of `engine.curvature` take."""
        return self.network, self.data, self.loss, self.l1, self.l2


def wave(*shape: int, seed: int) -> np.ndarray:
    """Numbers between -1 and 1 without a pattern that matters: a sine sampled ever faster."""
    i = np.arange(np.prod(shape, dtype=int), dtype=float)
    return np.sin(seed + 1.7 * i + 0.61 * i * i).reshape(shape)


def cases() -> list[Case]:
    """Every activation with every loss on every output it goes with, with skip connections and without."""
    pairs = [(loss, output) for loss, output in product(LOSSES, OUTPUTS) if output in LOSSES[loss].outputs]
    return [case(i, *which) for i, which in enumerate(product(ACTIVATIONS, pairs, (False, True)))]


def case(i: int, activation: str, pair: tuple[str, str], skip: bool) -> Case:
    """The i-th case. Depths, batch sizes and penalties take turns; none of the turns is as long as another."""
    loss, output = pair
    outputs = {"sigmoid": 1, "softmax": 3, "linear": 1 if loss == "hinge" else 2}[output]
    network = Network([2, *HIDDEN[i % 5], outputs], activation, output, "zeros", skip=skip)
    network.parameters = 0.9 * wave(network.n_parameters, seed=i + 3) + 0.2
    n = 5 + i % 3
    data = SimpleNamespace(x=2 * wave(n, 2, seed=i + 1), y=_labels(loss, output, wave(n, outputs, seed=i + 2)))
    name = f"{i} {activation}, {loss} on {output}{', skip' * skip}"
    return Case(name, network, data, loss, 0.01 * (i % 2), 0.1 * (i % 4))


def _labels(loss: str, output: str, values: np.ndarray) -> np.ndarray:
    if output == "softmax":
        return np.arange(len(values)) % 3
    if output == "sigmoid" or loss == "hinge":
        return (values[:, 0] > 0).astype(float)
    return 2 * values


def direction(case: Case) -> np.ndarray:
    """The vector that the stored product is of."""
    return wave(case.network.n_parameters, seed=7)


def torch_hessian(case: Case) -> np.ndarray:
    """PyTorch's matrix of second derivatives, laid out like the network's parameters."""
    import torch

    parameters = torch.tensor(case.network.parameters)
    return torch.autograd.functional.hessian(_objective(case), parameters, vectorize=True).numpy()


def torch_product(case: Case) -> np.ndarray:
    """PyTorch's Hessian times the case's direction."""
    import torch

    given = torch.tensor(case.network.parameters), torch.tensor(direction(case))
    return torch.autograd.functional.hvp(_objective(case), *given)[1].numpy()


def torch_curvature(name: str, z: np.ndarray) -> np.ndarray:
    """PyTorch's second derivative of an activation."""
    import torch

    given = torch.tensor(z, requires_grad=True)
    (slope,) = torch.autograd.grad(_activation(name, given).sum(), given, create_graph=True)
    if not slope.requires_grad:
        return np.zeros_like(z)
    (curvature,) = torch.autograd.grad(slope.sum(), given, allow_unused=True)
    return np.zeros_like(z) if curvature is None else curvature.numpy()


def _objective(case: Case):
    """The case's objective as a function of a tensor of parameters."""
    import torch

    def objective(parameters):
        h, start, penalty = torch.tensor(case.data.x), 0, 0.0
        for layer, (fan_in, fan_out) in enumerate(pairwise(case.network.sizes)):
            w = parameters[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
            b = parameters[start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
            start += (fan_in + 1) * fan_out
            penalty = penalty + case.l2 / 2 * (w * w).sum() + case.l1 * w.abs().sum()
            z = h @ w + b
            if layer < len(case.network.activations):
                a = _activation(case.network.activations[layer], z)
                h = a + h if case.network.skip and fan_in == fan_out else a
        return _loss(case, z) + penalty

    return objective


def _activation(name: str, z):
    import torch
    from torch.nn import functional

    special = {"linear": lambda: z, "sine": lambda: torch.sin(z), "square": lambda: z**2, "erf": lambda: torch.erf(z)}
    return special[name]() if name in special else getattr(functional, name.replace(" ", "_"))(z)


def _loss(case: Case, z):
    import torch
    from torch.nn import functional

    y, output = torch.tensor(case.data.y), case.network.output
    if output == "softmax" and case.loss == "cross-entropy":
        return functional.cross_entropy(z, y)
    if output == "softmax" and case.loss == "hinge":
        lack = torch.clamp(1 - z.gather(1, y[:, None]) + z, min=0)
        return (lack.sum() - len(y)) / z.numel()
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


def write() -> None:
    """Ask PyTorch, and store what it says."""
    REFERENCES.mkdir(exist_ok=True)
    np.savez_compressed(
        REFERENCES / "curvature.npz", products=np.concatenate([torch_product(case) for case in cases()])
    )


if __name__ == "__main__":
    write()
