"""The network as a picture: what every unit answers, and how the units are tied together."""

from collections.abc import Callable, Hashable, Mapping
from itertools import pairwise, product
from typing import Any

import holoviews as hv
import numpy as np
import param
from bokeh.models import Plot

from dashboard.instruments.decision_map import box_around
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import counted, digits
from dashboard.instruments.standalone import Keeper
from dashboard.state.run import Frame, Run
from dashboard.state.store import Shown
from dashboard.widgets import style
from dashboard.widgets.network_canvas import NetworkCanvas
from dashboard.widgets.plain_text import APART, phrase
from engine.datasets import Dataset
from engine.features import COORDINATES
from engine.network import Network

MAX_UNITS = 8
"""Most units of a layer in the figure that stands for the picture where no browser computes it."""

MAX_EXAMPLES = 400
"""Most examples that the browser is sent."""

MOST, MAX_EDITED = 1e6, 4096
"""How large an edited weight may be, and how many are edited at once."""

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
WEIGHT, GRADIENT = "weight", "gradient"

Place = tuple[int, int]
"""A layer, counted from the inputs, and a unit in it."""


class NetworkPicture(Instrument):
    """Units as maps of what they answer, and the weights between them, drawn in the browser from the parameters.

    A figure of plain discs and lines stands for it where there is no browser: it is what a notebook keeps and what the
    table is made of.
    """

    title = "Network"
    question = "What does each unit answer, and what do the next ones make of it?"
    reading = (
        "Each square shows a unit's answers everywhere in the plane of the inputs, brighter where it answers more. "
        "Lines are weights: teal adds, amber subtracts, thick is large. Hover over a unit to see it in the large map, "
        "and click to pick it in all pictures."
    )
    controls = ("lines",)
    formats = ("png",)
    height = 430

    lines = param.Selector(
        default=WEIGHT, objects=[WEIGHT, GRADIENT], doc="What lines show: the weight, or the size of its gradient."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.knows("parameters")

    def __init__(self, run: Shown, **params: Any) -> None:
        super().__init__(run, **params)
        self._canvas = NetworkCanvas(
            self.receive, Keeper(self).rendered, sizing_mode="stretch_width", height=self.height, margin=0
        )
        self._sent: dict[str, Any] = {}

    def __panel__(self) -> NetworkCanvas:
        return self._canvas

    def begin(self, frame: Frame) -> None:
        self._unwritten = None
        self._network = network = frame.setup.network.copy()
        self._in_words, self._inputs = _in_words(network), _inputs(frame)
        self._fixed = {"network": _described(frame), "examples": _examples(frame.setup.examples)}
        sizes, last = network.sizes, len(network.sizes) - 1
        shown = [[(layer, unit) for unit in range(min(size, MAX_UNITS))] for layer, size in enumerate(sizes)]
        spots = {
            (layer, unit): (float(layer), 1 - (unit + 0.5) / len(units)) for units in shown for layer, unit in units
        }
        ends = [(start, end) for before, after in pairwise(shown) for start, end in product(before, after)]
        self._edges = np.array([place_of_weight(sizes, *end, start[1]) for start, end in ends])
        self._lines = {
            **_columns([(*spots[start], *spots[end]) for start, end in ends], ("x0", "y0", "x1", "y1")),
            "name": [f"{self._named(start)} → {self._named(end)}" for start, end in ends],
        }
        units = [place for place in spots if 0 < place[0] < last]
        self._discs = {
            **_columns([spots[place] for place in units], ("x", "y")),
            "name": [self._named(place) for place in units],
        }
        self._ends = _columns([spots[place] for place in spots if place[0] in (0, last)], ("x", "y"))
        starts = np.cumsum([0, *network.widths])
        self._means = np.array([starts[layer - 1] + unit for layer, unit in units], dtype=int)
        self._weights = np.concatenate(
            [
                place_of_weight(sizes, layer, 0, 0) + np.arange(sizes[layer - 1] * sizes[layer])
                for layer in range(1, last + 1)
            ]
        )

    def outline(self, frame: Frame) -> Hashable:
        return len(frame.setup.network.sizes)

    def picture(self, frame: Frame) -> hv.Overlay:
        line = (0.0, 0.0, 1.0, 1.0, "", 0.0, style.GHOST, 1.0)
        lines = hv.Segments([line, line], vdims=["name", "value", "color", "width"], label="weights").opts(
            color="color", line_width="width", alpha=0.8
        )
        outer = hv.Points([(0.0, 0.0)], ["x", "y"], label="inputs and outputs").opts(color=style.GHOST, size=14)
        units = hv.Points(
            [(0.0, 0.0, "", 0.0, style.GHOST)], ["x", "y"], ["name", "value", "color"], label="units"
        ).opts(color="color", size=16)
        return hv.Overlay([lines, outer, units]).opts(
            xlim=(-0.4, self.outline(frame) - 0.6), ylim=(-0.04, 1.04), xaxis=None, yaxis=None
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        parameters = frame.epoch.parameters
        weights = (parameters if self._slopes is None else self._slopes)[self._edges]
        means = np.concatenate(frame.epoch.mean_activations)[self._means] if len(self._means) else np.empty(0)
        return {
            "weights": {**self._lines, "value": weights, **_strokes(weights)},
            "inputs and outputs": self._ends,
            "units": {**self._discs, "value": means, "color": _shades(means)},
        }

    def describe(self, frame: Frame) -> str:
        return phrase(
            self._moved(frame),
            f"largest weight {self._largest(frame.epoch.parameters)}",
            "" if self._slopes is None else f"largest gradient {self._largest(self._slopes)}",
            between=APART,
        )

    def write(self, frame: Frame, after: int) -> None:
        self._unwritten = frame
        self._slopes = self._gradient(frame) if self.lines == GRADIENT else None
        run, sizes = self.run, self._network.sizes
        self._send(
            **self._fixed,
            parameters=_single(frame.epoch.parameters),
            gradient=None if self._slopes is None else _single(self._slopes),
            live=run.looked_at is None,
            unit=list(run.view.unit) if _is_unit(run.view.unit, sizes) else [],
            example=run.view.example,
            sentence=f"{self._in_words} Epoch {frame.epoch.index:,}: {self.describe(frame)}.",
            editable=isinstance(run, Run),
        )

    @param.depends("lines", watch=True)
    def _show_lines(self) -> None:
        self.redraw()

    def forget(self) -> None:
        super().forget()
        self._sent = {}

    @property
    def figure(self) -> Plot | None:
        """The figure, in which nothing is written before somebody asks for it: that would take longer than the rest."""
        if self._unwritten is not None:
            frame, self._unwritten = self._unwritten, None
            super().write(frame, -1)
        return self._figure

    @figure.setter
    def figure(self, figure: Plot | None) -> None:
        self._figure, self._unwritten = figure, None

    def drawing(self) -> dict[str, Any]:
        return {"id": self._canvas.ids[0], "canvas": True} if self._canvas.ids else {}

    def table(self) -> dict[str, Columns]:
        """The weights and the mean activations of the figure."""
        return super().table() if self.figure else {}

    def _send(self, **values: Any) -> None:
        """Send the browser what it does not know yet."""
        news = {name: value for name, value in values.items() if not _same(value, self._sent.get(name, self))}
        self._sent |= news
        self._canvas.send(**news)

    def receive(self, asked: Mapping[str, Any]) -> None:
        """Do what was clicked, unless it fits this network no more."""
        unit, hidden, edit = asked.get("unit"), asked.get("hidden"), asked.get("edit")
        if unit == [] or (unit is not None and _is_unit(unit, self._network.sizes)):
            self.run.view.pick(unit=unit)
        elif hidden is not None:
            self._try(lambda: setattr(self.run.settings, "hidden", hidden))
        elif edit is not None and isinstance(self.run, Run):
            self._try(lambda: self.run.edit(_values(edit), asked.get("gesture", 0)))

    def _try(self, change: Callable[[], None]) -> None:
        """Change something of the run; say what was wrong with it if it cannot be."""
        try:
            change()
        except ValueError as error:
            self.run.refuse(str(error))

    def _gradient(self, frame: Frame) -> np.ndarray:
        """(n_parameters,) gradient of the objective at the frame's epoch."""
        setup, (l1, l2) = frame.setup, frame.objective(frame.epoch.index)
        self._network.parameters[:] = frame.epoch.parameters
        return self._network.gradient(setup.train, setup.loss, l1, l2).flat

    def _moved(self, frame: Frame) -> str:
        """How far the weights have come."""
        start = frame.setup.network.parameters
        with np.errstate(all="ignore"):
            share = np.linalg.norm(frame.epoch.parameters - start) / np.linalg.norm(start)
        return f"weights moved by {digits(100 * share, 2)}% of their initial norm" if np.isfinite(share) else ""

    def _largest(self, values: np.ndarray) -> str:
        """The largest of these values of all weights, and which weight has it."""
        place = self._weights[int(np.argmax(np.abs(values[self._weights])))]
        start, end = ends_of_weight(self._network.sizes, int(place))
        return f"{digits(values[place], 4)}, {self._named(start)} → {self._named(end)}"

    def _named(self, place: Place) -> str:
        layer, unit = place
        return _named(self._network.sizes, place) if layer else self._inputs[unit]


def place_of_weight(sizes: tuple[int, ...], layer: int, unit: int, source: int) -> int:
    """The index of a weight among the parameters: to a unit of a layer, from a unit of the layer before."""
    return _start(sizes, layer) + source * sizes[layer] + unit


def ends_of_weight(sizes: tuple[int, ...], place: int) -> tuple[Place, Place]:
    """The two units that the weight at this index connects."""
    layer = next(layer for layer in range(1, len(sizes)) if place < _start(sizes, layer + 1))
    source, unit = divmod(place - _start(sizes, layer), sizes[layer])
    return (layer - 1, source), (layer, unit)


def _start(sizes: tuple[int, ...], layer: int) -> int:
    """The index of a layer's first parameter."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes[:layer]))


def _described(frame: Frame) -> dict[str, Any]:
    """What a fresh start fixes, as the browser reads it."""
    setup = frame.setup
    network = setup.network
    return {
        "sizes": list(network.sizes),
        "activations": list(network.activations),
        "skips": list(network.skips),
        "output": network.output,
        "inputs": _inputs(frame),
        "features": list(setup.features.names if setup.features else COORDINATES) if setup.is_plane else [],
        "box": [list(ends) for ends in box_around(setup.examples, setup.held_out)],
        "task": setup.task,
    }


def _inputs(frame: Frame) -> list[str]:
    """What the inputs are called."""
    setup = frame.setup
    if setup.features:
        return setup.features.labels
    return [f"x{number}".translate(SUBSCRIPTS) for number in range(1, setup.network.sizes[0] + 1)]


def _examples(data: Dataset) -> np.ndarray:
    """(n * (features + 1),) the numbers of the first examples and their answers."""
    return _single(np.column_stack([data.x, data.y])[:MAX_EXAMPLES].ravel())


def _in_words(network: Network) -> str:
    layers = list(zip(network.widths, network.activations, strict=True))
    alike = len(layers) > 3 and len(set(layers)) == 1
    hidden = [f"{counted(width, 'unit')} of {name}" for width, name in layers[: 1 if alike else None]]
    between = f"{len(layers)} layers of {hidden[0]}" if alike else ", then ".join(hidden) or "no hidden layer"
    inputs, outputs = counted(network.sizes[0], "input"), counted(network.sizes[-1], "output")
    return f"Network. {inputs}, {between}, and {outputs}."


def _named(sizes: tuple[int, ...], place: Place) -> str:
    layer, unit = place
    if layer == len(sizes) - 1:
        return f"output {unit + 1}" if sizes[-1] > 1 else "output"
    return f"layer {layer}, unit {unit + 1}"


def _values(edit: Any) -> dict[int, float]:
    """The parameters to edit, as they come from a browser. Raises ValueError where they are no such thing."""
    pairs = edit if isinstance(edit, list) else [edit]
    for pair in pairs[:MAX_EDITED]:
        number, value = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        sayable = type(number) is int and type(value) in (int, float) and abs(value) <= MOST
        if not sayable:
            raise ValueError(f"{str(pair)[:40]} is no weight; choose a number between −{MOST:,.0f} and {MOST:,.0f}")
    return {number: float(value) for number, value in pairs[:MAX_EDITED]}


def _is_unit(unit: Any, sizes: tuple[int, ...]) -> bool:
    """Whether this is a hidden unit, as [layer, unit] from 0."""
    if not (isinstance(unit, list) and len(unit) == 2 and all(type(one) is int for one in unit)):
        return False
    layer, place = unit
    return 0 <= layer < len(sizes) - 2 and 0 <= place < sizes[layer + 1]


def _single(values: np.ndarray) -> np.ndarray:
    """A copy in single precision, half as long on its way; what does not fit is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(value, other, equal_nan=True)
    return type(value) is type(other) and value == other


def _columns(rows: list[tuple[float, ...]], names: tuple[str, ...]) -> Columns:
    return dict(zip(names, map(list, zip(*rows, strict=True)) if rows else ([] for _ in names), strict=True))


def _strokes(weights: np.ndarray) -> Columns:
    """Color and width of lines: the sign, and the size, of which 1 is half as wide as any can be."""
    with np.errstate(all="ignore"):
        share = np.nan_to_num(np.abs(weights) / (1 + np.abs(weights)), nan=1.0)
    return {"color": np.where(weights < 0, style.NEGATIVE, style.POSITIVE), "width": 0.4 + 5 * share}


def _shades(means: np.ndarray) -> list[str]:
    """The colors of mean activations, on a scale that holds 0."""
    with np.errstate(all="ignore"):
        low, high = min(0.0, float(np.min(means, initial=0.0))), max(float(np.max(means, initial=0.0)), 1e-9)
        shares = np.nan_to_num((means - low) / (high - low)).clip(0, 1)
    return [style.ACTIVATION[round(255 * share)] for share in shares.tolist()]
