"""The forward and the backward pass, stage by stage, in a picture of the network and in numbers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
import panel as pn

from dashboard.instruments.audit_picture import AuditPicture
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.stage_arithmetic import proper, spelled, table
from dashboard.state.analyses.gradient_audit import CheckView
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from dashboard.widgets import style
from dashboard.widgets.array_table import ArrayTable
from dashboard.widgets.plain_text import APART, bold, phrase
from engine.backpropagation import Backpropagation, Stage
from engine.network import Network

MAX_ROWS = 8
"""Most rows and columns of a table, and units of a layer."""

LAYOUT = """
:host { display: grid !important; grid-template-columns: minmax(0, 2fr) minmax(0, 5fr); }
:host > * { grid-area: 1 / 1; }
:host > .sheet { grid-area: 1 / 2; }
@media (max-width: 999px) {
  :host { grid-template-columns: minmax(0, 1fr) !important; }
  :host > .sheet { grid-area: 2 / 1; }
}
"""
"""The network beside the tables, or over them; each has a fixed place, as a new picture comes last."""

NEAR = 0.06
"""How far from a unit or a weight a click may be, as a fraction of the picture."""

MEANING = {
    "a0": "one row per example",
    "W": "one column per unit",
    "b": "one number per unit",
    "y": "what is right",
    "z": "weighted sums: one row per example, one column per unit",
    "f'": "how much of a small change of z gets through: kept for the way back",
    "a": "what the layer gives on",
    "costs": "how wrong the answer is, example by example",
    "loss": "what training makes small",
    "∂costs": "how the cost of each example changes with the last weighted sum",
    "da": "back through the weights: how the loss changes with what the layer gave",
    "dz": "back through the activation: the error signal of the layer",
    "dW": "the gradient of the weights: every example adds its share",
    "db": "the gradient of the biases: the error signals added up",
}
"""What a stage is, by its name without the number of the layer."""


class BackpropStages(AuditPicture, Instrument):
    """What is known so far in a picture of the network, for one example, and every array in numbers."""

    title = "Forward and back, stage by stage"
    question = "Where does every number of the gradient come from?"
    reading = (
        "Walk with ‹ and ›: what is not computed yet is pale. Click a number to see what it is made of; that picks its "
        "example, unit or weight in all pictures. In the network units show the picked example, and lines the weights, "
        "on the way back their gradient; thick is large. With a planted bug, all names it makes wrong are underlined."
    )
    height = 330

    def __init__(self, run: Shown, **params: Any) -> None:
        super().__init__(run, **params)
        self._sheet = ArrayTable(self._hear, css_classes=["sheet"], margin=(0, 0, 0, 12), sizing_mode="stretch_width")

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self.pane, self._sheet, stylesheets=[LAYOUT], margin=0, sizing_mode="stretch_width")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._entries: list[tuple[int, int]] = []

    def outline(self, frame: Frame) -> Hashable:
        return len(self.subject(frame).network.sizes)

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = self.outline(frame)
        lines = hv.Segments(_weights([0.0, 1.0]), vdims=["name", "value", "color", "width"], label="weights").opts(
            color="color",
            line_width="width",
            alpha=0.8,
            tools=["hover"],
            hover_tooltips=[("@name", "@value{measured}")],
        )
        picked = hv.Segments([(0, 0, 1, 1)], label="picked weight").opts(color=style.CURSOR, line_width=2)
        ring = hv.Points([], ["x", "y"], label="picked unit").opts(
            color=style.CURSOR, fill_alpha=0, size=37, line_width=3
        )
        places = hv.Points([], ["x", "y"], label="places").opts(
            color=style.GHOST, fill_alpha=0, size=32, line_width=1, line_alpha=0.5
        )
        units = hv.Points(_units([0.0, 1.0]), ["x", "y"], ["name", "value", "color"], label="units").opts(
            color="color", size=32, line_width=0, tools=["hover"], hover_tooltips=[("@name", "@value{measured}")]
        )
        numbers = hv.Labels([(0, 0, "")], ["x", "y"], "text", label="numbers").opts(
            text_color="white", text_font_size="11px"
        )
        words = hv.Labels([(0, 0, "")], ["x", "y"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT
        )
        return hv.Overlay([lines, picked, places, ring, units, numbers, words]).opts(
            xlim=(-0.45, layers - 0.55),
            ylim=(-0.08, 1.06),
            xaxis=None,
            yaxis=None,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._subject = subject = self.subject(frame)
        self._place = self._place_of(subject.passes)
        self._example = min(self.run.view.example or 0, len(subject.data) - 1)
        self._fill_sheet()
        return self.news(self._draw_network(), after)

    def describe(self, frame: Frame) -> str:
        subject = self._subject
        answer, right = subject.passes[f"a{len(subject.network.sizes) - 1}"], subject.passes["y"]
        cost, i = subject.passes["costs"], self._example
        bug = phrase(bold(subject.bug, style.FAILED), "is planted") if subject.bug else ""
        return phrase(
            f"example {i}: answer {_list(answer[i])}, right is {_list(right[i])}, cost {cost[i]:.4g}",
            f"loss {float(subject.passes['loss']):.4g}",
            bug,
            between=APART,
        )

    def table(self) -> dict[str, Columns]:
        """Every number in the tables, with all its digits, including those that are shown in part."""
        return {stage.name: _entries(table(stage)) for stage in self._subject.passes}

    def tapped(self, x: float, y: float) -> None:
        """Pick the unit that was clicked, or else the weight."""
        span = np.array([len(self._subject.network.sizes), 1.14])
        units = [(np.hypot(*((np.array(spot) - (x, y)) / span)), name) for name, spot in self._spots.items()]
        weights = [
            (_from_segment(np.array([x, y]) / span, *(np.array(self._spots[end]) / span for end in ends)), i)
            for i, ends in self._ends.items()
        ]
        (unit_away, (layer, unit)), (weight_away, i) = min(units), min(weights, default=(1.0, 0))
        if unit_away < NEAR and layer:
            self.pick(unit=[layer - 1, unit])
        elif unit_away >= NEAR and weight_away < NEAR / 2:
            self.pick(parameter=i)

    def _hear(self, asked: Mapping[str, Any]) -> None:
        """Do what was clicked in the tables."""
        stages = [stage.name for stage in self._subject.passes]
        if asked.get("move"):
            self.pick(stage=stages[min(max(0, self._place + int(asked["move"])), len(stages) - 1)])
        elif asked.get("stage") in stages:
            stage = self._subject.passes.stages[stages.index(asked["stage"])]
            self.pick(stage=stage.name, **self._choices(stage, asked.get("row"), asked.get("column")))

    def _choices(self, stage: Stage, row: int | None, column: int | None) -> dict[str, Any]:
        """What a click on an entry of a stage picks: the example and the unit, or the parameter."""
        if row is None or stage.name == "loss":
            return {}
        unit = {} if stage.name == "costs" else {"unit": [stage.layer - 1, column]}
        if _of_parameters(stage):
            return {"parameter": parameter_at(self._subject.network, stage, row, column), **unit}
        return {"example": row, **unit}

    def _place_of(self, passes: Backpropagation) -> int:
        names = [stage.name for stage in passes]
        wanted = CheckView.of(self.run.view).stage
        return names.index(wanted) if wanted in names else len(names) - 1

    def _entry(self, stage: Stage) -> tuple[int, int]:
        """The row and column of a stage that are picked."""
        rows, columns = table(stage).shape
        if _of_parameters(stage):
            return place_of_parameter(self._subject.network, stage, self.parameter(self._subject))
        layer, unit = self.run.view.unit if len(self.run.view.unit) == 2 else (-1, 0)
        column = unit if layer == stage.layer - 1 and unit < columns else 0
        return min(self._example, rows - 1), column

    def _fill_sheet(self) -> None:
        passes, right = self._subject.passes, self._subject.right
        current = passes.stages[self._place]
        entries = [self._entry(stage) for stage in passes]
        changes: dict[str, Any] = {}
        if entries != self._entries:
            self._entries = entries
            self._forms = [_form(stage, *entry) for stage, entry in zip(passes, entries, strict=True)]
            changes = {"tables": self._forms}
        row, column = entries[self._place]
        made = spelled(passes, current, row, column)
        where = f"{current.name}[{row}, {column}]" if current.shape else current.name
        picked = {
            "place": self._place,
            "row": row,
            "column": column,
            "example": self._example,
            "uses": [list(use) for use in made.uses],
            "wrong": [] if right is passes else [a.name for a, b in zip(passes, right, strict=True) if _differ(a, b)],
            "words": f"{where} = {made.words} = {made.value}" if made.words else f"{where} = {made.value}",
            "note": _meaning(current),
        }
        numbers = [_numbers(stage, form) for stage, form in zip(passes, self._forms, strict=True)]
        self._sheet.param.update(numbers=numbers, picked=picked, **changes)

    def _draw_network(self) -> dict[str, Columns]:
        """What is known at the picked stage: of units the last number computed, of weights the gradient if known."""
        network, known = self._subject.network, self._subject.passes.stages[: self._place + 1]
        units = {stage.layer: stage for stage in known if stage.name[0] in "azd" and not _of_parameters(stage)}
        weights = {stage.layer: stage for stage in known if stage.name.removeprefix("d")[0] == "W"}
        shown = [_window(size, self._picked_unit(layer)) for layer, size in enumerate(network.sizes)]
        self._spots = _spots(shown)
        self._ends = dict(_edges(network, shown))
        picked = self._ends.get(self.parameter(self._subject))
        ring = [self._spots[layer, unit] for layer, unit in self._spots if unit == self._picked_unit(layer)]
        return {
            "weights": self._weights(weights),
            "picked weight": _weight_columns([picked] if picked else [], self._spots),
            "places": {"x": [x for x, _ in self._spots.values()], "y": [y for _, y in self._spots.values()]},
            "picked unit": {"x": [x for x, _ in ring], "y": [y for _, y in ring]},
            **self._units(units),
            "words": _names_below(units, weights, len(network.sizes), shown, network.sizes),
        }

    def _picked_unit(self, layer: int) -> int | None:
        picked = self.run.view.unit
        size = self._subject.network.sizes[layer]
        return picked[1] if len(picked) == 2 and layer and picked[0] == layer - 1 and picked[1] < size else None

    def _units(self, stages: Mapping[int, Stage]) -> dict[str, Columns]:
        spots = {place: spot for place, spot in self._spots.items() if place[0] in stages}
        values = [float(table(stages[layer])[self._example, unit]) for layer, unit in spots]
        largest = {layer: _largest(table(stage)) for layer, stage in stages.items()}
        x, y = [spot[0] for spot in spots.values()], [spot[1] for spot in spots.values()]
        names = [f"{stages[layer].name}[{self._example}, {unit}]" for layer, unit in spots]
        colors = [_shade(value / largest[layer]) for value, (layer, _) in zip(values, spots, strict=True)]
        texts = [_brief(value) for value in values]
        return {
            "units": {"x": x, "y": y, "name": names, "value": values, "color": colors},
            "numbers": {"x": x, "y": y, "text": texts},
        }

    def _weights(self, stages: Mapping[int, Stage]) -> Columns:
        rows = []
        for (_, i), (layer, unit) in self._ends.values():
            if layer in stages:
                values = table(stages[layer])
                share = values[i, unit] / _largest(values)
                name, value = f"{stages[layer].name}[{i}, {unit}]", float(values[i, unit])
                rows.append(
                    (name, value, style.POSITIVE if value > 0 else style.NEGATIVE, 0.5 + 4 * min(1, abs(share)))
                )
        ends = [pair for pair in self._ends.values() if pair[1][0] in stages]
        columns = zip(("name", "value", "color", "width"), zip(*rows, strict=True) if rows else [()] * 4, strict=True)
        return {**_weight_columns(ends, self._spots), **{name: list(column) for name, column in columns}}


def parameter_at(network: Network, stage: Stage, row: int, column: int) -> int:
    """The index of the parameter to which an entry of a stage of weights or biases belongs."""
    start, (fan_in, fan_out) = _start(network, stage.layer), network.sizes[stage.layer - 1 : stage.layer + 1]
    return start + (fan_in * fan_out if "b" in stage.name else row * fan_out) + column


def place_of_parameter(network: Network, stage: Stage, i: int) -> tuple[int, int]:
    """The row and column of a parameter in a stage; the first entry where it is not of that stage."""
    fan_in, fan_out = network.sizes[stage.layer - 1 : stage.layer + 1]
    row, column = divmod(i - _start(network, stage.layer), fan_out)
    if "b" in stage.name:
        return (0, column) if row == fan_in else (0, 0)
    return (row, column) if 0 <= row < fan_in else (0, 0)


def _start(network: Network, layer: int) -> int:
    """The index of a layer's first parameter."""
    return sum((network.sizes[i - 1] + 1) * network.sizes[i] for i in range(1, layer))


