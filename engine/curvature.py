"""Curvature: how the slope of the objective changes along a direction, exactly, and its sharpest direction.

The Hessian H is the matrix of second derivatives of what `Network.loss` computes, penalties included. With kinks in
it, as with ReLU, hinge loss or L1, H is that of the smooth piece the network stands on: what happens where a unit is
about to switch on or off it does not know.

Here, too, speed is the point: arrays are feature-major and allocated once, as in `engine.kernel`. An array's change
along a direction bears an r in front, as in Pearlmutter 1994. The whole Hessian is not put together from products with
unit vectors, but from what each unit's pre-activation changes: there are ten times fewer units than parameters.

Measured on one core of a 2-core EPYC (Zen 4) in float64, 500 examples, layers 2-16-16-1, ReLU, 337 parameters: a
product 70 us, and 60 more where the parameters have changed, the Hessian 2.3 ms, its eigenvalues 2.9, the sharpness
from the eigenvector before 0.9. JAX, compiled, takes 115 to 150 us for a product and 78 ms for the mapped Hessian.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from engine.activations import Activation
from engine.buffers import buffer
from engine.kernel import Batch, layer_matrices
from engine.losses import OUTPUTS, Loss, Penalty, matching_loss
from engine.network import Data, Network

# A Hessian of so many parameters takes 32 MB, and its eigenvalues a second.
MOST = 2000

# Lanczos' method finds the largest eigenvalue of small networks in 10 to 50 products.
PRODUCTS = 300

# A Hessian is worked out for so many examples at a time that its arrays take about BYTES each, and FEWEST at least.
BYTES, FEWEST = 2**18, 64


class Sharpness(NamedTuple):
    """The largest eigenvalue of the Hessian, as far as it was found.

    value      the eigenvalue, within `residual` of an exact one
    vector     (n_parameters,) its eigenvector, of length 1
    residual   |H vector - value vector|
    products   how many Hessian-vector products it took
    """

    value: float
    vector: np.ndarray
    residual: float
    products: int


class Spectrum:
    """The eigenvalues of a Hessian, (n_parameters, n_parameters), and its eigenvectors if they are asked for."""

    def __init__(self, hessian: np.ndarray) -> None:
        self.hessian = hessian
        self._finite = bool(np.isfinite(hessian).all())

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """(n_parameters,) ascending; nan if the Hessian is not finite."""
        return np.linalg.eigvalsh(self.hessian) if self._finite else np.full(len(self.hessian), np.nan)

    @cached_property
    def eigenvectors(self) -> np.ndarray:
        """(n_parameters, n_parameters) in columns, in the order of the eigenvalues."""
        return np.linalg.eigh(self.hessian)[1] if self._finite else np.full_like(self.hessian, np.nan)

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue: gradient descent with a learning rate above 2 / sharpness overshoots.

        Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability".
        """
        return float(self.eigenvalues[-1])

    @property
    def trace(self) -> float:
        """The sum of the eigenvalues."""
        return float(np.trace(self.hessian))

    @property
    def condition_number(self) -> float:
        """The largest eigenvalue's size over the smallest one's; inf if one is 0 but for rounding."""
        sizes = np.abs(self.eigenvalues)
        return float(sizes.max() / sizes.min()) if sizes.min() > self.resolution else float("inf")

    @property
    def n_negative(self) -> int:
        """How many directions bend downwards, by more than rounding: none in a minimum, some at a saddle.

        If the Hessian is not finite there are none: look at the eigenvalues.
        """
        return int(np.count_nonzero(self.eigenvalues < -self.resolution))

    @property
    def resolution(self) -> float:
        """What an eigenvalue of 0 may come out as: the precision of a number times their count and largest size."""
        return float(np.finfo(float).eps * len(self.eigenvalues) * np.abs(self.eigenvalues).max())


