"""Race: the store of several optimizers that go down one surface from one start. No Panel here."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, Self

import numpy as np
import param

from dashboard.choices import Choices, Magnitude
from dashboard.store import Companion, Store
from dashboard.view import View
from engine.datasets import DATASETS, Dataset, Standardization
from engine.optimizers import OPTIMIZERS, Optimizer, State
from engine.ranges import options
from engine.recording import Recording
from engine.surfaces import SURFACES, LocalCurvature, LogisticSurface, Surface, descend
from engine.training import Epochs

KIND = "race"
"""What recordings of races say they are of."""

MULTIPLES = (0.1, 0.5, 1.0, 1.9, 1.99, 2.0, 2.01, 2.1)
MOST_RACERS = 8
LANES = max(len(OPTIMIZERS), len(MULTIPLES), MOST_RACERS)
MOST_STEPS = 10_000
BLOCK = 8
LAST = 10
"""A race follows its settings after all controls have: what it refuses comes back to them as a change of its own."""

PATIENCE, LATELY = 50, 10
"""Steps that all have to be settled before a race ends, and those in which none may have risen.

At 2.1 / lambda_max a racer may come close to the minimum and leave again.
"""

ROUNDING = 1e-14
"""How much a loss that rests may rise."""

GOAL = 1e-6
"""A racer has settled where its loss is this little above the lowest, and stays so."""

BLOWN_UP = 1e12
"""A loss this far above the lowest is taken for infinite."""

LADDER = tuple(float(f"{digit}e{power}") for power in range(-4, 2) for digit in (1, 2, 5))
TRIAL = 300
"""Steps in which the learning rates of the ladder are compared."""

FLOW_STEPS = 240
PARTS = 80
"""A line of steepest descent is drawn in pieces of the picture's size over this."""

HAVE_LIMITS = ("sgd", "momentum", "nesterov", "newton")
"""The optimizers whose steps are a multiple of the gradient: beyond some learning rate they leave a minimum."""

OWN_SCALE = "newton"
"""The optimizer that divides by the curvature itself, so that all curvatures are 1 to it."""


class Place(param.List):
    """A point of the plane as two numbers; [] leaves the choice to the surface."""

    FARTHEST = 1000.0

    def in_words(self) -> str:
        """What is possible, as the end of a sentence."""
        return f"two numbers from {-self.FARTHEST:g} to {self.FARTHEST:g}, like [1.5, -1], or [] for the usual start"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        if len(val) not in (0, 2) or not all(_is_coordinate(number, self.FARTHEST) for number in val):
            raise ValueError(f"a start of {val!r} is not possible; choose {self.in_words()}")


class RaceSettings(Choices):
    """Which surface, from where, and who races: every chosen optimizer at every chosen learning rate."""

    surface = param.Selector(
        default="quadratic",
        objects=[*SURFACES, "logistic"],
        doc="The function to be made small. Logistic is the loss of a regression with two weights on 200 examples.",
    )
    condition_number = Magnitude(
        default=10.0,
        bounds=(1, 1000),
        label="Condition number",
        doc="Largest over smallest curvature of the quadratic: 1 makes its contours circles.",
    )
    angle = param.Number(
        default=0.0, bounds=(0, 90), step=5, label="Turned by", doc="How far the quadratic's axes are turned (degrees)."
    )
    stretch = param.Number(
        default=1.0,
        bounds=(1, 20),
        step=1,
        label="Second feature times",
        doc="The logistic surface's second feature is measured in units this much smaller.",
    )
    standardize = param.Boolean(
        default=False,
        label="Standardize features",
        doc="Bring both features of the logistic surface to mean 0 and standard deviation 1.",
    )
    start = Place(default=[], doc="Where all racers start, as [x, y]; [] is the surface's own start.")
    optimizers = param.ListSelector(default=["sgd"], objects=list(OPTIMIZERS), doc="How gradients become steps.")
    multiples = param.ListSelector(
        default=[0.1, 1.0, 1.99, 2.1],
        objects=list(MULTIPLES),
        label="Learning rates",
        doc="Every optimizer runs once at each of these, counted in what is chosen below.",
    )
    counted_in = param.Selector(
        default="curvature",
        objects={"1 / λmax at the minimum": "curvature", "each optimizer's best": "best", "the rate below": "given"},
        label="Counted in",
        doc="1 / λmax is 1 over the largest curvature at the minimum (Newton counts in its own scale, where it is 1). "
        "The best rate is the one of a ladder that comes down soonest within 300 steps.",
    )
    learning_rate = Magnitude(
        default=0.1, bounds=(1e-4, 10), label="The rate", doc="The learning rate that rates are counted in, if chosen."
    )
    momentum = param.Number(
        default=0.9, bounds=(0, 0.99), step=0.01, doc="Share of the velocity that momentum and Nesterov keep."
    )
    speed = param.Selector(
        default=20,
        objects={"1": 1, "5": 5, "20": 20, "100": 100, "500": 500, "as fast as it goes": 0},
        doc="Steps per second.",
    )


