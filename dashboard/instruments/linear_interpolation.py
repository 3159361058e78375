"""The loss on the straight lines from other runs, and from its own start, to this run."""

from collections.abc import Hashable, Iterator, Mapping

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.other_runs import Key, OtherRuns
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, phrase
from engine.landscape import Survey, line
from engine.network import Network

ROUNDING = 1e-12
"""A lower barrier counts as none."""

ALONG = np.linspace(-0.25, 1.25, 61)
INSIDE = (ALONG >= 0) & (ALONG <= 1)
ODD = ("tanh", "sine", "linear")
"""Activations for which a unit with all signs flipped is the same unit."""

SWEEPS = 20
START: Key = ("its own start", -1)


class LinearInterpolation(OtherRuns, Instrument):
    """The loss along straight lines through the space of all parameters, each of which ends at this run."""

    title = "Lines to this run"
    question = "Is there a wall between two runs that learned the same?"
    reading = (
        "Every line leads straight to this run (the disc at 1): the gray one from where the run began, the others from "
        "the ends of runs with other seeds (at 0). What rises above the straight connection of its ends is the wall "
        "between them. Hidden units have no order: with “Match” each other run lists its units in the order most like "
        "this one's, which changes no prediction. Click a line to pick that run in all pictures."
    )
    controls = ("match",)

    match = param.Boolean(
        default=False, label="Match", doc="Reorder the hidden units of the other runs to be like this run's."
    )

    def begin(self, frame: Frame) -> None:
        self._known: tuple[object, dict[Key, np.ndarray]] = None, {}
        self._sent: object = self

    def picture(self, frame: Frame) -> hv.Overlay:
        lines = [{("t", "loss"): np.ones((2, 2)), "color": color} for color in style.VARIANTS[:2]]
        others = hv.Contours(lines, ["t", "loss"], "color", label="others").opts(
            color="color", line_width=1.2, alpha=0.65
        )
        start = hv.Curve([], "t", "loss", label="start").opts(color=style.GHOST, line_width=2)
        picked = hv.Curve([], "t", "loss", label="picked").opts(color=style.variant_color(0), line_width=3)
        sides = hv.Segments([(0, 0, 0, 1)], label="sides").opts(color=style.GHOST, line_width=1, alpha=0.5)
        ends = hv.Points([], ["t", "loss"], label="ends").opts(color=style.variant_color(0), size=7)
        here = hv.Points([], ["t", "loss"], label="here").opts(
            color=style.CURSOR, size=11, line_color="white", line_width=2
        )
        return hv.Overlay([sides, others, start, picked, ends, here]).opts(
            xlim=(float(ALONG[0]), float(ALONG[-1])),
            ylim=(0, 1),
            xticks=[(0, "other run"), (0.5, "half way"), (1, "this run")],
            xlabel="",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = {"here": {"t": [1.0], "loss": [frame.epoch.loss]}}
        shown = self._known[0], self._chosen()
        if after < 0 or shown != self._sent:
            self._sent = shown
            layers |= self._lines()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        seen = [losses[INSIDE] for losses in self._known[1].values()]
        fine = [part[np.isfinite(part)].max(initial=0.0) for part in (*seen, np.array([frame.epoch.loss]))]
        return {"y": (0.0, 1.15 * max(max(fine), 1e-9))}

    def describe(self, frame: Frame) -> str:
        lines, chosen = self._known[1], self._chosen()
        if not lines:
            return "surveying the lines…"
        own = f"from its own start: a wall of {_height(barrier(lines[START]))}"
        if not chosen:
            return phrase(own, "press Compare to train other runs" if self.labels else "", between=APART)
        walls = [barrier(losses) for key, losses in lines.items() if key != START]
        wall, median = _height(barrier(lines[chosen])), _height(float(np.median(walls)))
        return f"wall to seed {chosen[1]}: {wall}, median of {len(walls)}: {median}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return None if self._known[0] == self._key(frame) else self._survey(frame)

    def tapped(self, x: float, y: float) -> None:
        """Pick the run whose line was clicked."""
        others = {key: losses for key, losses in self._known[1].items() if key != START}
        if others:
            self.pick(*min(others, key=lambda key: abs(np.interp(x, ALONG, others[key]) - y)))

    @param.depends("match", watch=True)
    def _change_match(self) -> None:
        self.redraw()

    def _key(self, frame: Frame) -> Hashable:
        return frame.epoch.index, self.match, tuple(self.results.values())

    def _chosen(self) -> Key | None:
        """The run whose line is drawn strongly: the picked one, else the first."""
        others = [key for key in self._known[1] if key != START]
        return self.picked if self.picked in others else next(iter(others), None)

    def _survey(self, frame: Frame) -> Iterator[object]:
        """The losses along one line after the other."""
        setup, key, network = frame.setup, self._key(frame), frame.network()
        survey = Survey(network, setup.train, setup.loss, frame.l1, frame.l2)
        lines = {START: survey.losses_along(line(frame.history.at(0).parameters, network.parameters), ALONG)}
        for name, parameters in self.others(frame).items():
            yield
            begin = matched(network, parameters) if self.match else parameters
            lines[name] = survey.losses_along(line(begin, network.parameters), ALONG)
        if setup is self.setup and key[1] == self.match:
            self._known = key, lines
            self.run.touch()

    def _lines(self) -> dict[str, Columns]:
        lines, chosen = self._known[1], self._chosen()
        faint = {key: losses for key, losses in lines.items() if key not in (START, chosen)}
        ends = {key: float(np.interp(0, ALONG, losses)) for key, losses in lines.items() if key in (START, chosen)}
        along = np.round(ALONG, 4).tolist()
        return {
            "others": {
                "xs": [along] * len(faint),
                "ys": [[float(f"{loss:.4g}") for loss in losses] for losses in faint.values()],
                "color": [self.color(label) for label, _ in faint],
            },
            "start": _curve(lines.get(START)),
            "picked": _curve(lines.get(chosen)),
            "ends": {"t": [0.0] * len(ends), "loss": list(ends.values())},
            "sides": {"x0": [0.0, 1.0], "x1": [0.0, 1.0], "y0": [0.0, 0.0], "y1": [1e9, 1e9]},
        }


def barrier(losses: np.ndarray) -> float:
    """How high the loss along a line rises above the straight connection of the losses at its two ends.

    Source: Entezari et al. 2022, "The role of permutation invariance in linear mode connectivity", definition 2.1.
    """
    t, inside = ALONG[INSIDE], losses[INSIDE]
    return float((inside - (1 - t) * inside[0] - t * inside[-1]).max())


def matched(network: Network, parameters: np.ndarray) -> np.ndarray:
    """Another run's parameters, with its hidden units in the order in which they are most like those of `network`.

    Layer by layer and again until nothing changes, the most similar pair of units comes first; the layer after one
    counts once it is in order itself. Where the activation is odd, all signs of a unit may also be flipped. The
    function that the network computes does not change. Skip connections tie the orders of several layers together: then
    nothing is changed. Source: Ainsworth, Hayase & Srinivasa 2023, "Git Re-Basin", section 3.2, with a greedy
    assignment.
    """
    other = network.copy()
    other.parameters[:] = parameters
    layers = len(network.sizes) - 2
    for sweep in range(0 if any(network.skips) else SWEEPS):
        before = other.parameters.copy()
        for layer in range(layers):
            _match_layer(network, other, layer, above=sweep > 0 or layer == layers - 1)
        if np.array_equal(before, other.parameters):
            break
    return other.parameters


def _match_layer(network: Network, other: Network, layer: int, above: bool) -> None:
    """Reorder one layer's units; `above` says whether the layer after it is in the order of `network` already."""
    likeness = network.weights[layer].T @ other.weights[layer]
    likeness += np.outer(network.biases[layer], other.biases[layer])
    if above:
        likeness += network.weights[layer + 1] @ other.weights[layer + 1].T
    order, signs = _assigned(likeness, odd=network.activations[layer] in ODD)
    other.weights[layer][...] = other.weights[layer][:, order] * signs
    other.biases[layer][...] = other.biases[layer][order] * signs
    other.weights[layer + 1][...] = other.weights[layer + 1][order] * signs[:, None]


def _assigned(likeness: np.ndarray, odd: bool) -> tuple[np.ndarray, np.ndarray]:
    """For every row its column, most similar pairs first, and with which sign."""
    left = np.abs(likeness) if odd else likeness.copy()
    order = np.empty(len(likeness), int)
    for _ in order:
        row, column = np.unravel_index(np.argmax(left), left.shape)
        order[row] = column
        left[row, :] = left[:, column] = -np.inf
    chosen = likeness[np.arange(len(order)), order]
    return order, np.where(chosen < 0, -1.0, 1.0) if odd else np.ones(len(order))


def _curve(losses: np.ndarray | None) -> Mapping[str, np.ndarray]:
    return {"t": ALONG if losses is not None else np.empty(0), "loss": np.empty(0) if losses is None else losses}


def _height(wall: float) -> str:
    """The height of a barrier; zero where it is only the rounding of sums."""
    return digits(wall if wall > ROUNDING else 0.0, 2)
