"""The output of one hidden unit, everywhere in the plane of the inputs."""

from collections.abc import Hashable

import contourpy
import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.instruments.numerals import digits
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.analyses.unit_health import DRAWN, UnitHealth, place_of, since, unit_at, unit_in_words
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import bold, phrase
from engine.measures import FATES

RESOLUTION = 40
MARGIN = 0.25
HUGE = 1e30


class UnitPlane(Instrument):
    """One unit's activation over the plane, the line where it begins to fire, and the examples on both sides."""

    title = "One unit"
    question = "Where does this unit fire, and is any example there?"
    reading = (
        "Brighter is more active; at the line the pre-activation is zero. Filled examples make the unit fire, on "
        "hollow ones it is below zero. When all are hollow a ReLU is dead: no example gives it a gradient. Pick a unit "
        "in another picture; a click here picks the example."
    )
    missing = "the inputs are not two numbers, or there are no hidden layers."
    points = DRAWN

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return bool(frame.setup.network.widths) and frame.setup.is_plane

    def begin(self, frame: Frame) -> None:
        self._network, self._examples = frame.setup.network.copy(), frame.setup.examples.x
        low, high = self._examples.min(axis=0), self._examples.max(axis=0)
        margin = MARGIN * np.maximum(high - low, 1e-6)
        self._box = tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
        self._axes = [np.linspace(*ends, RESOLUTION) for ends in self._box]
        grid = np.stack(np.meshgrid(*self._axes), axis=-1).reshape(-1, 2)
        self._places = frame.setup.inputs(np.concatenate([grid, self._examples]))

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        image = hv.Image(np.zeros((2, 2)), label="activation").opts(
            cmap=style.ACTIVATION,
            clim=(0, 1),
            colorbar=True,
            colorbar_opts={"width": 8, "padding": 2},
            tools=["hover"],
            hover_tooltips=[("activation", "@image{measured}")],
        )
        edge = hv.Contours([], label="edge").opts(color="white", line_width=2, show_legend=False)
        firing = hv.Points([], ["x1", "x2"], label="firing").opts(color="white", size=6, line_color="#00000080")
        silent = hv.Points([], ["x1", "x2"], label="silent").opts(color="white", fill_alpha=0, size=6, line_width=1.2)
        picked = hv.Points([], ["x1", "x2"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=13, line_width=2.5
        )
        return hv.Overlay([image, edge, firing, silent, picked]).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="x₁",
            ylabel="x₂",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        widths, history = self._network.widths, UnitHealth.of(frame)
        self._place = place_of(self.run.view.unit, widths) or 0
        layer, unit = unit_at(self._place, widths)
        self._fate = FATES[history.now(frame)[self._place]]
        self._since = int(since(*history.until(frame, self.stride(frame)))[self._place])
        everywhere = self._network.trace(self._places).pre_activations[layer][:, unit]
        z, self._z = everywhere[: RESOLUTION**2], everywhere[RESOLUTION**2 :]
        with np.errstate(all="ignore"):
            a = np.nan_to_num(self._network.functions[layer].function(z), posinf=HUGE, neginf=-HUGE)
        self._color = float(min(0.0, a.min())), float(max(a.max(), 1e-6))
        fires, picked = self._z > 0, self.run.view.example
        mine = np.array([picked] if picked is not None and picked < len(self._z) else [], dtype=int)
        return {
            "activation": measured_at(a.reshape(RESOLUTION, RESOLUTION).astype(np.float32), *self._axes),
            "edge": self._edge(z),
            "firing": self._points(fires),
            "silent": self._points(~fires),
            "picked": self._points(mine),
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {**dict(zip("xy", self._box, strict=True)), "color": self._color}

    def describe(self, frame: Frame) -> str:
        name, color = unit_in_words(self._place, self._network.widths), style.FATES[self._fate]
        return phrase(
            f"{name}:",
            bold(self._fate, color),
            f"since epoch {self._since:,}, fires on {(self._z > 0).mean():.0%} of the examples, "
            f"largest z {digits(self._z.max(), 2)}",
        )

    def tapped(self, x: float, y: float) -> None:
        """Pick the example that is nearest."""
        spans = [high - low for low, high in self._box]
        self.run.view.example = int(np.argmin((((self._examples - [x, y]) / spans) ** 2).sum(axis=1)))

    def _edge(self, z: np.ndarray) -> Columns:
        surface = np.clip(np.nan_to_num(z), -HUGE, HUGE).reshape(RESOLUTION, RESOLUTION)
        return lines_as_columns(contourpy.contour_generator(*self._axes, surface).lines(0.0))

    def _points(self, which: np.ndarray) -> Columns:
        return {"x1": self._examples[which, 0], "x2": self._examples[which, 1]}
