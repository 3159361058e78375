"""The loss on the plane in which the run's path moves most."""

from collections.abc import Hashable

import numpy as np

from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.state.analyses.landscape_survey import Window, window_around
from dashboard.state.run import Frame
from engine.landscape import PrincipalPlane, pca_plane
from engine.training import Epochs

LEAST = 0.05
"""Least extent of the plane to each side of the path, as a fraction of the length of all parameters."""


class PcaLandscape(LossLandscape):
    """The loss on the plane of the path's two principal components, through the weights at the time cursor."""

    title = "Plane of the path"
    question = "Seen where it moves most, how did the run come down?"
    reading = (
        "The two directions in which the path has varied most (its principal components), through the weights at the "
        "disc. Even where they explain 99 % of the variance, the last percent may lie where the loss is steep: compare "
        "the dots, colored by true loss, with the surface beneath them. Click a dot to look at its epoch."
    )
    controls = ()

    def plane(self, frame: Frame) -> PrincipalPlane:
        return path_plane(self.rows(frame, -1), frame)

    def window(self, frame: Frame, plane: PrincipalPlane) -> Window:
        path = np.vstack([self.rows(frame, -1).parameters, frame.epoch.parameters])
        return window_around(plane.project(path)[0], LEAST * max(1.0, float(np.linalg.norm(frame.epoch.parameters))))

    def subject(self, frame: Frame) -> Hashable:
        return None

    def axis_labels(self, frame: Frame) -> tuple[str, str]:
        return "principal component 1", "principal component 2"

    def describe(self, frame: Frame) -> str:
        if self.relief is None:
            return super().describe(frame)
        if not self.relief.plane.variance_explained.any():
            return "no path yet"
        explained = "{:.1%} + {:.1%}".format(*self.relief.plane.variance_explained)
        return f"{explained} of the variance, off by {self.relief.start:.2f} at the start"


def path_plane(path: Epochs, frame: Frame) -> PrincipalPlane:
    """The principal plane of a path, through the weights of a frame."""
    return pca_plane(path.parameters, center=frame.epoch.parameters)
