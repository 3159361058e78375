"""How the first layer of modular addition is spread over frequencies."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import share
from dashboard.state.analyses.embedding_spectrum import embedding_spectrum, frequencies_for
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART

NAME = "modular addition"
PART = 0.9


class EmbeddingFrequencies(Instrument):
    """A bar for each frequency; before it, as they were at epoch 0."""

    title = "Frequencies of the embedding"
    question = "How does it add on a circle?"
    reading = (
        "What the first layer makes of the numbers 0 to p − 1 is a signal on a circle: a bar is the share of one "
        "frequency in it. At epoch 0 all are about alike (gray). A network that has found the rule keeps a few: it "
        "turns numbers into angles, and adds them as sines and cosines (Nanda et al. 2023)."
    )
    missing = "the inputs are no numbers on a circle."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.train.name == NAME

    def begin(self, frame: Frame) -> None:
        self._modulus = frame.setup.train.n_classes
        self._first = self._shares(frame.history.at(0).parameters)

    def outline(self, frame: Frame) -> Hashable:
        return self._modulus

    def picture(self, frame: Frame) -> hv.Overlay:
        now = hv.Rectangles([(1, 0, 2, 1, 1, 1)], vdims=["share", "frequency"], label="now").opts(
            color=style.TRAIN,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[("frequency", "@frequency"), ("share", "@share{measured}")],
        )
        first = hv.Curve([], "frequency", "share", label="epoch 0").opts(color=style.GHOST, line_width=2)
        return hv.Overlay([now, first]).opts(
            xlim=(0.5, self._modulus // 2 + 0.5), ylim=(0, 1), xlabel="frequency", ylabel="share"
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._now = self._shares(frame.epoch.parameters)
        places = np.arange(1, len(self._now) + 1)
        bars = {
            "left": places - 0.4,
            "bottom": np.zeros(len(places)),
            "right": places + 0.4,
            "top": self._now,
            "share": self._now,
            "frequency": places,
        }
        first = {"epoch 0": {"frequency": places, "share": self._first}} if after < 0 else {}
        return {"now": bars, **first}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"y": (0.0, 1.1 * float(max(self._now.max(), self._first.max(), 0.1)))}

    def describe(self, frame: Frame) -> str:
        strongest = int(np.argmax(self._now)) + 1
        return APART.join(
            [
                f"{frequencies_for(self._now, PART)} of {len(self._now)} frequencies hold {PART:.0%}",
                f"at epoch 0 {frequencies_for(self._first, PART)}",
                f"strongest {strongest}: {share(self._now[strongest - 1])}",
            ]
        )

    def _shares(self, parameters: np.ndarray) -> np.ndarray:
        units, modulus = self.run.frame().setup.network.sizes[1], self._modulus
        return embedding_spectrum(parameters[: 2 * modulus * units].reshape(2 * modulus, units), modulus)
