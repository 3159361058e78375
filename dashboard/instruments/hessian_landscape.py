"""The loss on the plane in which it curves up most."""

from collections.abc import Hashable, Iterator

import numpy as np

from dashboard.instruments.instrument import Columns
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.numerals import digits
from dashboard.state.analyses.hessian_plane import SteepestPlane
from dashboard.state.analyses.landscape_survey import Relief, Window, window_around
from dashboard.state.analyses.sharpness import takes_long
from dashboard.state.run import Frame
from dashboard.widgets.plain_text import BREAK, as_written, phrase
from engine.gradient_check import kinked
from engine.landscape import HessianPlane, Plane

WIDEST = 0.05
"""Largest extent of the plane to each side of the path, as a fraction of the length of all parameters."""

NARROWEST = 1e-6
"""Smallest extent, likewise."""


class HessianLandscape(LossLandscape):
    """The loss on the plane of the Hessian's first two eigenvectors, through the weights at the time cursor."""

    title = "Plane of the Hessian"
    question = "Where the loss curves most, does the run go along the valley or across it?"
    reading = (
        "The two directions in which the loss curves up most at the disc: the Hessian's first eigenvectors. Each axis "
        "names its eigenvalue λ: over a short distance t the loss rises by λ t² / 2 above its slope. At the edge of "
        "stability the steps leap to and fro along the first. It is the loss's own Hessian, also where an optimizer "
        "such as Adam divides its steps. Click a dot to look at its epoch."
    )
    controls = ()

    def begin(self, frame: Frame) -> None:
        self._steepest = SteepestPlane(self.run)
        self._kinks = kinked(frame.setup.network, frame.setup.loss)
        self.heavy = takes_long(frame.setup)
        super().begin(frame)

    def prepared(self, frame: Frame) -> Iterator[object]:
        return self._steepest.work(frame) or iter(())

    def has_plane(self, frame: Frame) -> bool:
        return self._steepest.plane is not None and self._steepest.knows(frame)

    def plane(self, frame: Frame) -> Plane:
        """The plane that was found for the frame; before that, the frame's parameters alone."""
        if self.has_plane(frame):
            return self._steepest.plane
        origin = frame.epoch.parameters
        return Plane(origin, np.zeros((2, len(origin))))

    def window(self, frame: Frame, plane: Plane) -> Window:
        path = np.vstack([self.rows(frame, -1).parameters, frame.epoch.parameters])
        return window_around(plane.project(path)[0], _least(frame, plane))

    def subject(self, frame: Frame) -> Hashable:
        return None

    def axis_labels(self, frame: Frame) -> tuple[str, str]:
        return "eigenvector 1", "eigenvector 2"

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        """Without a plane there is no place to draw the path at."""
        layers = super().columns(frame, after)
        if self.relief is None:
            layers |= {label: _nothing(layers[label]) for label in ("path", "trail", "here")}
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        self._name_axes(frame)
        return super().ranges(frame)

    def describe(self, frame: Frame) -> str:
        """The eigenvalues, and on lines of their own what makes them say less than they seem to."""
        if self.relief is None and self._steepest.knows(frame) and not self._steepest.plane:
            return "the Hessian is not finite"
        return phrase(
            super().describe(frame), *(self._doubts(frame, self.relief.plane) if self.relief else ()), between=BREAK
        )

    def words(self, relief: Relief) -> str:
        first, second, _ = (digits(value) for value in relief.plane.eigenvalues)
        return f"λ₁ {first}, λ₂ {second} at epoch {relief.epoch:,}; off by {relief.start:.2f} at the start"

    def work(self, frame: Frame) -> Iterator[object] | None:
        drawn = self.drawn_frame(frame)
        return None if self._steepest.knows(drawn) and not self._steepest.plane else super().work(frame)

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch whose dot is nearest, once there are dots."""
        if self.relief:
            super().tapped(x, y)

    def _doubts(self, frame: Frame, plane: HessianPlane) -> Iterator[str]:
        if plane.axes_are_arbitrary:
            yield "λ₁ ≈ λ₂: other axes within this plane are as good"
        if plane.is_arbitrary:
            yield f"λ₂ ≈ λ₃ = {digits(plane.eigenvalues[2])}: another plane is as good"
        kinks = " and ".join([*self._kinks, *(["L1"] if frame.l1 else [])])
        if kinks:
            yield f"kinks of {kinks}: λ is that of the smooth piece at the disc"

    def _name_axes(self, frame: Frame) -> None:
        """Add the eigenvalues to the names of the axes."""
        values = self.relief.plane.eigenvalues if self.relief else []
        for axis, name, value in zip(
            (*self.figure.xaxis, *self.figure.yaxis), self.axis_labels(frame), (*values, None, None), strict=False
        ):
            label = as_written(name if value is None else f"{name}, λ = {digits(value)}")
            if axis.axis_label != label:
                axis.axis_label = label


def _least(frame: Frame, plane: Plane) -> np.ndarray:
    """(2,) how far to go at least along each axis: as far as the parabola rises by as much as the loss is high."""
    size = max(1.0, float(np.linalg.norm(frame.epoch.parameters)))
    values = plane.eigenvalues[:2] if isinstance(plane, HessianPlane) else np.ones(2)
    with np.errstate(all="ignore"):
        widths = np.sqrt(2 * max(frame.epoch.loss, 0.0) / np.maximum(values, 0.0))
    return np.clip(np.nan_to_num(widths, nan=np.inf), NARROWEST * size, WIDEST * size)


def _nothing(columns: Columns) -> Columns:
    return {name: [] for name in columns}
