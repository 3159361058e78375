"""The loss over two of the weights, with all others fixed."""

from collections.abc import Hashable

import numpy as np
import param

from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.other_runs import OtherRuns
from dashboard.state.analyses.landscape_survey import Relief, Window, window_around
from dashboard.state.run import Frame
from dashboard.state.view import StudyView
from engine.landscape import Plane, weight_plane
from engine.network import Network

THIS, ANOTHER = "this run", "another run"
LEAST = 0.6
"""Least extent of a slice to each side of the path, as weights."""


class LandscapeView(StudyView):
    """A view of a page with planes through this run or another one."""

    slice_of = param.Selector(
        default=THIS,
        objects=[THIS, ANOTHER],
        label="Slice through",
        doc="Whose other weights the slice holds fixed: those of the run whose path is drawn, or of one from another "
        "seed.",
    )


class WeightSlice(OtherRuns, LossLandscape):
    """The loss over the first unit's first two weights, at this run's values of all others, or at another run's."""

    title = "Slice over two weights"
    question = "Does the path run downhill on the surface it is drawn on?"
    reading = (
        "The two weights into the first hidden unit vary, all others stay as they are at the disc. The surface is "
        "exact there and only there: when the run began, the other weights were others. The dots are earlier epochs, "
        "colored by their true loss. Click a dot to look at its epoch."
    )
    controls = ()

    def plane(self, frame: Frame) -> Plane:
        return sliced(self, frame)

    def window(self, frame: Frame, plane: Plane) -> Window:
        path = self.rows(frame, -1).parameters
        return window_around(plane.project(np.vstack([path, frame.epoch.parameters]))[0], LEAST)

    def subject(self, frame: Frame) -> Hashable:
        other = other_sliced(self, frame)
        return other and (other[0], other[1].tobytes())

    def axis_labels(self, frame: Frame) -> tuple[str, str]:
        return tuple(_name(index, frame.setup.network) for index in _axes(frame.setup.network))

    def words(self, relief: Relief) -> str:
        whose = f"seed {relief.subject[0][1]}'s slice: " if relief.subject else ""
        return f"{whose}off by {relief.start:.2f} at the start, {relief.here:.2f} at the disc"


def sliced(instrument: OtherRuns, frame: Frame) -> Plane:
    """The slice that the page asks for: through the run itself, or through another one."""
    network, other = frame.network(), other_sliced(instrument, frame)
    if other:
        network.parameters[:] = other[1]
    return weight_plane(network, *_axes(network))


def other_sliced(instrument: OtherRuns, frame: Frame) -> tuple[tuple[str, int], np.ndarray] | None:
    """The other run that is to be sliced; None where it is the run itself, or no other is known."""
    asked = LandscapeView.of(instrument.run.view).slice_of == ANOTHER
    return instrument.other(frame) if asked else None


def _axes(network: Network) -> tuple[int, int]:
    """The positions of the first unit's first two incoming parameters; of one input, its weight and its bias."""
    return 0, network.sizes[1]


def _name(index: int, network: Network) -> str:
    """The name of a parameter of the first unit."""
    row = index // network.sizes[1]
    return f"W₁[{row}, 0]" if row < network.sizes[0] else "b₁[0]"
