"""The sharpness of a run: its tracker, its curve over the epochs, and the monitor that finds the edge of stability."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from dashboard.state.run import Frame, Run, Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Shown
from engine.curvature import Curvature, preconditioned
from engine.training import Epochs

TOLERANCE = 1e-8
"""Relative change of a sharpness that is drawn, from one step of Lanczos' method to the next, at which it ends."""

EDGE_TOLERANCE = 1e-6
"""The same for one that is compared with the edge."""

MAX_PARAMETER_EXAMPLES = 2_000_000
"""Parameters times examples up to which a measurement takes a few milliseconds."""

LONG_PARAMETER_EXAMPLES = 1_000_000
"""Parameters times examples above which a measurement takes longer than a turn of the scheduler."""

MEASUREMENTS_PER_DRAW = 16
"""How many measurements are made before they are drawn."""

VERIFIED = 32
"""Epochs after which the sharpness is measured again independently of the epoch before."""


def edge_of_stability(settings: Settings, learning_rates: np.ndarray) -> np.ndarray:
    """The edge for an optimizer in the settings; for epochs of a run, ask its frame for their `edges`."""
    return settings.build("optimizer").edge_of_stability(learning_rates)


def takes_long(setup: Setup) -> bool:
    """Whether one measurement takes longer than a turn of the scheduler."""
    return setup.network.n_parameters * len(setup.train) > LONG_PARAMETER_EXAMPLES


class SharpnessTracker:
    """Measures the sharpness of a run at one epoch after the other, each from the eigenvector of the one before."""

    def __init__(
        self, setup: Setup, tolerance: float = TOLERANCE, l1: float = 0.0, l2: float = 0.0, count: int = 1
    ) -> None:
        """l1, l2: of the objective, where a measurement does not name others. count: of the eigenvalues."""
        self.leading = np.full(count, np.nan)
        self._setup, self._tolerance, self._usual = setup, tolerance, (l1, l2)
        self._network = setup.network.copy()
        self._curvatures: dict[tuple[float, float], Curvature] = {}
        self._vector: np.ndarray | None = None

    def measure(
        self,
        epoch: int,
        parameters: np.ndarray,
        objective: tuple[float, float] | None = None,
        from_scratch: bool = False,
        preconditioner: np.ndarray | None = None,
    ) -> float:
        """The largest eigenvalue of the Hessian there, and with others in `leading`; nan where it is not finite.

        Args:
            epoch: Its number is the seed of a start from scratch.
            parameters: (n_parameters,) those of the epoch.
            objective: The penalties, l1 and l2, if they are not the usual ones.
            from_scratch: Whether to forget the eigenvector found before.
            preconditioner: (n_parameters,) by what the optimizer divides, if it does: the sharpness is preconditioned.
        """
        penalties = self._usual if objective is None else objective
        if penalties not in self._curvatures:
            setup = self._setup
            self._curvatures[penalties] = Curvature(self._network, setup.train, setup.loss, *penalties)
        self._network.parameters[:] = parameters
        self._curvatures[penalties].rates = preconditioned(self._setup.rates, preconditioner)
        start = None if from_scratch else self._vector
        curvature, count = self._curvatures[penalties], len(self.leading)
        if count > 1:
            several = curvature.leading(count, start, tolerance=self._tolerance, seed=epoch)
            self.leading = np.pad(several.values, (0, count - len(several.values)), constant_values=np.nan)
            value, vector = float(several.values[0]), several.vectors.sum(axis=0)
        else:
            value, vector, *_ = curvature.sharpness(start, tolerance=self._tolerance, seed=epoch)
            self.leading = np.array([value])
        if np.isfinite(value):
            self._vector = vector
        return value