class Curvature:
    """One network's second derivatives on one set of data; arguments are those of `Network.loss`.

    It reads the network's own parameters at every call, so it sees every change of theirs; what depends on them alone
    is kept until they change.
    Raises ValueError when the loss does not go with the output, or the data not with the network.
    """

    def __init__(self, network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> None:
        function = matching_loss(loss, network.output)
        self._batch, self._penalty = network.batch(data, function), network.penalty(l1, l2)
        self._kernel = CurvatureKernel(network, function, self._batch.n)
        self._at = np.full(network.n_parameters, np.nan)

    def product(self, vectors: np.ndarray) -> np.ndarray:
        """The Hessian times a vector (n_parameters,), or times each row of (k, n_parameters), shaped alike.

        Costs about two passes forward and backward, whatever the number of parameters.
        Raises ValueError for another shape.
        Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
        """
        vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.ndim not in (1, 2) or vectors.shape[-1] != self._at.size:
            raise ValueError(f"vectors have the shape {vectors.shape}; expected (..., {self._at.size}), one or many")
        products = np.empty_like(vectors)
        with np.errstate(all="ignore"):
            self._linearize()
            for vector, out in zip(np.atleast_2d(vectors), np.atleast_2d(products), strict=True):
                self._kernel.product(vector, self._penalty, out)
        return products

    def hessian(self) -> np.ndarray:
        """The whole matrix, (n_parameters, n_parameters), symmetric to the last bit.

        Raises ValueError for more than 2000 parameters.
        """
        check_size(self._at.size)
        hessian = np.empty((self._at.size, self._at.size))
        with np.errstate(all="ignore"):
            self._linearize()
            self._kernel.hessian(self._penalty, hessian)
        return hessian

    def spectrum(self) -> Spectrum:
        """All eigenvalues, from the whole matrix, and the eigenvectors once they are asked for."""
        return Spectrum(self.hessian())

    def sharpness(self, start: np.ndarray | None = None, tolerance: float = 1e-6, seed: int = 0) -> Sharpness:
        """The largest eigenvalue and its eigenvector, by Lanczos' method: products only, for networks of any size.

        start       (n_parameters,) an eigenvector found earlier, which saves products while the parameters change
                    little; the answer's vector points the same way. None, zeros or nan: a random one
        tolerance   the residual to be reached, as a share of the largest eigenvalue's size; the eigenvalue itself is
                    exact to about its square. After 300 products it is over: `residual` tells what was reached
        seed        of the random vector, a thousandth of which is mixed into `start` as well, lest an eigenvector that
                    was the sharpest hide the one that is

        Where the parameters are not finite, everything is nan. Raises ValueError for a start of another shape.
        Source: Golub & Van Loan 2013, section 10.1, with full reorthogonalization.
        """
        size = self._at.size
        if start is not None and np.shape(start) != (size,):
            raise ValueError(f"start has the shape {np.shape(start)}; expected ({size},), one number per parameter")
        with np.errstate(all="ignore"):
            self._linearize()
            lanczos = _Lanczos(_blend(start, np.random.default_rng(seed).standard_normal(size)))
            while not lanczos.found(tolerance):
                self._kernel.product(lanczos.newest, self._penalty, lanczos.image)
                lanczos.extend()
            return lanczos.largest()

    def trace(self) -> float:
        """The sum of all eigenvalues, exactly and without the whole matrix, for networks of any size.

        Costs a quarter of what the whole matrix costs, or less: it only follows what every unit changes.
        """
        with np.errstate(all="ignore"):
            self._linearize()
            return self._kernel.trace(self._penalty)

    def _linearize(self) -> None:
        """Bring what all products share up to date with the parameters."""
        parameters = self._kernel.parameters
        if not np.array_equal(parameters, self._at):
            self._kernel.linearize(self._batch)
            self._at[...] = parameters


def hessian_vector_product(
    network: Network, data: Data, vector: np.ndarray, loss: str | None = None, l1: float = 0.0, l2: float = 0.0
) -> np.ndarray:
    """`Curvature.product`, once: the Hessian times one vector, or times each row of a matrix."""
    return Curvature(network, data, loss, l1, l2).product(vector)


def hessian(network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> np.ndarray:
    """`Curvature.hessian`, once: the matrix of second derivatives, (n_parameters, n_parameters)."""
    return Curvature(network, data, loss, l1, l2).hessian()


def spectrum(network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> Spectrum:
    """`Curvature.spectrum`, once: all eigenvalues, and the eigenvectors once they are asked for."""
    return Curvature(network, data, loss, l1, l2).spectrum()


def sharpness(
    network: Network,
    data: Data,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    start: np.ndarray | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Sharpness:
    """`Curvature.sharpness`, once: the largest eigenvalue and its eigenvector."""
    return Curvature(network, data, loss, l1, l2).sharpness(start, tolerance, seed)


def trace(network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> float:
    """`Curvature.trace`, once: the sum of all eigenvalues."""
    return Curvature(network, data, loss, l1, l2).trace()


def check_size(n_parameters: int) -> None:
    """Raises ValueError when a Hessian would be too large."""
    if n_parameters > MOST:
        raise ValueError(f"a Hessian for {n_parameters} parameters is too large; choose {MOST} or fewer")


class _Lanczos:
    """The largest eigenvalue of a symmetric matrix, from its products with vectors.

    newest   (size,) the vector whose product is wanted next
    image    (size,) where to write it
    """

    def __init__(self, start: np.ndarray) -> None:
        self._basis = np.empty((min(len(start), PRODUCTS) + 1, len(start)))
        self.newest, self.image = self._basis[0], np.empty(len(start))
        self.newest[...] = start / np.linalg.norm(start)
        self._diagonal: list[float] = []
        self._beside: list[float] = []

    def extend(self) -> None:
        """Take in the product, and make the next vector: the part of it that is new."""
        count = len(self._diagonal) + 1
        basis, image = self._basis[:count], self.image
        self._diagonal.append(float(self.newest @ image))
        # Once leaves what rounding put into large parts; twice is enough.
        for _ in range(2):
            image -= (basis @ image) @ basis
        self._beside.append(float(np.linalg.norm(image)))
        self.newest = self._basis[count]
        np.divide(image, self._beside[-1], out=self.newest)

    def found(self, tolerance: float) -> bool:
        """Whether there is nothing more to find, or it is not worth it; looked at after every other product."""
        count = len(self._diagonal)
        if not count or (count % 2 and count < len(self._basis) - 1 and self._goes_on()):
            return False
        values, vectors = self._ritz()
        enough = self._beside[-1] * abs(vectors[-1, -1]) <= tolerance * np.abs(values).max()
        return bool(enough or count == len(self._basis) - 1 or not self._goes_on())

    def largest(self) -> Sharpness:
        """The best answer so far."""
        count = len(self._diagonal)
        values, vectors = self._ritz()
        weights = vectors[:, -1] * (1.0 if vectors[0, -1] >= 0 else -1.0)
        return Sharpness(float(values[-1]), weights @ self._basis[:count], self._beside[-1] * abs(weights[-1]), count)

    def _goes_on(self) -> bool:
        """False once the vectors hold all there is, up to rounding, or something is not a number."""
        sizes = np.hypot(self._diagonal, self._beside)
        return bool(self._beside[-1] > np.finfo(float).eps * len(self.image) * sizes.max())

    def _ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """The eigenvalues, ascending, and eigenvectors of the matrix as seen within the vectors so far."""
        beside = self._beside[:-1]
        matrix = np.diag(self._diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        if not np.isfinite(matrix).all():
            return np.full(len(matrix), np.nan), np.full_like(matrix, np.nan)
        return np.linalg.eigh(matrix)


def _blend(start: np.ndarray | None, noise: np.ndarray) -> np.ndarray:
    """The start with a thousandth of noise, or the noise alone if there is no start to speak of."""
    length = 0.0 if start is None else np.linalg.norm(start)
    if not 0 < length < np.inf:
        return noise
    return start / length + 1e-3 * noise / np.linalg.norm(noise)


class CurvatureKernel:
    """One network's second derivatives over batches of n examples.

    It reads the network's own parameters: `linearize` looks at them, the others rely on what it saw.
    """

    def __init__(self, network: Network, loss: Loss, n: int) -> None:
        self.parameters, self._loss, self._output, self._n = network.parameters, loss, OUTPUTS[network.output], n
        self._vector, self._product = buffer((network.n_parameters,)), buffer((network.n_parameters,))
        self._layers = _layers(network, self._vector, self._product, n)
        self._backwards, self._last = self._layers[::-1], self._layers[-1]
        self._outputs = buffer(self._last.z.shape)

    def linearize(self, batch: Batch) -> None:
        """Forward and backward through the batch, keeping all slopes and curvatures on the way."""
        self._layers[0].x = batch.x
        for layer in self._layers:
            layer.linearize()
        last, output, targets = self._last, self._output, batch.targets
        output.forward(last.z, self._outputs)
        self._loss.slope(last.z, self._outputs, targets, output, last.d)
        last.d /= self._n
        np.divide(self._loss.curvature(last.z, self._outputs, targets, output), self._n, out=last.bend)
        for layer in self._backwards:
            layer.linearize_backward()

    def product(self, vector: np.ndarray, penalty: Penalty, out: np.ndarray) -> None:
        """Write the Hessian times the vector into `out`, both (n_parameters,)."""
        self._vector[...] = vector
        for layer in self._layers:
            layer.forward()
        for layer in self._backwards:
            layer.backward()
        out[...] = self._product
        if penalty.l2:
            out += penalty.l2 * penalty.is_weight * vector

    def hessian(self, penalty: Penalty, out: np.ndarray) -> None:
        """Write the whole Hessian into `out`, (n_parameters, n_parameters)."""
        blocks = [block for column in self._columns for block in column]
        for block in blocks:
            block.clear()
        for sources in self._parts():
            for source, column in zip(sources, self._columns, strict=True):
                source.spread()
                for block in column:
                    block.add(source)
        for block in blocks:
            block.write(out)
        out.flat[:: len(out) + 1] += penalty.l2 * penalty.is_weight

    def trace(self, penalty: Penalty) -> float:
        """The sum of the Hessian's diagonal."""
        total = penalty.l2 * penalty.is_weight.sum()
        for sources in self._parts():
            for source in sources:
                source.spread()
                total += source.trace()
        return float(total)

    def _parts(self) -> Iterator[list["_Source"]]:
        """The examples in parts that stay in the cache: one source per layer each time."""
        for part in self._slices:
            yield [source.at(part) for source in self._sources[part.stop - part.start]]

    @cached_property
    def _slices(self) -> list[slice]:
        widest = max(len(layer.z) for layer in self._layers)
        size = max(BYTES // (8 * widest**2), FEWEST)
        edges = np.linspace(0, self._n, -(-self._n // size) + 1).astype(int).tolist()
        return [slice(*pair) for pair in pairwise(edges)]

    @cached_property
    def _sources(self) -> dict[int, list["_Source"]]:
        """By the number of examples, one source per layer."""
        return {n: _sources(self._layers, n) for n in {part.stop - part.start for part in self._slices}}

    @cached_property
    def _columns(self) -> list[list["_Block"]]:
        """Column by column, the Hessian's blocks on and below the diagonal."""
        ends = list(accumulate(layer.matrix.size for layer in self._layers))
        places = [slice(end - layer.matrix.size, end) for layer, end in zip(self._layers, ends, strict=True)]
        return [
            [_block(self._layers[m:], places[m:], distance) for distance in range(len(places) - m)]
            for m in range(len(places))
        ]


class _Layer:
    """One layer's arrays for n examples, and their changes along a direction.

    x, rx       (fan_in + 1, n) and (fan_in, n) what comes in; the first layer's does not change
    z, rz       (units, n) pre-activations
    d, rd       (units, n) the loss's derivative in z
    vector      (fan_in + 1, units) the direction in this layer's matrix
    product     likewise, the change of this layer's gradient

    An array and its change share their memory, so that V'x + W'rx is one matrix product, and V d + W rd another.
    """

    def __init__(
        self, matrix: np.ndarray, vector: np.ndarray, product: np.ndarray, below: "_HiddenLayer | None", n: int
    ) -> None:
        (rows, units), self.below = matrix.shape, below
        self.matrix, self.weights, self.vector, self.product = matrix, matrix[:-1], vector, product
        self.z, self.rz, errors = buffer((units, n)), buffer((units, n)), buffer((2 * units, n))
        self.d, self.rd = errors[:units], errors[units:]
        if below is not None:
            self._inputs, self._errors = below.given, errors
            self.x, self.rx = self._inputs[:rows], self._inputs[rows:]
            self._down, self._up = buffer((2 * rows - 1, units)), buffer((rows - 1, 2 * units))
            self._rest = buffer((rows - 1, units))

    def linearize(self) -> None:
        """From `x` to `z`."""
        self.matrix.T.dot(self.x, out=self.z)

    def linearize_backward(self) -> None:
        """From `d` to the derivative in what the layer below gives."""
        if self.below is not None:
            self._down[len(self.matrix) :] = self.weights
            self._up[:, len(self.d) :] = self.weights
            self.weights.dot(self.d, out=self.below.da)

    def forward(self) -> None:
        """From `rx` to `rz`."""
        if self.below is None:
            self.vector.T.dot(self.x, out=self.rz)
        else:
            self._down[: len(self.vector)] = self.vector
            self._down.T.dot(self._inputs, out=self.rz)

    def backward(self) -> None:
        """From `rd` to `product`, and to the change of the derivative in what the layer below gives."""
        self.x.dot(self.rd.T, out=self.product)
        if self.below is not None:
            self.rx.dot(self.d.T, out=self._rest)
            self.product[:-1] += self._rest
            self._up[:, : len(self.d)] = self.vector[:-1]
            self._up.dot(self._errors, out=self.below.rda)


class _OutputLayer(_Layer):
    """The last layer.

    bend   (units, units, n) the loss's second derivative in the logits
    """

    def __init__(
        self, matrix: np.ndarray, vector: np.ndarray, product: np.ndarray, below: "_HiddenLayer | None", n: int
    ) -> None:
        super().__init__(matrix, vector, product, below, n)
        self.bend = buffer((len(self.z), *self.z.shape))

    def backward(self) -> None:
        _bend(self.bend, self.rz, self.rd)
        super().backward()


class _HiddenLayer(_Layer):
    """A layer with an activation.

    given     (2 units + 1, n) what it gives: its activations, a row of ones, and their changes
    slope     (units, n) f'(z)
    bend      (units, n) f''(z) da, None for an activation without curvature
    da, rda   (units, n) the loss's derivative in the activations
    """

    def __init__(
        self,
        matrix: np.ndarray,
        vector: np.ndarray,
        product: np.ndarray,
        below: "_HiddenLayer | None",
        n: int,
        activation: Activation,
    ) -> None:
        super().__init__(matrix, vector, product, below, n)
        units, shape = len(self.z), self.z.shape
        self.activation, self._workspace = activation, activation.workspace(shape)
        self.given = buffer((2 * units + 1, n), fill=1.0)
        self.a, self.ra = self.given[:units], self.given[units + 1 :]
        self.slope, self.da, self.rda = buffer(shape), buffer(shape), buffer(shape)
        self.bend = buffer(shape) if activation.curved else None

    def linearize(self) -> None:
        super().linearize()
        self.activation.forward(self.z, self.a, self._workspace)
        self.slope.fill(1.0)
        self.activation.backward(self.slope, self.z, self.a, self._workspace)
        if self.bend is not None:
            self.activation.bend(self.slope, self.z, self.a, self.bend)

    def linearize_backward(self) -> None:
        np.multiply(self.slope, self.da, out=self.d)
        if self.bend is not None:
            self.bend *= self.da
        super().linearize_backward()

    def forward(self) -> None:
        super().forward()
        np.multiply(self.slope, self.rz, out=self.ra)

    def backward(self) -> None:
        np.multiply(self.slope, self.rda, out=self.rd)
        if self.bend is not None:
            self.rz *= self.bend
            self.rd += self.rz
        super().backward()


class _SkippingLayer(_HiddenLayer):
    """A hidden layer that adds what comes in to its activations."""

    def linearize(self) -> None:
        super().linearize()
        self.a += self.x[:-1]

    def linearize_backward(self) -> None:
        super().linearize_backward()
        if self.below is not None:
            self.below.da += self.da

    def forward(self) -> None:
        super().forward()
        if self.below is not None:
            self.ra += self.rx

    def backward(self) -> None:
        super().backward()
        if self.below is not None:
            self.below.rda += self.rda


class _Source:
    """What one layer's pre-activations change in itself and in all layers above, for n examples.

    Arrays are those of the layers with one axis more, for the unit whose pre-activation changes: (units, sources, n).
    rx and rd are lists, of this layer and those above; the change of this layer's own input is 0 and left out. That of
    the next layer's is not 0 only where both units are the same one, and is this layer's slope there.
    """

    def __init__(self, layers: list[_Layer], n: int, scratch: list[list[np.ndarray]], pairs: list[np.ndarray]) -> None:
        self.layers, units = layers, len(layers[0].z)
        shapes = [(len(layer.z), units, n) for layer in layers]
        below = [shapes[0], *shapes[:-1]]
        self.rx, self._rz, self.rd, self._rda = (
            [_carved(flat, shape) for flat, shape in zip(flats, kind, strict=True)]
            for flats, kind in zip(scratch, (below, shapes, shapes, shapes), strict=True)
        )
        self._pairs = pairs

    def at(self, part: slice) -> "_Source":
        """The same one, now for these examples."""
        self.part = part
        return self

    def spread(self) -> None:
        """Fill the arrays."""
        for i in range(1, len(self.layers)):
            self._forward(i)
        for i in reversed(range(len(self.layers))):
            self._backward(i)

    def trace(self) -> float:
        """The sum of the diagonal of this layer's block of the Hessian."""
        x = self.layers[0].x[:, self.part]
        return float((x * x).sum(axis=0) @ np.einsum("kkn->n", self.rd[0]))

    def products(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Every row of a times every row of b, (rows of a times rows of b, n), until asked again."""
        out = _carved(self._pairs[0], (len(a), len(b), a.shape[1]))
        return _by_pairs(np.multiply(a[:, None], b, out=out))

    def chosen(self, a: np.ndarray, rows: np.ndarray, slot: int) -> np.ndarray:
        """These rows of a, (rows, n), until the slot is used again."""
        return np.take(a, rows, axis=0, out=_carved(self._pairs[slot], (len(rows), a.shape[1])), mode="clip")

    def _forward(self, i: int) -> None:
        layer, below = self.layers[i], self.layers[i - 1]
        slope = below.slope[:, self.part]
        if i == 1:
            np.multiply(layer.weights.T[:, :, None], slope, out=self._rz[1])
            return
        np.multiply(slope[:, None], self._rz[i - 1], out=self.rx[i])
        if isinstance(below, _SkippingLayer):
            self._skip(i)
        layer.weights.T.dot(_flat(self.rx[i]), out=_flat(self._rz[i]))

    def _skip(self, i: int) -> None:
        """Add what comes into the layer below to what it gives."""
        if i == 2:
            _diagonal(self.rx[2])[...] += self.layers[0].slope[:, self.part]
        else:
            self.rx[i] += self.rx[i - 1]

    def _backward(self, i: int) -> None:
        layer, rd = self.layers[i], self.rd[i]
        if isinstance(layer, _OutputLayer):
            self._bend(layer, i)
        else:
            np.multiply(layer.slope[:, None, self.part], self._rda[i], out=rd)
            if layer.bend is not None:
                self._bend_hidden(layer.bend[:, self.part], i)
        if i:
            layer.weights.dot(_flat(rd), out=_flat(self._rda[i - 1]))
            if isinstance(layer, _SkippingLayer):
                self._rda[i - 1] += self._rda[i]

    def _bend(self, layer: _OutputLayer, i: int) -> None:
        bend = layer.bend[:, :, self.part]
        if i:
            _bend(bend, self._rz[i], self.rd[i])
        else:
            self.rd[0][...] = bend

    def _bend_hidden(self, bend: np.ndarray, i: int) -> None:
        if i:
            self._rz[i] *= bend[:, None]
            self.rd[i] += self._rz[i]
        else:
            _diagonal(self.rd[0])[...] += bend


class _DiagonalBlock:
    """A layer's own block of the Hessian: in row (j, k) and column (p, q), the sum of x_j x_p rd_kq.

    It stays the same when j and p are swapped, or k and q, so that a quarter of it is enough.
    """

    def __init__(self, layer: _Layer, place: slice) -> None:
        self._layer, self._place = layer, place
        self._inputs, self._units = (_Triangle(size) for size in layer.matrix.shape)
        self._sum = _Sum((self._inputs.size, self._units.size))

    def clear(self) -> None:
        self._sum.clear()

    def add(self, source: _Source) -> None:
        x, rd = self._layer.x[:, source.part], _by_pairs(source.rd[0])
        pairs = source.chosen(x, self._inputs.first, 0)
        pairs *= source.chosen(x, self._inputs.second, 1)
        self._sum.add(pairs, source.chosen(rd, self._units.chosen, 1))

    def write(self, hessian: np.ndarray) -> None:
        (rows, units), place = self._layer.matrix.shape, self._place
        whole = self._sum.total.take(self._units.place, axis=1).take(self._inputs.place, axis=0)
        into = hessian[place, place].reshape(rows, units, rows, units)
        into[...] = whole.reshape(rows, rows, units, units).transpose(0, 2, 1, 3)


class _Block:
    """A block of the Hessian below the diagonal, for a layer and one `distance` below it, whose input is y.

    In row (j, k) and column (p, q), the sum of x_j y_p rd_kq + rx_jq d_k y_p.
    """

    def __init__(self, layers: list[_Layer], places: list[slice], distance: int) -> None:
        self._layer, self._below, self._distance = layers[distance], layers[0], distance
        self._places = places[distance], places[0]
        (rows, units), (rows_below, units_below) = self._layer.matrix.shape, self._below.matrix.shape
        self._shape = rows, units, rows_below, units_below
        self._sum = _Sum((rows * rows_below, units * units_below))
        self._rest = _Sum(self._rest_shape())

    def clear(self) -> None:
        self._sum.clear()
        self._rest.clear()

    def add(self, source: _Source) -> None:
        x, y = self._layer.x[:, source.part], self._below.x[:, source.part]
        self._sum.add(source.products(x, y), _by_pairs(source.rd[self._distance]))
        self._add_rest(source, self._layer.d[:, source.part], y)

    def write(self, hessian: np.ndarray) -> None:
        rows, units, rows_below, units_below = self._shape
        place, place_below = self._places
        block = hessian[place, place_below]
        into = block.reshape(self._shape)
        into[...] = self._sum.total.reshape(rows, rows_below, units, units_below).transpose(0, 2, 1, 3)
        self._write_rest(into[:-1])
        hessian[place_below, place] = block.T

    def _rest_shape(self) -> tuple[int, int]:
        rows, units, rows_below, units_below = self._shape
        return (rows - 1) * units_below, units * rows_below

    def _add_rest(self, source: _Source, d: np.ndarray, y: np.ndarray) -> None:
        self._rest.add(_by_pairs(source.rx[self._distance]), source.products(d, y))

    def _write_rest(self, into: np.ndarray) -> None:
        rows, units, rows_below, units_below = self._shape
        into += self._rest.total.reshape(rows - 1, units_below, units, rows_below).transpose(0, 2, 3, 1)


class _NextBlock(_Block):
    """One for a layer and the next below, where rx_jq is 0 unless j = q."""

    def _rest_shape(self) -> tuple[int, int]:
        _, units, rows_below, units_below = self._shape
        return units_below * units, rows_below

    def _add_rest(self, source: _Source, d: np.ndarray, y: np.ndarray) -> None:
        self._rest.add(source.products(self._below.slope[:, source.part], d), y)

    def _write_rest(self, into: np.ndarray) -> None:
        _, units, rows_below, units_below = self._shape
        diagonal = np.einsum("jkpj->jkp", into)
        diagonal += self._rest.total.reshape(units_below, units, rows_below)


class _Sum:
    """Matrices a b' added up."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.total, self._term = np.zeros(shape), np.empty(shape)

    def clear(self) -> None:
        self.total.fill(0.0)

    def add(self, a: np.ndarray, b: np.ndarray) -> None:
        a.dot(b.T, out=self._term)
        self.total += self._term


class _Triangle:
    """The pairs (first, second) of 0 to length - 1 with first <= second.

    chosen   (size,) where each is among all length^2 pairs in order
    place    (length^2,) which of them each of all pairs is, when order does not matter
    """

    def __init__(self, length: int) -> None:
        self.first, self.second = np.triu_indices(length)
        self.size, self.chosen = len(self.first), self.first * length + self.second
        square = np.empty((length, length), dtype=np.intp)
        square[self.first, self.second] = square[self.second, self.first] = np.arange(self.size)
        self.place = square.ravel()


def _layers(network: Network, vector: np.ndarray, product: np.ndarray, n: int) -> list[_Layer]:
    """The network's layers, first to last."""
    flats = (network.parameters, vector, product)
    *hidden, last = zip(*(layer_matrices(flat, network.sizes) for flat in flats), strict=True)
    layers, below = [], None
    for matrices, activation, skip in zip(hidden, network.functions, network.skips, strict=True):
        below = (_SkippingLayer if skip else _HiddenLayer)(*matrices, below, n, activation)
        layers.append(below)
    return [*layers, _OutputLayer(*last, below, n)]


def _sources(layers: list[_Layer], n: int) -> list[_Source]:
    """One for each layer; as only one is in use at a time, they share their memory."""
    widths = [len(layer.z) for layer in layers]
    rooms = [max(widths[max(i - 1, 0) : i + 1]) * max(widths[: i + 1]) * n for i in range(len(widths))]
    scratch = [[buffer((room,)) for room in rooms] for _ in range(4)]
    rows = max(max(layer.matrix.shape) for layer in layers)
    pairs = [buffer((rows**2 * n,)) for _ in range(2)]
    return [_Source(layers[m:], n, [kind[m:] for kind in scratch], pairs) for m in range(len(layers))]


def _block(layers: list[_Layer], places: list[slice], distance: int) -> _DiagonalBlock | _Block:
    """The block of the first of these layers and the one that is `distance` above."""
    if distance == 0:
        return _DiagonalBlock(layers[0], places[0])
    return (_NextBlock if distance == 1 else _Block)(layers, places, distance)


def _bend(bend: np.ndarray, change: np.ndarray, out: np.ndarray) -> None:
    """Write the matrices (k, k, n) times the change, (k, n) or (k, sources, n), into `out`."""
    if len(bend) == 1:
        np.multiply(bend[0], change, out=out)
    else:
        np.einsum("jkn,k...n->j...n", bend, change, out=out)


def _carved(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The beginning of an array as one of this shape."""
    return flat[: math.prod(shape)].reshape(shape)


def _flat(array: np.ndarray) -> np.ndarray:
    """(a, b, n) as (a, b n)."""
    return array.reshape(len(array), -1)


def _by_pairs(array: np.ndarray) -> np.ndarray:
    """(a, b, n) as (a b, n)."""
    return array.reshape(-1, array.shape[-1])


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    """A view of the diagonals of (k, k, n), as (k, n)."""
    return np.einsum("kkn->kn", matrices)
