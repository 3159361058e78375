"""The forward and backward pass of one network over one batch, in arrays allocated once.

Here speed is the point. What it rests on: arrays are feature-major, (units, n), so that every ufunc runs along long
rows; the bias is a weight on a row of ones (of zeros, where a network has no biases); `a.dot(b, out=)` costs 0.5 us a
call less than `np.matmul`; nothing is allocated during a pass; and what was measured is copied aside raw and reduced
for many epochs at once (`Ring`).

Measured on one core of a 2-core EPYC (Zen 4) in float64, 500 examples, layers 2-16-16-1, ReLU, full batch: 45 us for
forward, backward and update, of which matrix products take 25 at 40 GFlop/s, ReLU forward 4 and backward 9.5, and the
output 3. Recording everything adds 9: mean activations 2, keeping the outcome and the parameters 1, the loop 1, and
reductions 5, of which 1.5 because their code and data have left the cache meanwhile.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.activations import Activation
from engine.aligned_arrays import buffer
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


class Layer:
    """One layer's matrix, its place in the gradient, and its arrays for n examples; by itself, the output layer.

    Attributes:
        x: (fan_in + 1, n) what comes in, with the row of ones.
        z: (units, n) pre-activations.
        dz: (units, n) the loss's derivative in them.
        below: The layer that x comes from, None for the first.
    """

    def __init__(self, matrix: np.ndarray, gradient: np.ndarray, below: "HiddenLayer | None", n: int) -> None:
        self.matrix_t, self.weights, self.gradient, self.below = matrix.T, matrix[:-1], gradient, below
        self.x = None if below is None else below.a
        self.z, self.dz = buffer((matrix.shape[1], n)), buffer((matrix.shape[1], n))
        self.dz_t = self.dz.T

    def forward(self) -> None:
        """From `x` to what the layer gives."""
        self.matrix_t.dot(self.x, out=self.z)

    def backward(self) -> None:
        """From `dz` to the layer's gradient, and to the derivative in what the layer below gives."""
        self.x.dot(self.dz_t, out=self.gradient)
        if self.below is not None:
            self.weights.dot(self.dz, out=self.below.da)


class HiddenLayer(Layer):
    """A layer with an activation, and perhaps a connection that skips it.

    Attributes:
        f: (units, n) f(z), the same array as z unless the activation reads z.
        a: (units + 1, n) what the layer gives, and the row of ones; without skipping, its other rows are f.
        da: (units, n) the loss's derivative in that; without skipping it is turned into dz in place.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        gradient: np.ndarray,
        below: "HiddenLayer | None",
        activation: Activation,
        n: int,
        ones: float,
    ) -> None:
        super().__init__(matrix, gradient, below, n)
        units = matrix.shape[1]
        self.activation, self.workspace = activation, activation.workspace((units, n))
        self.a = buffer((units + 1, n), fill=ones)
        self.given = self.f = self.a[:-1]
        self.da = self.dz
        if not activation.reads_z:
            self.z = self.f

    def forward(self) -> None:
        self.matrix_t.dot(self.x, out=self.z)
        self.activation.forward(self.z, self.f, self.workspace)

    def backward(self) -> None:
        self.activation.backward(self.dz, self.z, self.f, self.workspace)
        self.x.dot(self.dz_t, out=self.gradient)
        if self.below is not None:
            self.weights.dot(self.dz, out=self.below.da)


class SkippingLayer(HiddenLayer):
    """A hidden layer that adds what comes in to its activations: a = f(z) + x."""

    def __init__(
        self,
        matrix: np.ndarray,
        gradient: np.ndarray,
        below: "HiddenLayer | None",
        activation: Activation,
        n: int,
        ones: float,
    ) -> None:
        super().__init__(matrix, gradient, below, activation, n, ones)
        self.f, self.da = buffer(self.dz.shape), buffer(self.dz.shape)
        if not activation.reads_z:
            self.z = self.f

    def forward(self) -> None:
        super().forward()
        np.add(self.f, self.x[:-1], out=self.given)

    def backward(self) -> None:
        self.dz[...] = self.da
        super().backward()
        if self.below is not None:
            self.below.da += self.da


class Kernel:
    """One network's passes over batches of n examples.

    It reads the network's own parameters, so it sees every change of theirs.

    Attributes:
        logits: (outputs, n) of the latest `forward`.
        gradient: (n_parameters,) of the latest `backward`, or with the penalty's of the latest `gradient_of`.
        means: (sum of hidden widths,) each unit's mean activation, of the latest `average`.
        outcome: All three in one array, side by side, so that one copy keeps them.
    """

    def __init__(self, network: "Network", loss: Loss, n: int) -> None:
        self.loss, self.output, self.n = loss, OUTPUTS[network.output], n
        self.parameters, self._outputs = network.parameters, buffer((network.sizes[-1], n))
        self._sizes = self._outputs.size, network.n_parameters, sum(network.widths)
        self.outcome = buffer((sum(self._sizes),))
        self.logits, self.gradient, self.means = self.parts(self.outcome)
        self._layers = _layers(network, self.gradient, n)
        self._backwards = self._layers[::-1]
        self._layers[-1].z, self._d = self.logits, self._layers[-1].dz
        self._share, self._shares = buffer((n,), fill=1 / n), buffer(self._d.shape, fill=1 / n)
        parts = zip(self._layers, split(self.means, network.widths), strict=False)
        self._averages = [(layer.given, mean) for layer, mean in parts]
        sizes = [layer.gradient.size for layer in self._layers]
        self.layer_starts = list(accumulate(sizes[:-1], initial=0))

    def parts(self, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views of (..., the length of `outcome`): logits (..., outputs, n), gradient and means."""
        logits, gradient, means = split(outcomes, self._sizes)
        return logits.reshape(*outcomes.shape[:-1], *self._outputs.shape), gradient, means

    def forward(self, x: np.ndarray) -> None:
        """The logits for the input (features + 1, n)."""
        self._layers[0].x = x
        for layer in self._layers:
            layer.forward()

    def backward(self, targets: np.ndarray) -> None:
        """The gradient of the mean loss of what went forward last, without penalties."""
        self.output.forward(self.logits, self._outputs)
        self.loss.slope(self.logits, self._outputs, targets, self.output, self._d)
        self._d *= self._shares
        for layer in self._backwards:
            layer.backward()

    def gradient_of(self, batch: Batch, penalty: Penalty) -> None:
        """Forward and backward: leaves the logits, and the gradient with the penalty's."""
        self.forward(batch.x)
        self.backward(batch.targets)
        penalty.add_slope(self.parameters, self.gradient)

    def average(self) -> None:
        """The mean activation of every hidden unit over what went forward last."""
        for given, mean in self._averages:
            given.dot(self._share, out=mean)


