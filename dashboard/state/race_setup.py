"""The setup of a race: its surface, start and racers, and what theory predicts of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product

import numpy as np

from dashboard.state.race_settings import MULTIPLES, RaceSettings
from engine.chance import SharedSeed
from engine.datasets import DATASETS, Dataset, Standardization
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.options import options
from engine.surfaces import SURFACES, LocalCurvature, LogisticSurface, Surface

MAX_RACERS = 8
COLORS = max(len(OPTIMIZERS), len(MULTIPLES), MAX_RACERS)

GOAL = 1e-6
"""A racer has settled once its loss is, and remains, at most this far above the lowest."""

LADDER = tuple(float(f"{digit}e{power}") for power in range(-4, 2) for digit in (1, 2, 5))
TRIAL = 300
"""Steps in which the learning rates of the ladder are compared."""

FLOW_STEPS = 240
PARTS = 80
"""A line of steepest descent is drawn in pieces of the picture's size divided by this."""

HAVE_LIMITS = ("sgd", "momentum", "nesterov", "newton")
"""Optimizers whose steps are a multiple of the gradient: beyond some learning rate they leave a minimum."""

FARTHEST, DETOUR = 20_000, 200
"""Steps up to which a prediction is counted step by step, and how many more are examined at least."""

OWN_SCALE = "newton"
"""The optimizer that divides by the curvature itself, so that it sees all curvatures as 1."""

SHAPE = ("surface", "condition_number", "angle", "stretch", "standardize")
"""The settings on which the surface depends."""


@dataclass(frozen=True)
class Racer:
    """One optimizer at one learning rate; `color_index` is the index of its color."""

    optimizer: str
    multiple: float
    learning_rate: float
    momentum: float
    label: str
    color_index: int

    def build(self) -> Optimizer:
        """The optimizer itself."""
        return build(self.optimizer, self.learning_rate, self.momentum)


