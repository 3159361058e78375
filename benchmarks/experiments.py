"""The laboratory's experiments, run over many seeds and held against the figures they are known by.

    python -m benchmarks.experiments            # all sections, a few minutes on two cores
    python -m benchmarks.experiments 4 9        # only these

A Markdown table goes to stdout, progress to stderr. Each figure was first measured by another engine, on other examples
and other weights, as a median or a share over seeds. It is reproduced

    as a median    if it lies in the middle eight tenths of our runs, give or take half a unit of its last digit
    as a share     if it and ours differ by at most three standard errors, of our runs and of 200 of the other engine's
    as a fact      if it holds in every run, or for the medians where it is about those
    as a limit     if the median of our runs keeps it

The middle eight tenths are wide: they tell whether the figure could be one of our runs, not whether our median equals
it. Read both columns. Where medians differ most: He after 500 epochs 0.175 instead of 0.139, dead units with He and
bias -1 25 and 63 % instead of 21 and 54 %, the principal plane off by 0.36 instead of 0.46, small ReLU networks that
solve XOR 70 % instead of 58 %.

The figures came without some of their settings, which were searched for until the figures fit; there, that they fit is
no evidence by itself, while the orders, factors and traps they illustrate are. These are the clouds of sections 1 and 2
and their learning rate, the loss above which a run has failed and the one above which it is on the plateau (5), that
gradient norms leave biases out, and which layers a residual network's ratio compares (6), activation, learning rate and
center in section 8, degree and initializer in section 9, and there, for degree 6, the steps and that biases start at 0:
without biases the network is odd, and cannot learn an even polynomial.

Unless stated otherwise the problem is two moons of 200 examples with noise 0.2, a network 2-16-16-1 with ReLU, and
gradient descent on all examples. `tests/test_experiments.py` runs the same functions over fewer seeds.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import islice, pairwise
from multiprocessing import get_context

import numpy as np

from engine.activations import ACTIVATIONS
from engine.backpropagation import BUGS, Backpropagation
from engine.curvature import Curvature, preconditioned
from engine.datasets import DATASETS, Dataset, Standardization
from engine.ensemble import Ensemble
from engine.gradient_check import bug_check, gradient_check, walk
from engine.initializers import INITIALIZERS, Initializer
from engine.landscape import path_on_plane, pca_plane, weight_plane
from engine.measures import dead_units, dim_units, pre_activation_histograms
from engine.network import Network
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.surfaces import SURFACES, LogisticSurface, Surface, descend, trajectory
from engine.theory.central_flow import Terrain, central_flow, gradient_flow
from engine.training import Epochs, Training

SECTIONS = {
    1: "Logistic regression",
    2: "Optimization geometry",
    3: "Activations and vanishing gradients",
    4: "Backpropagation and the gradient check",
    5: "Initialization",
    6: "Depth and gradient flow",
    7: "Dead neurons",
    8: "Loss landscape",
    9: "Curvature and the edge of stability",
}
RUNS_BEHIND = 200
HIDDEN = (16, 16)
XOR_SOLVED = 0.05
FAILED = 0.6
PLATEAU = 0.69
APART = 2 * math.sqrt(2)
OWN_EDGES = (("adam", 0.001), ("adamw", 0.001), ("rmsprop", 0.001), ("adagrad", 0.02))


@dataclass(frozen=True)
class Finding:
    """One figure, what was measured for it, and the middle eight tenths of the runs or three standard errors around."""

    section: int
    what: str
    expected: str
    measured: float
    low: float
    high: float
    within: bool

    def __str__(self) -> str:
        spread = f"{_short(self.low)} to {_short(self.high)}"
        verdict = "yes" if self.within else "**no**"
        return f"| {self.section} | {self.what} | {self.expected} | {_short(self.measured)} | {spread} | {verdict} |"


def typical(section: int, what: str, expected: str, samples: Sequence[float], tolerance: float = 0.0) -> Finding:
    """A figure as a median. Where the runs hardly differ, a share of the figure may be granted as tolerance."""
    low, median, high = np.quantile(np.asarray(samples, float), [0.1, 0.5, 0.9], method="inverted_cdf")
    figure, slack = float(expected), _half_a_unit(expected) + tolerance * abs(float(expected))
    return Finding(section, what, expected, median, low, high, bool(low - slack <= figure <= high + slack))


def share(section: int, what: str, expected: str, hits: Sequence[bool], behind: int = RUNS_BEHIND) -> Finding:
    """A figure as a share of the runs, of which there were so many behind the figure."""
    n, figure, ours = len(hits), float(expected), float(np.mean(hits))
    pooled = (ours * n + figure * behind) / (n + behind)
    reach = 3 * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / behind)) + _half_a_unit(expected)
    low, high = max(0.0, ours - reach), min(1.0, ours + reach)
    return Finding(section, what, expected, ours, low, high, bool(low <= figure <= high))


def fact(section: int, what: str, hits: Sequence[bool] | bool) -> Finding:
    """Something that is so in every run."""
    hits = np.atleast_1d(hits)
    return Finding(section, what, "always", float(hits.mean()), float(hits.min()), float(hits.max()), hits.all())


def at_most(section: int, what: str, limit: float, samples: Sequence[float]) -> Finding:
    """A limit that the median of the runs keeps."""
    low, median, high = np.quantile(np.asarray(samples, float), [0.1, 0.5, 0.9], method="inverted_cdf")
    return Finding(section, what, f"at most {_short(limit)}", median, low, high, bool(median <= limit))


def _half_a_unit(expected: str) -> float:
    return 0.5 * 10.0 ** Decimal(expected).as_tuple().exponent


def _short(number: float) -> str:
    return f"{number:.4g}"


def moons(seed: int) -> Dataset:
    """The examples of the default problem."""
    return DATASETS["moons"](n=200, noise=0.2, seed=seed)


def descent(learning_rate: float) -> Optimizer:
    """Gradient descent."""
    return OPTIMIZERS["sgd"](learning_rate=learning_rate)


def normal(std: float) -> Initializer:
    """Weights of one standard deviation in all layers."""
    return INITIALIZERS["normal"](std=std)


# 1 Logistic regression


def clouds(seed: int) -> Dataset:
    """Two clouds about (2, 2) and (-2, -2), turned to lie along an axis; std 0.5, wide apart."""
    near = DATASETS["blobs"](n=200, noise=0.5 / APART, seed=seed, classes=2)
    return replace(near, x=APART * near.x)


def _logistic_runs(datasets: int, l2: Sequence[float]) -> Ensemble:
    axes = {"data": [clouds(seed) for seed in range(datasets)], "l2": l2}
    return Ensemble([2, 1], None, axes, initializer="zeros", optimizer=descent(0.5), every=1000)


def _weight_norms(ensemble: Ensemble) -> np.ndarray:
    return np.linalg.norm(ensemble.parameters[:, :2], axis=1).reshape(ensemble.shape)


def weights_under_a_penalty(datasets: int, steps: int = 10_000) -> list[Finding]:
    """|w| after so many steps, for each strength of the L2 penalty; learning rate 0.5, from 0."""
    figures = {0.0: "4.17", 0.01: "1.84", 0.1: "1.13", 1.0: "0.52"}
    ensemble = _logistic_runs(datasets, list(figures))
    ensemble.advance(steps + 1)
    norms = _weight_norms(ensemble)
    return [
        typical(1, f"norm of w with lambda = {l2:g}", figure, norms[:, i], tolerance=0.03)
        for i, (l2, figure) in enumerate(figures.items())
    ]


def weights_without_a_penalty(datasets: int, steps: Sequence[int] = (10, 100, 1000, 10_000)) -> list[Finding]:
    """|w| on separable data: it grows with the logarithm of time (Soudry 2018)."""
    figures = {10: "1.35", 100: "2.19", 1000: "3.13", 10_000: "4.17"}
    ensemble, norms = _logistic_runs(datasets, [0.0]), []
    for step in steps:
        ensemble.advance(step - max(ensemble.epoch, -1))
        norms.append(_weight_norms(ensemble)[:, 0])
    growth = np.diff(norms, axis=0)
    return [
        *(
            typical(1, f"norm of w at step {s}", figures[s], n, tolerance=0.03)
            for s, n in zip(steps, norms, strict=True)
        ),
        fact(1, "each decade of steps adds 0.8 to 1.2 to the norm of w", (np.abs(growth - 1) <= 0.2).ravel()),
    ]


def squared_error_learns_slower(datasets: int, epochs: int = 200) -> list[Finding]:
    """The same start, confident and mistaken, under both losses: epochs until 95 % are right."""
    needed = {
        loss: [_epochs_to_unlearn(clouds(s), loss, epochs) for s in range(datasets)] for loss in LOSSES_OF_SIGMOID
    }
    cross_entropy, squared = map(np.array, needed.values())
    return [
        fact(1, "from confident mistakes MSE needs 5 times the epochs of BCE or more", squared >= 5 * cross_entropy)
    ]


LOSSES_OF_SIGMOID = ("binary cross-entropy", "mse")


def _epochs_to_unlearn(data: Dataset, loss: str, epochs: int) -> float:
    network = Network([2, 1], initializer="zeros")
    network.weights[0][:, 0] = np.array([2.0, 0.0]) * (1 if data.x[data.y == 1, 0].mean() < 0 else -1)
    right = Training(network, data, loss, descent(0.5)).advance(epochs + 1).accuracy >= 0.95
    return float(np.argmax(right)) if right.any() else math.inf


def a_line_on_xor(seeds: int, epochs: int = 4000) -> list[Finding]:
    """Logistic regression on the four points: the loss goes to ln 2 and the weights to 0, at p = 1/2 everywhere."""
    ensemble = Ensemble([2, 1], DATASETS["xor4"](), {"seed": range(seeds)}, optimizer=descent(1.0), every=1000)
    ensemble.advance(epochs + 1)
    shares = ensemble.accuracy[:, -1]
    return [
        typical(1, "XOR by a line: loss", "0.693147", ensemble.loss[:, -1]),
        fact(1, "XOR by a line: norm of w below 1e-6", np.linalg.norm(ensemble.parameters[:, :2], axis=1) < 1e-6),
        fact(
            1,
            "XOR by a line: accuracy is rounding noise, a multiple of 1/4 below 1",
            np.isin(shares, [0.25, 0.5, 0.75]),
        ),
    ]


# 2 Optimization geometry


def oblique(seed: int) -> Dataset:
    """Two clouds that overlap, 41 degrees off the axes, so that both features matter and neither is alone."""
    across, angle = DATASETS["blobs"](n=200, noise=0.66, seed=seed, classes=2), math.radians(41)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return replace(across, x=across.x @ turn)


def stretched(data: Dataset) -> Dataset:
    """The second feature ten times as large."""
    return replace(data, x=data.x * [1.0, 10.0])


def standardized(data: Dataset) -> Dataset:
    """Features of mean 0 and standard deviation 1."""
    return Standardization.of(data.x).apply(data)


def _steps_to_settle(surface: Surface, share_of_critical: float, most: int = 5000) -> float:
    """Steps from 0 until the loss is within 1e-6 of the minimum's; the learning rate is a share of 2 / lambda_max."""
    rate = share_of_critical * float(surface.curvature(surface.minimum).critical_learning_rate)
    goal = float(surface.value(surface.minimum)) + 1e-6
    steps = islice(descend(surface, None, descent(rate)), most + 1)
    return next((step.index for step in steps if step.value <= goal), math.inf)


