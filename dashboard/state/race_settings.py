"""The settings of a race, which are its surface, start and racers; and how it is viewed."""

from typing import Any

import param

from dashboard.state.choices import Choices, Magnitude
from dashboard.state.view import View
from engine.optimizers import OPTIMIZERS
from engine.surfaces import SURFACES

MULTIPLES = (0.1, 0.5, 1.0, 1.9, 1.99, 2.0, 2.01, 2.1)
"""The learning rates to choose from, as multiples of their unit."""


class Place(param.List):
    """A point of the plane as two numbers; [] leaves the choice to the surface."""

    FARTHEST = 1000.0

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return f"two numbers from {-self.FARTHEST:g} to {self.FARTHEST:g}, like [1.5, -1], or [] for the usual start"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        if len(val) not in (0, 2) or not all(_is_coordinate(number, self.FARTHEST) for number in val):
            raise ValueError(f"a start of {val!r} is not possible; choose {self.in_words()}")


class RaceSettings(Choices):
    """The surface, the start, and the racers: every chosen optimizer at every chosen learning rate."""

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
        default=0.0, bounds=(0, 90), step=5, label="Rotation", doc="How far the quadratic's axes are turned (degrees)."
    )
    stretch = param.Number(
        default=1.0,
        bounds=(1, 20),
        step=1,
        label="Scale of feature 2",
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
        objects={
            "1 / λmax at the minimum": "curvature",
            "each optimizer's best": "best",
            "the learning rate below": "given",
        },
        label="Unit of the rates",
        doc="1 / λmax is 1 over the largest curvature at the minimum (Newton counts in its own scale, where it is 1). "
        "The best rate is the one of a ladder that comes down soonest within 300 steps.",
    )
    learning_rate = Magnitude(
        default=0.1,
        bounds=(1e-4, 10),
        label="Learning rate",
        doc="The learning rate that rates are counted in, if chosen.",
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
    """A view of a race: which racers are hidden, and which one the pictures examine."""

    hidden = param.List(default=[], item_type=str, doc="The names of the racers that are not drawn.")
    racer = param.String(default="", doc="The name of the racer that is looked into; the first where empty.")


def _is_coordinate(number: Any, farthest: float) -> bool:
    return type(number) in (int, float) and abs(number) <= farthest