class Ring:
    """What up to `depth` epochs in a row left behind in a kernel, kept raw until it is reduced.

    Reducing many epochs at once makes recording cheap; doing it at every epoch would double the cost of training.
    """

    def __init__(self, kernel: Kernel, targets: np.ndarray, depth: int) -> None:
        self._kernel, self._targets, self.depth = kernel, targets, depth
        self._outcomes = buffer((depth, kernel.outcome.size))
        self._logits, self._gradients, self._means = kernel.parts(self._outcomes)
        self._labels = kernel.loss.labels(kernel.output)

    def store(self, row: int) -> None:
        """Keep the kernel's outcome."""
        self._outcomes[row] = self._kernel.outcome

    def losses(self, rows: int) -> np.ndarray:
        """The mean loss of each of the first rows, (rows,), without penalties."""
        kernel, targets = self._kernel, self._targets
        costs = [kernel.loss.value(z, targets, kernel.output).sum(axis=-1) for z in tiles(self._logits[:rows])]
        return np.concatenate(costs) / kernel.n

    def accuracies(self, rows: int) -> np.ndarray:
        """The share classified rightly in each of the first rows, (rows,); nan where there are no classes."""
        hits = self._labels.hits(self._logits[:rows], self._targets)
        return np.full(rows, np.nan) if hits is None else np.count_nonzero(hits, axis=-1) / self._kernel.n

    def gradient_norms(self, rows: int) -> np.ndarray:
        """The L2 norm of each layer's gradient in each of the first rows, (rows, layers)."""
        starts = self._kernel.layer_starts
        squares = [np.add.reduceat(g * g, starts, axis=1) for g in tiles(self._gradients[:rows])]
        return np.sqrt(np.concatenate(squares))

    def mean_activations(self, rows: int) -> np.ndarray:
        """Each hidden unit's mean activation in each of the first rows, (rows, sum of hidden widths)."""
        return self._means[:rows]


def _layers(network: "Network", gradient: np.ndarray, n: int) -> list[Layer]:
    """The network's layers, first to last."""
    matrices, gradients = (layer_matrices(flat, network.sizes) for flat in (network.parameters, gradient))
    *hidden, last = zip(matrices, gradients, strict=True)
    layers, below = [], None
    for pair, activation, skip in zip(hidden, network.functions, network.skips, strict=True):
        below = (SkippingLayer if skip else HiddenLayer)(*pair, below, activation, n, float(network.has_biases))
        layers.append(below)
    return [*layers, Layer(*last, below, n)]


def layer_matrices(flat: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Views of (n_parameters,), one (fan_in + 1, fan_out) per layer: its weights, and the biases as last row."""
    shapes = [(fan_in + 1, fan_out) for fan_in, fan_out in pairwise(sizes)]
    return [part.reshape(shape) for part, shape in zip(split(flat, [a * b for a, b in shapes]), shapes, strict=True)]


def tiles(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a few rows each, 64 KiB or one row.

    Temporary arrays up to this size are reused by the allocator and stay in the core's own cache; larger ones may be
    new pages from the system every time, which made a reduction three times as slow. Smaller ones mean more calls, each
    of which is slow after dozens of epochs of other work: 32 KiB took about 0.5 us an epoch more.
    """
    height = max(1, 2**16 // rows[0].nbytes)
    return (rows[start : start + height] for start in range(0, len(rows), height))


def split(array: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Views of an array whose last axis is cut into pieces of these sizes."""
    return [array[..., end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]
