"""Would another activation revive the units that no longer fire?"""

from collections.abc import Hashable, Iterator

import holoviews as hv

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.analyses.activation_trial import EPOCHS_AHEAD, ActivationTrial, firing
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase

OTHERS = ("relu", "leaky relu", "elu", "gelu")
RECTIFIERS = (*OTHERS, "silu", "softplus")
"""Activations that fire where their pre-activation is above zero."""


class ActivationSwap(Instrument):
    """From this moment on, with these weights: how many units fire on some example if the activation is replaced."""

    title = "What if it were switched here?"
    question = "Would another activation wake the silent units?"
    reading = (
        "The weights of this moment, trained on for 300 epochs with each of four activations. A unit fires if its "
        "pre-activation is above zero for some example. ReLU gives a silent unit no gradient at all, leaky ReLU a "
        "hundredth, ELU exp(z), GELU nearly none below −3."
    )
    height = 390
    missing = "the activation is not one that can be silent."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        activations = frame.setup.network.activations
        return bool(activations) and set(activations) <= set(RECTIFIERS)

    def begin(self, frame: Frame) -> None:
        self._units = sum(frame.setup.network.widths)
        self.trial = ActivationTrial(self.run, OTHERS)
        self._drawn_counts = self.trial.counts

    def outline(self, frame: Frame) -> Hashable:
        return self._units

    def picture(self, frame: Frame) -> hv.Overlay:
        lines = [
            hv.Curve([], "epoch", "units", label=name).opts(
                color=style.variant_color(i), line_width=2.5, line_join="round"
            )
            for i, name in enumerate(OTHERS)
        ]
        here = hv.Points([], ["epoch", "units"], label="here").opts(color=style.CURSOR, size=9)
        return hv.Overlay([*lines, here]).opts(
            xlim=(0, EPOCHS_AHEAD),
            ylim=(-0.03 * self._units, 1.06 * self._units),
            xlabel="epoch",
            ylabel="units that fire",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._here = firing(frame.network(), frame.setup.train.x)
        here = {"epoch": [frame.epoch.index], "units": [self._here]}
        static = after < 0 or self.trial.counts is not self._drawn_counts
        self._drawn_counts = self.trial.counts
        return {"here": here, **({name: self._curve(name) for name in OTHERS} if static else {})}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        here, start = frame.epoch.index, self.trial.start
        first, last = (here, here) if start is None else (min(start, here), max(start, here))
        return {"x": (first - 8, last + EPOCHS_AHEAD)}

    def describe(self, frame: Frame) -> str:
        silent, counts = self._units - self._here, self.trial.counts
        if not counts:
            return f"epoch {frame.epoch.index:,}: {silent} of {self._units} silent; trying it out…"
        words = [phrase(dot(style.variant_color(i)), f"{name} {counts[name][-1]}") for i, name in enumerate(OTHERS)]
        return phrase(f"{silent} of {self._units} silent now; firing in the end:", *words)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self.trial.work(frame)

    def _curve(self, name: str) -> Columns:
        return {"epoch": self.trial.epochs, "units": self.trial.counts.get(name, [])}
