"""The gradient audit: the subject of the backpropagation page, and its gradient checks at every epsilon."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import param

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from dashboard.state.view import StudyView
from engine.backpropagation import BUGS, Backpropagation
from engine.datasets import Dataset
from engine.gradient_check import TOLERANCE, BugCheck, Checker, Walk
from engine.network import Network

MAX_PARAMETER_EXAMPLES = 300_000
"""Most parameters times examples: moving each parameter once takes half a second."""

MAX_LAYERS = 5
"""Layers of weights that can still be walked through."""

SMALL = 24
"""Parameters that are checked within a frame: 1 ms."""

FEW = 200
"""Examples for which that is true."""

EXPONENTS = range(-12, 0)
EPSILONS = tuple(float(f"1e{power}") for power in EXPONENTS)
USUAL = 1e-5

ROUNDING = 2.0**-53
"""Relative rounding error of a number in double precision."""

SEEN = 4
"""Epsilons after which the pictures are drawn again."""

STEP = 1e-3
"""Distance of the gradients that measure the curvature of the loss."""

OWN, WORKED = "this run", "worked example"


class CheckView(StudyView):
    """What is examined, the planted bug, the epsilon, and the picked parameter and stage."""

    subject = param.Selector(
        default=OWN,
        objects=[OWN, WORKED],
        label="Examine",
        doc="The network that is trained here, or one weight w = 0.5 with x = y = 1 and the loss (wx - y)².",
    )
    bug = param.Selector(
        default="none",
        objects=["none", *BUGS],
        label="Planted bug",
        doc="A mistake in the backward pass that is shown and checked. Training goes on without it.",
    )
    exponent = param.Integer(
        default=-5,
        bounds=(EXPONENTS[0], EXPONENTS[-1]),
        label="ε, as a power of 10",
        doc="How far each parameter is moved up and down by the check.",
    )
    parameter = param.Integer(default=0, bounds=(0, None), doc="The parameter that is picked, counted from 0.")
    stage = param.String(default="", doc="The stage of the two passes that is picked; empty for the last.")

    @property
    def epsilon(self) -> float:
        """How far parameters are moved."""
        return float(f"1e{self.exponent}")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and examples to examine: where, and with which loss and penalties."""

    network: Network
    data: Dataset
    loss: str
    l1: float
    l2: float
    bug: str | None

    @classmethod
    def of(cls, run: Shown, frame: Frame) -> Self:
        """What the user has chosen to examine, as it is in a frame."""
        view = CheckView.of(run.view)
        bug = None if view.bug == "none" else view.bug
        if view.subject == WORKED:
            network = Network([1, 1], output="linear", initializer="zeros")
            network.weights[0][...] = 0.5
            return cls(network, Dataset(np.ones((1, 1)), np.ones(1), "regression", 0), "mse", 0.0, 0.0, bug)
        return cls(frame.network(), frame.setup.train, frame.setup.loss, frame.l1, frame.l2, bug)

    @property
    def small(self) -> bool:
        """Whether a check takes no longer than drawing it."""
        return self.network.n_parameters <= SMALL and len(self.data) <= FEW

    @cached_property
    def passes(self) -> Backpropagation:
        """Both passes, with the planted bug."""
        return Backpropagation(self.network, self.data, self.loss, self.l1, self.l2, self.bug)

    @cached_property
    def right(self) -> Backpropagation:
        """Both passes without the bug."""
        return self.passes if self.bug is None else Backpropagation(*self._arguments)

    @property
    def _arguments(self) -> tuple[Network, Dataset, str, float, float]:
        return self.network, self.data, self.loss, self.l1, self.l2

    def check(self, epsilon: float) -> BugCheck:
        """The gradient check at an epsilon. Without a bug, it changes nothing."""
        if self.bug is not None:
            return self.checker.bug_check(self.bug, epsilon)
        return BugCheck(self.checker.check(epsilon), np.zeros(self.network.n_parameters))

    def walk(self, i: int, epsilon: float) -> Walk:
        """One parameter's way through the check."""
        return self.checker.walk(i, epsilon, self.bug)

    @cached_property
    def checker(self) -> Checker:
        """All checks of the network as it is here."""
        return Checker(*self._arguments)

    def bends(self, parameters: range) -> np.ndarray:
        """(k,) the third derivative of the loss along each of these parameters, from three gradients."""
        return np.array([self._bend(i) for i in parameters])

    def _bend(self, i: int) -> float:
        before, slopes = self.network.parameters[i], []
        for step in (STEP, 0.0, -STEP):
            self.network.parameters[i] = before + step
            slopes.append(self.network.gradient(*self._arguments[1:]).flat[i])
        self.network.parameters[i] = before
        with np.errstate(all="ignore"):
            return float((slopes[0] - 2 * slopes[1] + slopes[2]) / STEP**2)


