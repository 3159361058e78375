"""How the slope of the objective changes along a direction, exactly, and its sharpest direction.

The Hessian H is the matrix of second derivatives of what `Network.loss` computes, penalties included. With kinks in
it, as with ReLU, hinge loss or L1, H is that of the smooth piece the network stands on: what happens where a unit is
about to switch on or off it does not know.

Here, too, speed is the point; what it rests on is in `engine.curvature_kernel`.

Measured on one core of a 2-core EPYC (Zen 4) in float64, 500 examples, layers 2-16-16-1, ReLU, 337 parameters: a
product 70 us, and 60 more where the parameters have changed, the Hessian 2.6 ms, its eigenvalues 2.9, the sharpness
from the eigenvector before 0.9. JAX, compiled and in its fastest form, takes 80 us for a product, the slopes included,
and 24 ms for the Hessian.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from engine.chance import stream
from engine.curvature_kernel import CurvatureKernel
from engine.losses import matching_loss
from engine.network import Data, Network

# A Hessian of so many parameters takes 32 MB, and its eigenvalues a second.
MAX_PARAMETERS = 2000

# With a start, a residual that is looser than WARM, or less than NOISE beside it, leaves second eigenvectors unnoticed:
# of paths of 250 epochs at the edge one in a thousand sharpnesses was 17 % too small at 1e-2, none by 1e-6 at these.
WARM, NOISE = 1e-4, 0.3

# Lanczos' method finds the largest eigenvalue of small networks in 10 to 50 products.
PRODUCTS = 300


class Sharpness(NamedTuple):
    """The largest eigenvalue of the Hessian, as far as it was found.

    Attributes:
        value: The eigenvalue, within `residual` of an exact one.
        vector: (n_parameters,) its eigenvector, of length 1.
        residual: |H vector - value vector|.
        products: How many Hessian-vector products it took.
    """

    value: float
    vector: np.ndarray
    residual: float
    products: int


class Leading(NamedTuple):
    """The largest eigenvalues of the Hessian, as far as they were found.

    Attributes:
        values: (k,) descending, each within its residual of an exact one.
        vectors: (k, n_parameters) their eigenvectors, of length 1.
        residuals: (k,) |H vector - value vector|.
        products: How many Hessian-vector products it took.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
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

    With `rates` (n_parameters,), what the learning rate is multiplied by for each parameter, sharpness and spectrum are
    those of sqrt(rates) H sqrt(rates) instead of H: of the loss as a function of parameters that all learn at one rate.
    So gradient descent still overshoots beyond 2 / sharpness. Products, Hessian and trace are always those of H. They
    may be written at any time: those of an optimizer that divides by its `preconditioner` change at every step.
    It reads the network's own parameters at every call, so it sees every change of theirs; what depends on them alone
    is kept until they change.
    Raises ValueError when the loss does not go with the output, or the data not with the network.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        loss: str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        rates: np.ndarray | None = None,
    ) -> None:
        self.rates = rates
        function = matching_loss(loss, network.output)
        self._batch, self._penalty = network.batch(data, function), network.penalty(l1, l2)
        self._kernel = CurvatureKernel(network, function, self._batch.n)
        self._at = np.full(network.n_parameters, np.nan)
        ends = accumulate(((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(network.sizes)), initial=0)
        self._layers = [slice(*pair) for pair in pairwise(ends)]

    @property
    def rates(self) -> np.ndarray | None:
        """(n_parameters,) what the learning rate is multiplied by for each parameter; None where that is 1 for all."""
        return self._rates

    @rates.setter
    def rates(self, rates: np.ndarray | None) -> None:
        self._rates, self._roots = rates, None if rates is None else np.sqrt(rates)

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

        Raises:
            ValueError: For more than 2000 parameters.
        """
        check_size(self._at.size)
        hessian = np.empty((self._at.size, self._at.size))
        with np.errstate(all="ignore"):
            self._linearize()
            self._kernel.hessian(self._penalty, hessian)
        return hessian

    def spectrum(self) -> Spectrum:
        """All eigenvalues, from the whole matrix, and the eigenvectors once they are asked for."""
        hessian = self.hessian()
        return Spectrum(hessian if self._roots is None else self._roots[:, None] * hessian * self._roots)

    def sharpness(self, start: np.ndarray | None = None, tolerance: float = 1e-6, seed: int = 0) -> Sharpness:
        """The largest eigenvalue and its eigenvector, by Lanczos' method: products only, for networks of any size.

        Where the parameters are not finite, everything is nan. Raises ValueError for a start of another shape.
        Source: Golub & Van Loan 2013, section 10.1, with full reorthogonalization.

        Args:
            start: (n_parameters,) an eigenvector found earlier, which saves products while the parameters change
                little; the answer's vector points the same way. None, zeros or nan: a random one.
            tolerance: The residual to be reached, as a share of the largest eigenvalue's size, and 1e-4 at least with a
                start: any other eigenvector would pass a looser one at once. The eigenvalue itself is exact to about
                its square. After 300 products it is over: `residual` tells what was reached.
            seed: Of the random vector, a third of which is mixed into `start` as well, lest an eigenvector that was the
                sharpest hide the one that is.
        """
        with np.errstate(all="ignore"):
            return self._lanczos(1, start, tolerance, seed).largest()

    def leading(self, count: int, start: np.ndarray | None = None, tolerance: float = 1e-6, seed: int = 0) -> Leading:
        """The largest eigenvalues and their eigenvectors, as `sharpness` finds one.

        Of eigenvalues that are exactly equal it finds one. There are fewer than `count` in a network of fewer
        parameters.

        Args:
            count: How many.
            start: (n_parameters,) such as the sum of the eigenvectors found earlier.
            tolerance: For all of them, as a share of the largest eigenvalue's size.
            seed: As for `sharpness`.

        Raises:
            ValueError: For a count below 1, or a start of another shape.
        """
        if count < 1:
            raise ValueError(f"{count} eigenvalues cannot be found; choose 1 or more")
        with np.errstate(all="ignore"):
            return self._lanczos(count, start, tolerance, seed).leading(count)

    def eigenpairs(self, tolerance: float = 1e-6, seed: int = 0) -> Iterator[Sharpness]:
        """The largest eigenvalue and its eigenvector, the next largest and so on, as `sharpness` finds the first.

        Each is sought at right angles to those before it: of equal eigenvalues all are found, unlike by `leading`. The
        parameters have to stay as they are from one to the next. Arguments are those of `sharpness`.
        """
        known = np.empty((0, self._at.size))
        while len(known) < self._at.size:
            with np.errstate(all="ignore"):
                # From the same random vector, what it has of an eigenspace would be known already.
                found = self._lanczos(1, None, tolerance, seed + len(known), known).largest()
            yield found
            known = np.vstack([known, found.vector])

    def layers(self, starts: Sequence[np.ndarray] = (), tolerance: float = 1e-6, seed: int = 0) -> Iterator[Sharpness]:
        """The largest eigenvalue of each layer's own block of the Hessian, as `sharpness` finds that of the whole.

        It is the sharpness while all other layers stand still, and at most that of the whole; the vectors are 0 outside
        of their layer. Each costs as many products with the whole Hessian as Lanczos' method needs.

        Args:
            starts: For as many layers as there are, eigenvectors (n_parameters,) that were found earlier.
            tolerance: As for `sharpness`.
            seed: As for `sharpness`.
        """
        for i, layer in enumerate(self._layers):
            with np.errstate(all="ignore"):
                start = starts[i] if i < len(starts) else None
                found = self._lanczos(1, start, tolerance, seed, layer=layer).largest()
            vector = np.zeros(self._at.size)
            vector[layer] = found.vector
            yield found._replace(vector=vector)

    def _lanczos(
        self,
        count: int,
        start: np.ndarray | None,
        tolerance: float,
        seed: int,
        known: np.ndarray | None = None,
        layer: slice | None = None,
    ) -> "_Lanczos":
        """Lanczos' method, come to an end for the largest eigenvalues.

        known: (k, n_parameters) eigenvectors to which others are sought. layer: the parameters of a block, instead of
        all.
        """
        size = self._at.size
        if start is not None and np.shape(start) != (size,):
            raise ValueError(f"start has the shape {np.shape(start)}; expected ({size},), one number per parameter")
        self._linearize()
        place = slice(None) if layer is None else layer
        begin = None if start is None else np.asarray(start)[place]
        lanczos = _Lanczos(_blend(begin, stream(seed, "lanczos").standard_normal(size)[place]), known)
        tolerance = tolerance if start is None else min(tolerance, WARM)
        while not lanczos.found(tolerance, count):
            self._write_product(lanczos.newest, lanczos.image, layer)
            lanczos.extend()
        return lanczos

    def _write_product(self, vector: np.ndarray, out: np.ndarray, layer: slice | None = None) -> None:
        """Write the matrix that has the sharpness times a vector into `out`, or a layer's block of it."""
        if layer is not None:
            whole, product = np.zeros((2, self._at.size))
            whole[layer] = vector
            self._write_product(whole, product)
            out[...] = product[layer]
        elif self._roots is None:
            self._kernel.product(vector, self._penalty, out)
        else:
            self._kernel.product(self._roots * vector, self._penalty, out)
            out *= self._roots

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


def preconditioned(rates: np.ndarray | None, preconditioner: np.ndarray | None) -> np.ndarray | None:
    """The `rates` of a `Curvature` for an optimizer that divides by its preconditioner; either may be None, for 1."""
    if preconditioner is None:
        return rates
    with np.errstate(all="ignore"):  # an epsilon of 0 leaves nothing to divide by where there never was a slope
        return np.divide(1.0 if rates is None else rates, preconditioner)


def check_size(n_parameters: int) -> None:
    """Raises ValueError when a Hessian would be too large."""
    if n_parameters > MAX_PARAMETERS:
        raise ValueError(f"a Hessian for {n_parameters} parameters is too large; choose {MAX_PARAMETERS} or fewer")


class _Lanczos:
    """The largest eigenvalue of a symmetric matrix, from its products with vectors.

    Attributes:
        newest: (size,) the vector whose product is wanted next.
        image: (size,) where to write it.
    """

    def __init__(self, start: np.ndarray, known: np.ndarray | None = None) -> None:
        """known: (k, size) eigenvectors of length 1, at right angles, to which others are sought."""
        self._known = np.empty((0, len(start))) if known is None else known
        self._basis = np.empty((min(len(start) - len(self._known), PRODUCTS) + 1, len(start)))
        self.newest, self.image = self._basis[0], np.empty(len(start))
        start = self._without_known(self._without_known(start))
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
            image[...] = self._without_known(image)
        self._beside.append(float(np.linalg.norm(image)))
        self.newest = self._basis[count]
        np.divide(image, self._beside[-1], out=self.newest)

    def found(self, tolerance: float, wanted: int = 1) -> bool:
        """Whether there is nothing more to find, or it is not worth it; looked at after every other product."""
        count = len(self._diagonal)
        if not count or (count % 2 and count < len(self._basis) - 1 and self._goes_on()):
            return False
        values, vectors = self._ritz()
        rest = self._beside[-1] * np.abs(vectors[-1, -wanted:]).max()
        enough = count >= wanted and rest <= tolerance * np.abs(values).max()
        return bool(enough or count == len(self._basis) - 1 or not self._goes_on())

    def largest(self) -> Sharpness:
        """The best answer so far."""
        count = len(self._diagonal)
        values, vectors = self._ritz()
        weights = vectors[:, -1] * (1.0 if vectors[0, -1] >= 0 else -1.0)
        return Sharpness(float(values[-1]), weights @ self._basis[:count], self._beside[-1] * abs(weights[-1]), count)

    def leading(self, wanted: int) -> Leading:
        """The best answers so far."""
        count = len(self._diagonal)
        values, vectors = self._ritz()
        last = slice(None, -min(wanted, count) - 1, -1)
        weights = vectors[:, last].T * np.where(vectors[0, last] >= 0, 1.0, -1.0)[:, None]
        residuals = self._beside[-1] * np.abs(weights[:, -1])
        return Leading(values[last], weights @ self._basis[:count], residuals, count)

    def _without_known(self, vector: np.ndarray) -> np.ndarray:
        """The vector less its part in the eigenvectors that are known."""
        return vector - (self._known @ vector) @ self._known if len(self._known) else vector

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
    """The start with a third of noise, or the noise alone if there is no start to speak of."""
    length = 0.0 if start is None else float(np.linalg.norm(start))
    if start is None or not 0 < length < np.inf:
        return noise
    return start / length + NOISE * noise / np.linalg.norm(noise)
