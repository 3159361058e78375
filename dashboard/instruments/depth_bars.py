"""The gradient of every layer of every variant, side by side."""

import math
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits, ratio
from dashboard.instruments.study_picture import StudyPicture, in_digits, ranked
from dashboard.state.analyses.untrained_gradients import UntrainedGradients
from dashboard.state.store import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART

FLOOR, HIGHEST = 1e-30, 1e12
HALF = 0.42
GAP = 1.4


class Group(NamedTuple):
    """One network's bars: its name, its color, each layer's gradient norm now and at epoch 0."""

    label: str
    color: str
    now: np.ndarray
    first: np.ndarray


class DepthBars(StudyPicture, Instrument):
    """Medians over the seeds of each layer's gradient norm, for networks of all depths under the one time cursor."""

    title = "Gradient of every layer, at every depth"
    question = "How much of the error reaches the first layer?"
    reading = (
        "A group of bars is a network, its bars are its layers from input to output: the median of the gradient's norm "
        "over the seeds. The dashed lines are epoch 0. Steps down to the left are vanishing gradients; where all bars "
        "of a group have sunk together, nothing learns, however even they are."
    )
    legend = True

    def begin(self, frame: Frame) -> None:
        self._shown: object = None
        self._layers = self._depths(frame)
        widths = [layers - 1 + GAP for layers in self._layers.values()]
        self._starts = dict(zip(self._layers, np.cumsum([0.0, *widths]).tolist(), strict=False))
        self._width = sum(widths) - GAP + 1

    def outline(self, frame: Frame) -> Hashable:
        return tuple(self._layers.items())

    def picture(self, frame: Frame) -> hv.Overlay:
        names = [(self._starts[label] + (layers - 1) / 2, str(layers - 1)) for label, layers in self._layers.items()]
        rows = [(0, FLOOR, 1, 1, color, 1, "", "") for color in style.VARIANTS[:2]]
        bars = hv.Rectangles(rows, vdims=["color", "norm", "layer", "variant"], label="bars").opts(
            color="color",
            line_alpha=0,
            fill_alpha=0.85,
            tools=["hover"],
            hover_tooltips=[("", "@variant"), ("layer", "@layer"), ("gradient norm", "@norm{measured}")],
        )
        ghost = hv.Segments([(0, 1, 1, 1)], label="epoch 0").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        return hv.Overlay([bars, ghost]).opts(
            logy=True,
            xlim=(-1, 10),
            ylim=(1e-3, 1),
            xticks=names,
            yticks=style.DECADES,
            yformatter="%.0e",
            xlabel="hidden layers",
            ylabel="gradient norm",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        results = self.results
        rows = tuple(result.row(frame.epoch.index) for result in results.values())
        now = None if self.labels else frame.epoch.index
        shown = (tuple(results.items()), rows, now, tuple(self._untrained), tuple(self.hidden))
        if shown == self._shown and after >= 0:
            return {}
        self._shown = shown
        self._groups = groups = self._networks(frame)
        left, right, names = [], [], []
        for group in groups:
            places = self._starts[group.label] + np.arange(len(group.now))
            left, right = [*left, *(places - HALF)], [*right, *(places + HALF)]
            names += [(group.color, group.label, str(i + 1)) for i in range(len(places))]
        now = _joined([group.now for group in groups])
        first = in_digits(np.clip(_joined([group.first for group in groups]), FLOOR, HIGHEST))
        return {
            "bars": {
                "left": left,
                "right": right,
                "bottom": [FLOOR] * len(left),
                "top": in_digits(np.clip(now, FLOOR, HIGHEST)),
                "color": [color for color, _, _ in names],
                "norm": in_digits(now),
                "layer": [layer for _, _, layer in names],
                "variant": [label for _, label, _ in names],
            },
            "epoch 0": {"x0": left, "x1": right, "y0": first, "y1": first},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        groups = self._groups
        norms = _joined([np.append(group.now, group.first) for group in groups])
        fine = np.log10(norms[(norms > FLOOR) & (norms < HIGHEST)])
        if not fine.size:
            return {"x": (-1, self._width), "y": (1e-3, 1)}
        bottom = math.floor(fine.min() - 0.15)
        return {"x": (-1, self._width), "y": (10.0**bottom, 10.0 ** max(bottom + 2, math.ceil(fine.max() + 0.05)))}

    def describe(self, frame: Frame) -> str:
        groups = self._groups
        if not groups:
            return "press Compare to train the variants"
        if self.labels and not self.results:
            return f"epoch 0, before any training{APART}press Compare to train the variants"
        worst = min(groups, key=lambda group: group.now[0] / group.now[-1] if group.now[-1] else math.inf)
        words = f"first ÷ last layer of {worst.label}: {_ratio(worst.now)} (at epoch 0: {_ratio(worst.first)})"
        return f"{words}{APART}its first layer: {digits(worst.now[0], 2)}"

    def reading_of(self, label: str, epoch: int) -> str:
        return next((_ratio(group.now) for group in self._groups if group.label == label), "")

    def own_reading(self, frame: Frame) -> str:
        return _ratio(frame.epoch.gradient_norms)

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Measure the variants at epoch 0, so that there is something to see before they are trained."""
        return None if self.results else self._analysis.work()

    @property
    def _analysis(self) -> UntrainedGradients:
        return self.run.analysis(UntrainedGradients)

    @property
    def _untrained(self) -> dict[str, np.ndarray]:
        """(layers,) the norms at epoch 0 of each variant that is not hidden, while none has been trained."""
        known = {} if self.results else self._analysis.medians
        return {label: norms for label, norms in known.items() if label not in self.hidden}

    def _networks(self, frame: Frame) -> list[Group]:
        if not self.labels:
            norms = frame.epoch.gradient_norms, frame.history.at(0).gradient_norms
            return [Group("this run", style.CURSOR, *norms)]
        if not self.results:
            return [Group(label, self.color(label), norms, norms) for label, norms in self._untrained.items()]
        return [
            Group(label, self.color(label), *self._medians(label, result.row(frame.epoch.index)))
            for label, result in self.results.items()
        ]

    def _depths(self, frame: Frame) -> dict[str, int]:
        """How many layers each network has."""
        if not self.labels:
            return {"this run": len(frame.epoch.gradient_norms)}
        study, settings = self.run.study, self.run.settings
        return {label: len(study.settings_of(settings, label)["hidden"]) + 1 for label in self.labels}

    def _medians(self, label: str, row: int) -> tuple[np.ndarray, np.ndarray]:
        norms = self.results[label].gradient_norms
        return ranked(norms[:, row], 0.5)[0], ranked(norms[:, 0], 0.5)[0]


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0), *arrays])


def _ratio(norms: np.ndarray) -> str:
    """The first layer's norm divided by the last's."""
    return ratio(norms[0], norms[-1])