def _of_parameters(stage: Stage) -> bool:
    return stage.name.removeprefix("d")[0] in "Wb"


def _form(stage: Stage, row: int, column: int) -> dict[str, Any]:
    """A table without its numbers."""
    rows, columns = table(stage).shape
    form = {
        "name": stage.name,
        "part": stage.part,
        "formula": stage.formula,
        "shape": " × ".join(map(str, stage.shape)) or "a number",
        "rows": _window(rows, row),
        "columns": _window(columns, column),
        "examples": not _of_parameters(stage) and stage.name != "loss",
    }
    cut = rows > MAX_ROWS or columns > MAX_ROWS
    return {**form, "more": f"{len(form['rows'])} × {len(form['columns'])} of them shown"} if cut else form


def _window(size: int, picked: int | None) -> list[int]:
    """The first indices, and the picked one in the last place if it is not among them."""
    places = list(range(min(size, MAX_ROWS)))
    return places if picked is None or picked < MAX_ROWS else [*places[:-1], picked]


def _numbers(stage: Stage, form: Mapping[str, Any]) -> list[str]:
    values = table(stage)
    if "more" in form:
        values = values[np.ix_(form["rows"], form["columns"])]
    return list(map(_short, values.ravel().tolist()))


def _short(value: float) -> str:
    """A number for a table, with at most three decimals."""
    if abs(value) < 1e3 and value == round(value):
        return proper(f"{value:.0f}")
    return proper(f"{value:.3f}" if 1e-3 <= abs(value) < 1e3 else f"{value:.1e}")


