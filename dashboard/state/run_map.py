"""A run map trains a run for every pixel of a picture: two numbers of its settings vary along the sides."""

import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cache, partial
from typing import Any

import param

from dashboard.state.map_axes import AXES, DEPTH, RATES, WIDTH, MapAxis
from dashboard.state.map_theory import TheoryLine, theory_lines
from dashboard.state.run import Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Companion, Shown
from dashboard.state.study import FREE
from dashboard.state.thread_task import ThreadTask
from dashboard.state.workers import Workers, forget, workers
from dashboard.storage.home import home
from dashboard.storage.tables import OWN, TABLES, Table
from engine.sweep import MEASURES, Progress, Sweep, marks_until
from engine.training import Training

Window = Sequence[float]
"""The part of a map that is shown: the ends of x, then those of y."""

MARKS = marks_until(20_000)[:-1]
"""Epochs at which maps are measured besides their last one."""

COSTLY = frozenset(["sharpness"])
"""Measures that take as long as many epochs."""

LONG_S = 15 * 60
"""Duration from which on a map asks back before it is computed."""

TRIAL_S = 0.05
"""How long each of some runs is tried to tell the duration."""

MAX_ZOOM_LEVELS = 40
FOLDER = "maps"


def _is_window(window: Any) -> bool:
    return (
        isinstance(window, list)
        and len(window) == 4
        and all(type(end) in (int, float) for end in window)
        and window[0] < window[1]
        and window[2] < window[3]
    )


class Windows(param.List):
    """Parts of a map, one within the other, each as [x low, x high, y low, y high]."""

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return f"a list of at most {MAX_ZOOM_LEVELS} windows like [0.1, 1, 0, 5]: the ends of x, then those of y"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        if len(val) > MAX_ZOOM_LEVELS or not all(map(_is_window, val)):
            raise ValueError(f"{str(val)[:60]} are no windows of a map; give {self.in_words()}")