class RaceView(View):
    """A view of a race: which racers are hidden, and into which one the pictures look."""

    hidden = param.List(default=[], item_type=str, doc="The names of the racers that are not drawn.")
    racer = param.String(default="", doc="The name of the racer that is looked into; the first where empty.")


@dataclass(frozen=True)
class Racer:
    """One optimizer at one learning rate. `lane` gives its color: an optimizer's, or a learning rate's, is its own."""

    optimizer: str
    multiple: float
    learning_rate: float
    momentum: float
    label: str
    lane: int

    def build(self) -> Optimizer:
        """The optimizer itself."""
        return build(self.optimizer, self.learning_rate, self.momentum)


@dataclass(frozen=True, eq=False)
class Course:
    """What is fixed from one fresh start to the next: the surface, the start, the racers.

    Predictions are made for the parabola that the surface is at its minimum. Where it is one they are exact; elsewhere
    they hold once a racer is near, and the difference is what there is to see.
    """

    surface: Surface
    start: np.ndarray
    racers: tuple[Racer, ...]
    momentum: float

    @classmethod
    def of(cls, settings: RaceSettings) -> "Course":
        """The race that the settings describe.

        Raises ValueError when nobody would race, or too many.
        """
        surface = _surface(*(getattr(settings, name) for name in SHAPE))
        start = np.array(settings.start if settings.start else surface.start, dtype=np.float64)
        course = cls(surface, start, (), settings.momentum)
        return replace(course, racers=tuple(_racers(course, settings)))

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
        """The eigenvalues and eigenvectors of the Hessian at the minimum."""
        return self.surface.curvature(self.goal)

    @property
    def steepest(self) -> float:
        """The largest curvature at the minimum."""
        return float(self.curvature.eigenvalues[-1])

    def limit(self, optimizer: str) -> float:
        """The learning rate beyond which it leaves the minimum; nan for those whose steps adapt: they have none."""
        m, critical = self.momentum, 2 / self.steepest
        limits = {
            "sgd": critical,
            "momentum": (1 + m) * critical,
            "nesterov": (1 + m) / (1 + 2 * m) * critical,
            OWN_SCALE: 2.0,
        }
        return limits.get(optimizer, math.nan)

    def predicted_steps(self, optimizer: str, rates: np.ndarray) -> np.ndarray:
        """(m,) steps to within 1e-6 of the lowest loss at each rate (m,); inf for never, nan if there is no theory."""
        shares = self._shares()
        with np.errstate(all="ignore"):
            factors = self._factors(optimizer, np.asarray(rates, dtype=np.float64))
            steps = np.log(GOAL / shares)[:, None] / (2 * np.log(factors))
            steps = np.where(factors >= 1, np.inf, np.maximum(steps, 1))
            return np.ceil(np.where(shares[:, None] <= GOAL, 0, np.where(np.isnan(factors), np.nan, steps)).max(axis=0))

    def predicted_heights(self, racer: Racer, steps: np.ndarray) -> np.ndarray:
        """(k,) the loss above the lowest after these many steps, for gradient descent and Newton; nan for others."""
        if racer.optimizer not in ("sgd", OWN_SCALE):
            return np.full(len(steps), np.nan)
        factors = self._factors(racer.optimizer, np.array([racer.learning_rate]))
        with np.errstate(all="ignore"):
            return (self._shares()[:, None] * factors ** (2 * steps)).sum(axis=0)

    def flow(self) -> np.ndarray:
        """(k, 2) the line of steepest descent from the start: where infinitely small steps would go.

        In each piece the surface is taken for its parabola, on which the way is known; a narrow valley would throw
        plain steps of the same length from wall to wall.
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

    def _factors(self, optimizer: str, rates: np.ndarray) -> np.ndarray:
        """(2, m) what the distance along each eigenvector is multiplied by in a step, in the long run."""
        m, damped = self.momentum, 1 - self.curvature.eigenvalues[:, None] * rates
        if optimizer == "sgd":
            return np.abs(damped)
        if optimizer == OWN_SCALE:
            return np.abs(np.broadcast_to(1 - rates, damped.shape))
        if optimizer == "momentum":
            return _spectral_radius(m + damped, m)
        if optimizer == "nesterov":
            return _spectral_radius((1 + m) * damped, m * damped)
        return np.full(damped.shape, np.nan)


@dataclass(frozen=True)
class Lap:
    """Where all racers stand after `index` steps; nan for those that have blown up.

    points   (racers, 2)
    values   (racers,) losses
    states   for each racer what its optimizer remembers
    """

    index: int
    points: np.ndarray
    values: np.ndarray
    states: tuple[State, ...]


class Tracks(Sequence[Lap]):
    """Every step of all racers. One thread may extend it while others read."""

    FORGOTTEN = ("scratch", "hessian")

    def __init__(self, course: Course) -> None:
        self._course = course
        self._runs = [descend(course.surface, course.start, racer.build()) for racer in course.racers]
        racers = len(course.racers)
        self._points, self._values = _Rows((racers, 2)), _Rows((racers,))
        self._states: list[dict[str, _Rows]] = [{} for _ in course.racers]
        self._running = np.ones(racers, dtype=bool)
        self._size = 0
        self.extend()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, i: int) -> Lap:
        if not -self._size <= i < self._size:
            raise IndexError(f"lap {i} of {self._size}; positions go from {-self._size} to {self._size - 1}")
        i %= self._size
        states = tuple({name: rows[i].copy() for name, rows in state.items()} for state in self._states)
        return Lap(i, self._points[i].copy(), self._values[i].copy(), states)

    @property
    def running(self) -> np.ndarray:
        """(racers,) who has not blown up."""
        return self._running.copy()

    def extend(self) -> None:
        """One step of every racer that has not blown up."""
        row = self._size
        for rows in (self._points, self._values, *(rows for state in self._states for rows in state.values())):
            rows.write(row, np.nan)
        for i in np.flatnonzero(self._running):
            step = next(self._runs[i])
            height = step.value - self._course.lowest
            self._running[i] = np.isfinite(step.point).all() and height < BLOWN_UP
            if self._running[i]:
                self._points[row][i], self._values[row][i] = step.point, step.value
            for name, array in step.state.items():
                if name not in self.FORGOTTEN:
                    self._states[i].setdefault(name, _Rows(array.shape)).write(row, array)
        self._size = row + 1

    def points(self, rows: slice) -> np.ndarray:
        """(k, racers, 2) places at these steps."""
        return self._points[rows].copy()

    def heights(self, rows: slice) -> np.ndarray:
        """(k, racers) losses at these steps above the lowest; what rounding takes below it counts as 0."""
        return np.maximum(self._values[rows] - self._course.lowest, 0)

    def settled(self, index: int) -> np.ndarray:
        """(racers,) since which step each has been within 1e-6 of the lowest loss, as seen at a step; nan if not."""
        far = ~(self.heights(slice(0, index + 1)) < GOAL)
        since = np.where(far.any(axis=0), index + 1 - np.argmax(far[::-1], axis=0), 0)
        return np.where(far[-1], np.nan, since)

    def turns(self, index: int, steps: int = 50) -> np.ndarray:
        """(racers,) the median cosine between each step and the next over the last ones: 1 straight on, -1 zigzag."""
        moves = np.diff(self.points(slice(max(0, index - steps), index + 1)), axis=0)
        if len(moves) < 2:
            return np.full(moves.shape[1], np.nan)
        with np.errstate(all="ignore"):
            moves /= np.linalg.norm(moves, axis=2, keepdims=True)
            return _median((moves[1:] * moves[:-1]).sum(axis=2))


@dataclass(frozen=True)
class RaceFrame:
    """What one drawing of a race shows: its course, the tracks, and the step that all pictures agree on."""

    setup: Course
    history: Tracks
    stride: int
    epoch: Lap

    @property
    def heights(self) -> np.ndarray:
        """(racers,) losses above the lowest; nan for those that have blown up."""
        return np.maximum(self.epoch.values - self.setup.lowest, 0)

    def next_move(self, place: int) -> np.ndarray:
        """(2,) the step that a racer takes from here."""
        racer, point, surface = self.setup.racers[place], self.epoch.points[place], self.setup.surface
        optimizer, moved = racer.build(), point.copy()
        state = optimizer.start(moved) | {name: array.copy() for name, array in self.epoch.states[place].items()}
        if optimizer.second_order:
            state["hessian"] = surface.hessian(point)
        with np.errstate(all="ignore"):
            optimizer.step(moved, surface.gradient(point), state, racer.learning_rate)
        return moved - point


class Race(Store):
    """Several optimizers on one surface: change the `settings` or the start, `advance` it, read its `history`.

    It ends when all racers have settled or blown up, or after 10,000 steps. Every change but the speed's starts afresh;
    another surface lets go of a start that was chosen for the one before.
    One thread at a time advances a race; any other may read it or change its settings meanwhile.
    """

    settings: RaceSettings
    view: RaceView

    def __init__(
        self, settings: RaceSettings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        super().__init__(settings or RaceSettings(), view or RaceView(), study)
        self._lock = threading.RLock()
        self._start(Course.of(self.settings))
        self._accepted = self.settings.values()
        watcher = self.settings.param.watch(self._follow, self.settings.names(), precedence=LAST)
        self._watchers.append((self.settings, watcher))

    @property
    def history(self) -> Tracks:
        return self._tracks

    @property
    def ended(self) -> str:
        return self._ended

    @property
    def block(self) -> int:
        return BLOCK

    def advance(self, epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
        done = 0
        while done < epochs and not (done and enough()) and self._step():
            done += 1
        return done

    def reset(self) -> None:
        self._start(Course.of(self.settings))
        self.message = ""

    def resume(self) -> None:
        """Go on although all have settled; there is nothing left to do for those that have blown up."""
        if self._tracks.running.any() and len(self._tracks) <= MOST_STEPS:
            self._passed, self._ended = True, ""

    def fork(self) -> None:
        """Go on from the step that is looked at: the same way, as long as nothing is changed."""
        steps = self.frame().epoch.index
        self.look_at(None)
        if steps < self._tracks[-1].index:
            self.reset()
            self.advance(steps)

    def recording(self, name: str = "", **notes: Any) -> Recording:
        """The race as it stands: its settings and how far it has come, which is all it takes to run it again."""
        with self._lock:
            settings, lap = self._accepted, self._tracks[-1]
        return Recording(_as_epochs(lap), settings=settings, name=name, notes={"kind": KIND, **notes})

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        if recording.notes.get("kind") != KIND:
            raise ValueError(f"this is a recording of {recording.notes.get('kind', 'something else')!r}, not of a race")
        steps = int(recording.epochs.index[-1])
        if steps > MOST_STEPS:
            raise ValueError(f"a race of {steps:,} steps is too long; the most is {MOST_STEPS:,}")
        race = cls(RaceSettings.of(recording.settings), view, study)
        while race._tracks[-1].index < steps:
            race.resume()
            if not race.advance(steps - race._tracks[-1].index):
                break
        if _as_epochs(race._tracks[-1]).parameters.tobytes() != recording.epochs.parameters.tobytes():
            raise ValueError("the race does not come to where it had come; it was recorded by another version")
        return race

    def frame(self) -> RaceFrame:
        with self._lock:
            tracks, index = self._tracks, self.looked_at
            lap = tracks[-1] if index is None else tracks[min(index, len(tracks) - 1)]
            return RaceFrame(self.setup, tracks, 1, lap)

    def readings(self, frame: RaceFrame) -> dict[str, str]:
        settled = int(np.isfinite(frame.history.settled(frame.epoch.index)).sum())
        blown_up = int(np.isnan(frame.epoch.values).sum())
        return {
            "step": f"{frame.epoch.index:,}",
            "settled": f"{settled} of {len(frame.setup.racers)}",
            **({"blown up": str(blown_up)} if blown_up else {}),
        }

    def _start(self, course: Course) -> None:
        tracks = Tracks(course)
        with self._lock:
            self.setup, self._tracks = course, tracks
            self._looked_at = None
            self._passed, self._ended = False, ""
            self.version += 1

    def _step(self) -> bool:
        """One step of all racers; False where there is none to take."""
        with self._lock:
            if self._ended:
                return False
            self._tracks.extend()
            self._ended = self._verdict()
            self.version += 1
            return True

    def _verdict(self) -> str:
        """Why to stop here, empty to go on."""
        tracks, last = self._tracks, len(self._tracks) - 1
        running = tracks.running
        if not running.any():
            return f"every racer has diverged by step {last:,}"
        if last >= MOST_STEPS:
            return f"stopped at step {last:,}, the most a race has"
        if self._passed or last < PATIENCE:
            return ""
        heights = tracks.heights(slice(last - PATIENCE, last + 1))[:, running]
        risen = heights[-1] > np.maximum(heights[-1 - LATELY], ROUNDING)
        if risen.any() or not (heights < GOAL).all():
            return ""
        rest = "" if running.all() else ", the others have blown up"
        who = f"all {running.sum()} racers are" if running.sum() > 1 else "the racer is"
        return f"at step {last:,} {who} at rest{rest}"

    def _follow(self, *events: param.parameterized.Event) -> None:
        changed = {name for name, value in self.settings.values().items() if value != self._accepted[name]}
        if "surface" in changed and "start" not in changed and self.settings.start:
            self.settings.start = []
            return
        if changed - {"speed"} and not self._begin():
            return
        self._accepted = self.settings.values()
        if changed:
            self.message = ""

    def _begin(self) -> bool:
        """Start afresh, or say why that cannot be and take the change back."""
        try:
            self._start(Course.of(self.settings))
        except ValueError as error:
            self.refuse(str(error))
            self.settings.restore(self._accepted)
            return False
        return True


def _as_epochs(lap: Lap) -> Epochs:
    """One lap as what recordings are made of: its points take the parameters' place."""
    nothing = np.full(1, np.nan)
    return Epochs(
        index=np.array([lap.index], dtype=np.int64),
        loss=np.array([np.fmin.reduce(lap.values)]),
        accuracy=nothing,
        validation_loss=nothing,
        validation_accuracy=nothing,
        learning_rate=nothing,
        gradient_norms=np.empty((1, 0)),
        mean_activations=np.empty((1, 0)),
        parameters=lap.points.reshape(1, -1).copy(),
        widths=(),
    )