def _brief(value: float) -> str:
    """A number for a disc, with at most two decimals."""
    if value == 0 or 0.05 <= abs(value) < 10:
        return proper(f"{value:.2f}")
    return proper(f"{value:.0f}" if 10 <= abs(value) < 1000 else f"{value:.0e}")


def _list(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in np.atleast_1d(values))


def _meaning(stage: Stage) -> str:
    return MEANING.get(stage.name) or MEANING.get(_letters(stage.name), "")


def _letters(name: str) -> str:
    """A stage's name without the number of its layer."""
    return "f'" if name.startswith("f'") else name.rstrip("0123456789")


def _differ(a: Stage, b: Stage) -> bool:
    """Whether two stages differ by more than rounding."""
    return not np.allclose(a.array, b.array, rtol=1e-9, atol=0, equal_nan=True)


def _entries(values: np.ndarray) -> Columns:
    """The entries of an array, row by row."""
    rows, columns = np.indices(values.shape).reshape(2, -1)
    return {"row": rows, "column": columns, "value": values.ravel()}


def _largest(values: np.ndarray) -> float:
    largest = float(np.abs(values).max())
    return largest if 0 < largest < np.inf else 1.0


def _spots(shown: Sequence[Sequence[int]]) -> dict[tuple[int, int], tuple[float, float]]:
    """Positions of the units that are shown, layer by layer from the left."""
    spots = {}
    for layer, units in enumerate(shown):
        for place, unit in enumerate(units):
            spots[layer, unit] = float(layer), 1 - 0.9 * (place + 0.5) / len(units)
    return spots


