"""A cut through the loss along the Hessian's first eigenvector, with the last steps on it."""

from collections.abc import Iterator

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.analyses.sharpest_cut import Cut, SharpestCut
from dashboard.state.analyses.sharpness import takes_long
from dashboard.state.run import Frame
from dashboard.widgets import style


class SharpestDirection(Instrument):
    """The loss along the sharpest direction, its parabola, and where the latest epochs lie along it."""

    title = "Across the valley"
    question = "Do the steps roll down the wall, or leap from one wall to the other?"
    reading = (
        "A cut through the loss at the time cursor, along the eigenvector of the largest eigenvalue; dashed, the "
        "parabola that has its slope and curvature there. The dots are the latest epochs, as far along it as they were "
        "and as high as their true loss: at the edge of stability they leap to and fro while the loss comes down. Of "
        "Adam and its kin, which divide every step by a preconditioner P, it is the eigenvector of P⁻¹H, and distances "
        "are those of the weights times √P."
    )

    @property
    def cut(self) -> Cut | None:
        """The cut that is drawn; None before there is one."""
        return self._found.cut

    def begin(self, frame: Frame) -> None:
        self._found = SharpestCut(self.run)
        self._sent: object = self
        self.heavy = takes_long(frame.setup)

    def picture(self, frame: Frame) -> hv.Overlay:
        parabola = hv.Curve([], "t", "loss", label="parabola").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        wall = hv.Curve([], "t", "loss", label="wall").opts(color=style.TRAIN, line_width=2.5)
        checkpoints = hv.Curve([], "t", "loss", label="trail").opts(color=style.CURSOR, line_width=1, alpha=0.35)
        steps = hv.Points([(0.0, 1.0, 0, 1.0)], ["t", "loss"], ["epoch", "recency"], label="steps").opts(
            color=style.CURSOR,
            size=7,
            line_alpha=0,
            alpha="recency",
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("true loss", "@loss{measured}")],
        )
        return hv.Overlay([parabola, wall, checkpoints, steps]).opts(
            xlim=(-1, 1),
            ylim=(0, 1),
            xlabel="along the sharpest direction",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if after >= 0 and self._sent is self.cut:
            return {}
        self._sent = cut = self.cut
        if cut is None:
            nothing = {"t": [], "loss": []}
            steps = {**nothing, "epoch": [], "recency": [], "alpha": []}
            return {"parabola": nothing, "wall": nothing, "trail": nothing, "steps": steps}
        t, losses, epochs = cut.bounces.T
        recency = np.linspace(0.15, 1.0, len(t)) if len(t) > 1 else np.ones(len(t))
        return {
            "parabola": {"t": cut.places, "loss": cut.parabola},
            "wall": {"t": cut.places, "loss": cut.losses},
            "trail": {"t": t, "loss": losses},
            "steps": {
                "t": t,
                "loss": losses,
                "epoch": epochs.astype(int),
                "recency": recency,
                "alpha": recency,
            },
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        cut = self.cut
        if cut is None:
            return {"x": (-1, 1), "y": (0, 1)}
        seen = np.concatenate([cut.losses, cut.bounces[:, 1]])
        seen = seen[np.isfinite(seen)]
        low, high = float(seen.min(initial=1e9)), float(seen.max(initial=-1e9))
        if not low <= high:
            low, high = 0.0, 1.0
        margin = 0.06 * max(high - low, 1e-9)
        return {"x": (float(cut.places[0]), float(cut.places[-1])), "y": (low - margin, high + margin)}

    def describe(self, frame: Frame) -> str:
        cut = self.cut
        if cut is None:
            return "looking for the sharpest direction…"
        steps = len(cut.bounces) - 1
        leaps = f"{cut.turns} of the last {steps - 1} steps turned back" if steps > 1 else "no steps yet"
        return f"epoch {cut.epoch:,}{', along P⁻¹H' if cut.is_preconditioned else ''}: {leaps}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._found.work(frame)