def _condition_number(surface: Surface) -> float:
    return float(surface.curvature(surface.minimum).condition_number)


def learning_rates_side_by_side(datasets: int) -> list[Finding]:
    """Steps to within 1e-6 of the optimal loss, from 0, at multiples of 1/lambda_max of the optimum."""
    surfaces = [LogisticSurface(oblique(seed)) for seed in range(datasets)]
    figures = {0.1: "136", 1.0: "37", 1.99: "31"}
    ends = [_excess_at_the_end(surface, 2.1) for surface in surfaces]
    return [
        *(
            typical(2, f"steps at {rate} / lambda", figure, [_steps_to_settle(s, rate / 2) for s in surfaces])
            for rate, figure in figures.items()
        ),
        fact(2, "2.1 / lambda never settles", np.array(ends)[:, 0] > 1e-6),
        fact(2, "2.1 / lambda never blows up", np.array(ends)[:, 1] < 10.0),
    ]


def _excess_at_the_end(surface: Surface, rate: float, steps: int = 2000) -> tuple[float, float]:
    """The least loss above the minimum's in the last 100 steps, and the largest loss in the latter half of the run."""
    critical = float(surface.curvature(surface.minimum).critical_learning_rate)
    values = trajectory(surface, None, descent(rate / 2 * critical), steps).values
    return float(values[-100:].min() - surface.value(surface.minimum)), float(values[steps // 2 :].max())


def features_of_different_scale(datasets: int) -> list[Finding]:
    """The same examples as they are, with the second feature times 10, and that standardized."""
    plain = [oblique(seed) for seed in range(datasets)]
    wide = [stretched(data) for data in plain]
    plain_surfaces, wide_surfaces, again = (
        [LogisticSurface(data) for data in family] for family in (plain, wide, map(standardized, wide))
    )
    pairs = list(zip(plain_surfaces, wide_surfaces, strict=True))
    return [
        *(
            typical(2, f"condition number, {name}", figure, [_condition_number(s) for s in surfaces])
            for name, figure, surfaces in (
                ("features alike", "3.1", plain_surfaces),
                ("x2 times 10", "140.7", wide_surfaces),
                ("standardized", "3.1", again),
            )
        ),
        *(
            typical(2, f"steps at 1 / lambda, {name}", figure, [_steps_to_settle(s, 0.5) for s in surfaces])
            for name, figure, surfaces in (("x2 times 10", "651", wide_surfaces), ("standardized", "37", again))
        ),
        fact(2, "x2 times 10: same optimal loss", [_agree(a.value(a.minimum), b.value(b.minimum)) for a, b in pairs]),
        fact(2, "x2 times 10: w2 a tenth", [_agree(a.minimum, b.minimum * [1, 10]) for a, b in pairs]),
        fact(2, "x2 times 10: same predictions", [_same_predictions(*data) for data in zip(plain, wide, strict=True)]),
        typical(2, "cosine of successive steps at 1.9 / lambda, x2 times 10", "-0.98", _turns(wide_surfaces)),
        typical(2, "cosine of successive steps at 1.9 / lambda, standardized", "1.00", _turns(again)),
    ]


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    """To within the rounding of Newton's method."""
    return bool(np.allclose(one, other, rtol=1e-12, atol=0))


def _same_predictions(plain: Dataset, wide: Dataset) -> bool:
    """Both optima's probabilities, to within rounding of the weights."""
    one, other = (data.x @ LogisticSurface(data).minimum for data in (plain, wide))
    sigmoid = ACTIVATIONS["sigmoid"].function
    return bool(np.abs(sigmoid(one) - sigmoid(other)).max() < 1e-14)


def _turns(surfaces: Sequence[Surface], steps: int = 50) -> list[float]:
    """The median over the first steps: once it has settled, the scaled run zigzags, too, on a scale nobody sees."""
    rates = [0.95 * float(s.curvature(s.minimum).critical_learning_rate) for s in surfaces]
    runs = (trajectory(s, None, descent(rate), steps) for s, rate in zip(surfaces, rates, strict=True))
    return [float(np.median(run.turns)) for run in runs]


def the_quadratics_critical_rate() -> list[Finding]:
    """Curvatures 1 and 10: a learning rate of 0.2 is 2 / lambda_max to the point."""
    surface = SURFACES["quadratic"](condition_number=10.0)
    heights = {rate: trajectory(surface, None, descent(rate), 2000).values for rate in (0.199, 0.2, 0.201)}
    return [
        fact(2, "quadratic at 0.199: decays", heights[0.199][-1] < 1e-6 * heights[0.199][0]),
        fact(2, "quadratic at 0.2: neither", abs(heights[0.2][-1] / heights[0.2][-1001] - 1) < 1e-9),
        fact(2, "quadratic at 0.201: grows", heights[0.201][-1] > 1e6 * heights[0.201][0]),
    ]


def newton_on_the_quadratic() -> list[Finding]:
    """One step to the minimum, whatever the condition number."""
    optimizer = OPTIMIZERS["newton"](learning_rate=1.0, damping=0.0)
    runs = [
        trajectory(SURFACES["quadratic"](condition_number=k, angle=30.0), None, optimizer, 1) for k in (1.0, 10.0, 1e3)
    ]
    return [fact(2, "Newton: the quadratic in one step", [run.values[1] < 1e-24 * run.values[0] for run in runs])]


# 3 Activations and vanishing gradients


def factors_of_a_sigmoid() -> list[Finding]:
    """Each sigmoid layer passes a quarter of what it gets, at most."""
    slopes = ACTIVATIONS["sigmoid"].slope(np.linspace(-20, 20, 40_001))
    return [
        typical(3, "ten sigmoid layers pass at most", "9.54e-7", [float(slopes.max()) ** 10]),
        fact(3, "ReLU passes all where it is active", ACTIVATIONS["relu"].slope(np.array([1e-9, 1.0, 1e9])) == 1),
    ]


def the_output_layer_cancels_its_slope(seeds: int) -> list[Finding]:
    """With binary cross-entropy the slope of the output's sigmoid drops out; with MSE it stays."""
    networks = [(Network([2, *HIDDEN, 1], seed=seed), moons(seed)) for seed in range(seeds)]
    return [fact(3, "BCE after a sigmoid: dL/dz = (p - y) / n", [_cancels(*one) for one in networks])]


def _cancels(network: Network, data: Dataset) -> bool:
    dz = Backpropagation(network, data)[f"dz{len(HIDDEN) + 1}"]
    return bool(np.abs(dz - (network.predict(data.x) - data.y[:, None]) / len(data)).max() < 1e-15)


def large_weights_saturate(seeds: int) -> list[Finding]:
    """The second of two sigmoid layers: how many of its pre-activations lie where the slope is below 0.01."""
    xavier, large = (np.array([_flat(i, seed) for seed in range(seeds)]) for i in ("xavier", normal(10.0)))
    return [
        fact(3, "Xavier: no sigmoid is flat", xavier == 0),
        fact(3, "std 10: more than half of the sigmoids are flat", large > 0.5),
    ]


def _flat(initializer: str | Initializer, seed: int) -> float:
    network = Network([2, *HIDDEN, 1], "sigmoid", initializer=initializer, seed=seed)
    return pre_activation_histograms(network.trace(moons(seed).x), network.activations)[-1].flat


# 4 Backpropagation and the gradient check

XOR_RATES = {"sigmoid": 1.0, "tanh": 0.5, "relu": 0.1}


def xor_solved(
    seeds: int, activation: str, width: int, initializer: str | Initializer, epochs: int = 5000
) -> np.ndarray:
    """(seeds,) whether 2-width-1 has learned the four points: a mean loss of 0.05 leaves none of them wrong."""
    optimizer = descent(XOR_RATES[activation])
    ensemble = Ensemble(
        [2, width, 1],
        DATASETS["xor4"](),
        {"seed": range(seeds)},
        activation,
        initializer=initializer,
        optimizer=optimizer,
        stop_loss=XOR_SOLVED,
        every=1000,
    )
    ensemble.advance(epochs + 1)
    return ~ensemble.going & ~ensemble.diverged


def xor_by_width(seeds: int, activation: str, width: int) -> list[Finding]:
    """How often XOR is solved: sigmoid and tanh with Xavier, ReLU with He."""
    initializer = "he" if activation == "relu" else "xavier"
    solved = xor_solved(seeds, activation, width, initializer)
    return [share(4, f"XOR solved, {activation}, {width} hidden", XOR_FIGURES[activation, width], solved)]


XOR_FIGURES = {
    ("sigmoid", 2): "0.81",
    ("sigmoid", 4): "1.00",
    ("sigmoid", 8): "1.00",
    ("tanh", 2): "0.54",
    ("tanh", 4): "0.99",
    ("relu", 2): "0.18",
    ("relu", 4): "0.58",
    ("relu", 8): "0.92",
    ("relu", 16): "1.00",
}


def the_worked_example() -> list[Finding]:
    """w = 0.5, x = y = 1, L = (wx - y)^2: the walk of adding epsilon, subtracting it twice, restoring."""
    network = Network([1, 1], output="linear", initializer="zeros")
    network.weights[0][...] = 0.5
    walked = walk(network, Dataset(np.ones((1, 1)), np.ones(1), "regression", 0), 0, 1e-5, "mse")
    return [
        typical(4, "worked example: analytic", "-1.0", [walked.analytic]),
        typical(4, "worked example: L(w + eps)", "0.2499900001", [walked.losses[1]]),
        typical(4, "worked example: L(w - eps)", "0.2500100001", [walked.losses[2]]),
        typical(4, "worked example: numeric", "-1.000000000001", [walked.numeric], tolerance=1e-11),
        fact(4, "worked example: w restored exactly", network.weights[0][0, 0] == 0.5),
    ]


def kinks_in_the_gradient_check(seeds: int) -> list[Finding]:
    """The default network with He: a network fails if any parameter's relative error is 1e-5 or more."""
    checks = [gradient_check(Network([2, *HIDDEN, 1], seed=seed), moons(seed)) for seed in range(seeds)]
    return [
        share(
            4, 'ReLU networks that "fail", kinks counted', "0.085", [c.relative_errors.max() >= 1e-5 for c in checks]
        ),
        share(4, "ReLU networks that fail, kinks set aside", "0.01", [not check.passed for check in checks]),
    ]


def planted_bugs(seeds: int) -> list[Finding]:
    """Every mistake, in networks where all of them matter: tanh, square weights, a skip connection and a penalty."""
    return [fact(4, f"planted bug caught: {bug}", [_caught(bug, seed) for seed in range(seeds)]) for bug in BUGS]


def _caught(bug: str, seed: int) -> bool:
    network = Network([2, 5, 5, 1], "tanh", initializer="xavier", seed=seed, skip=True, bias=0.1)
    return bug_check(network, moons(seed).take(np.arange(20)), bug, l2=0.1).verdict == "caught"


# 5 Initialization

CURVES = {
    "Xavier": ("xavier", {0: "0.697", 100: "0.316", 500: "0.210", 2000: "0.047"}),
    "He": ("he", {0: "0.820", 100: "0.269", 500: "0.139", 2000: "0.043"}),
    "std 0.001": (normal(1e-3), {0: "0.6931", 2000: "0.6931"}),
    "std 0.01": (normal(0.01), {0: "0.6931", 500: "0.6931", 2000: "0.294"}),
    "std 1": (normal(1.0), {0: "2.9", 2000: "0.037"}),
    "std 5": (normal(5.0), {0: "351"}),
}


def _losses_on_moons(runs: int, learning_rate: float, initializers: Sequence[str | Initializer]) -> np.ndarray:
    """(initializers, runs, 101) in every 20th of 2000 epochs; each run has examples and weights of its own."""
    ensembles = [
        Ensemble(
            [2, *HIDDEN, 1],
            moons(seed),
            {"initializer": initializers},
            seed=seed,
            optimizer=descent(learning_rate),
            every=20,
        )
        for seed in range(runs)
    ]
    for ensemble in ensembles:
        ensemble.advance(2001)
    return np.stack([ensemble.loss for ensemble in ensembles], axis=1)


def losses_by_initializer(runs: int) -> list[Finding]:
    """The loss at learning rate 0.1 in epochs 0, 100, 500 and 2000, and what all of them together show."""
    losses = dict(zip(CURVES, _losses_on_moons(runs, 0.1, [start for start, _ in CURVES.values()]), strict=True))
    ends = {name: np.median(loss[:, -1]) for name, loss in losses.items()}
    on_plateau = 20 * np.argmax(losses["std 0.01"] < PLATEAU, axis=1)
    return [
        *(
            typical(5, f"{name}: loss at epoch {epoch}", figure, losses[name][:, epoch // 20])
            for name, (_, figures) in CURVES.items()
            for epoch, figure in figures.items()
        ),
        typical(5, "std 0.01: epochs with a loss of 0.69 or more", "1e3", on_plateau),
        fact(
            5,
            "the median of std 1 ends below Xavier, He, and all that is smaller",
            ends["std 1"] == min(list(ends.values())[:5]),
        ),
        fact(
            5,
            "trap: that of std 5 does not fail, but ends below Xavier and He",
            ends["std 5"] < min(ends["Xavier"], ends["He"]),
        ),
    ]


def large_weights_at_a_large_rate(runs: int) -> list[Finding]:
    """Failed means a loss above 0.6 after 2000 epochs at learning rate 0.5."""
    failed = _losses_on_moons(runs, 0.5, [normal(1.0), normal(5.0), normal(10.0)])[:, :, -1] > FAILED
    return [
        fact(5, "trap: at learning rate 0.5 std 1 never fails", ~failed[0]),
        share(5, "at learning rate 0.5 std 5 fails", "0.56", failed[1]),
        share(5, "at learning rate 0.5 std 10 fails", "0.79", failed[2]),
    ]


def traps_of_xor(seeds: int, case: str) -> list[Finding]:
    """What is said of small problems, and does not hold or holds at one width only."""
    activation, width, initializer, figure = XOR_TRAPS[case]
    return [share(5, f"XOR solved, {case}", figure, xor_solved(seeds, activation, width, initializer))]


XOR_TRAPS = {
    "ReLU, 4 hidden, std 10": ("relu", 4, normal(10.0), "0.60"),
    "ReLU, 4 hidden, He": ("relu", 4, "he", "0.65"),
    "sigmoid, 2 hidden, He": ("sigmoid", 2, "he", "0.68"),
    "sigmoid, 2 hidden, Xavier": ("sigmoid", 2, "xavier", "0.81"),
    "sigmoid, 4 hidden, He": ("sigmoid", 4, "he", "1.00"),
}


# 6 Depth and gradient flow

DEPTHS = (2, 3, 5, 8)


def weight_gradient_norms(network: Network, data: Dataset) -> np.ndarray:
    """(layers,) the L2 norm of each layer's gradient without its biases, as the figures have it."""
    return np.array([np.linalg.norm(w) for w in network.gradient(data).weights])


def _norms_at_the_start(
    seeds: int, depth: int, activation: str, initializer: str | Initializer, width: int = 16, skip: bool = False
) -> np.ndarray:
    """(seeds, layers), other weights and other examples for each."""
    sizes = [2, *[width] * depth, 1]
    networks = (Network(sizes, activation, initializer=initializer, seed=seed, skip=skip) for seed in range(seeds))
    return np.array([weight_gradient_norms(network, moons(seed)) for seed, network in enumerate(networks)])


def first_to_last(norms: np.ndarray) -> np.ndarray:
    """(seeds,) how much of the last layer's gradient the first one gets."""
    return norms[:, 0] / norms[:, -1]


def gradients_by_depth(seeds: int) -> list[Finding]:
    """First over last layer's gradient norm before any training, layers of 16."""
    sigmoid = dict(zip(DEPTHS, ("0.095", "0.024", "0.0012", "1.4e-5"), strict=True))
    return [
        *(
            typical(
                6,
                f"sigmoid, Xavier, depth {d}: first/last",
                f,
                first_to_last(_norms_at_the_start(seeds, d, "sigmoid", "xavier")),
            )
            for d, f in sigmoid.items()
        ),
        *(
            typical(
                6, f"ReLU, He, depth {d}: first/last", "0.4", first_to_last(_norms_at_the_start(seeds, d, "relu", "he"))
            )
            for d in DEPTHS
        ),
    ]


def ratio_on_the_plateau(seeds: int, depth: int, epochs: int = 300) -> list[Finding]:
    """Deep sigmoid at learning rate 0.1: the ratio recovers while the norms themselves vanish."""
    before = _norms_at_the_start(seeds, depth, "sigmoid", "xavier")
    after = np.array([_norms_on_the_plateau(seed, depth, epochs) for seed in range(seeds)])
    left = np.median(after[:, -1] / before[:, -1])
    return [
        typical(6, f"trap: sigmoid, depth {depth}, epoch {epochs}: first/last", "0.9", first_to_last(after)),
        fact(6, f"trap: for at depth {depth} all layers are small, the last one's norm down to a tenth", left < 0.1),
    ]


def _norms_on_the_plateau(seed: int, depth: int, epochs: int) -> np.ndarray:
    network = Network([2, *[16] * depth, 1], "sigmoid", initializer="xavier", seed=seed)
    _run(network, moons(seed), 0.1, epochs)
    return weight_gradient_norms(network, moons(seed))


def exploding_gradients(seeds: int) -> list[Finding]:
    """Deep sigmoid with large weights, and deep ReLU with std 1."""

    def ratio(std: float, width: int, depth: int) -> np.ndarray:
        return first_to_last(_norms_at_the_start(seeds, depth, "sigmoid", normal(std), width))

    flat = np.median(ratio(5.0, 16, 8)) / np.median(ratio(5.0, 16, 2))
    narrow = [np.median(ratio(std, width, 8)) for std in (5.0, 10.0) for width in (4, 8)]
    relu = [_norms_at_the_start(seeds, depth, "relu", normal(1.0))[:, 0] for depth in (2, 8)]
    return [
        *(
            fact(
                6,
                f"sigmoid, std {std:g}: the median still vanishes",
                np.median(ratio(std, 16, 8)) < 0.5 * np.median(ratio(std, 16, 2)),
            )
            for std in (1.0, 2.0)
        ),
        fact(6, "sigmoid, std 5: the median is flat to within a factor of 2 from depth 2 to 8", 0.5 < flat < 2),
        typical(6, "sigmoid, width 32, std 10, depth 2: first/last", "1", ratio(10.0, 32, 2)),
        typical(6, "sigmoid, width 32, std 10, depth 8: first/last", "24.5", ratio(10.0, 32, 8)),
        fact(6, "sigmoid, width 4 and 8: no median explodes", np.array(narrow) < 1.5),
        typical(6, "ReLU, std 1, depth 2: first layer's norm", "2.4", relu[0]),
        typical(6, "ReLU, std 1, depth 8: first layer's norm", "697", relu[1]),
    ]


def residual_connections(seeds: int) -> list[Finding]:
    """Sigmoid, depth 20, with Xavier: from the last to the first layer that can be skipped, 16 to 16."""
    plain, skipping = (
        _norms_at_the_start(seeds, 20, "sigmoid", "xavier", skip=skip)[:, 1:-1] for skip in (False, True)
    )
    return [
        typical(6, "sigmoid, depth 20, plain: first/last", "4e-12", first_to_last(plain)),
        typical(6, "sigmoid, depth 20, skip connections: first/last", "0.24", first_to_last(skipping)),
    ]


# 7 Dead neurons


def _shares(seeds: int, initializer: str | Initializer, bias: float) -> np.ndarray:
    """(seeds, layers, 2) shares of dead and of dim units before training."""
    found = []
    for seed in range(seeds):
        network = Network([2, *HIDDEN, 1], initializer=initializer, seed=seed, bias=bias)
        layers = network.trace(moons(seed).x).activations
        found.append([(dead_units(a).mean(), dim_units(a.mean(axis=0)).mean()) for a in layers])
    return np.array(found)


def dead_and_dim_units(seeds: int) -> list[Finding]:
    """Dead units never fire; dim ones average below 0.001. Shares of a layer's 16 units."""
    small, below, he, lower, lowest = (
        _shares(seeds, initializer, bias)
        for initializer, bias in ((normal(1e-3), 0.0), (normal(1e-3), -0.01), ("he", 0.0), ("he", -1.0), ("he", -5.0))
    )
    return [
        fact(7, "std 0.001: nothing in layer 1 is dead", small[:, 0, 0] == 0),
        typical(7, "std 0.001: dim in layer 1", "0.91", small[:, 0, 1]),
        fact(7, "std 0.001: all of layer 2 is dim", small[:, 1, 1] == 1),
        fact(7, "std 0.001, bias -0.01: all are dead", (below[:, :, 0] == 1).all(axis=1)),
        fact(7, "He: nothing in layer 1 is dead", he[:, 0, 0] == 0),
        typical(7, "He: dead in layer 2", "0.07", he[:, 1, 0]),
        typical(7, "He, bias -1: dead in layer 1", "0.21", lower[:, 0, 0]),
        typical(7, "He, bias -1: dead in layer 2", "0.54", lower[:, 1, 0]),
        typical(7, "He, bias -5: dead in layer 1", "0.98", lowest[:, 0, 0]),
        fact(7, "He, bias -5: all of layer 2 is dead", lowest[:, 1, 0] == 1),
    ]


# 8 Loss landscape


def _run(network: Network, data: Dataset, learning_rate: float, epochs: int) -> Epochs:
    """The network in training, which leaves it at the last epoch."""
    return Training(network, data, optimizer=descent(learning_rate)).advance(epochs + 1)


def slices_of_a_small_network(seeds: int, epochs: int = 1000) -> list[Finding]:
    """2-2-1 with tanh at learning rate 0.5: the slice over W1[0, 0] and W1[1, 0] beneath the path's two ends."""
    data, runs = moons(0), []
    for seed in range(seeds + 1):
        network = Network([2, 2, 1], "tanh", initializer="xavier", seed=seed)
        runs.append((network, _run(network, data, 0.5, epochs).parameters[[0, -1]]))
    own = np.array([_errors(network, data, ends) for network, ends in runs])
    others = np.array([_errors(other, data, ends) for (_, ends), (other, _) in pairwise(runs)])
    return [
        fact(8, "the slice of the run itself is exact at its end", own[:, 1] < 1e-12),
        typical(8, "the slice of the run itself is off at the start by", "0.37", own[:, 0]),
        typical(8, "the slice of another run is off at the end by", "0.1", others[:, 1]),
    ]


def _errors(sliced: Network, data: Dataset, path: np.ndarray) -> np.ndarray:
    """How far the loss on the slice is from that of the path."""
    there = path_on_plane(sliced, data, weight_plane(sliced, 0, 2), path)
    return np.abs(there.beneath - there.losses)


def the_principal_plane(seeds: int, epochs: int = 2000) -> list[Finding]:
    """He at learning rate 0.1, every 20th epoch; the plane runs through the path's mean."""
    found = []
    for seed in range(seeds):
        network, data = Network([2, *HIDDEN, 1], seed=seed), moons(0)
        path = _run(network, data, 0.1, epochs).parameters[::20]
        plane = pca_plane(path, center=path.mean(axis=0))
        there = path_on_plane(network, data, plane, path[:1])
        found.append((plane.variance_explained.sum(), abs(there.beneath[0] - there.losses[0])))
    explained, wrong = np.array(found).T
    return [
        typical(8, "PC1 + PC2 explain", "0.986", explained),
        typical(8, "and yet the plane is off at the start by", "0.46", wrong),
    ]


# 9 Curvature and the edge of stability


def edge_of_stability(seeds: int, learning_rate: float, steps: int = 8000, every: int = 200) -> list[Finding]:
    """1-32-32-1 tanh with Xavier on 20 points of a Chebyshev polynomial of degree 3, MSE, all at once.

    The sharpness times half the learning rate, averaged over the last quarter of the steps. A run at the edge is
    chaotic: the same seeds settle at .98 or at 1.02 as the processor rounds, hence the tolerance. With a learning rate
    of 0.2 half of the runs start beyond the edge already.
    """
    tracks = np.array([_sharpness_track(seed, learning_rate, steps, every) for seed in range(seeds)])
    settled = tracks[:, -tracks.shape[1] // 4 :].mean(axis=1)
    figure = {0.05: "1.00", 0.1: "0.98", 0.2: "1.01"}[learning_rate]
    return [
        typical(9, f"sharpness * lr / 2 settles, lr {learning_rate}", figure, settled, tolerance=0.05),
        fact(9, f"lr {learning_rate}: never far above the edge from there on", settled < 1.2),
    ] + [fact(9, f"lr {learning_rate}: it starts below the edge", tracks[:, 0] < 1)] * (learning_rate <= 0.1)


def _sharpness_track(seed: int, learning_rate: float, steps: int, every: int) -> list[float]:
    data = DATASETS["chebyshev"](n=20, degree=3)
    network = Network([1, 32, 32, 1], "tanh", "linear", "xavier", seed)
    training, curvature = Training(network, data, optimizer=descent(learning_rate)), Curvature(network, data)
    training.advance(1)
    track, start = [], None
    for block in range(steps // every + 1):
        if block:
            training.advance(every)
        found = curvature.sharpness(start)
        start = found.vector
        track.append(found.value * learning_rate / 2)
    return track


def edges_of_other_optimizers(seeds: int, steps: int = 3000, every: int = 100) -> list[Finding]:
    """The same network: the sharpness of the Hessian over what the optimizer divides by, as a share of its own edge.

    The median over the last half of the measurements of a run. Source: Cohen et al. 2022.
    """
    found = []
    for name, rate in OWN_EDGES:
        shares = []
        for seed in range(seeds):
            training, curvature, start, track = *_curved(seed, OPTIMIZERS[name](learning_rate=rate)), None, []
            edge = float(training.optimizer.edge_of_stability(rate))
            for _ in range(steps // every):
                training.advance(every)
                curvature.rates = preconditioned(None, training.preconditioner)
                measured = curvature.sharpness(start)
                start = measured.vector
                track.append(measured.value / edge)
            shares.append(np.median(track[-len(track) // 2 :]))
        found.append(typical(9, f"{name}, lr {rate}: preconditioned sharpness over its edge", "1.00", shares, 0.02))
    return found


def degree_six_at_the_edge(seeds: int, steps: int = 8000) -> list[Finding]:
    """1-30-20-1 with LeCun's start on 20 points of a Chebyshev polynomial of degree 6, half the mean squared error.

    The median over the second half of a run. There a run is chaotic, hence 5 % of tolerance.
    """
    tanh = [_degree_six(seed, 0.2, steps) for seed in range(seeds)]
    gelu = [_degree_six(seed, 0.2, steps // 2, activation="gelu") for seed in range(seeds)]
    batches = [_degree_six(seed, 0.2, steps // 2, batch_size=10) for seed in range(seeds)]
    return [
        typical(9, "degree 6, lr 0.2: sharpness * lr / 2 settles", "1.010", _settled(tanh), tolerance=0.05),
        typical(9, "degree 6, gelu, lr 0.2: it settles", "0.927", _settled(gelu), tolerance=0.05),
        typical(9, "degree 6, batches of 10, lr 0.2: it settles", "0.937", _settled(batches), tolerance=0.05),
        fact(9, "degree 6, batches of 10: the median stays below the edge", bool(np.median(_settled(batches)) < 1)),
    ]


def degree_six_thrown(seeds: int, steps: int = 8000) -> list[Finding]:
    """The same at a rate with which most runs start beyond the edge: a catapult throws them, and they land.

    The figures are those of one published run. The tolerance is that of runs at the edge.
    """
    runs = [_degree_six(seed, 0.4169, steps) for seed in range(seeds)]
    landed = [run for run in runs if not run.diverged]
    start, top, end = np.array([(run.losses[0], run.losses[:100].max(), run.losses[-500:].mean()) for run in landed]).T
    beyond, thrown, down = np.mean([run.track[0] > 1 for run in runs]), np.median(top / start), np.median(end / start)
    return [
        typical(9, "degree 6, lr 0.4169: sharpness * lr / 2 settles", "1.030", _settled(landed), tolerance=0.05),
        typical(9, "degree 6, lr 0.4169: loss at the start", "0.307", start),
        typical(9, "degree 6, lr 0.4169: highest loss of 100 steps", "1.435", top),
        typical(9, "degree 6, lr 0.4169: loss in the end", "0.0053", end),
        fact(9, "degree 6, lr 0.4169: most start beyond the edge", bool(beyond > 0.5)),
        fact(9, "degree 6, lr 0.4169: the median loss rises by half and more", bool(thrown > 1.5)),
        fact(9, "degree 6, lr 0.4169: and ends below a tenth of its start", bool(down < 0.1)),
    ]


def degree_six_lost(seeds: int, steps: int = 1000) -> list[Finding]:
    """The same at a rate with which most runs diverge, "about" at a step: hence a tenth of tolerance."""
    runs = [_degree_six(seed, 0.5495, steps) for seed in range(seeds)]
    lengths = [len(run.losses) for run in runs if run.diverged]
    return [
        fact(9, "degree 6, lr 0.5495: most diverge", len(lengths) > seeds / 2),
        typical(9, "degree 6, lr 0.5495: they diverge at step", "168", lengths, tolerance=0.1),
    ]


def an_even_polynomial_without_biases(seeds: int, steps: int = 2000) -> list[Finding]:
    """Without biases a tanh network is odd: on points evenly about 0 no answer of its is better than 0 for degree 6."""
    runs = [_degree_six(seed, 0.2, steps, has_biases=False) for seed in range(seeds)]
    least = np.mean(_degree_six_data().y ** 2) / 2
    ends = np.array([run.losses[-1] for run in runs])
    return [
        fact(
            9, "degree 6 without biases: the loss never falls below that of an answer of 0", ends >= least * (1 - 1e-9)
        ),
        fact(9, "degree 6 without biases: it comes within 1 % of it", ends <= 1.01 * least),
    ]


@dataclass(frozen=True)
class _Run:
    """Half the mean squared error at every step, and sharpness * lr / 2 at some; of one that diverged, until then."""

    losses: np.ndarray
    track: np.ndarray
    diverged: bool


def _degree_six_data() -> Dataset:
    return DATASETS["chebyshev"](n=20, degree=6)


def _degree_six(
    seed: int,
    learning_rate: float,
    steps: int,
    every: int = 20,
    activation: str = "tanh",
    batch_size: int | None = None,
    has_biases: bool = True,
) -> _Run:
    """Half the loss at twice the rate is the same run: this engine's loss is the whole mean squared error."""
    data, rate = _degree_six_data(), learning_rate / 2
    network = Network([1, 30, 20, 1], activation, "linear", "lecun", seed, has_biases=has_biases)
    training = Training(network, data, optimizer=descent(rate), batch_size=batch_size, seed=seed)
    curvature, start, losses, track = Curvature(network, data), None, [], []
    for block in range(steps // every + 1):
        epochs = training.advance(every if block else 1)
        if not epochs.finite.all():
            losses.append(epochs.loss[epochs.finite] / 2)
            return _Run(np.concatenate(losses), np.array(track), True)
        losses.append(epochs.loss / 2)
        found = curvature.sharpness(start)
        start = found.vector
        track.append(found.value * rate / 2)
    return _Run(np.concatenate(losses), np.array(track), False)


def _settled(runs: Sequence[_Run]) -> list[float]:
    """The median over the second half of each run."""
    return [float(np.median(run.track[len(run.track) // 2 :])) for run in runs]


def _curved(seed: int, optimizer: Optimizer) -> tuple[Training, Curvature]:
    """A training of the section's network, and its curvature."""
    data = DATASETS["chebyshev"](n=20, degree=3)
    network = Network([1, 32, 32, 1], "tanh", "linear", "xavier", seed)
    return Training(network, data, optimizer=optimizer), Curvature(network, data)


def the_line_ahead(seeds: int, learning_rate: float = 0.1, epochs: int = 200) -> list[Finding]:
    """The central flow and gradient flow from epoch 0, against the run from three times its first contact on.

    Means over 200 epochs: single ones leap. Distances are those between mean weights, the spread is the mean square of
    half the steps, which leap to and fro.
    """
    central, slope, apart, spread = np.array([_foreseen(seed, learning_rate, epochs) for seed in range(seeds)]).T
    return [
        at_most(9, "central flow: the foreseen mean loss is off by", 0.15, np.abs(central)),
        typical(9, "gradient flow: the foreseen mean loss is off by", "-0.64", slope, tolerance=0.1),
        at_most(9, "distance from the central flow over that from gradient flow", 1 / 3, apart),
        typical(9, "foreseen mean square of the leaps over the run's", "1.0", spread, tolerance=0.1),
    ]


def _foreseen(seed: int, learning_rate: float, epochs: int) -> tuple[float, float, float, float]:
    """Both losses off by, a distance over the other, the leaps over the run's."""
    training, curvature = _curved(seed, descent(learning_rate))
    network, start, contact = training.network.copy(), None, 0
    run = training.advance(1)
    while True:
        measured = curvature.sharpness(start)
        if measured.value >= 2 / learning_rate:
            break
        start, contact = measured.vector, contact + 1
        run = run.then(training.advance(1))
    first = 3 * contact
    rows = run.then(training.advance(first + epochs + 1)).rows(slice(first, first + epochs))
    terrain = Terrain(network, training.data)
    rates, origin = [learning_rate] * (first + epochs - 1), np.zeros(network.n_parameters)
    flows = [list(flow(terrain, origin, rates))[first:] for flow in (central_flow, gradient_flow)]
    losses = [np.mean([point.loss for point in points]) / rows.loss.mean() - 1 for points in flows]
    means = [np.mean([point.parameters for point in points], axis=0) for points in flows]
    distances = [np.linalg.norm(mean - rows.parameters.mean(axis=0)) for mean in means]
    leaps = np.square(np.diff(rows.parameters, axis=0) / 2).sum(axis=1).mean()
    return *losses, distances[0] / distances[1], np.mean([point.spread for point in flows[0]]) / leaps


JOBS: dict[int, list[Callable[[], list[Finding]]]] = {
    1: [
        partial(weights_under_a_penalty, 20),
        partial(weights_without_a_penalty, 20),
        partial(squared_error_learns_slower, 100),
        partial(a_line_on_xor, 100),
    ],
    2: [
        partial(learning_rates_side_by_side, 100),
        partial(features_of_different_scale, 100),
        the_quadratics_critical_rate,
        newton_on_the_quadratic,
    ],
    3: [factors_of_a_sigmoid, partial(the_output_layer_cancels_its_slope, 100), partial(large_weights_saturate, 100)],
    4: [
        *(partial(xor_by_width, 200, activation, width) for activation, width in XOR_FIGURES),
        the_worked_example,
        partial(kinks_in_the_gradient_check, 200),
        partial(planted_bugs, 20),
    ],
    5: [
        partial(losses_by_initializer, 100),
        partial(large_weights_at_a_large_rate, 200),
        *(partial(traps_of_xor, 200, case) for case in XOR_TRAPS),
    ],
    6: [
        partial(gradients_by_depth, 200),
        *(partial(ratio_on_the_plateau, 100, depth) for depth in DEPTHS[1:]),
        partial(exploding_gradients, 200),
        partial(residual_connections, 200),
    ],
    7: [partial(dead_and_dim_units, 200)],
    8: [partial(slices_of_a_small_network, 100), partial(the_principal_plane, 100)],
    9: [
        *(partial(edge_of_stability, 30, learning_rate) for learning_rate in (0.05, 0.1, 0.2)),
        partial(edges_of_other_optimizers, 10),
        partial(the_line_ahead, 20),
        partial(degree_six_at_the_edge, 30),
        partial(degree_six_thrown, 30),
        partial(degree_six_lost, 30),
        partial(an_even_polynomial_without_biases, 10),
    ],
}
"""By section, what the benchmark runs, and over how many seeds."""


def measured(sections: Sequence[int]) -> Iterator[Finding]:
    """All findings of these sections, in order, on all cores."""
    jobs = [job for section in sections for job in JOBS[section]]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(job) for job in jobs]:
            yield from future.result()


def _section(text: str) -> int:
    if text not in map(str, SECTIONS):
        raise argparse.ArgumentTypeError(f"section {text} is unknown; choose from 1 to {max(SECTIONS)}")
    return int(text)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", type=_section, help="1 to 9; all if none is given")
    sections = parser.parse_args().sections or list(SECTIONS)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    start, findings = time.perf_counter(), []
    print("| section | what | expected | measured | spread | within? |\n|---|---|---|---|---|---|")
    for finding in measured(sections):
        findings.append(finding)
        print(finding, flush=True)
    missed = sum(not finding.within for finding in findings)
    print(f"{len(findings)} figures, {missed} not within, {time.perf_counter() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
