"""The learning rates of a race, and what is predicted for them before anything has run."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np
from markupsafe import Markup

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.race_picture import TWO, RacePicture, number
from dashboard.state.race import MAX_STEPS, RaceFrame
from dashboard.state.race_setup import HAVE_LIMITS
from dashboard.widgets import style
from dashboard.widgets.plain_text import bold, phrase

WIDE = 300
"""Largest over smallest learning rate of an axis that has room for the powers of ten alone."""

LINE = 160
"""Learning rates at which a line is computed."""


class RateLimits(RacePicture, Instrument):
    """Steps until settled against the learning rate: predicted as lines, counted as discs that climb as they run."""

    title = "Learning rates"
    question = "Which learning rates arrive, and which cannot?"
    reading = (
        "Drawn before the run from the curvatures at the minimum: dashed, the steps that gradient descent (momentum, "
        "Nesterov, Newton, where they race) will take at each learning rate, unless the surface bends down at the "
        "start; upright, the limit beyond which it leaves the minimum, 2 / λmax for gradient descent. A disc climbs "
        "with its racer's steps and stops, filled, where it has settled. Optimizers that divide by the gradient's size "
        "have no such limit. A click picks a racer."
    )
    height = 300

    def begin(self, frame: RaceFrame) -> None:
        setup = frame.setup
        rates = [racer.learning_rate for racer in setup.racers]
        self._kinds = [name for name in HAVE_LIMITS if any(racer.optimizer == name for racer in setup.racers)]
        self._critical = {name: setup.limit(name) for name in self._kinds}
        spread = [*rates, *self._critical.values()]
        self._span = max(min(spread) / 2, 1e-6), max(spread) * 6
        wide = self._span[1] / self._span[0] > WIDE
        self._ticks = tuple(style.DECADES if wide else style.FINE_DECADES)

    def outline(self, frame: RaceFrame) -> Hashable:
        return self._ticks

    def picture(self, frame: RaceFrame) -> hv.Overlay:
        lines = [
            hv.Curve([], "rate", "steps", label=name).opts(
                color=style.GHOST, line_width=2, line_dash="dashed", show_legend=False
            )
            for name in HAVE_LIMITS
        ]
        limits = hv.Segments([(1, 1, 1, 2)], label="limits").opts(color=style.GHOST, line_width=2)
        names = hv.Labels([(1, 1, "")], ["rate", "steps"], "name", label="names").opts(
            text_color=style.GHOST, text_font_size="11px", text_align="left", text_baseline="middle"
        )
        stems = hv.Segments([(1, 1, 1, 2, color) for color in TWO], vdims="color", label="stems").opts(
            color="color", line_width=2
        )
        discs = hv.Points(
            [(1, 1, color, fill, "") for fill, color in enumerate(TWO)],
            ["rate", "steps"],
            ["color", "fill_alpha", "name"],
            label="racers",
        )
        discs = discs.opts(
            color="color",
            fill_alpha="fill_alpha",
            size=11,
            line_width=2,
            tools=["hover"],
            hover_tooltips=[("", "@name: @rate{measured}, @steps steps")],
        )
        return hv.Overlay([limits, *lines, names, stems, discs]).opts(
            logx=True,
            logy=True,
            xlim=(0.01, 1),
            ylim=(0.8, 2 * MAX_STEPS),
            xticks=list(self._ticks),
            yticks=style.DECADES,
            xformatter="%.3g",
            yformatter="%.0f",
            xlabel="learning rate",
            ylabel="steps until settled",
        )

    def columns(self, frame: RaceFrame, after: int) -> dict[str, Columns]:
        layers = self._racers(frame)
        return layers if after >= 0 else {**layers, **self._predictions(frame)}

    def ranges(self, frame: RaceFrame) -> dict[str, tuple[float, float]]:
        return {"x": self._span}

    def describe(self, frame: RaceFrame) -> str:
        curvature = frame.setup.curvature
        critical = float(curvature.critical_learning_rate)
        highest = bold(Markup("2 / λ<sub>max</sub> = {}").format(number(critical, 4)))
        condition = f", condition number {number(float(curvature.condition_number), 4)}"
        none = ", no steps predicted: the surface curves down at the start" if not frame.setup.is_foreseen else ""
        return phrase("at the minimum: ", highest, condition, none, between="")

    def tapped(self, x: float, y: float) -> None:
        frame = self.run.frame()
        places = self.places(frame)
        if places and x > 0:
            racers = frame.setup.racers
            self.pick(frame, min(places, key=lambda place: abs(np.log(racers[place].learning_rate / x))))

    def _racers(self, frame: RaceFrame) -> dict[str, Columns]:
        places, settled = self.places(frame), frame.history.settled(frame.epoch.index)
        racers = [frame.setup.racers[place] for place in places]
        rates, colors = [racer.learning_rate for racer in racers], self.colors(frame, places)
        done = ~np.isnan(settled[places])
        steps = np.maximum(np.where(done, settled[places], frame.epoch.index), 1)
        return {
            "stems": {"x0": rates, "x1": rates, "y0": [0.5] * len(places), "y1": steps, "color": colors},
            "racers": {
                "rate": rates,
                "steps": steps,
                "color": colors,
                "fill_alpha": done.astype(float),
                "name": [racer.label for racer in racers],
            },
        }

    def _predictions(self, frame: RaceFrame) -> dict[str, Columns]:
        rates = np.geomspace(*self._span, LINE)
        lines = {name: {"rate": [], "steps": []} for name in HAVE_LIMITS}
        for name in self._kinds:
            steps = frame.setup.predicted_steps(name, rates)
            shown = np.isfinite(steps)
            lines[name] = {"rate": [float(f"{one:.4g}") for one in rates[shown]], "steps": steps[shown].tolist()}
        at, top = list(self._critical.values()), [2.0 * MAX_STEPS] * len(self._critical)
        return {
            **lines,
            "limits": {"x0": at, "x1": at, "y0": [0.5] * len(at), "y1": top},
            "names": {
                "rate": [rate * 1.06 for rate in at],
                "steps": [MAX_STEPS / 2.2**i for i in range(len(at))],
                "name": [f"{name}: {number(rate)}" for name, rate in self._critical.items()],
            },
        }