class _Rows:
    """Rows of one shape that are added at the end; room grows by doubling."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._rows = np.full((64, *shape), np.nan)

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        return self._rows[rows]

    def write(self, row: int, values: np.ndarray | float) -> None:
        if row >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.full_like(self._rows, np.nan)])
        self._rows[row] = values


SHAPE = ("surface", "condition_number", "angle", "stretch", "standardize")
"""The settings that the surface depends on."""


def build(optimizer: str, learning_rate: float | np.ndarray, momentum: float) -> Optimizer:
    """An optimizer as it races: Newton's step is undamped."""
    kind, chosen = OPTIMIZERS[optimizer], {"momentum": momentum, "damping": 0.0}
    return kind(learning_rate, **{name: value for name, value in chosen.items() if name in options(kind)})


def clouds(stretch: float = 1.0) -> Dataset:
    """Two round clouds, 100 examples of each class, two standard deviations apart along the diagonal, standardized.

    The second feature is then multiplied by `stretch`. They overlap, so that the logistic loss has a minimum; the seed
    is one whose condition number, 2.9, is that of a typical draw.
    """
    data = DATASETS["blobs"](n=200, noise=math.sqrt(0.5), seed=80, classes=2)
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


def _racers(course: Course, settings: RaceSettings) -> Iterator[Racer]:
    """Every chosen optimizer at every chosen learning rate, in the order of the menus."""
    optimizers = [name for name in OPTIMIZERS if name in settings.optimizers]
    multiples = [multiple for multiple in MULTIPLES if multiple in settings.multiples]
    pairs = list(product(optimizers, multiples))
    if not 0 < len(pairs) <= MOST_RACERS:
        raise ValueError(
            f"{len(optimizers)} optimizers at {len(multiples)} learning rates make {len(pairs)} racers; "
            f"choose 1 to {MOST_RACERS}"
        )
    for place, (optimizer, multiple) in enumerate(pairs):
        rate = multiple * _unit(course, optimizer, settings)
        lane = place
        if len(multiples) == 1:
            lane = list(OPTIMIZERS).index(optimizer)
        elif len(optimizers) == 1:
            lane = MULTIPLES.index(multiple)
        counted = f"{multiple:g} / λ" if settings.counted_in == "curvature" else f"rate {rate:.3g}"
        words = [optimizer] * (len(optimizers) > 1) + [counted] * (len(multiples) > 1 or len(optimizers) == 1)
        yield Racer(optimizer, multiple, rate, course.momentum, " ".join(words), lane)