@dataclass(frozen=True, eq=False)
class RaceSetup:
    """What is fixed from one fresh start to the next: the surface, the start, the racers.

    Predictions are made for the surface's parabola at the minimum. Where the surface is one, they are exact for
    gradient descent, momentum, Nesterov and Newton; elsewhere they hold once a racer is near, and the difference is
    what there is to see. Where the surface curves down at the start, as on a saddle or a hilltop, there are none.
    """

    surface: Surface
    start: np.ndarray
    racers: tuple[Racer, ...]
    momentum: float

    @classmethod
    def of(cls, settings: RaceSettings) -> "RaceSetup":
        """The race that the settings describe.

        Raises:
            ValueError: If it would have no racers, or too many.
        """
        surface = _surface(*(getattr(settings, name) for name in SHAPE))
        start = np.array(settings.start if settings.start else surface.start, dtype=np.float64)
        race_setup = cls(surface, start, (), settings.momentum)
        return replace(race_setup, racers=tuple(_racers(race_setup, settings)))

    @cached_property
    def goal(self) -> np.ndarray:
        """(2,) the minimum nearest to the start."""
        minima = self.surface.minima
        return minima[np.argmin(np.linalg.norm(minima - self.start, axis=1))]

    @cached_property
    def lowest(self) -> float:
        """The loss at the minimum."""
        return float(self.surface.value(self.goal))

    @cached_property
    def curvature(self) -> LocalCurvature:
        """Eigenvalues and eigenvectors of the Hessian at the minimum."""
        return self.surface.curvature(self.goal)

    @cached_property
    def is_foreseen(self) -> bool:
        """Whether anything is predicted from the start: the surface does not curve down there."""
        return bool(self.surface.curvature(self.start).eigenvalues[0] > 0)

    @property
    def steepest(self) -> float:
        """The largest curvature at the minimum."""
        return float(self.curvature.eigenvalues[-1])

    def limit(self, optimizer: str) -> float:
        """The learning rate beyond which an optimizer leaves the minimum; nan for adaptive ones.

        Their limit depends on what they have come to divide by on the way.
        """
        if optimizer == OWN_SCALE:
            return 2.0
        chosen = build(optimizer, 1.0, self.momentum)
        return math.nan if chosen.preconditioned else float(chosen.edge_of_stability(1.0)) / self.steepest

    def predicted_steps(self, optimizer: str, rates: np.ndarray) -> np.ndarray:
        """(m,) steps to within 1e-6 of the lowest loss, for good, at each rate (m,); inf for never.

        nan where there is no theory: for adaptive optimizers, and where the surface curves down at the start.
        """
        return np.array([self._predicted(optimizer, float(rate)) for rate in np.asarray(rates, dtype=np.float64)])

    def predicted_heights(self, racer: Racer, steps: np.ndarray) -> np.ndarray:
        """(k,) the loss above the lowest after these steps, for gradient descent and Newton; nan for others."""
        if racer.optimizer not in ("sgd", OWN_SCALE) or not self.is_foreseen:
            return np.full(len(steps), np.nan)
        return self._heights(racer.optimizer, racer.learning_rate, steps)

    def flow(self) -> np.ndarray:
        """(k, 2) the line of steepest descent from the start: where infinitely small steps would go.

        Each piece is computed on the surface's parabola there, on which the path is known; in a narrow valley, plain
        steps of the same length would bounce from wall to wall.
        """
        low, high = np.transpose(self.surface.bounds)
        longest = float((high - low).max()) / PARTS
        path = [self.start]
        while len(path) <= FLOW_STEPS:
            move = _downhill(self.surface, path[-1], longest)
            if not np.isfinite(move).all() or np.linalg.norm(move) < 1e-3 * longest:
                break
            path.append(path[-1] + move)
        return np.array(path)

    def _shares(self) -> np.ndarray:
        """(2,) what each eigenvector's direction adds to the loss at the start, on the parabola."""
        values, vectors = self.curvature
        return values / 2 * ((self.start - self.goal) @ vectors) ** 2

    @cached_property
    def _counted(self) -> dict[tuple[str, float], float]:
        """The predicted steps, computed once."""
        return {}

    def _predicted(self, optimizer: str, rate: float) -> float:
        if optimizer not in HAVE_LIMITS or not self.is_foreseen:
            return math.nan
        if (optimizer, rate) not in self._counted:
            self._counted[optimizer, rate] = self._count(optimizer, rate)
        return self._counted[optimizer, rate]

    def _count(self, optimizer: str, rate: float) -> float:
        """The step after the last one that is too high; far beyond what a race has, as if from its slowest direction.

        The last one is looked for up to where even a double root's detour is over.
        """
        shares = self._shares()
        with np.errstate(all="ignore"):
            factors = np.array([np.abs(_roots(*pair)).max() for pair in self._recurrences(optimizer, rate)])
            slow = np.where(shares > 0, np.log(GOAL / shares) / (2 * np.log(factors)), 0)
        if (factors[shares > 0] >= 1).any():
            return math.inf
        longest = float(np.nan_to_num(slow.clip(0), nan=1.0).max(initial=0.0))
        if longest > FARTHEST:
            return math.ceil(longest)
        heights = self._heights(optimizer, rate, np.arange(math.ceil(2 * longest) + DETOUR))
        return float(np.flatnonzero(~(heights < GOAL)).max(initial=-1) + 1)

    def _heights(self, optimizer: str, rate: float, steps: np.ndarray) -> np.ndarray:
        """(k,) the loss above the lowest after so many steps, on the parabola: the sum over both directions."""
        with np.errstate(all="ignore"):
            distances = [
                _sequence(first, trace, determinant, steps)
                for first, (trace, determinant) in zip(
                    self._first(optimizer, rate), self._recurrences(optimizer, rate), strict=True
                )
            ]
            return self._shares() @ np.square(distances)

    def _curvatures(self, optimizer: str) -> np.ndarray:
        """(2,) along the eigenvectors, as the optimizer sees them."""
        values = self.curvature.eigenvalues
        return np.ones_like(values) if optimizer == OWN_SCALE else values

    def _first(self, optimizer: str, rate: float) -> np.ndarray:
        """(2,) the factor by which the first step multiplies the distance along each eigenvector."""
        ahead = 1 + self.momentum if optimizer == "nesterov" else 1.0
        return 1 - ahead * rate * self._curvatures(optimizer)

    def _recurrences(self, optimizer: str, rate: float) -> list[tuple[float, float]]:
        """Along each eigenvector, a and b of x(t + 1) = a x(t) - b x(t - 1), which all of these optimizers obey."""
        m, damped = self.momentum, 1 - rate * self._curvatures(optimizer)
        if optimizer == "momentum":
            return [(m + one, m) for one in damped.tolist()]
        if optimizer == "nesterov":
            return [((1 + m) * one, m * one) for one in damped.tolist()]
        return [(one, 0.0) for one in damped.tolist()]


def build(optimizer: str, learning_rate: float | np.ndarray, momentum: float) -> Optimizer:
    """An optimizer for a race: Newton's step is undamped."""
    kind, chosen = OPTIMIZERS[optimizer], {"momentum": momentum, "damping": 0.0}
    return kind(learning_rate, **{name: value for name, value in chosen.items() if name in options(kind)})


def clouds(stretch: float = 1.0) -> Dataset:
    """Two round clouds of 100 examples each, two standard deviations apart along the diagonal, standardized.

    The second feature is then multiplied by `stretch`. The clouds overlap, so that the logistic loss has a minimum; the
    seed is one whose condition number, 2.9, is that of a typical draw. It is of format 1, so that older races do not
    change.
    """
    data = DATASETS["blobs"](n=200, noise=math.sqrt(0.5), seed=SharedSeed(80), classes=2)
    turned = replace(data, x=data.x @ np.array([[1, 1], [-1, 1]]) / math.sqrt(2))
    data = Standardization.of(turned.x).apply(turned)
    return replace(data, x=data.x * [1, stretch])