class DrawnSharpness:
    """The sharpness of a run at the epochs that a picture draws, from one fresh start to the next.

    Of an optimizer that divides by what it remembers, as Adam does, it is the preconditioned sharpness.

    Attributes:
        found: By epoch.
        leading: The largest eigenvalues (count,), by epoch, the sharpness first.
    """

    def __init__(self, run: Shown, setup: Setup, count: int = 1) -> None:
        """count: of the eigenvalues that are measured."""
        self.run, self.found, self.leading = run, dict[int, float](), dict[int, np.ndarray]()
        self._tracker = SharpnessTracker(setup, count=count)

    def work(self, frame: Frame, rows: Epochs, stride: int) -> Iterator[object] | None:
        """Measure at the frame's epoch and at all of these rows, a stride apart; None where all are known."""
        missing = {epoch: i for i, epoch in enumerate(rows.index.tolist()) if epoch not in self.found}
        if not missing and frame.epoch.index in self.found:
            return None
        return self._measure(frame, rows.parameters, missing, stride)

    def newest(self, frame: Frame) -> int | None:
        """The last epoch up to the frame's at which it was measured."""
        return max((epoch for epoch in self.found if epoch <= frame.epoch.index), default=None)

    def behind(self, frame: Frame, epochs: np.ndarray) -> int | None:
        """The last of the epochs up to which all are measured, where that is not yet the last one; else None."""
        known = np.array([epoch in self.found for epoch in epochs.tolist()], bool)
        if known.all():
            return None
        return int(epochs[max(0, int(np.argmin(known)) - 1)])

    def until(self, frame: Frame) -> np.ndarray:
        """(k,) what was measured up to the frame's epoch, where it is finite and positive."""
        values = np.array([value for epoch, value in self.found.items() if epoch <= frame.epoch.index])
        return values[np.isfinite(values) & (values > 0)]

    def _measure(
        self, frame: Frame, parameters: np.ndarray, missing: Mapping[int, int], stride: int
    ) -> Iterator[object]:
        """Measure at the frame's epoch, then wherever nothing was measured yet."""
        here, found = frame.epoch.index, self.found
        self.found = {epoch: value for epoch, value in found.items() if epoch % stride == 0 or epoch == here}
        self.leading = {epoch: values for epoch, values in self.leading.items() if epoch in self.found}
        if here not in self.found:
            yield from self._measure_each(frame, {here: frame.epoch.parameters})
        yield from self._measure_each(frame, {epoch: parameters[i] for epoch, i in missing.items()})
        self.run.touch()

    def _measure_each(self, frame: Frame, wanted: Mapping[int, np.ndarray]) -> Iterator[object]:
        """Measure at these epochs, in ascending order, with these parameters."""
        plain = ((epoch, None) for epoch in wanted)
        count = 0
        for one in self.run.preconditioners(wanted) if frame.preconditioned else plain:
            if one is None:
                yield
                continue
            epoch, preconditioner = one
            if epoch not in self.found:
                self._measure_at(frame, epoch, wanted[epoch], preconditioner)
            count += 1
            if count % MEASUREMENTS_PER_DRAW == 0:
                self.run.touch()
            yield

    def _measure_at(self, frame: Frame, epoch: int, parameters: np.ndarray, preconditioner: np.ndarray | None) -> None:
        """Pictures may read what was found meanwhile, in another thread: it is replaced, never changed."""
        value = self._tracker.measure(epoch, parameters, frame.objective(epoch), preconditioner=preconditioner)
        self.leading = {**self.leading, epoch: self._tracker.leading}
        self.found = {**self.found, epoch: value}


def monitors_of(store: Shown) -> list["StabilityMonitor"]:
    """What is measured at every epoch of a store, whatever its page shows; nothing where no network trains here."""
    return [StabilityMonitor(store)] if isinstance(store, Run) else []


class _Place(NamedTuple):
    """Where a run was at an epoch; `preconditioner` (n_parameters,) is what the update after it divides by, if any."""

    epoch: int
    parameters: np.ndarray
    preconditioner: np.ndarray | None = None