@dataclass(eq=False)
class Findings:
    """What was found at one moment: checks by epsilon, and, by theory, where their errors come from.

    Attributes:
        rounding: Median relative error by rounding at epsilon 1, which falls with 1 / epsilon; nan until known.
        bend: Median relative error by curvature at epsilon 1, which grows with the square of epsilon; nan until known.
    """

    moment: Hashable
    epoch: int
    checks: dict[float, BugCheck] = field(default_factory=dict)
    rounding: float = float("nan")
    bend: float = float("nan")
    complete: bool = False


class GradientAudit:
    """The gradient checks of a store's frames at every epsilon, made once for all its pictures.

    While the run plays, the last complete findings stay until the next are complete; for another question, that is
    another run, subject or bug, they come one by one.
    """

    def __init__(self, run: Shown) -> None:
        """Of a store; ask it for its `analysis`, so that all pictures have the same one."""
        self.run = run
        self._question: tuple[object, ...] = ()
        self._found: Findings | None = None
        self._alone: tuple[BugCheck, int] | None = None
        self._alone_at: Hashable = None

    def findings(self, frame: Frame) -> Findings | None:
        """The newest findings for a frame; None where there are none yet."""
        self._ask(frame)
        return self._found

    def check(self, frame: Frame, subject: Subject, epsilon: float) -> tuple[BugCheck, int] | None:
        """The check at an epsilon, and its epoch: the frame's if it is known or quick to make, else the newest one."""
        found, moment = self.findings(frame), _moment(self.run, frame)
        known = found is not None and epsilon in found.checks
        if subject.small and self._alone_at != (moment, epsilon):
            self._alone, self._alone_at = (subject.check(epsilon), frame.epoch.index), (moment, epsilon)
        if self._alone_at == (moment, epsilon):
            return self._alone
        return (found.checks[epsilon], found.epoch) if known else None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Compute what is not known yet at any epsilon, in pieces."""
        found = self.findings(frame)
        if found and found.complete and found.moment == _moment(self.run, frame):
            return None
        return self._pieces(Subject.of(self.run, frame), Findings(_moment(self.run, frame), frame.epoch.index))

    def work_at(self, frame: Frame, epsilon: float) -> Iterator[object] | None:
        """Compute what is not known yet at one epsilon, in one long piece."""
        found, moment = self.findings(frame), _moment(self.run, frame)
        known = found and found.moment == moment and epsilon in found.checks
        if known or self._alone_at == (moment, epsilon):
            return None
        return self._piece(Subject.of(self.run, frame), moment, epsilon, frame.epoch.index)

    def _ask(self, frame: Frame) -> None:
        view = CheckView.of(self.run.view)
        question = frame.setup, view.subject, view.bug
        if self._question != question:
            self._question, self._found, self._alone, self._alone_at = question, None, None, None

    def _piece(self, subject: Subject, moment: Hashable, epsilon: float, epoch: int) -> Iterator[object]:
        question, made = self._question, (subject.check(epsilon), epoch)
        if question == self._question:
            self._alone, self._alone_at = made, (moment, epsilon)
            self.run.touch()
        yield

    def _pieces(self, subject: Subject, found: Findings) -> Iterator[object]:
        question = self._question
        for place, epsilon in enumerate(_coarse_to_fine()):
            found.checks = {**found.checks, epsilon: subject.check(epsilon)}
            if question == self._question and not (self._found and self._found.complete):
                self._found = found
                if place % SEEN == 0:
                    self.run.touch()
            yield
        yield from _forecast(subject, found)
        found.complete = True
        if question == self._question:
            self._found = found
            self.run.touch()


def is_small(frame: Frame) -> bool:
    """Whether every parameter of a run's network can be moved, or trained with a bug, in reasonable time."""
    network = frame.setup.network
    operations = network.n_parameters * len(frame.setup.train)
    return operations <= MAX_PARAMETER_EXAMPLES and len(network.sizes) - 1 <= MAX_LAYERS


def passed(error: float) -> bool:
    """Whether a relative error is below the limit of the check."""
    return error < TOLERANCE


def _moment(run: Shown, frame: Frame) -> Hashable:
    own = CheckView.of(run.view).subject == OWN
    return (frame.epoch.index, frame.l1, frame.l2) if own else None


def _coarse_to_fine() -> list[float]:
    """All epsilons: the usual one first, every other one before those in between."""
    return sorted(EPSILONS, key=lambda epsilon: (epsilon != USUAL, EPSILONS.index(epsilon) % 2))


def _forecast(subject: Subject, found: Findings) -> Iterator[object]:
    """The error of a difference of losses, predicted from the loss, its rounding and its curvature."""
    check, bends = found.checks[USUAL].check, []
    for start in range(0, subject.network.n_parameters, 8):
        bends.append(subject.bends(range(start, min(start + 8, subject.network.n_parameters))))
        yield
    smooth = ~check.kinks
    with np.errstate(all="ignore"):
        sizes = np.maximum(np.abs(check.numeric), check.least)[smooth]
        rounding = ROUNDING * subject.checker.resolution.typical / sizes
        bend = np.abs(np.concatenate(bends)[smooth]) / 6 / sizes
    if sizes.size:
        found.rounding, found.bend = float(np.median(rounding)), float(np.median(bend))