class RunMap(Companion):
    """The map of a page: its axes, its window, how fine it is, and the sweep that computes it.

    All runs share the settings of the page's run but for the two that vary; the page's run may stand anywhere on it.
    A map that was computed once by any process on the laboratory's folder is not computed again.
    """

    x = param.Selector(
        default="learning_rate",
        objects={axis.label: name for name, axis in AXES.items()},
        label="Across",
        doc="The number that varies from left to right.",
    )
    y = param.Selector(
        default="std",
        objects={axis.label: name for name, axis in AXES.items()},
        label="Up",
        doc="The number that varies from bottom to top.",
    )
    windows = Windows(default=[], doc="The windows from the whole map down to the one that is shown.")
    side = param.Selector(
        default=64,
        objects=[16, 32, 64, 128, 256],
        label="Pixels a side",
        doc="How many runs there are along each side. Four times the runs take up to four times as long.",
    )
    epochs = param.Integer(
        default=300, bounds=(1, 20_000), label="Epochs of the map", doc="How long each run of the map is trained."
    )

    measure = param.Selector(
        default="loss",
        objects={kind.label: name for name, kind in MEASURES.items()},
        label="Color",
        doc="What is shown of every run of the map.",
    )

    def __init__(self, **choices: Any) -> None:
        super().__init__(**choices)
        self.sweep: Sweep | None = None
        self.progress: Progress | None = None
        self.workers: Workers | None = None
        self.theory: Sequence[TheoryLine] = ()
        self.param.watch(self._leave_windows, ["x", "y", "windows"])

    @property
    def axes(self) -> tuple[MapAxis, MapAxis]:
        """What varies across, and what varies upward."""
        return AXES[self.x], AXES[self.y]

    @property
    def window(self) -> Window:
        """The ends of x and of y that are shown."""
        across, up = self.axes
        return self.windows[-1] if self.windows else [*across.usual, *up.usual]

    @property
    def marks(self) -> tuple[int, ...]:
        """The epochs at which it is measured."""
        return marks_until(self.epochs)

    def mark_until(self, epoch: int) -> int:
        """The last epoch at which it is measured that is not after this one."""
        return max((mark for mark in self.marks if mark <= epoch), default=self.marks[0])

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured of every run: what costs little in any case, the sharpness where it is shown."""
        return tuple(name for name in MEASURES if name not in COSTLY or name == self.measure)

    def misfit(self, settings: Settings) -> str:
        """Why there can be no such map with these settings, as a sentence; empty where there can."""
        across, up = self.axes
        if across is up:
            return f"Both axes are “{across.label}”. Choose two different ones."
        for axis, (low, high) in zip(self.axes, (self.window[:2], self.window[2:]), strict=True):
            lowest, highest = axis.bounds
            if not lowest <= low < high <= highest:
                return (
                    f"“{axis.label}” cannot go from {low:g} to {high:g}. "
                    f"Choose two ends, the lower one first, between {lowest:g} and {highest:g}."
                )
        return across.misfit(settings) or up.misfit(settings)

    def start(self, settings: Settings) -> None:
        """Compute for these settings, unless the map is known or under way; go on with one that was stopped."""
        key = self.key(settings)
        if key == self._key and (self.busy or self.is_done):
            return
        self.cancel()
        goes_on = key == self._key and self.sweep is not None
        self._key, self.message = key, self.misfit(settings)
        if not goes_on:
            self.sweep, self.progress, self.theory = None, None, ()
        if not self.message:
            pieces = self._resumed(self.sweep) if goes_on else self._begun(key, Settings(**settings.values()))
            self._job = ThreadTask(pieces, self._fail)
        self.on_change()

    @property
    def is_done(self) -> bool:
        """Whether all of it is known."""
        return self.progress is not None and self.progress.finished

    def key(self, settings: Settings) -> Hashable:
        """Everything on which the map depends."""
        base = {name: str(value) for name, value in self.base(settings).items()}
        return self.x, self.y, tuple(self.window), self.side, self.epochs, self.measure, tuple(base.items())

    def base(self, settings: Settings) -> dict[str, Any]:
        """The settings that all runs of the map share; what varies, and what trains nothing, stands at its default."""
        free = (FREE - {"seed", "data_seed"}) | {axis.name for axis in self.axes}
        values = {
            name: Settings.param[name].default if name in free else settings.values()[name] for name in Settings.names()
        }
        hidden = settings.hidden
        if DEPTH in (self.x, self.y):
            hidden = [max(hidden, default=8)]
        if WIDTH in (self.x, self.y):
            hidden = [1] * len(hidden)
        rates = list(settings.layer_rates)
        for name in RATES.keys() & {self.x, self.y}:
            rates = rates or [1.0] * (len(hidden) + 1)
            rates[RATES[name]] = 1.0
        return {**values, "hidden": list(hidden), "layer_rates": rates}

    def settings_at(self, column: int, row: int) -> dict[str, Any]:
        """The settings of the run of a pixel: a run of its own with these does the same, bit for bit."""
        return settings_of(self.sweep.settings_of(column, row))

    def look_closer(self, window: Window) -> None:
        """Go into a part of the map."""
        self.windows = [*(self.windows or [list(self.window)]), list(window)][-MAX_ZOOM_LEVELS:]

    def go_out(self, level: int) -> None:
        """Go back to one of the windows on the way here, 0 for the whole map."""
        self.windows = list(self.windows[: level + 1]) if level else []

    def _leave_windows(self, *events: param.parameterized.Event) -> None:
        """Show the whole map once it has other axes."""
        if "windows" not in {event.name for event in events}:
            self.windows = []

    def new(self, settings: Settings, executor: Executor | None = None, workers: int | None = None) -> Sweep:
        """The sweep of the map, on an executor with so many workers, if it does not count them itself.

        Raises:
            ValueError: If a corner of it cannot be trained.
        """
        x_low, x_high, y_low, y_high = self.window
        across, up = self.axes
        table = settings.table() if settings.dataset == OWN else None
        return Sweep(
            (across.between(x_low, x_high), up.between(y_low, y_high)),
            self.base(settings),
            measures=self.measures,
            epochs=self.epochs,
            size=(self.side, self.side),
            marks=self.marks,
            refine_by=(self.measure,),
            make=partial(training_of, table=table),
            folder=home() / FOLDER,
            executor=executor,
            workers=workers,
        )

    def _begun(self, key: Hashable, settings: Settings) -> Iterator[object]:
        """The computation of a new map; of one that takes long, only its duration, until it is asked for again."""
        found = workers()
        try:
            sweep = self.new(settings, found.executor, found.count)
        except ValueError as error:
            self._say(key, f"This map cannot be computed: {str(error).rstrip('.')}.")
            return
        if self._key != key:
            return
        self.sweep, self.workers = sweep, found
        estimate = sweep.estimate(TRIAL_S)
        if estimate.seconds > LONG_S:
            self._say(key, f"This map {estimate}. Choose fewer pixels or epochs, or press “Compute” again to begin.")
            return
        self.theory = theory_lines(sweep)
        yield from self._resumed(sweep)

    def _resumed(self, sweep: Sweep) -> Iterator[object]:
        """The computation of what is not known yet."""
        for progress in sweep.run():
            if self.sweep is sweep:
                self.progress, self.message = progress, sweep.notice or self.workers.notice
                self.on_change()
            yield

    def _say(self, key: Hashable, message: str) -> None:
        if self._key == key:
            self.message = message
            self.on_change()

    def _fail(self, error: Exception) -> None:
        forget()
        self.message = f"The map was stopped by an error: {error}. What is computed stays; press “Compute” to go on."
        self.on_change()


def map_of(run: Shown) -> RunMap:
    """The map that belongs to a run; one that nobody computes where it has none."""
    return run.study if isinstance(run.study, RunMap) else _no_map()


@cache
def _no_map() -> RunMap:
    return RunMap()


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a pixel, of what all runs share and of its values on the axes."""
    return _taken(values).values()


def _taken(values: Mapping[str, Any]) -> Settings:
    """Settings of this thread, with the values of a pixel: to make new ones would take as long as a short run."""
    if not hasattr(_local, "settings"):
        _local.settings = Settings()
    settings, known = _local.settings, {name: value for name, value in values.items() if name in Settings.param}
    for name in (WIDTH, DEPTH, *RATES):
        if name in values:
            known |= AXES[name].changes(known, values[name])
    settings.restore({name: value for name, value in known.items() if getattr(settings, name) != value})
    settings.fit_loss()
    return settings


_local = threading.local()


def training_of(values: Mapping[str, Any], table: Table | None = None) -> Training:
    """The training of a pixel.

    Args:
        values: What all runs share, with the pixel's values on the axes.
        table: The user's own data, if they are learned from.

    Raises:
        ValueError: If there is no such run.
    """
    if table is not None:
        TABLES.hold(table)
    settings = _taken(values)
    return Setup.of(settings).training(settings)
