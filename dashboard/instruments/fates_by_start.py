"""The fates of units, by how weights and biases were initialized."""

from collections.abc import Hashable, Iterator
from typing import Any

import holoviews as hv
import numpy as np
import param
from bokeh.models import AllLabels

from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.instruments.study_picture import StudyPicture
from dashboard.state.analyses.unit_health import UnitHealth, fates_of
from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.study import Result
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART
from engine.measures import FATES
from engine.network import Network

OWN = "this run"
Shares = np.ndarray
"""(layers, fates): for the first and the last hidden layer, the fraction of its units with each fate."""


class FatesByStart(StudyPicture, OfHiddenLayers, Instrument):
    """For every start, over all seeds, how the units of the first and the last layer divide into fates."""

    title = "Fates by start"
    question = "Which start kills units, and which only makes them dim?"
    reading = (
        "Two bars a start: the first hidden layer above, the last below, each divided by its units' fates, on average "
        "over the seeds. At the right the median share of dead and of dim units. As they start, or with “Trained” as "
        "they are after the comparison's newest epoch. Leaky ReLU and ELU are never exactly zero: a unit of theirs "
        "that never fires is not dead, but saturated where its slope is below 0.01, and alive where it is not. A "
        "click picks that start in all pictures."
    )
    controls = ("trained",)
    height = 390

    trained = param.Boolean(
        default=False, label="Trained", doc="After the newest epoch of the comparison, not before the first."
    )

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._ends = _ends(self._network)
        self._key: Hashable = None
        self._known: dict[str, np.ndarray] = {}
        self._shown: Hashable = None

    def outline(self, frame: Frame) -> Hashable:
        return self.labels, len(self._ends)

    def picture(self, frame: Frame) -> hv.Overlay:
        names = [(self._middle(i), label) for i, label in enumerate((OWN, *self.labels))]
        colors = list(style.FATES.values())[:2]
        bars = hv.Rectangles([(0, 0, 1, 1, color, "", "") for color in colors], vdims=["color", "fate", "share"])
        bars = bars.relabel("bars").opts(
            color="color",
            fill_alpha=0.85,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[("", "@fate"), ("share", "@share")],
        )
        words = hv.Labels([(0.0, 0.0, "")], ["x", "y"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="left"
        )
        return hv.Overlay([bars, words, words.relabel("when")]).opts(
            xlim=(0, 1.75),
            ylim=(-0.1, self._rows + 0.65),
            yticks=names,
            xticks=[(0, "0"), (0.5, "50%"), (1, "100%")],
            xlabel="share of the layer's units",
            hooks=[_keep_all_names],
            ylabel="",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        own = _shares(self._network, frame.setup.train.x)[None]
        self._shares = {OWN: own, **{label: self._known[label] for label in self.labels if label in self._known}}
        self._when = f"epoch {frame.epoch.index:,}"
        when = {"when": {"x": [1.4], "y": [self._middle(0)], "text": [self._when]}}
        shown = (self._key, own.tobytes())
        if after >= 0 and shown == self._shown:
            return when
        self._shown = shown
        return {"bars": self._bars(), "words": self._words(), **when}

    def describe(self, frame: Frame) -> str:
        fates = UnitHealth.of(frame).now(frame)
        dead, dim = (int((fates == FATES.index(fate)).sum()) for fate in ("dead", "dim"))
        when = "trained" if self.trained else "as they start"
        rest = f"starts: {when}, {len(next(iter(self._known.values())))} seeds each" if self._known else ""
        return f"this run, {self._when}: {dead} dead, {dim} dim of {len(fates)} units{APART}{rest}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        if not self.run.study or self._key == self._wanted():
            return None
        return self._survey(self._wanted())

    def tapped(self, x: float, y: float) -> None:
        """Pick the first run of the start that was clicked."""
        i = round(self._rows - 0.5 - y)
        if 1 <= i <= len(self.labels):
            self.pick(self.labels[i - 1], 0)

    @property
    def _rows(self) -> int:
        return 1 + len(self.labels)

    def _middle(self, i: int) -> float:
        return self._rows - 0.5 - i

    def _wanted(self) -> Hashable:
        """What the bars of the starts depend on."""
        study = self.run.study
        return study.key(self.run.settings), self.trained, tuple(study.results.values()) if self.trained else ()

    def _survey(self, key: Hashable) -> Iterator[object]:
        """Find the fates of every run of every start, one network at a time."""
        study, setup, known = self.run.study, self.setup, dict[str, np.ndarray]()
        if self.trained:
            sources = [(label, _of_result(result)) for label, result in study.results.items()]
        else:
            settings = [(label, study.settings_of(self.run.settings, label)) for label in self.labels]
            sources = [(label, _of_settings(values, study.seeds)) for label, values in settings]
        for label, networks in sources:
            shares = []
            for network, x in networks:
                shares.append(_shares(network, x))
                yield
            known[label] = np.array(shares)
        if setup is self.setup:
            self._key, self._known = key, known
            self.run.touch()

    def _bars(self) -> Columns:
        rows = [
            (left, right, self._bottom(i, layer), f"{name}, layer {self._ends[layer] + 1}", color, right - left)
            for i, label in enumerate((OWN, *self.labels))
            if label in self._shares
            for layer, shares in enumerate(self._shares[label].mean(axis=0))
            for left, right, (name, color) in zip(
                np.cumsum(shares) - shares, np.cumsum(shares), style.FATES.items(), strict=True
            )
            if right > left
        ]
        height = 0.76 / len(self._ends)
        return {
            "left": [left for left, *_ in rows],
            "right": [right for _, right, *_ in rows],
            "bottom": [row[2] for row in rows],
            "top": [row[2] + height - 0.04 for row in rows],
            "fate": [row[3] for row in rows],
            "color": [row[4] for row in rows],
            "share": [f"{row[5]:.0%}" for row in rows],
        }

    def _bottom(self, i: int, layer: int) -> float:
        height = 0.76 / len(self._ends)
        return self._middle(i) + 0.38 - height * (layer + 1)

    def _words(self) -> Columns:
        rows = [(1.03, self._rows + 0.3, "dead, dim (median)")]
        height = 0.76 / len(self._ends)
        for i, label in enumerate((OWN, *self.labels)):
            for layer in range(len(self._ends) if label in self._shares else 0):
                dead, dim = np.median(self._shares[label][:, layer, :2], axis=0)
                rows.append((1.03, self._bottom(i, layer) + height / 2, f"{dead:.0%}, {dim:.0%}"))
        return {"x": [x for x, _, _ in rows], "y": [y for _, y, _ in rows], "text": [text for _, _, text in rows]}

    @param.depends("trained", watch=True)
    def _change_time(self) -> None:
        self.run.touch()


def _keep_all_names(plot: Any, element: object) -> None:
    """Keep names that Bokeh would drop as overlapping before it knows the picture's height."""
    plot.state.yaxis.major_label_policy = AllLabels()


def _ends(network: Network) -> list[int]:
    """The first and the last hidden layer, once if there is one only."""
    return sorted({0, len(network.widths) - 1})


def _shares(network: Network, x: np.ndarray) -> Shares:
    layers = np.split(fates_of(network, x), np.cumsum(network.widths)[:-1])
    return np.array([[(layers[i] == code).mean() for code in range(len(FATES))] for i in _ends(network)])


def _of_settings(values: dict, seeds: int) -> Iterator[tuple[Network, np.ndarray]]:
    """The untrained networks of a start, with the examples they all share."""
    settings = Settings(**values)
    setup = Setup.of(settings)
    old = setup.network
    for seed in range(seeds):
        network = Network(
            old.sizes, old.activations, old.output, seed=settings.draws(seed), **settings.network_arguments()
        )
        yield network, setup.train.x


def _of_result(result: Result) -> Iterator[tuple[Network, np.ndarray]]:
    """The trained networks of a start."""
    network = result.setup.network.copy()
    for parameters in result.parameters:
        network.parameters = parameters
        yield network, result.setup.train.x
