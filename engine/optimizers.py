"""How a gradient becomes an update. The rules are PyTorch's; the learning rates suit small networks.

An optimizer holds numbers that may be changed at any time and take hold at the next step. What it remembers from step
to step lives in a state that the caller keeps:

    state = optimizer.start(parameters)                             a dict of arrays
    optimizer.step(parameters, gradient, state, learning_rate)      changes parameters and state in place

A step leaves the gradient as it is and allocates no arrays, unless it solves equations or `learning_rate` is an array.
The latter is the optimizer's own times whatever a schedule makes of it: a number, or one for each parameter. An
optimizer that is `second_order` finds the Hessian in `state["hessian"]`, where the caller writes it before every step.
The formulas below write p for the parameters, g for the gradient, H for the Hessian and r for the learning rate.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from engine.curvature import check_size
from engine.options import Range

# An eigenvalue is not 0 if it is more than this share of the matrix's norm. The square of a matrix shows no finer ones.
CLEARLY = 1e-5

State = dict[str, np.ndarray]
OVERWRITTEN = ("scratch", "hessian", "is_bias")
"""What a state holds that is not remembered: a step writes it before it reads it, or the caller writes it."""

LearningRate = Annotated[float, Range(1e-4, 10.0, log=True, doc="Length of a step, as a multiple of the gradient.")]
Epsilon = Annotated[
    float, Range(1e-12, 1e-1, log=True, doc="Added where a step is divided by a gradient's size, against tiny ones.")
]
Rate = float | np.ndarray
SHARES = ("momentum", "smoothing", "beta1", "beta2")


@dataclass
class Optimizer(ABC):
    """What all optimizers have: a learning rate, and numbers that are checked whenever they are written.

    second_order   whether a step wants the Hessian in `state["hessian"]`, (n_parameters, n_parameters)
    degree   with which power of c a step grows where the gradient is c and H c^2 times as large, as in parameters that
    are 1 / c as large: 1 for what adds gradients up, 0 for what divides them by their size, -1 for what divides by H
    preconditioned   whether every parameter's step is divided by a number that it remembers, its `preconditioner`
    Raises ValueError for a number below 0, or a share of 1 and more.
    """

    second_order: ClassVar[bool] = False
    degree: ClassVar[int] = 1
    preconditioned: ClassVar[bool] = False
    learning_rate: LearningRate = 0.1

    def __setattr__(self, name: str, value: float) -> None:
        limit = 1.0 if name in SHARES else math.inf
        if not 0 <= value < limit:
            raise ValueError(f"{name} {value} is out of bounds; choose a number from 0 to below {limit}")
        super().__setattr__(name, value)

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        """The largest curvature on which it does not diverge; above it, every step on a quadratic is larger.

        The curvature is the largest eigenvalue of the Hessian H, or, if it is `preconditioned`, of H / P, where P is
        its `preconditioner`. nan, as here, for what divides by the curvature itself.
        Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability",
        appendix B; 2022, "Adaptive gradient methods at the edge of stability", for what is preconditioned.
        """
        return np.full(np.shape(learning_rate), np.nan)[()]

    def preconditioner(self, state: State, gradient: np.ndarray) -> np.ndarray | None:
        """(n_parameters,) by what the next step divides, given its gradient; None where it is not preconditioned."""
        return None

    @abstractmethod
    def start(self, parameters: np.ndarray) -> State:
        """The state before the first step, all zeros: shaped like the parameters, but for a count or a Hessian."""

    @abstractmethod
    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        """One update of the parameters and the state, in place."""


@dataclass
class SGD(Optimizer):
    """Gradient descent, straight down the slope: p -= r g. Its edge of stability is 2 / r."""

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over(2.0, learning_rate)

    def start(self, parameters: np.ndarray) -> State:
        return _zeros(parameters, "scratch")

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        _descend(parameters, gradient, learning_rate, state["scratch"])


@dataclass
class Momentum(Optimizer):
    """Momentum, a heavy ball that rolls on: v = m v + g, p -= r v.

    With momentum m, steps along a constant slope grow to r / (1 - m) times the gradient. Its edge of stability is
    (2 + 2 m) / r.
    Source: Polyak 1964.
    """

    learning_rate: LearningRate = 0.05
    momentum: Annotated[float, Range(0.0, 0.999, doc="Share of the velocity kept from one step to the next.")] = 0.9

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over(2 + 2 * self.momentum, learning_rate)

    def start(self, parameters: np.ndarray) -> State:
        return _zeros(parameters, "velocity", "scratch")

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        velocity = state["velocity"]
        velocity *= self.momentum
        velocity += gradient
        _descend(parameters, velocity, learning_rate, state["scratch"])


@dataclass
class Nesterov(Momentum):
    """Momentum that looks ahead: v = m v + g, p -= r (g + m v). Its edge of stability is (2 + 2 m) / (1 + 2 m) / r.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013 that PyTorch uses.
    """

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over((2 + 2 * self.momentum) / (1 + 2 * self.momentum), learning_rate)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        velocity, scratch = state["velocity"], state["scratch"]
        velocity *= self.momentum
        velocity += gradient
        np.multiply(velocity, self.momentum, out=scratch)
        scratch += gradient
        _descend(parameters, scratch, learning_rate, scratch)


@dataclass
class AdaGrad(Optimizer):
    """Steps that shrink with all the gradient a parameter has ever seen: s += g^2, p -= r g / (sqrt(s) + epsilon).

    Its edge of stability is 2 / r, where the Hessian is divided by P = sqrt(s) + epsilon.
    Source: Duchi, Hazan & Singer 2011.
    """

    degree: ClassVar[int] = 0
    preconditioned: ClassVar[bool] = True
    epsilon: Epsilon = 1e-10

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over(2.0, learning_rate)

    def preconditioner(self, state: State, gradient: np.ndarray) -> np.ndarray:
        return np.sqrt(state["square_sum"] + gradient * gradient) + self.epsilon

    def start(self, parameters: np.ndarray) -> State:
        return _zeros(parameters, "square_sum", "scratch")

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        square_sum, scratch = state["square_sum"], state["scratch"]
        np.multiply(gradient, gradient, out=scratch)
        square_sum += scratch
        _descend_scaled(parameters, gradient, square_sum, self.epsilon, learning_rate, scratch)


@dataclass
class RMSProp(Optimizer):
    """Steps divided by the recent size of the gradient: s = a s + (1 - a) g^2, p -= r g / (sqrt(s) + epsilon).

    Its edge of stability is 2 / r, where the Hessian is divided by P = sqrt(s) + epsilon.
    Source: Tieleman & Hinton 2012, lecture 6.5.
    """

    degree: ClassVar[int] = 0
    preconditioned: ClassVar[bool] = True
    learning_rate: LearningRate = 0.01
    smoothing: Annotated[float, Range(0.0, 0.9999, doc="Share of the mean squared gradient kept at each step.")] = 0.99
    epsilon: Epsilon = 1e-8

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over(2.0, learning_rate)

    def preconditioner(self, state: State, gradient: np.ndarray) -> np.ndarray:
        return np.sqrt(_averaged_square(state["square"], gradient, self.smoothing)) + self.epsilon

    def start(self, parameters: np.ndarray) -> State:
        return _zeros(parameters, "square", "scratch")

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        square, scratch = state["square"], state["scratch"]
        _average_square(square, gradient, self.smoothing, scratch)
        _descend_scaled(parameters, gradient, square, self.epsilon, learning_rate, scratch)


@dataclass
class Adam(Optimizer):
    """Momentum and RMSProp together, both corrected for having started at zero.

    m = b1 m + (1 - b1) g, s = b2 s + (1 - b2) g^2, and after t steps p -= r m' / (sqrt(s') + epsilon)
    with m' = m / (1 - b1^t) and s' = s / (1 - b2^t). Its edge of stability is (2 + 2 b1) / (1 - b1) / r, where the
    Hessian is divided by P = (1 - b1^t) (sqrt(s') + epsilon): 38 / r for b1 = 0.9.
    Source: Kingma & Ba 2015, algorithm 1.
    """

    degree: ClassVar[int] = 0
    preconditioned: ClassVar[bool] = True
    learning_rate: LearningRate = 0.01
    beta1: Annotated[float, Range(0.0, 0.999, doc="Share of the mean gradient kept at each step.")] = 0.9
    beta2: Annotated[float, Range(0.0, 0.9999, doc="Share of the mean squared gradient kept at each step.")] = 0.999
    epsilon: Epsilon = 1e-8

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return _over((2 + 2 * self.beta1) / (1 - self.beta1), learning_rate)

    def preconditioner(self, state: State, gradient: np.ndarray) -> np.ndarray:
        t = float(state["steps"]) + 1
        square = _averaged_square(state["square"], gradient, self.beta2) / (1.0 - self.beta2**t)
        return (1.0 - self.beta1**t) * (np.sqrt(square) + self.epsilon)

    def start(self, parameters: np.ndarray) -> State:
        return _zeros(parameters, "mean", "square", "scratch") | {"steps": np.zeros(())}

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        mean, square, scratch, steps = state["mean"], state["square"], state["scratch"], state["steps"]
        steps += 1
        _average(mean, gradient, self.beta1, scratch)
        _average_square(square, gradient, self.beta2, scratch)
        t = float(steps)
        # sqrt(s') = sqrt(s) / u: multiplying the fraction by u corrects two numbers instead of two arrays.
        u = math.sqrt(1.0 - self.beta2**t)
        rate = learning_rate * u / (1.0 - self.beta1**t)
        _descend_scaled(parameters, mean, square, self.epsilon * u, rate, scratch)


@dataclass
class AdamW(Adam):
    """Adam with weight decay of its own: p -= r d p first, then Adam's step, which never sees the decay.

    Weight decay d shrinks all parameters, biases included, as in PyTorch. Its edge of stability is Adam's times
    1 - r d / 2. A `bias_decay` below 1 spares the biases, which are where the caller has written 1 into
    `state["is_bias"]`; 0 is PyTorch's with two groups of parameters.
    Source: Loshchilov & Hutter 2019, algorithm 2.
    """

    weight_decay: Annotated[float, Range(0.0, 1.0, doc="How fast parameters shrink, times the learning rate.")] = 0.01
    bias_decay: Annotated[float, Range(0.0, 1.0, doc="How fast biases shrink, as a share of the weight decay.")] = 1.0

    def start(self, parameters: np.ndarray) -> State:
        return super().start(parameters) | _zeros(parameters, "is_bias")

    def edge_of_stability(self, learning_rate: np.ndarray | float) -> np.ndarray | float:
        return super().edge_of_stability(learning_rate) * (1 - np.multiply(learning_rate, self.weight_decay) / 2)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        if self.bias_decay == 1.0:
            parameters *= 1.0 - learning_rate * self.weight_decay
        else:
            kept = state["scratch"]
            np.multiply(state["is_bias"], self.bias_decay - 1.0, out=kept)
            kept += 1.0
            kept *= learning_rate * self.weight_decay
            np.subtract(1.0, kept, out=kept)
            parameters *= kept
        super().step(parameters, gradient, state, learning_rate)


@dataclass
class Newton(Optimizer):
    """Newton's method, a step to where the slope would be 0 if the surface were the parabola it is here: p -= r s.

    The step s solves (H + damping I) s = g. It is blind to up and down: near a saddle or a maximum, where H has
    negative eigenvalues, it goes there, unless the damping is larger than they are; from a random start that takes
    about 1. Where the equations have no single solution, s is the shortest of those that solve them best, directions
    whose curvature is 0 but for rounding left out; where H or g is not finite, s is nan.
    For small networks only: raises ValueError for more than 2000 parameters.
    Source: Nocedal & Wright 2006, section 3.3; the damping is Levenberg's, 1944.
    """

    second_order: ClassVar[bool] = True
    degree: ClassVar[int] = -1
    learning_rate: LearningRate = 1.0
    damping: Annotated[float, Range(0.0, 10.0, doc="Added to the curvature in every direction: short, safe steps.")] = (
        1.0
    )

    def start(self, parameters: np.ndarray) -> State:
        check_size(parameters.size)
        return {"hessian": np.zeros((parameters.size, parameters.size))}

    def step(self, parameters: np.ndarray, gradient: np.ndarray, state: State, learning_rate: Rate) -> None:
        matrix = state["hessian"].copy()
        matrix.flat[:: len(matrix) + 1] += self.damping
        parameters -= learning_rate * _solution(matrix, gradient)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "newton": Newton,
}


def _over(number: float, learning_rate: np.ndarray | float) -> np.ndarray | float:
    """A number over learning rates; infinite where one is 0."""
    with np.errstate(divide="ignore"):
        return np.divide(number, learning_rate)


def _zeros(parameters: np.ndarray, *names: str) -> State:
    return {name: np.zeros_like(parameters) for name in names}


def _average(mean: np.ndarray, gradient: np.ndarray, kept: float, scratch: np.ndarray) -> None:
    """mean = kept mean + (1 - kept) gradient."""
    np.multiply(gradient, 1.0 - kept, out=scratch)
    mean *= kept
    mean += scratch


def _average_square(square: np.ndarray, gradient: np.ndarray, kept: float, scratch: np.ndarray) -> None:
    """square = kept square + (1 - kept) gradient^2."""
    np.multiply(gradient, gradient, out=scratch)
    scratch *= 1.0 - kept
    square *= kept
    square += scratch


def _averaged_square(square: np.ndarray, gradient: np.ndarray, kept: float) -> np.ndarray:
    """What `_average_square` makes of the square, which stays as it is."""
    return kept * square + (1.0 - kept) * gradient * gradient


def _descend(parameters: np.ndarray, direction: np.ndarray, rate: Rate, scratch: np.ndarray) -> None:
    """parameters -= rate direction."""
    np.multiply(direction, rate, out=scratch)
    parameters -= scratch


def _descend_scaled(
    parameters: np.ndarray, direction: np.ndarray, square: np.ndarray, epsilon: float, rate: Rate, scratch: np.ndarray
) -> None:
    """parameters -= rate direction / (sqrt(square) + epsilon)."""
    np.sqrt(square, out=scratch)
    scratch += epsilon
    np.divide(direction, scratch, out=scratch)
    _descend(parameters, scratch, rate, scratch)


def _solution(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """What a symmetric matrix turns into `right`; of many answers, or of none, the shortest that comes closest."""
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return np.full_like(right, np.nan)
    norm = float(np.linalg.norm(matrix))
    if _is_above(matrix, _rounding(len(matrix), norm)) or _is_above(matrix @ matrix, (CLEARLY * norm) ** 2):
        return np.linalg.solve(matrix, right)
    return _least_squares(matrix, right)


def _is_above(matrix: np.ndarray, limit: float) -> bool:
    """Whether all eigenvalues of a symmetric matrix are above a limit; a tenth of the cost of computing them."""
    rest = matrix.copy()
    rest.flat[:: len(matrix) + 1] -= limit
    try:
        np.linalg.cholesky(rest)
    except np.linalg.LinAlgError:
        return False
    return True


def _least_squares(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """By eigenvectors, those left out whose eigenvalue is 0 but for rounding.

    Source: Golub & Van Loan 2013, section 5.5.2.
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = np.abs(values) > _rounding(len(matrix), np.abs(values).max())
    return vectors[:, kept] @ (right @ vectors[:, kept] / values[kept])


def _rounding(size: int, largest: float) -> float:
    """What an eigenvalue of 0 may come out as, next to one so large: a sum over examples is off by a few more bits."""
    return 8 * float(np.finfo(float).eps) * max(size, 8) * float(largest)
