"""The kernel: forward and backward pass of one network over one batch, in arrays allocated once.

Here speed is the point. What it rests on: arrays are feature-major, (units, n), so that every ufunc runs along long
rows; the bias is a weight on a row of ones; `a.dot(b, out=)` costs 0.5 us a call less than `np.matmul`; nothing is
allocated during a pass; and what was measured is copied aside raw and reduced for many epochs at once (`Ring`).
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.activations import Activation
from engine.buffers import buffer
from engine.losses import OUTPUTS, Loss, Penalty

if TYPE_CHECKING:
    from engine.network import Network


class Batch(NamedTuple):
    """Examples, feature-major: x (features + 1, n), whose last row is ones, and targets (outputs, n)."""

    x: np.ndarray
    targets: np.ndarray

    @property
    def n(self) -> int:
        return self.x.shape[1]

    def part(self, start: int, stop: int) -> "Batch":
        """A view of the examples from start to stop."""
        return Batch(self.x[:, start:stop], self.targets[:, start:stop])

    def take(self, order: np.ndarray, out: "Batch") -> None:
        """Write the examples into another batch in this order."""
        for mine, other in zip(self, out, strict=True):
            np.take(mine, order, axis=1, out=other, mode="clip")


class HiddenLayer:
    """One hidden layer's matrix, its place in the gradient, and its arrays for n examples.

    z   (units, n) pre-activations, unless the activations overwrite them
    f   (units, n) activations, before the layer's input is added where it skips
    a   (units + 1, n) what the layer gives, and the row of ones
    da  (units, n) derivative of the loss with respect to what the layer gives
    dz  (units, n) likewise with respect to the pre-activations; the same array as da unless the layer skips
    """

    def __init__(self, matrix: np.ndarray, gradient: np.ndarray, activation: Activation, skip: bool, n: int) -> None:
        units = matrix.shape[1]
        self.matrix_t, self.weights, self.gradient = matrix.T, matrix[:-1], gradient
        self.activation, self.skip = activation, skip
        self.workspace = activation.workspace((units, n))
        self.a = buffer((units + 1, n), fill=1.0)
        self.f = buffer((units, n)) if skip else self.a[:-1]
        self.z = buffer((units, n)) if activation.reads_z else self.f
        self.da = buffer((units, n))
        self.dz = buffer((units, n)) if skip else self.da
        self.dz_t = self.dz.T

    def forward(self, x: np.ndarray) -> np.ndarray:
        """What the layer gives for its input, (fan_in + 1, n)."""
        self.matrix_t.dot(x, out=self.z)
        self.activation.forward(self.z, self.f, self.workspace)
        if self.skip:
            np.add(self.f, x[:-1], out=self.a[:-1])
        return self.a

    def backward(self, x: np.ndarray, dx: np.ndarray | None) -> None:
        """From `da` to the layer's gradient and to `dx`, the derivative with respect to its input, where that is wanted."""
        if self.skip:
            self.dz[...] = self.da
        self.activation.backward(self.dz, self.z, self.f, self.workspace)
        x.dot(self.dz_t, out=self.gradient)
        if dx is not None:
            self.weights.dot(self.dz, out=dx)
            if self.skip:
                dx += self.da