def _edges(network: Network, shown: Sequence[Sequence[int]]) -> list[tuple[int, tuple[Any, Any]]]:
    """Every weight between units that are shown: its index and its two ends."""
    edges = []
    for layer in range(1, len(network.sizes)):
        start, fan_out = _start(network, layer), network.sizes[layer]
        edges += [
            (start + i * fan_out + j, ((layer - 1, i), (layer, j))) for i in shown[layer - 1] for j in shown[layer]
        ]
    return edges


def _weight_columns(ends: Sequence[tuple[Any, Any]], spots: Mapping[Any, tuple[float, float]]) -> Columns:
    starts, stops = [spots[one] for one, _ in ends], [spots[other] for _, other in ends]
    return {
        "x0": [x for x, _ in starts],
        "y0": [y for _, y in starts],
        "x1": [x for x, _ in stops],
        "y1": [y for _, y in stops],
    }


def _names_below(
    units: Mapping[int, Stage],
    weights: Mapping[int, Stage],
    layers: int,
    shown: Sequence[Sequence[int]],
    sizes: Sequence[int],
) -> Columns:
    """Under each layer what its units show, between two what the lines are, above those with more units how many."""
    spots = [(layer, -0.03, stage.name) for layer, stage in units.items()]
    spots += [(layer - 0.5, -0.03, stage.name) for layer, stage in weights.items()]
    spots += [
        (layer, 1.03, f"{len(shown[layer])} of {sizes[layer]}") for layer in range(layers) if sizes[layer] > MAX_ROWS
    ]
    return {"x": [x for x, _, _ in spots], "y": [y for _, y, _ in spots], "text": [text for *_, text in spots]}


def _shade(share: float) -> str:
    """From gray for nothing to the color of its sign for the largest."""
    if np.isnan(share):
        return style.GHOST
    color = style.POSITIVE if share > 0 else style.NEGATIVE
    ends = [[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in (style.NEUTRAL, color)]
    return "#" + "".join(f"{round(a + min(1, abs(share)) * (b - a)):02x}" for a, b in zip(*ends, strict=True))


def _from_segment(point: np.ndarray, start: np.ndarray, stop: np.ndarray) -> float:
    """How far a point is from a line between two others."""
    along = np.clip((point - start) @ (stop - start) / max(1e-12, (stop - start) @ (stop - start)), 0, 1)
    return float(np.hypot(*(point - start - along * (stop - start))))


def _weights(values: Sequence[float]) -> list[tuple[Any, ...]]:
    """Lines that differ in everything, to declare the picture with."""
    return [(0, 0, 1, value, "", value, style.VARIANTS[i], 1 + value) for i, value in enumerate(values)]


def _units(values: Sequence[float]) -> list[tuple[Any, ...]]:
    return [(value, 0, "", value, style.VARIANTS[i]) for i, value in enumerate(values)]
