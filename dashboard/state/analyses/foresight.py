"""A foresight says before a run goes on where gradient flow and the central flow lead from one of its epochs."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from dashboard.state.checkpoints import LiveHyperparameters
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from dashboard.state.view import ForesightView
from engine.recording import History
from engine.theory.central_flow import MEASURED, FlowPoint, LostFlowError, Terrain, central_flow, gradient_flow, kink

FLOWS: dict[str, Callable[..., Iterator[FlowPoint]]] = {"gradient flow": gradient_flow, "central flow": central_flow}

STEPS_PER_PIECE = 5
"""Steps of a flow, of about 2 ms each, between two pieces of the work."""

STEPS_PER_DRAW = 100
"""Steps after which what is foreseen so far is drawn."""

MAX_PARAMETER_EXAMPLES = 500_000
"""Parameters times examples up to which a step takes some milliseconds."""

MAX_BYTES = 64 * 2**20
"""Of the weights of both flows."""

COMPARED = 200
"""Epochs over whose mean a run is compared with a flow: single ones leap."""


@dataclass(eq=False)
class Path:
    """What is foreseen of one flow, from an epoch on: a row of each list for every epoch.

    Attributes:
        loss: The mean loss of the steps around.
        sharpness: nan where it was not measured.
        distance: From the weights at the beginning.
        weights: (n_parameters,) at every eighth epoch.
        directions: How many directions are at the edge.
        lost: Why it ends too soon, as the end of a sentence; empty where it does not.
    """

    start: int
    loss: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    directions: list[int] = field(default_factory=list)
    lost: str = ""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def end(self) -> int:
        """The last epoch whose weights are known, but for up to seven."""
        return self.start + MEASURED * (len(self.weights) - 1)

    @property
    def epochs(self) -> np.ndarray:
        """(k,) the epochs of its rows."""
        return self.start + np.arange(len(self))

    def add(self, point: FlowPoint, origin: np.ndarray) -> None:
        """Add the next epoch; its loss, by which the rows are counted, last: pictures read meanwhile."""
        self.sharpness.append(point.sharpness)
        self.distance.append(float(np.linalg.norm(point.parameters - origin)))
        self.directions.append(point.directions)
        if point.step % MEASURED == 0:
            self.weights.append(point.parameters)
        self.loss.append(point.loss)

    def column(self, name: str) -> np.ndarray:
        """(k,) a number at every epoch, by its name."""
        return np.array(getattr(self, name)[: len(self)])

    def weights_at(self, epochs: np.ndarray) -> np.ndarray:
        """(k, n_parameters) at each of its epochs, between those that are kept on a straight line."""
        places = np.minimum((epochs - self.start) / MEASURED, len(self.weights) - 1)
        before = places.astype(int)
        after, share = np.minimum(before + 1, len(self.weights) - 1), (places - before)[:, None]
        kept = np.array(self.weights)
        return (1 - share) * kept[before] + share * kept[after]

    def mean_weights(self, first: int, last: int) -> np.ndarray:
        """(n_parameters,) the mean from one of its epochs to another one."""
        places = (np.array([first, last]) - self.start) / MEASURED
        whole = self.weights[int(np.floor(places[0])) : int(np.ceil(places[1])) + 1]
        return np.mean(whole, axis=0)


@dataclass(frozen=True)
class Comparison:
    """A run and a flow over the same epochs, up to the one that is looked at.

    Attributes:
        epochs: How many.
        loss: The flow's mean loss as a share of the run's.
        distance: Between their mean weights.
    """

    epochs: int
    loss: float
    distance: float


@dataclass(frozen=True, eq=False)
class Beginning:
    """What a foresight starts from.

    Attributes:
        epoch: Of the run.
        weights: (n_parameters,) the run's there; at the edge the mean of two, between which it leaps.
        rates: (k,) the learning rates of the steps.
        objective: The penalties, l1 and l2, of the loss.
    """

    epoch: int
    weights: np.ndarray
    rates: np.ndarray
    objective: tuple[float, float]
    key: Hashable


class Foresight:
    """What is foreseen of a store's run from the epoch that its view names; ask the store for its `analysis`.

    A learning rate that changes after that epoch foretells anew from where it changed.

    Attributes:
        paths: By the names of the flows, as far as they are known.
        message: Why nothing is foreseen, as a sentence; empty where something is.
    """

    heavy = True

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.paths: dict[str, Path] = {}
        self.message = ""
        self._done: Hashable = None
        self._key: Hashable = None
        self._steps = 0

    @property
    def wanted(self) -> ForesightView:
        """The choices of the view."""
        return ForesightView.of(self.run.view)

    def shown(self, frame: Frame) -> dict[str, Path]:
        """The paths to draw with a frame: none where nothing is asked for, or what is known is of another run."""
        is_of = self._key is not None and self._key[0] is frame.setup
        return self.paths if is_of and self.wanted.foreseen_from is not None else {}

    @property
    def progress(self) -> float:
        """The share of the steps that is foreseen, of the slower flow."""
        done = min((self._steps + 1 if path.lost else len(path) for path in self.paths.values()), default=0)
        return done / (self._steps + 1) if len(self.paths) == len(FLOWS) else 0.0

    def is_busy(self, frame: Frame) -> bool:
        """Whether there is something to compute."""
        beginning = self._beginning(frame)
        return beginning is not None and not self._refusal(frame) and beginning.key != self._done

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Follow both flows, in pieces; None where nothing is asked for or all is known."""
        beginning = self._beginning(frame)
        if beginning is None:
            self._key, self._done, self.paths = None, None, {}
            return None
        refusal = self._refusal(frame)
        if refusal or beginning.key == self._done:
            if refusal and (self.message != refusal or self.paths):
                self.message, self.paths, self._done = refusal, {}, None
                self.run.touch()
            return None
        return self._foresee(frame, beginning)

    def give_up(self, error: Exception) -> None:
        """Say that an error has ended the work."""
        self.message = f"Nothing can be foreseen: {error}."
        self.run.touch()

    def compared(self, frame: Frame) -> dict[str, Comparison]:
        """The run beside each flow, over the latest epochs up to the frame's; nothing before there are some."""
        here, found = frame.epoch.index, dict[str, Comparison]()
        for name, path in self.shown(frame).items():
            last = min(here, path.start + len(path) - 1)
            first = max(path.start, last - COMPARED + 1)
            rows = frame.history.between(first - 1, last)
            if last < here or last - path.start < MEASURED or len(rows) < 2:
                continue
            foreseen = path.column("loss")[rows.index - path.start]
            apart = rows.parameters.mean(axis=0) - path.mean_weights(first, last)
            share = float(foreseen.mean() / rows.loss.mean())
            found[name] = Comparison(last - first + 1, share, float(np.linalg.norm(apart)))
        return found

    def apart(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, and how far gradient flow is from the central flow there, as far as both are known; else none."""
        paths = list(self.shown(frame).values())
        count = min((len(path.weights) for path in paths), default=0)
        if not count:
            return np.empty(0, np.int64), np.empty(0)
        one, other = (np.array(path.weights[:count]) for path in paths)
        return paths[0].start + MEASURED * np.arange(count), np.linalg.norm(one - other, axis=1)

    def lost(self, frame: Frame) -> str:
        """Which flows end too soon, and why, as a clause; empty where none does."""
        paths = self.shown(frame)
        ends = {name: path.start + max(0, len(path) - 1) for name, path in paths.items() if path.lost}
        return "; ".join(f"the {name} ends at epoch {end:,}: {paths[name].lost}" for name, end in ends.items())

    def _foresee(self, frame: Frame, beginning: Beginning) -> Iterator[object]:
        self._key, self._steps, self.message = beginning.key, len(beginning.rates), ""
        setup, network = frame.setup, frame.setup.network.copy()
        network.parameters[:] = beginning.weights
        paths = {name: Path(beginning.epoch) for name in FLOWS}
        terrain = Terrain(network, setup.train, setup.loss, *beginning.objective, rates=setup.rates)
        origin, ahead = np.zeros(network.n_parameters), list(FLOWS)
        flows = {name: flow(terrain, origin, beginning.rates) for name, flow in FLOWS.items()}
        self.paths = paths
        drawn = 0
        while ahead:
            for name in list(ahead):
                if not self._follow(flows[name], paths[name], terrain.origin):
                    ahead.remove(name)
            yield
            now = self.run.frame()
            wanted = self._beginning(now)
            if wanted is None or wanted.key != beginning.key:
                return
            if min(map(len, paths.values())) >= drawn + STEPS_PER_DRAW:
                drawn = min(map(len, paths.values()))
                self.run.touch()
        self._done = beginning.key
        self.run.touch()

    def _follow(self, flow: Iterator[FlowPoint], path: Path, origin: np.ndarray) -> bool:
        """Some more steps of a flow; whether there may be more."""
        try:
            with np.errstate(all="ignore"):
                for _ in range(STEPS_PER_PIECE):
                    point = next(flow, None)
                    if point is None:
                        return False
                    path.add(point, origin)
        except LostFlowError as lost:
            path.lost = str(lost)
            return False
        return True

    def _beginning(self, frame: Frame) -> Beginning | None:
        """What is to be foreseen; None where nothing is asked for, or the run has not come there."""
        asked, newest = self.wanted.foreseen_from, frame.history[-1].index
        if asked is None or asked > newest or frame.hyperparameter_log is None:
            return None
        log, coming = frame.hyperparameter_log, self._coming(frame)
        changes = [epoch for epoch in log.changes(asked) if epoch <= newest]
        start = newest if coming.values != log.after(newest).values else (changes or [asked])[-1]
        row = frame.history.at(start)
        tuned = coming if row.index == newest else log.after(row.index)
        steps = self._most(frame, self.wanted.foreseen_steps)
        rates = tuned.learning_rates(row.index + np.arange(steps))
        key = frame.setup, row.index, row.parameters.tobytes(), rates.tobytes(), tuned.objective
        return Beginning(row.index, _middle(frame.history, row.index), rates, tuned.objective, key)

    def _coming(self, frame: Frame) -> LiveHyperparameters:
        """The hyperparameters as the settings have them now."""
        return LiveHyperparameters.of(self.run.settings, len(frame.setup.train))

    def _most(self, frame: Frame, steps: int) -> int:
        """As many steps as fit into memory."""
        return max(MEASURED, min(steps, MEASURED * MAX_BYTES // (2 * 8 * frame.setup.network.n_parameters)))

    def _refusal(self, frame: Frame) -> str:
        """Why nothing is foreseen, as a sentence; empty where something is."""
        settings, setup = self.run.settings, frame.setup
        coming, examples = self._coming(frame), len(setup.train)
        kinked = kink(setup.network, setup.loss)
        if settings.optimizer != "sgd":
            return f"Both flows are those of gradient descent; of {settings.optimizer} they say nothing."
        if coming.updates > 1:
            return "Both flows are those of steps on all of the data; the noise of batches is no part of them."
        if kinked:
            return f"The central flow follows how the curvature changes, smoothly; but {kinked}."
        if coming.l1:
            return "The central flow follows how the curvature changes, smoothly; but an L1 penalty has a kink at 0."
        if setup.network.n_parameters * examples > MAX_PARAMETER_EXAMPLES:
            return "This network with this many examples is too large to be foreseen; choose fewer units or examples."
        return ""


def _middle(history: History, epoch: int) -> np.ndarray:
    """The weights at an epoch, or where the run leaps, the middle of the latest two."""
    rows = history.between(epoch - 3, epoch)
    if len(rows) < 3:
        return history.at(epoch).parameters.copy()
    before, after = rows.parameters[-2] - rows.parameters[-3], rows.parameters[-1] - rows.parameters[-2]
    if before @ after >= 0:
        return rows.parameters[-1].copy()
    return rows.parameters[-2:].mean(axis=0)