class Kernel:
    """One network's passes over batches of n examples.

    It reads the network's own parameters, so it sees every change of theirs.

    logits     (outputs, n) of the latest `forward`
    gradient   (n_parameters,) of the latest `backward`, that of the mean loss without penalties
    means      (sum of hidden widths,) each unit's mean activation, of the latest `average`
    """

    def __init__(self, network: "Network", loss: Loss, n: int) -> None:
        self.loss, self.output, self.n = loss, OUTPUTS[network.output], n
        self.parameters, self.gradient = network.parameters, buffer((network.n_parameters,))
        self.means = buffer((sum(network.widths),))
        *hidden, (matrix, gradient) = zip(
            layer_matrices(network.parameters, network.sizes),
            layer_matrices(self.gradient, network.sizes),
            strict=True,
        )
        self.hidden = [
            HiddenLayer(*pair, activation, skip, n)
            for pair, activation, skip in zip(hidden, network.functions, network.skips, strict=True)
        ]
        self._matrix_t, self._weights, self._last_gradient = matrix.T, matrix[:-1], gradient
        self.logits, self._outputs, self._d = (buffer((network.sizes[-1], n)) for _ in range(3))
        self._d_t = self._d.T
        self._share = buffer((n,), fill=1 / n)
        self._averages = list(zip(self.hidden, split(self.means, network.widths), strict=True))

    def forward(self, x: np.ndarray) -> None:
        """The logits for the input (features + 1, n)."""
        for layer in self.hidden:
            x = layer.forward(x)
        self._matrix_t.dot(x, out=self.logits)

    def backward(self, batch: Batch) -> None:
        """The gradient for the batch that went forward last."""
        self.output.forward(self.logits, self._outputs)
        self.loss.slope(self.logits, self._outputs, batch.targets, self.output, self._d)
        self._d *= 1 / self.n
        inputs = [batch.x, *(layer.a for layer in self.hidden)]
        inputs[-1].dot(self._d_t, out=self._last_gradient)
        if self.hidden:
            self._weights.dot(self._d, out=self.hidden[-1].da)
        for i in range(len(self.hidden) - 1, -1, -1):
            self.hidden[i].backward(inputs[i], self.hidden[i - 1].da if i else None)

    def gradient_of(self, batch: Batch, penalty: Penalty) -> None:
        """Forward and backward: leaves the logits, and the gradient with the penalty's."""
        self.forward(batch.x)
        self.backward(batch)
        penalty.add_slope(self.parameters, self.gradient)

    def average(self) -> None:
        """The mean activation of every hidden unit over the batch that went forward last."""
        for layer, mean in self._averages:
            layer.a[:-1].dot(self._share, out=mean)


class Ring:
    """The logits that `depth` epochs in a row left behind in a kernel, kept raw until they are reduced.

    Reducing many epochs at once makes recording cheap; doing it at every epoch would double the cost of training.
    """

    def __init__(self, kernel: Kernel, targets: np.ndarray, depth: int) -> None:
        self._kernel, self._targets, self.depth = kernel, targets, depth
        self._logits = np.empty((depth, *kernel.logits.shape))
        self._labels = kernel.loss.labels(kernel.output)

    def store(self, row: int) -> None:
        """Copy the kernel's logits aside."""
        self._logits[row] = self._kernel.logits

    def losses(self, rows: int) -> np.ndarray:
        """The mean loss of each of the first rows, (rows,), without penalties."""
        kernel = self._kernel
        return kernel.loss.value(self._logits[:rows], self._targets, kernel.output).sum(axis=-1) / kernel.n

    def accuracies(self, rows: int) -> np.ndarray:
        """The share of examples classified rightly in each of the first rows, (rows,); nan where there are no classes."""
        hits = self._labels.hits(self._logits[:rows], self._targets)
        return np.full(rows, np.nan) if hits is None else np.count_nonzero(hits, axis=-1) / self._kernel.n


def layer_matrices(flat: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Views of (n_parameters,), one (fan_in + 1, fan_out) per layer: its weights, and the biases as last row."""
    shapes = [(fan_in + 1, fan_out) for fan_in, fan_out in pairwise(sizes)]
    return [part.reshape(shape) for part, shape in zip(split(flat, [a * b for a, b in shapes]), shapes, strict=True)]


def layer_norms(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The L2 norm of each layer's part of each row, (rows, layers), for rows (rows, n_parameters)."""
    parts = split(rows.T, [(fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes)])
    return np.sqrt(np.stack([np.einsum("ij,ij->j", part, part) for part in parts], axis=1))


def split(array: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Views of an array whose first axis is cut into pieces of these sizes."""
    return [array[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]