@lru_cache(maxsize=64)
def _surface(name: str, condition_number: float, angle: float, stretch: float, standardize: bool) -> Surface:
    if name == "logistic":
        data = clouds(stretch)
        return LogisticSurface(Standardization.of(data.x).apply(data) if standardize else data)
    shape = {"condition_number": condition_number, "angle": angle}
    return SURFACES[name](**{option: shape[option] for option in options(SURFACES[name])})


def _racers(race_setup: RaceSetup, settings: RaceSettings) -> Iterator[Racer]:
    """Every chosen optimizer at every chosen learning rate, in the order of the menus."""
    optimizers = [name for name in OPTIMIZERS if name in settings.optimizers]
    multiples = [multiple for multiple in MULTIPLES if multiple in settings.multiples]
    pairs = list(product(optimizers, multiples))
    if not 0 < len(pairs) <= MAX_RACERS:
        raise ValueError(
            f"{len(optimizers)} optimizers at {len(multiples)} learning rates make {len(pairs)} racers; "
            f"choose 1 to {MAX_RACERS}"
        )
    for place, (optimizer, multiple) in enumerate(pairs):
        rate = multiple * _unit(race_setup, optimizer, settings)
        color_index = place
        if len(multiples) == 1:
            color_index = list(OPTIMIZERS).index(optimizer)
        elif len(optimizers) == 1:
            color_index = MULTIPLES.index(multiple)
        counted = f"{multiple:g} / λ" if settings.counted_in == "curvature" else f"rate {rate:.3g}"
        words = [optimizer] * (len(optimizers) > 1) + [counted] * (len(multiples) > 1 or len(optimizers) == 1)
        yield Racer(optimizer, multiple, rate, race_setup.momentum, " ".join(words), color_index)


def _unit(race_setup: RaceSetup, optimizer: str, settings: RaceSettings) -> float:
    """The learning rate of which an optimizer's rates are multiples."""
    if settings.counted_in == "given":
        return settings.learning_rate
    if optimizer == OWN_SCALE:
        return 1.0
    if settings.counted_in == "best":
        return _best_rate(race_setup.surface, tuple(race_setup.start), optimizer, race_setup.momentum)
    return 1 / race_setup.steepest


@lru_cache(maxsize=256)
def _best_rate(surface: Surface, start: tuple[float, float], optimizer: str, momentum: float) -> float:
    """The rate of the ladder that settles first in a trial, or else gets lowest.

    Steps that are divided by the gradient's size are about as long as the rate: for them the ladder ends where one step
    crosses a quarter of the picture. All rates are tried at once, one row each: optimizers work elementwise.
    """
    longest = np.ptp(surface.bounds, axis=1).max() / 4 if optimizer not in HAVE_LIMITS else np.inf
    rates = np.array([rate for rate in LADDER if rate <= longest])[:, None]
    points = np.tile(start, (len(rates), 1))
    rule = build(optimizer, 1.0, momentum)
    state = rule.start(points)
    low = surface.value(surface.minima).min()
    last_far, heights = np.zeros(len(rates)), np.full(len(rates), np.inf)
    with np.errstate(all="ignore"):
        for step in range(1, TRIAL + 1):
            rule.step(points, surface.gradient(points), state, rates)
            heights = surface.value(points) - low
            last_far[~(heights < GOAL)] = step
    heights = np.where(np.isfinite(heights), heights, np.inf)
    return float(rates[np.lexsort((heights, last_far))[0], 0])


def _downhill(surface: Surface, point: np.ndarray, longest: float) -> np.ndarray:
    """(2,) a piece of the line of steepest descent of at most that length, exact on the surface's local parabola."""
    gradient, (values, vectors) = surface.gradient(point), surface.curvature(point)
    with np.errstate(all="ignore"):
        time = longest / np.linalg.norm(gradient)
        passed = np.where(values == 0, time, -np.expm1(-values * time) / values)
        move = -vectors @ (passed * (gradient @ vectors))
        return move * min(1.0, longest / max(np.linalg.norm(move), 1e-300))


def _roots(a: float, b: float) -> np.ndarray:
    """(2,) the roots of z^2 - a z + b."""
    root = np.sqrt(complex(a * a / 4 - b))
    return np.array([a / 2 + root, a / 2 - root])


def _sequence(first: float, a: float, b: float, steps: np.ndarray) -> np.ndarray:
    """(k,) x at these steps, where x(0) = 1, x(1) = first and x(t + 1) = a x(t) - b x(t - 1)."""
    if not b:
        return np.where(steps == 0, 1.0, first * a ** np.maximum(steps - 1, 0))
    one, other = _roots(a, b)
    if abs(one - other) < 1e-6:  # the two solutions are nearly one: t z^t takes the place of the second
        z = (one + other) / 2
        return np.real(z**steps + steps * (first - z) * z ** np.maximum(steps - 1, 0))
    share = (first - other) / (one - other)
    return np.real(share * one**steps + (1 - share) * other**steps)
