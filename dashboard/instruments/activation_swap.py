"""Would another activation revive the units that no longer fire?"""

from collections.abc import Hashable, Iterator

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.network import Network
from engine.training import Training

OTHERS = ("relu", "leaky relu", "elu", "gelu")
RECTIFIERS = (*OTHERS, "silu", "softplus")
"""Activations that fire where their pre-activation is above zero."""

EPOCHS_AHEAD, COUNT_INTERVAL_EPOCHS = 300, 5


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
        self._from, self._curves = -1, dict[str, list[int]]()
        self._drawn_curves = self._curves

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
        static = after < 0 or self._curves is not self._drawn_curves
        self._drawn_curves = self._curves
        return {"here": here, **({name: self._curve(name) for name in OTHERS} if static else {})}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        start = frame.epoch.index if self._from < 0 else min(self._from, frame.epoch.index)
        return {"x": (start - 8, max(self._from, frame.epoch.index) + EPOCHS_AHEAD)}

    def describe(self, frame: Frame) -> str:
        silent = self._units - self._here
        if self._from < 0:
            return f"epoch {frame.epoch.index:,}: {silent} of {self._units} silent; trying it out…"
        words = [
            phrase(dot(style.variant_color(i)), f"{name} {self._curves[name][-1]}") for i, name in enumerate(OTHERS)
        ]
        return phrase(f"{silent} of {self._units} silent now; firing in the end:", *words)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return None if frame.epoch.index == self._from else self._try_out(frame)

    def _curve(self, name: str) -> Columns:
        counts = self._curves.get(name, [])
        return {"epoch": self._from + COUNT_INTERVAL_EPOCHS * np.arange(len(counts)), "units": counts}

    def _try_out(self, frame: Frame) -> Iterator[object]:
        """Train on with each activation, an epoch at a time."""
        curves: dict[str, list[int]] = {}
        for name in OTHERS:
            training, curves[name] = self._training(frame, name), []
            for epoch in range(EPOCHS_AHEAD + 1):
                training.advance(1)
                if epoch % COUNT_INTERVAL_EPOCHS == 0:
                    curves[name].append(firing(training.network, frame.setup.train.x))
                yield
        if frame.setup is self._setup:
            self._from, self._curves = frame.epoch.index, curves
            self.run.touch()

    def _training(self, frame: Frame, name: str) -> Training:
        """A training that goes on from the frame's weights with another activation; the optimizer starts anew."""
        old, tuning = frame.network(), frame.tuning
        network = Network(old.sizes, name, old.output, skip=old.skip)
        network.parameters = old.parameters
        return Training(
            network,
            frame.setup.train,
            loss=frame.setup.loss,
            optimizer=tuning.optimizer,
            batch_size=tuning.batch_size,
            seed=self.run.settings.draws(self.run.settings.seed),
            l1=tuning.l1,
            l2=tuning.l2,
        )


def firing(network: Network, x: np.ndarray) -> int:
    """How many hidden units have a pre-activation above zero for at least one example."""
    return sum(int((z > 0).any(axis=0).sum()) for z in network.trace(x).pre_activations)
