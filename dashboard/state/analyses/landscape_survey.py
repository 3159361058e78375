"""A landscape survey computes the loss on a plane through a run's weights, anew while the run goes on."""

import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.landscape import Plane, loss_surfaces, path_on_plane
from engine.recording import History

POINTS = 41
"""Points of a surface along each of its two directions."""

SPAN = 1e3
"""Largest over smallest loss that get colors of their own."""

LOWEST = 1e-12
"""Smallest loss that has a color."""

SURVEY_INTERVAL_S = 0.9
"""Seconds after which a survey is repeated while the run goes on."""

Window = tuple[tuple[float, float], tuple[float, float]]
"""The part of a plane that is shown: from where to where, along both directions."""


class Site(Protocol):
    """Where the loss is surveyed: a picture, say, whose user may choose it."""

    def plane(self, frame: Frame) -> Plane:
        """The plane to be shown at a frame."""

    def window(self, frame: Frame, plane: Plane) -> Window:
        """The part of it that is shown."""

    def subject(self, frame: Frame) -> Hashable:
        """Everything on which the surface depends besides the run and its epoch."""


@dataclass(frozen=True, eq=False)
class Relief:
    """A surface that has been computed.

    Attributes:
        epoch: Of the weights through which it passes.
        subject: Everything else on which it depends.
        losses: (POINTS, POINTS) over the window.
        start: Its distance from the true loss at the start of the run's path.
        here: Its distance from the true loss at the epoch.
    """

    epoch: int
    subject: Hashable
    plane: Plane
    window: Window
    losses: np.ndarray
    start: float
    here: float

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The coordinates of the columns and of the rows, each (POINTS,)."""
        return _axes(self.window)

    @property
    def scale(self) -> tuple[float, float]:
        """The losses the colors go from and to."""
        low = max(LOWEST, float(np.nanmin(self.losses)))
        return low, min(float(np.nanmax(self.losses)), low * SPAN) * (1 + 1e-9)


class LandscapeSurvey:
    """The newest relief of a run at a site, from one fresh start to the next.

    Attributes:
        relief: The relief that was found last; None before there is one.
    """

    def __init__(self, run: Shown, site: Site) -> None:
        self.run, self.site = run, site
        self.relief: Relief | None = None

    def work(self, frame: Frame, known: Relief | None) -> Iterator[object] | None:
        """Survey the surface of a frame, a few points at a time; None where that is known, or another does it.

        Of a store with many viewers, who cannot change it, one surveys for all.

        Args:
            frame: A frame whose parameters were measured.
            known: The relief that is drawn.
        """
        subject = self.site.subject(frame)
        if known and (known.epoch, known.subject) == (frame.epoch.index, subject):
            return None
        if not self.run.is_read_only:
            return self._survey(frame, SharedSurvey())
        surveys = SHARED_SURVEYS.setdefault(frame.history, {})
        survey = surveys.get(key := (type(self.site), subject))
        if survey is None or survey.looked_at != self.run.looked_at or survey.age > SURVEY_INTERVAL_S:
            surveys[key] = survey = SharedSurvey(self.run.looked_at)
            return self._survey(frame, survey)
        if survey.relief and survey.relief is not known:
            self._found(survey.relief)
        return None

    def _survey(self, frame: Frame, survey: "SharedSurvey") -> Iterator[object]:
        setup, subject, network = frame.setup, self.site.subject(frame), frame.network()
        plane = self.site.plane(frame)
        window = self.site.window(frame, plane)
        objective = setup.loss, frame.l1, frame.l2
        for surface in loss_surfaces(network, setup.train, plane, *_axes(window), *objective):
            yield surface
        ends = np.stack([frame.history.at(0).parameters, frame.epoch.parameters])
        there = path_on_plane(network, setup.train, plane, ends, *objective)
        start, here = np.abs(there.beneath - there.losses).tolist()
        if subject == self.site.subject(frame) and np.isfinite(surface).any():
            survey.relief = Relief(frame.epoch.index, subject, plane, window, surface, start, here)
            self._found(survey.relief)

    def _found(self, relief: Relief) -> None:
        self.relief = relief
        self.run.touch()


class SharedSurvey:
    """The computation of a relief; for a store with many viewers, by one of them for all."""

    def __init__(self, looked_at: int | None = None) -> None:
        """looked_at: the epoch that is gone back to; None at the newest."""
        self.looked_at = looked_at
        self.relief: Relief | None = None
        self._began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._began


SHARED_SURVEYS: WeakKeyDictionary[History, dict[Hashable, SharedSurvey]] = WeakKeyDictionary()
"""By kind of site and subject, as long as their history is shown."""


def window_around(places: np.ndarray, least: float | np.ndarray) -> Window:
    """A window that holds places (k, 2) with room to spare, at least so far to each side, or (2,) along each axis.

    Its sides are at multiples of a power of two, so that it stays as it is while the places move a little.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.maximum(0.3 * (high - low), least)
    step = 2.0 ** np.floor(np.log2(high - low + 2 * room) - 2)
    sides = np.stack([np.floor((low - room) / step), np.ceil((high + room) / step)], axis=1) * step[:, None]
    (left, right), (bottom, top) = sides.tolist()
    return (left, right), (bottom, top)


def _axes(window: Window) -> tuple[np.ndarray, np.ndarray]:
    (left, right), (bottom, top) = window
    return np.linspace(left, right, POINTS), np.linspace(bottom, top, POINTS)
