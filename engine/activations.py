"""The functions that make a layer more than a matrix, their slopes and their curvatures.

An activation is three formulas, `function(z)`, `slope(z)` and `curvature(z)`, elementwise and safe for any |z| up to
1e3 and beyond. The kernels call in-place forms, `forward`, `backward` and `bend`; where they are not written out, the
formulas do their work.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.aligned_arrays import buffer

Workspace = Any

# As an array it spares each ufunc the 0.25 us of converting the number.
ONE = np.array(1.0)


class Activation(ABC):
    """A function of one number, applied to every unit of a layer, and its two derivatives.

    `reads_z` tells whether `backward` needs the pre-activations z; if not, the activations may overwrite them.
    `curved` is False for what consists of straight lines, whose second derivative is 0 wherever there is one.
    `in_numpy` and `in_torch` are f(z) as one writes it: expressions in z, and in np and math, or in torch.
    """

    reads_z: bool = True
    curved: bool = True
    in_numpy: str
    in_torch: str

    @abstractmethod
    def function(self, z: np.ndarray) -> np.ndarray:
        """The activations a = f(z)."""

    @abstractmethod
    def slope(self, z: np.ndarray) -> np.ndarray:
        """The derivative f'(z)."""

    @abstractmethod
    def curvature(self, z: np.ndarray) -> np.ndarray:
        """The second derivative f''(z)."""

    def workspace(self, shape: tuple[int, ...]) -> Workspace:
        """Whatever `forward` and `backward` want to keep for arrays of this shape, allocated once."""
        return None

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        """Write f(z) into `a`, which unless `reads_z` may be `z` itself."""
        a[...] = self.function(z)

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        """Multiply `d` by f'(z), with `z`, `a` and `workspace` as the latest `forward` left them."""
        d *= self.slope(z)

    def bend(self, slope: np.ndarray, z: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        """Write f''(z) into `out`, with `slope` = f'(z), and `z` and `a` = f(z) apart from each other."""
        out[...] = self.curvature(z)


class Sigmoid(Activation):
    """1 / (1 + exp(-z)): between 0 and 1; its slope is at most 1/4 and vanishes on both sides."""

    reads_z = False
    in_numpy = "1 / (1 + np.exp(-z))"
    in_torch = "torch.sigmoid(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return _sigmoid(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return sigmoid_slope(z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return sigmoid_curvature(z)

    def workspace(self, shape: tuple[int, ...]) -> Workspace:
        return buffer(shape)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        sigmoid_into(z, a)

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        np.multiply(a, a, out=workspace)
        np.subtract(a, workspace, out=workspace)
        d *= workspace

    def bend(self, slope: np.ndarray, z: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        np.multiply(a, -2.0, out=out)
        np.add(out, ONE, out=out)
        out *= slope


class Tanh(Activation):
    """tanh(z): between -1 and 1, centered; its slope is at most 1 and vanishes on both sides."""

    reads_z = False
    in_numpy = "np.tanh(z)"
    in_torch = "torch.tanh(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return np.tanh(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        e = np.exp(-2 * np.abs(z))
        return 4 * e / (1 + e) ** 2

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return -2 * np.tanh(z) * self.slope(z)

    def workspace(self, shape: tuple[int, ...]) -> Workspace:
        return buffer(shape)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        np.tanh(z, out=a)

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        np.multiply(a, a, out=workspace)
        np.subtract(ONE, workspace, out=workspace)
        d *= workspace

    def bend(self, slope: np.ndarray, z: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        np.multiply(a, -2.0, out=out)
        out *= slope


class ReLU(Activation):
    """max(0, z): slope 1 where it is on, 0 where it is off, and 0 at z = 0."""

    reads_z = False
    curved = False
    in_numpy = "np.maximum(z, 0.0)"
    in_torch = "torch.relu(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return np.maximum(z, 0.0)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, 1.0, 0.0)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return np.zeros_like(z)

    def workspace(self, shape: tuple[int, ...]) -> Workspace:
        on = buffer(shape, bool)
        return buffer(shape, fill=0), on, on.view(np.int8), buffer(shape)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        # The maximum with an array of zeros takes 1.5 us for 16 x 500 numbers, with the number 0 it takes 4.2.
        zeros, *_ = workspace
        np.maximum(z, zeros, out=a)

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        # In three steps 4.4 us, d *= a > 0 takes 5.4: NumPy turns bytes into floats faster when it does nothing else.
        zeros, on, bytes_of_on, slope = workspace
        np.greater(a, zeros, out=on)
        slope[...] = bytes_of_on
        d *= slope


class LeakyReLU(Activation):
    """z where z > 0, else z / 100: the slope is never 0, so a unit can come back."""

    curved = False
    leak = 0.01
    in_numpy = f"np.maximum(z, {leak} * z)"
    in_torch = f"torch.nn.functional.leaky_relu(z, {leak})"

    def function(self, z: np.ndarray) -> np.ndarray:
        return np.maximum(z, self.leak * z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, 1.0, self.leak)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return np.zeros_like(z)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        np.multiply(z, self.leak, out=a)
        np.maximum(z, a, out=a)


class ELU(Activation):
    """z where z > 0, else exp(z) - 1: smooth, and never below -1."""

    in_numpy = "np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))"
    in_torch = "torch.nn.functional.elu(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))

    def slope(self, z: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(z, 0.0))

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, 0.0, np.exp(np.minimum(z, 0.0)))


class GELU(Activation):
    """z P(Z < z) for a standard normal Z, the exact form: z (1 + erf(z / sqrt 2)) / 2.

    Source: Hendrycks & Gimpel 2016, equation 1.
    """

    in_numpy = "z * np.vectorize(math.erfc)(-z / math.sqrt(2)) / 2"
    in_torch = "torch.nn.functional.gelu(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return z * _normal_cdf(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return _normal_cdf(z) + z * _normal_density(z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return (2 - z * z) * _normal_density(z)

    def workspace(self, shape: tuple[int, ...]) -> Workspace:
        return buffer(shape)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        workspace[...] = _normal_cdf(z)
        np.multiply(z, workspace, out=a)

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        workspace += z * _normal_density(z)
        d *= workspace


class SiLU(Activation):
    """z sigmoid(z), also called swish: like GELU, cheaper."""

    in_numpy = "z / (1 + np.exp(-z))"
    in_torch = "torch.nn.functional.silu(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return z * _sigmoid(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        s = _sigmoid(z)
        return s * (1 + z * _sigmoid(-z))

    def curvature(self, z: np.ndarray) -> np.ndarray:
        # s'(z) (2 + z (1 - 2 s(z))), and 1 - 2 s(z) = -tanh(z / 2).
        return (2 - z * np.tanh(z / 2)) * sigmoid_slope(z)


class Softplus(Activation):
    """log(1 + exp(z)): a smooth ReLU whose slope is the sigmoid.

    Exact for all z; PyTorch's turns into z itself from z = 20 on, which differs by less than 3e-9.
    """

    in_numpy = "np.logaddexp(0.0, z)"
    in_torch = "torch.logaddexp(torch.zeros_like(z), z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return softplus(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return _sigmoid(z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return sigmoid_slope(z)


class Sine(Activation):
    """sin(z): periodic, so that a wave can be fitted with few units.

    Source: Sitzmann et al. 2020, without their factor omega.
    """

    in_numpy = "np.sin(z)"
    in_torch = "torch.sin(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return np.sin(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return np.cos(z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return -np.sin(z)


class Square(Activation):
    """z^2: networks of it are polynomials, whose gradients can be worked out by hand; deep ones explode."""

    in_numpy = "z * z"
    in_torch = "z * z"

    def function(self, z: np.ndarray) -> np.ndarray:
        return z * z

    def slope(self, z: np.ndarray) -> np.ndarray:
        return 2 * z

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return np.full_like(z, 2.0)


class Erf(Activation):
    """erf(z): sigmoidal like tanh; the kernels of infinitely wide networks of it are known in closed form.

    Source: Williams 1997, "Computing with infinite networks".
    """

    in_numpy = "np.vectorize(math.erf)(z)"
    in_torch = "torch.erf(z)"

    def function(self, z: np.ndarray) -> np.ndarray:
        return erf(z)

    def slope(self, z: np.ndarray) -> np.ndarray:
        return 2 / math.sqrt(math.pi) * np.exp(-z * z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return -2 * z * self.slope(z)


class Linear(Activation):
    """z itself: layers of it collapse into a single matrix."""

    reads_z = False
    curved = False
    in_numpy = "z"
    in_torch = "z"

    def function(self, z: np.ndarray) -> np.ndarray:
        return z.copy()

    def slope(self, z: np.ndarray) -> np.ndarray:
        return np.ones_like(z)

    def curvature(self, z: np.ndarray) -> np.ndarray:
        return np.zeros_like(z)

    def forward(self, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        if a is not z:
            a[...] = z

    def backward(self, d: np.ndarray, z: np.ndarray, a: np.ndarray, workspace: Workspace) -> None:
        pass


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "leaky relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "softplus": Softplus(),
    "sine": Sine(),
    "linear": Linear(),
    "square": Square(),
    "erf": Erf(),
}


def softplus(z: np.ndarray) -> np.ndarray:
    """log(1 + exp(z)) without overflow: max(z, 0) + log(1 + exp(-|z|))."""
    value = np.abs(z)
    np.negative(value, out=value)
    np.exp(value, out=value)
    np.log1p(value, out=value)
    value += np.maximum(z, 0.0)
    return value


def sigmoid_into(z: np.ndarray, a: np.ndarray) -> None:
    """Write 1 / (1 + exp(-z)) into `a`; where exp overflows, its infinity gives the right answer, 0."""
    np.negative(z, out=a)
    np.exp(a, out=a)
    np.add(a, ONE, out=a)
    np.reciprocal(a, out=a)


def sigmoid_slope(z: np.ndarray) -> np.ndarray:
    """The sigmoid's derivative, by exp(-|z|) rather than a (1 - a), which is 0 from z = 37 on."""
    e = np.exp(-np.abs(z))
    return e / (1 + e) ** 2


def sigmoid_curvature(z: np.ndarray) -> np.ndarray:
    """The sigmoid's second derivative, a' (1 - 2 a)."""
    return -np.tanh(z / 2) * sigmoid_slope(z)


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, to about 1e-16.

    Source: Cody 1969, "Rational Chebyshev approximations for the error function".
    """
    return np.where(np.abs(x) < 0.46875, _erf_center(x), np.sign(x) * (1 - _erfc_right(np.abs(x))))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    """P(Z < z) for a standard normal Z; in the left tail, too, every digit counts."""
    x = z / math.sqrt(2)
    tail = _erfc_right(np.abs(x)) / 2
    return np.where(np.abs(x) < 0.46875, (1 + _erf_center(x)) / 2, np.where(x > 0, 1 - tail, tail))


def _normal_density(z: np.ndarray) -> np.ndarray:
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _erf_center(x: np.ndarray) -> np.ndarray:
    """The error function for |x| < 0.46875; beyond, a finite number without meaning."""
    x = np.clip(x, -0.5, 0.5)
    return x * _ratio(CENTER, x * x)


def _erfc_right(x: np.ndarray) -> np.ndarray:
    """1 - erf(x) for x >= 0.46875; below, a finite number without meaning."""
    y = np.clip(x, 0.46875, 30.0)
    scaled = _ratio(MIDDLE, y)
    far = y > 4
    if far.any():
        scaled[far] = _erfc_tail(y[far])
    return np.exp(-y * y) * scaled


def _erfc_tail(y: np.ndarray) -> np.ndarray:
    """(1 - erf(y)) exp(y^2) for y > 4."""
    t = 1 / (y * y)
    return (1 / math.sqrt(math.pi) - t * _ratio(TAIL, t)) / y


def _ratio(polynomials: tuple[Sequence[float], Sequence[float]], x: np.ndarray) -> np.ndarray:
    return _polynomial(polynomials[0], x) / _polynomial(polynomials[1], x)


def _polynomial(coefficients: Sequence[float], x: np.ndarray) -> np.ndarray:
    """Horner's rule, highest power first."""
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value *= x
        value += c
    return value


# Cody 1969, tables 2 to 4: numerator and denominator, highest power first.
CENTER = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
TAIL = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)
