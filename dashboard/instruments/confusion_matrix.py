"""The confusion matrix: what is predicted for the examples of each class at the present threshold."""

from collections.abc import Sequence

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.roc_curve import answers, logits, parts, probabilities
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART
from engine.metrics import ThresholdSweep, log_loss, threshold_sweep

CELLS = {"true negatives": (0, 0), "false positives": (0, 1), "false negatives": (1, 0), "true positives": (1, 1)}
"""The class and the prediction of every cell."""

METRICS = ("accuracy", "precision", "recall", "f1")
NAMES = {"f1": "F1"}
DEEPEST = 0.85
LEFT, RIGHT = 2.22, 3.4
"""Where the bars of the metrics begin and end, in cells."""


class ConfusionMatrix(Instrument):
    """Four cells, as deep in the class's color as the fraction of the class in them; four metrics beside them."""

    title = "Confusion matrix"
    question = "Which mistakes does this threshold make?"
    reading = (
        "A row is a class, a column an answer: off the diagonal are the mistakes. A cell is the deeper in its class's "
        "color, the more of that class is in it; p is the mean probability of class 1 that is given there. "
        "Precision: of the answers 1, the share that is right. Recall: of class 1, the share that is found. F1 is "
        "their harmonic mean. A click on a cell picks an example in it, the least right first, the next one with the "
        "next click."
    )
    missing = "the output is not one probability."
    controls = ("held_out",)

    held_out = param.Boolean(
        default=False, label="Held out", doc="Count the examples that were held out, where there are any."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.network.output == "sigmoid"

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()

    def picture(self, frame: Frame) -> hv.Overlay:
        boxes = [(answer, 1 - label, answer + 1, 2 - label) for label, answer in CELLS.values()]
        rows = [(*box, color, 0.1 * i) for i, (box, color) in enumerate(zip(boxes, style.CLASSES * 2, strict=False))]
        cells = hv.Rectangles(rows, vdims=["color", "share"], label="cells").opts(
            color="color", fill_alpha="share", line_color=style.GHOST, line_width=1
        )
        picked = hv.Rectangles(boxes[:1], label="picked").opts(fill_alpha=0, line_color=style.CURSOR, line_width=3)
        bars = hv.Rectangles([(LEFT, 0, RIGHT, 1)], label="bars").opts(color=style.GHOST, fill_alpha=0.5, line_alpha=0)
        empty = hv.Rectangles(
            [(LEFT, bottom, RIGHT, bottom + 0.14) for bottom in map(_bottom, range(len(METRICS)))], label="empty"
        ).opts(color=style.GHOST, fill_alpha=0.15, line_alpha=0)
        counts, names = _words("counts", "center", "20px"), _words("names", "center")
        return hv.Overlay([cells, picked, empty, bars, counts, names, _words("metrics", "left")]).opts(
            xlim=(-0.05, 3.5),
            ylim=(-0.03, 2.03),
            xticks=[(0.5, "answer 0"), (1.5, "answer 1")],
            yticks=[(1.5, "class 0"), (0.5, "class 1")],
            xlabel="",
            ylabel="",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        found = parts(frame)
        self._part = "held out" if self.held_out and "held out" in found else "training"
        self._network.parameters[:] = frame.epoch.parameters
        data = found[self._part]
        beliefs = logits(self._network, data)
        self._labels, self._scores = data.y.astype(int), probabilities(beliefs)
        self._answers = answers(beliefs, self.run.view.threshold)
        self._sweep = threshold_sweep(data.y, self._answers, np.ones(1))
        return {"cells": self._cells(), "picked": self._picked(), **self._bars(), **self._texts()}

    def describe(self, frame: Frame) -> str:
        wrong = int((self._labels != self._answers).sum())
        return (
            f"{wrong} of {len(self._labels)} {self._part} examples wrong at {self.run.view.threshold:.3g}"
            f"{APART}log loss {log_loss(self._labels, self._scores):.5f}"
        )

    def table(self) -> dict[str, Columns]:
        """The numbers in the cells, and the metrics beside them."""
        cells = {
            "cell": list(CELLS),
            "class": [label for label, _ in CELLS.values()],
            "answer": [answer for _, answer in CELLS.values()],
            "examples": self._numbers(),
            "share of the class": self._shares(),
        }
        metrics = {"metric": [*METRICS], "value": [float(getattr(self._sweep, name)[0]) for name in METRICS]}
        return {"cells": cells, "metrics": metrics}

    def tapped(self, x: float, y: float) -> None:
        """Pick an example of the cell, the least right first; the next one if one of them is picked already."""
        label, answer = 1 - int(np.floor(y)), int(np.floor(x))
        if self._part != "training" or (label, answer) not in CELLS.values():
            return
        inside = np.flatnonzero((self._labels == label) & (self._answers == answer))
        if len(inside):
            ranked = inside[np.argsort(np.where(label == 1, self._scores, -self._scores)[inside], kind="stable")]
            place = np.flatnonzero(ranked == self.run.view.example)
            self.run.view.example = int(ranked[(int(place[0]) + 1) % len(ranked) if len(place) else 0])

    @param.depends("held_out", watch=True)
    def _change_part(self) -> None:
        self.redraw()

    def _numbers(self) -> list[int]:
        sweep = self._sweep
        return [int(getattr(sweep, name.replace(" ", "_"))[0]) for name in CELLS]

    def _cells(self) -> Columns:
        return {
            "left": [answer for _, answer in CELLS.values()],
            "bottom": [1 - label for label, _ in CELLS.values()],
            "right": [answer + 1 for _, answer in CELLS.values()],
            "top": [2 - label for label, _ in CELLS.values()],
            "color": [style.CLASSES[label] for label, _ in CELLS.values()],
            "fill_alpha": [DEEPEST * share for share in self._shares()],
        }

    def _shares(self) -> list[float]:
        """The fraction of its class in each cell."""
        n = self._numbers()
        return [n[i] / max(1, n[i] + n[i ^ 1]) for i in range(len(n))]

    def _mean(self, label: int, answer: int) -> str:
        """The mean predicted probability of class 1 in a cell, as a line of its own."""
        inside = (self._labels == label) & (self._answers == answer)
        return f"\np {self._scores[inside].mean():.4f}" if inside.any() else ""

    def _texts(self) -> dict[str, Columns]:
        """What stands in the cells; white where they are deep."""
        colors = ["white" if share > 0.5 else style.GHOST for share in self._shares()]
        names = [name.replace(" ", "\n") + self._mean(label, answer) for name, (label, answer) in CELLS.items()]
        return {
            "counts": _cell_texts([str(number) for number in self._numbers()], colors, 0.76),
            "names": _cell_texts(names, colors, 0.33),
        }

    def _picked(self) -> Columns:
        """The cell that holds the picked example."""
        example = self.run.view.example
        if self._part != "training" or example is None or example >= len(self._labels):
            return {"left": [], "bottom": [], "right": [], "top": []}
        label, answer = int(self._labels[example]), int(self._answers[example])
        return {"left": [answer + 0.02], "bottom": [1.02 - label], "right": [answer + 0.98], "top": [1.98 - label]}

    def _bars(self) -> dict[str, Columns]:
        values = [float(getattr(self._sweep, name)[0]) for name in METRICS]
        bottoms = list(map(_bottom, range(len(METRICS))))
        words = [f"{NAMES.get(name, name)} {_percent(self._sweep, name)}" for name in METRICS]
        return {
            "bars": {
                "left": [LEFT] * len(values),
                "right": [LEFT + (RIGHT - LEFT) * float(np.nan_to_num(value)) for value in values],
                "bottom": bottoms,
                "top": [bottom + 0.14 for bottom in bottoms],
            },
            "metrics": {
                "x": [LEFT] * len(values),
                "y": [bottom + 0.27 for bottom in bottoms],
                "text": words,
                "text_color": [style.GHOST] * len(values),
            },
        }


def _bottom(place: int) -> float:
    """Where the bar of a metric begins, the first one on top."""
    return 1.55 - 0.5 * place


def _percent(sweep: ThresholdSweep, name: str) -> str:
    value = float(getattr(sweep, name)[0])
    return "–" if np.isnan(value) else f"{value:.1%}"


def _words(label: str, align: str, size: str = style.FONT) -> hv.Labels:
    rows = [(0.0, 0.0, "", color) for color in ("white", style.GHOST)]
    return hv.Labels(rows, ["x", "y"], ["text", "color"], label=label).opts(
        text_color="color", text_font_size=size, text_align=align, text_baseline="middle"
    )


def _cell_texts(texts: Sequence[str], colors: Sequence[str], height: float) -> Columns:
    """A text in every cell, at a height."""
    return {
        "x": [answer + 0.5 for _, answer in CELLS.values()],
        "y": [1 - label + height for label, _ in CELLS.values()],
        "text": texts,
        "text_color": colors,
    }
