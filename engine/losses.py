"""What training minimizes, and what the numbers of the output layer mean.

All arrays are feature-major: logits z and outputs p (..., outputs, n), targets y (outputs, n), with any axes in front.
Losses start from the logits, not the outputs, so that none overflows or loses its digits however sure the network is.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.activations import sigmoid_curvature, sigmoid_into, sigmoid_slope, softplus
from engine.options import choose


class Output(ABC):
    """How logits become outputs, and what the labels of such a network look like.

    Attributes:
        loss: The name of the loss that goes with it when none is named.
    """

    loss: ClassVar[str]

    @abstractmethod
    def forward(self, z: np.ndarray, p: np.ndarray) -> None:
        """Write the outputs for the logits z into p."""

    @abstractmethod
    def backward(self, d: np.ndarray, p: np.ndarray) -> None:
        """Turn d from a derivative with respect to the outputs into one with respect to the logits, in place."""

    @abstractmethod
    def jacobian(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The derivative of every output (first axis) in every logit (second), (outputs, outputs, n)."""

    @abstractmethod
    def curvature(self, g: np.ndarray, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The second derivative in the logits of each example's sum of g times its outputs, (outputs, outputs, n).

        g is (outputs, n), and does not change with the logits.
        """

    @abstractmethod
    def check_size(self, size: int) -> None:
        """Raise ValueError unless this output can have `size` units."""

    @abstractmethod
    def targets(self, y: np.ndarray, size: int) -> np.ndarray:
        """The labels as (size, n) float64. Raises ValueError for labels that cannot be."""

    def answers(self, z: np.ndarray) -> np.ndarray | None:
        """(..., n) the class answered to each example, by the logits; None where there are no classes."""
        return None

    def hits(self, z: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """(..., n) which examples are classified rightly; None where there are no classes."""
        return None

    def function(self, z: np.ndarray) -> np.ndarray:
        """The outputs for the logits z, as a new array."""
        p = np.empty_like(z)
        self.forward(z, p)
        return p


class SigmoidOutput(Output):
    """One probability, that the label is 1. The class is 1 from p = 1/2 on, where the logit is 0 or more.

    So a tie is class 1, as in `threshold_sweep`. The logit decides and not the probability, which is rounded to 1/2
    already for logits that differ from 0 by 1e-16.
    """

    loss = "binary cross-entropy"

    def forward(self, z: np.ndarray, p: np.ndarray) -> None:
        sigmoid_into(z, p)

    def backward(self, d: np.ndarray, p: np.ndarray) -> None:
        d *= p * (1 - p)

    def jacobian(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        return sigmoid_slope(z)[None]

    def curvature(self, g: np.ndarray, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        return (g * sigmoid_curvature(z))[None]

    def check_size(self, size: int) -> None:
        if size != 1:
            raise ValueError(f"a sigmoid output of {size} units is unknown; choose 1 unit, or the output 'softmax'")

    def targets(self, y: np.ndarray, size: int) -> np.ndarray:
        if size != 1:
            raise ValueError(f"{size} outputs cannot give one yes or no; choose 1 output, or 'softmax'")
        labels = _one_column(y, "labels 0 and 1")
        wrong = labels[(labels != 0) & (labels != 1)]
        if wrong.size:
            raise ValueError(f"label {wrong[0]} does not fit one yes-or-no output; labels must be 0 or 1")
        return labels[None, :].astype(np.float64)

    def answers(self, z: np.ndarray, threshold: float = 0.5) -> np.ndarray:
        """(..., n) 1 where the probability is the threshold or more, else 0."""
        z = z[..., 0, :]
        return (z >= 0 if threshold == 0.5 else self.function(z) >= threshold).astype(np.int64)

    def hits(self, z: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return self.answers(z) == targets[0]


class SoftmaxOutput(Output):
    """One probability per class; they sum to 1. The class is that of the largest logit, of equal ones the first."""

    loss = "cross-entropy"

    def forward(self, z: np.ndarray, p: np.ndarray) -> None:
        np.subtract(z, z.max(axis=-2, keepdims=True), out=p)
        np.exp(p, out=p)
        p /= p.sum(axis=-2, keepdims=True)

    def backward(self, d: np.ndarray, p: np.ndarray) -> None:
        d -= (d * p).sum(axis=-2, keepdims=True)
        d *= p

    def jacobian(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        # diag(p) - p p', whose rows sum to 0: that gives p (1 - p) its digits where p is nearly 1.
        jacobian = -p[:, None] * p
        _diagonal(jacobian)[...] = 0.0
        _diagonal(jacobian)[...] = -jacobian.sum(axis=1)
        return jacobian

    def curvature(self, g: np.ndarray, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        # With t = p (g - p'g), the softmax's derivative along g: diag(t) - t p' - p t'.
        t = p * (g - (g * p).sum(axis=0))
        curvature = -(t[:, None] * p + p[:, None] * t)
        _diagonal(curvature)[...] += t
        return curvature

    def check_size(self, size: int) -> None:
        if size < 2:
            raise ValueError(f"a softmax output of {size} unit is always 1; choose 2 units or more, or 'sigmoid'")

    def targets(self, y: np.ndarray, size: int) -> np.ndarray:
        labels = _one_column(y, f"classes 0 to {size - 1}")
        classes = np.arange(size)[:, None]
        wrong = labels[~(labels == classes).any(axis=0)]
        if wrong.size:
            raise ValueError(
                f"class {wrong[0]} does not fit {size} outputs; classes must be whole, from 0 to {size - 1}"
            )
        return (labels == classes).astype(np.float64)

    def answers(self, z: np.ndarray) -> np.ndarray:
        return z.argmax(axis=-2)

    def hits(self, z: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return self.answers(z) == targets.argmax(axis=0)


class LinearOutput(Output):
    """The logits themselves: values."""

    loss = "mse"

    def forward(self, z: np.ndarray, p: np.ndarray) -> None:
        p[...] = z

    def backward(self, d: np.ndarray, p: np.ndarray) -> None:
        pass

    def jacobian(self, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        return _diagonal_matrices(np.ones_like(z))

    def curvature(self, g: np.ndarray, z: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.zeros((len(z), *z.shape))

    def check_size(self, size: int) -> None:
        pass

    def targets(self, y: np.ndarray, size: int) -> np.ndarray:
        values = y.reshape(len(y), -1)
        if values.shape[1] != size:
            raise ValueError(f"y has {values.shape[1]} values per example; the network has {size} outputs")
        return np.ascontiguousarray(values.T, dtype=np.float64)


OUTPUTS: dict[str, Output] = {"sigmoid": SigmoidOutput(), "softmax": SoftmaxOutput(), "linear": LinearOutput()}


class Loss(ABC):
    """What one example costs, and that cost's derivatives in the logits. A network's loss is the mean over examples.

    Attributes:
        outputs: The names of the outputs that this loss goes with.
    """

    outputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        """The cost of each example, (..., n)."""

    @abstractmethod
    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        """Write the derivative of each example's cost with respect to its logits into d, (outputs, n)."""

    @abstractmethod
    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        """The second derivative of each example's cost in its logits, symmetric matrices (outputs, outputs, n)."""

    def labels(self, output: Output) -> Output:
        """The output whose labels this loss reads, by default the network's own."""
        return output


class BinaryCrossEntropy(Loss):
    """Minus the log of the probability given to the true label: log(1 + exp(z)) - y z, with slope p - y."""

    outputs = ("sigmoid",)

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        # y is 0 or 1, so log(1 + exp(z)) - y z = log(1 + exp(z (1 - 2 y))), which has no cancellation.
        return softplus(z * (1 - 2 * y))[..., 0, :]

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        np.subtract(p, y, out=d)

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return output.jacobian(z, p)


class CrossEntropy(Loss):
    """Minus the log of the probability given to the true class: logsumexp(z) - z_true, with slope p - y."""

    outputs = ("softmax",)

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        z = z - z.max(axis=-2, keepdims=True)
        return np.log(np.exp(z).sum(axis=-2)) - (z * y).sum(axis=-2)

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        np.subtract(p, y, out=d)

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return output.jacobian(z, p)


class MeanSquaredError(Loss):
    """(p - y)^2, averaged over the outputs too. On a sigmoid its slope has the factor p (1 - p), small when sure."""

    outputs = ("sigmoid", "softmax", "linear")

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return ((output.function(z) - y) ** 2).mean(axis=-2)

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        np.subtract(p, y, out=d)
        d *= 2 / len(y)
        output.backward(d, p)

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return _chain(output, z, p, 2 / len(y) * (p - y), np.full_like(p, 2 / len(y)))


class HalfMeanSquaredError(MeanSquaredError):
    """Half the mean squared error, whose slope is the error itself, without a factor of 2.

    Gradient descent with a learning rate r does on it what it does on the mean squared error with r / 2.
    """

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return super().value(z, y, output) / 2

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        super().slope(z, p, y, output, d)
        d /= 2

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return super().curvature(z, p, y, output) / 2


class Huber(Loss):
    """e^2 / 2 for an error |e| < 1, else |e| - 1/2, averaged over the outputs: an outlier pulls no harder than 1.

    Source: Huber 1964, with delta = 1.
    """

    outputs = ("sigmoid", "softmax", "linear")

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        e = np.abs(output.function(z) - y)
        return np.where(e < 1, e * e / 2, e - 0.5).mean(axis=-2)

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        np.subtract(p, y, out=d)
        np.clip(d, -1.0, 1.0, out=d)
        d /= len(y)
        output.backward(d, p)

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        e = p - y
        return _chain(output, z, p, np.clip(e, -1.0, 1.0) / len(y), (np.abs(e) < 1) / len(y))


class Hinge(Loss):
    """What the logit lacks of a margin of 1 on the right side: an example beyond the margin does not pull at all.

    With one output, max(0, 1 - s z) with s = 2 y - 1. With softmax, the mean over the classes of
    max(0, 1 - z_true + z_other), as PyTorch's `multi_margin_loss`.
    """

    outputs = ("sigmoid", "softmax", "linear")

    def value(self, z: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return np.maximum(self._lack(z, y), 0.0).mean(axis=-2)

    def slope(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output, d: np.ndarray) -> None:
        lacks = self._lack(z, y) > 0
        if len(y) == 1:
            np.multiply(lacks, 1 - 2 * y, out=d)
        else:
            d[...] = (lacks - y * lacks.sum(axis=0)) / len(y)

    def curvature(self, z: np.ndarray, p: np.ndarray, y: np.ndarray, output: Output) -> np.ndarray:
        return np.zeros((len(z), *z.shape))

    def labels(self, output: Output) -> Output:
        return OUTPUTS["sigmoid"] if isinstance(output, LinearOutput) else output

    def _lack(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(..., outputs, n) how much is missing to the margin; below 0 for the true class and wherever it is kept."""
        if len(y) == 1:
            return 1 - (2 * y - 1) * z
        true = (z * y).sum(axis=-2, keepdims=True)
        return np.where(y > 0, -1.0, 1 - true + z)


LOSSES: dict[str, Loss] = {
    "binary cross-entropy": BinaryCrossEntropy(),
    "cross-entropy": CrossEntropy(),
    "mse": MeanSquaredError(),
    "half mse": HalfMeanSquaredError(),
    "huber": Huber(),
    "hinge": Hinge(),
}


def matching_loss(name: str | None, output: str) -> Loss:
    """The loss of this name, or the output's own for None.

    Raises:
        ValueError: If there is no such loss, or when it does not go with the output.
    """
    loss = choose(LOSSES, choose(OUTPUTS, output, "output").loss if name is None else name, "loss")
    if output not in loss.outputs:
        fitting = ", ".join(other for other, item in LOSSES.items() if output in item.outputs)
        raise ValueError(f"loss {name!r} does not go with the output {output!r}; choose one of {fitting}")
    return loss


@dataclass(frozen=True)
class Penalty:
    """What large weights cost on top: l2/2 |W|^2 + l1 |W|_1, on the weights alone; biases are free.

    is_weight   (n_parameters,) 1.0 for a weight, 0.0 for a bias
    Raises ValueError for a negative strength.
    """

    l1: float
    l2: float
    is_weight: np.ndarray

    def __post_init__(self) -> None:
        for name, strength in (("l1", self.l1), ("l2", self.l2)):
            if not strength >= 0:
                raise ValueError(f"{name} = {strength} would reward large weights; choose 0 or more")

    def value(self, parameters: np.ndarray) -> np.ndarray:
        """The penalty of each row of (..., n_parameters)."""
        total = np.zeros(parameters.shape[:-1])
        if self.l2:
            total += self.l2 / 2 * (parameters * parameters * self.is_weight).sum(axis=-1)
        if self.l1:
            total += self.l1 * (np.abs(parameters) * self.is_weight).sum(axis=-1)
        return total

    def add_slope(self, parameters: np.ndarray, gradient: np.ndarray) -> None:
        """Add the penalty's derivative to the gradient, in place; that of |w| is taken as 0 at w = 0."""
        if self.l2:
            gradient += self.l2 * self.is_weight * parameters
        if self.l1:
            gradient += self.l1 * self.is_weight * np.sign(parameters)


def _chain(output: Output, z: np.ndarray, p: np.ndarray, slopes: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
    """The second derivative in the logits of a cost that is a sum over the outputs.

    slopes (outputs, n) and curvatures (outputs, n) are each term's derivatives in its output.
    """
    jacobian = output.jacobian(z, p)
    return np.einsum("kin,kn,kjn->ijn", jacobian, curvatures, jacobian) + output.curvature(slopes, z, p)


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    """A view of the diagonals of (k, k, n), as (k, n)."""
    return np.einsum("iin->in", matrices)


def _diagonal_matrices(diagonals: np.ndarray) -> np.ndarray:
    matrices = np.zeros((len(diagonals), *diagonals.shape))
    _diagonal(matrices)[...] = diagonals
    return matrices


def _one_column(y: np.ndarray, wanted: str) -> np.ndarray:
    """(n,) the labels of (n,) or (n, 1)."""
    if y.shape != (len(y),) and y.shape != (len(y), 1):
        raise ValueError(f"y has the shape {y.shape}; one column of {wanted} was expected")
    return y.reshape(len(y))