class StabilityMonitor:
    """Finds the first epoch of a run whose sharpness is at the edge of stability or above, and bookmarks it.

    It measures every epoch in order, and retrains those that are no longer recorded: what it finds depends on the run
    alone. While it lags behind, the bookmark comes later, but at the same epoch. An epoch can be measured once the
    update that follows it is known, since the edge is that update's.

    The preconditioned sharpness of Adam and its kin is far above their edge at the first epochs, when the
    preconditioner knows one or two gradients. Of such a run it is the first epoch at the edge after one below it.
    """

    heavy = False

    def __init__(self, run: Run) -> None:
        self.run = run
        self._history: object = None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """The next measurements, in pieces; None where nothing is to be found."""
        if self.run.history is not self._history:
            self._begin()
        return self._look() if self._looking and self._seen < self._last else None

    def give_up(self, error: Exception) -> None:
        """Stop searching this run: it gets no bookmark."""
        self._looking = False

    @property
    def _last(self) -> int:
        """The newest epoch whose next update is known."""
        return self.run.history[-1].index - 1

    def _begin(self) -> None:
        frame, bookmarks = self.run.frame(), self.run.bookmarks
        setup, self._history = frame.setup, frame.history
        found = any(mark.kind == "edge" for mark in bookmarks)
        bearable = setup.network.n_parameters * len(setup.train) <= MAX_PARAMETER_EXAMPLES
        self._looking = not found and bearable and not np.isnan(frame.edge)
        self._tracker = SharpnessTracker(setup, EDGE_TOLERANCE)
        self._was_below = not frame.preconditioned
        # Whether it has been below shows at the last epoch that is known to be: that is measured once more.
        self._seen = bookmarks.below_edge if self._was_below else max(-1, bookmarks.below_edge - 1)
        self._unverified: list[_Place] = []
        self._source: Iterator[_Place | None] = iter(())
        self._in_hand: _Place | None = None

    def _look(self) -> Iterator[object]:
        """Measure the epochs not measured so far, in order, until there are none left.

        It may be dropped at any time: an epoch that was fetched and not measured is kept for the next call.
        """
        history, bookmarks = self._history, self.run.bookmarks
        while history is self.run.history and self._fetch():
            yield
            if self._in_hand is None:
                continue
            epoch = self._in_hand.epoch
            at = self._at(self._in_hand) if self._comes_from_below(self._in_hand) else None
            self._seen, self._in_hand = epoch, None
            if at is not None and history is self.run.history:
                self._looking = False
                if bookmarks.mark("edge", *at):
                    self.run.touch()
                return
            if self._was_below and not self._unverified:
                bookmarks.below_edge = epoch

    def _fetch(self) -> bool:
        """Fetches the next epoch, or does a piece of the work for it; False where there is none yet."""
        if self._in_hand is None:
            self._in_hand = next(self._source, self)
        if self._in_hand is not self:
            return True
        self._in_hand, self._source = None, self._epochs(self._seen, self._last)
        return self._seen < self._last

    def _epochs(self, after: int, until: int) -> Iterator[_Place | None]:
        """Each of the epochs with after < index <= until; None on the way."""
        if not self.run.frame().preconditioned:
            yield from self._parameters(after, until)
            return
        places = self._parameters(after, until)
        for one in self.run.preconditioners(range(after + 1, until + 1)):
            if one is None:
                yield None
                continue
            place = None
            while place is None:
                place = next(places)
                yield place and place._replace(preconditioner=one[1])

    def _parameters(self, after: int, until: int) -> Iterator[_Place | None]:
        """The same without what is divided by: recorded or retrained."""
        history = self._history
        whole = history.kept(after, until) if history.stride == 1 else history.latest(after, until)
        if len(whole) and whole.index[0] == after + 1:
            yield from map(_Place, whole.index.tolist(), whole.parameters)
            return
        for block in self.run.again(after, until):
            yield from map(_Place, block.index.tolist(), block.parameters) if block else (None,)

    def _comes_from_below(self, place: _Place) -> bool:
        """Whether the run has been below the edge, here or before, so that this may be where it meets it."""
        if not self._was_below:
            self._was_below = self._sharpness(place, from_scratch=True) < self._edge(place.epoch)
        return self._was_below

    def _at(self, place: _Place) -> tuple[int, str] | None:
        """The first epoch at the edge, and its description, once this one has been measured too.

        Lanczos' method never overestimates: a value that reaches the edge is at the edge. It may miss a direction that
        has become the sharpest: a crossing counts only after all epochs since the last verified one have been measured
        from scratch, and so does an epoch for which that finds more.
        """
        value, edge = self._sharpness(place), self._edge(place.epoch)
        self._unverified.append(place)
        crossed, due = value >= edge, place.epoch % VERIFIED == 0
        missed = due and not crossed and self._sharpness(place, True) > value * (1 + EDGE_TOLERANCE)
        suspects = self._unverified
        if crossed or due:
            self._unverified = []
        for other in suspects if crossed or missed else ():
            anew, limit = self._sharpness(other, True), self._edge(other.epoch)
            anew = max(anew, value) if other is place else anew
            if anew >= limit:
                kind = "sharpness" if other.preconditioner is None else "preconditioned sharpness"
                words = "starts above" if other.epoch == 0 else "meets"
                return other.epoch, f"{kind} {anew:.3g} {words} the edge, {limit:.3g}"
        return None

    def _edge(self, epoch: int) -> float:
        """The edge of the update that follows an epoch."""
        return float(self.run.frame().hyperparameter_log.edges(np.array([epoch]))[0])

    def _sharpness(self, place: _Place, from_scratch: bool = False) -> float:
        """The sharpness of an epoch's objective."""
        epoch, parameters, preconditioner = place
        objective = self.run.frame().objective(epoch)
        return self._tracker.measure(epoch, parameters, objective, from_scratch, preconditioner)