def _unit(course: Course, optimizer: str, settings: RaceSettings) -> float:
    """The learning rate that an optimizer's multiples are counted in."""
    if settings.counted_in == "given":
        return settings.learning_rate
    if optimizer == OWN_SCALE:
        return 1.0
    if settings.counted_in == "best":
        return _best_rate(course.surface, tuple(course.start), optimizer, course.momentum)
    return 1 / course.steepest


@lru_cache(maxsize=256)
def _best_rate(surface: Surface, start: tuple[float, float], optimizer: str, momentum: float) -> float:
    """The rate of the ladder that settles soonest in a trial, or else comes lowest.

    Steps that are divided by the gradient's size are about as long as the rate: for them the ladder ends where one
    step crosses a quarter of the picture.
    All rates are tried at once, one row each: what an optimizer does to one number depends on no other.
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


def _spectral_radius(trace: np.ndarray, determinant: np.ndarray | float) -> np.ndarray:
    """The larger size of the two roots of z^2 - trace z + determinant."""
    root = np.sqrt((trace * trace / 4 - determinant).astype(complex))
    return np.maximum(np.abs(trace / 2 + root), np.abs(trace / 2 - root))


def _median(columns: np.ndarray) -> np.ndarray:
    """The median of each column without what is not finite; nan where nothing is."""
    return np.array([np.median(kept) if len(kept := column[np.isfinite(column)]) else np.nan for column in columns.T])


def _is_coordinate(number: Any, farthest: float) -> bool:
    return type(number) in (int, float) and abs(number) <= farthest
