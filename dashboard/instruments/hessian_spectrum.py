"""The eigenvalues of the Hessian, at the time cursor."""

from collections.abc import Iterator

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.analyses.hessian_eigenvalues import Eigenvalues, HessianEigenvalues, takes_long
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import colored, phrase
from engine.curvature import MAX_PARAMETERS

DECADES = 8
"""How far below the largest eigenvalue the picture reaches, in powers of ten."""

LEADING, DRAWN = 20, 160
"""Number of the largest eigenvalues that are all drawn, and with stems; and of all that are drawn."""


class HessianSpectrum(Instrument):
    """The exact eigenvalues of the Hessian by size, negative ones in another color."""

    title = "Spectrum of the Hessian"
    question = "How many directions are steep, how many flat, and how many bend down?"
    reading = (
        "All eigenvalues by size, the largest first, on two logarithmic axes. Pink ones are negative: in these "
        "directions the loss bends down, as at a saddle. The dashed line is the edge of stability. Adam and its kin "
        "divide every step by a preconditioner P: eigenvalues and edge are those of P⁻¹H. What is smaller than "
        "the picture reaches is flat for all practical purposes."
    )
    missing = f"the exact spectrum is for networks of at most {MAX_PARAMETERS:,} parameters."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.network.n_parameters <= MAX_PARAMETERS

    @property
    def measured(self) -> Eigenvalues | None:
        """What is drawn; None before there is something."""
        return self._analysis.newest

    def begin(self, frame: Frame) -> None:
        self._analysis = HessianEigenvalues(self.run)
        self.heavy = takes_long(frame.setup)

    def outline(self, frame: Frame) -> int:
        return frame.setup.network.n_parameters

    def picture(self, frame: Frame) -> hv.Overlay:
        colors = style.UPWARD, style.DOWNWARD
        dots = hv.Points([(1, 1, color, 1.0) for color in colors], ["rank", "size"], ["color", "eigenvalue"]).opts(
            color="color",
            size=6,
            line_alpha=0,
            alpha=0.85,
            tools=["hover"],
            hover_tooltips=[("eigenvalue", "@eigenvalue{measured}"), ("rank", "@rank")],
        )
        stems = hv.Segments([(1, 1, 1, 1, color) for color in colors], vdims="color", label="stems").opts(
            color="color", line_width=1.5, alpha=0.35
        )
        edge = hv.HLines([1.0], label="edge").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        moment = hv.Labels([(1.0, 1.0, "")], ["rank", "size"], "text", label="moment").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right", text_baseline="bottom"
        )
        return hv.Overlay([stems, edge, dots.relabel("dots"), moment]).opts(
            logx=True,
            logy=True,
            xlim=(0.8, 1.3 * frame.setup.network.n_parameters),
            ylim=(0.1, 1),
            xticks=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
            yticks=style.DECADES,
            yformatter="%.0e",
            xlabel="rank",
            ylabel="|eigenvalue|",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        edge = frame.edge
        layers = {"edge": {"y": [edge] if np.isfinite(edge) else []}, "moment": self._moment(frame)}
        if after < 0 or self.measured is not self._sent:
            self._sent = self.measured
            layers |= self._eigenvalues()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        _, high = self._reach()
        edge = frame.edge
        return {"y": (high / 10**DECADES, 2 * max(high, min(edge, 100 * high) if np.isfinite(edge) else 0))}

    def describe(self, frame: Frame) -> str:
        return in_words(self.measured) if self.measured else "computing the Hessian…"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._analysis.work(frame)

    def _reach(self) -> tuple[np.ndarray, float]:
        """Which of the eigenvalues are drawn, and the power of ten above them all."""
        if not self.measured or not np.isfinite(self.measured.sizes).all() or not self.measured.sizes[0]:
            return np.empty(0, int), 1.0
        sizes = self.measured.sizes
        high = 10.0 ** np.ceil(np.log10(sizes[0]))
        count = int(np.count_nonzero(sizes > high / 10**DECADES))
        spread = np.geomspace(LEADING, max(count, LEADING) + 1, DRAWN - LEADING).astype(int)
        ranks = np.unique(np.concatenate([np.arange(LEADING), spread]))
        return ranks[ranks < count], high

    def _eigenvalues(self) -> dict[str, Columns]:
        ranks, high = self._reach()
        if not len(ranks):
            names = {"dots": ("rank", "size", "color", "eigenvalue"), "stems": ("x0", "x1", "y0", "y1", "color")}
            return {label: {name: [] for name in columns} for label, columns in names.items()}
        sizes, signs = self.measured.sizes[ranks], self.measured.signs[ranks]
        sizes, floor = [float(f"{size:.4g}") for size in sizes], high / 10**DECADES
        colors = [style.DOWNWARD if sign < 0 else style.UPWARD for sign in signs]
        places = (1 + ranks).tolist()
        values = (signs * np.array(sizes)).tolist()
        stem, floors = slice(LEADING), [floor] * len(places)
        return {
            "dots": {"rank": places, "size": sizes, "color": colors, "eigenvalue": values},
            "stems": {
                "x0": places[stem],
                "x1": places[stem],
                "y0": floors[stem],
                "y1": sizes[stem],
                "color": colors[stem],
            },
        }

    def _moment(self, frame: Frame) -> Columns:
        """The epoch that is shown, which is behind the run while it plays."""
        if not self.measured:
            return {"rank": [], "size": [], "text": []}
        place, (floor, _) = 1.2 * len(self.measured.sizes), self.ranges(frame)["y"]
        return {"rank": [place], "size": [floor], "text": [f"epoch {self.measured.epoch:,}"]}


def in_words(found: Eigenvalues) -> str:
    """The numbers of a spectrum as a caption."""
    if not found.is_finite:
        return "the Hessian is not finite"
    condition = "" if found.n_negative else f"condition number {digits(found.condition_number, 2)}"
    return phrase(
        f"{'P⁻¹H: ' if found.is_preconditioned else ''}largest {digits(found.sharpness)}, sum {digits(found.trace)}",
        colored(f"{found.n_negative} negative", style.DOWNWARD),
        f"{found.n_flat} near zero",
        condition,
        between=", ",
    )
