"""How all arrays of one network over one batch change along a direction, allocated once.

An array's change along a direction bears an r in front, as in Pearlmutter 1994. The whole Hessian is not put together
from products with unit vectors, but from what each unit's pre-activation changes: there are ten times fewer units than
parameters.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from engine.activations import Activation
from engine.aligned_arrays import buffer
from engine.kernel import Batch, layer_matrices
from engine.losses import OUTPUTS, Loss, Penalty
from engine.network import Network

# A Hessian is worked out for so many examples at a time that its arrays take about BYTES each, and FEWEST at least.
BYTES, FEWEST = 2**18, 64


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

    An array and its change share their memory, so that V'x + W'rx is one matrix product, and V d + W rd another.

    Attributes:
        x, rx: (fan_in + 1, n) and (fan_in, n) what comes in; the first layer's does not change.
        z, rz: (units, n) pre-activations.
        d, rd: (units, n) the loss's derivative in z.
        vector: (fan_in + 1, units) the direction in this layer's matrix.
        product: Likewise, the change of this layer's gradient.
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

    Attributes:
        bend: (units, units, n) the loss's second derivative in the logits.
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

    Attributes:
        given: (2 units + 1, n) what it gives: its activations, a row of ones, and their changes.
        slope: (units, n) f'(z).
        bend: (units, n) f''(z) da, None for an activation without curvature.
        da, rda: (units, n) the loss's derivative in the activations.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        vector: np.ndarray,
        product: np.ndarray,
        below: "_HiddenLayer | None",
        n: int,
        activation: Activation,
        ones: float,
    ) -> None:
        super().__init__(matrix, vector, product, below, n)
        units, shape = len(self.z), self.z.shape
        self.activation, self._workspace = activation, activation.workspace(shape)
        self.given = buffer((2 * units + 1, n), fill=ones)
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

    Attributes:
        chosen: (size,) where each is among all length^2 pairs in order.
        place: (length^2,) which of them each of all pairs is, when order does not matter.
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
        below = (_SkippingLayer if skip else _HiddenLayer)(*matrices, below, n, activation, float(network.has_biases))
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
