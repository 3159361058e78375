"""How far backpropagation and a difference of losses are apart, parameter by parameter."""

from collections.abc import Hashable, Iterator
from itertools import pairwise

import holoviews as hv
import numpy as np
from markupsafe import Markup

from dashboard.instruments.audit_picture import AuditPicture
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import powers
from dashboard.instruments.stage_arithmetic import in_words
from dashboard.state.analyses.gradient_audit import CheckView, GradientAudit, passed
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, bold, dot, phrase
from engine.gradient_check import GradientCheck, parameter_names
from engine.network import Network

GAP = 0.8
"""Cells between two layers, and half of it between weights and biases."""

FAINTEST, FULL = 1e-13, 1.0
"""Relative errors from the palest cell to the deepest."""


class CheckMap(AuditPicture, Instrument):
    """One cell per parameter, laid out as weights and biases are, colored by the error of the gradient check."""

    title = "Every parameter"
    question = "Does every parameter have the gradient that the loss has?"
    reading = (
        "Each block is a layer's weights, one column per unit, with the biases below. Green passes: the two gradients "
        "differ by less than 1e-5 of themselves; red does not; the deeper the color, the larger the error. Crossed "
        "cells have a kink within ε and do not count. Click a cell to walk its check."
    )
    height = 330

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._network = self.subject(frame).network
        self._cells = cells(self._network)
        self._names = parameter_names(self._network)

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        rows = [(0, 0, 1, 1, "", 0.0, 0.0, 0.0, color) for color in style.VARIANTS[:2]]
        values = ["name", "analytic", "numeric", "error", "color"]
        boxes = hv.Rectangles(rows, vdims=values, label="parameters").opts(
            color="color",
            line_color=style.GHOST,
            line_width=0.5,
            tools=["hover"],
            hover_tooltips=[
                ("", "@name"),
                ("backpropagation", "@analytic{finely}"),
                ("difference", "@numeric{finely}"),
                ("relative error", "@error{measured}"),
            ],
        )
        kinks = hv.Points([], ["x", "y"], label="kinks").opts(color=style.GHOST, marker="x", size=9, line_width=2)
        picked = hv.Rectangles([(0, 0, 1, 1)], label="picked").opts(
            fill_alpha=0, line_color=style.CURSOR, line_width=2.5
        )
        words = hv.Labels([(0, 0, "")], ["x", "y"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT
        )
        return hv.Overlay([boxes, kinks, picked, words]).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xaxis=None,
            yaxis=None,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        subject = self.subject(frame)
        known = self.run.analysis(GradientAudit).check(frame, subject, self.epsilon)
        self._checked, self._epoch = known or (None, frame.epoch.index)
        left, bottom = self._cells.T
        layers = {
            "parameters": {"left": left, "bottom": bottom, "right": left + 1, "top": bottom + 1, **self._answers()},
            "kinks": self._kinks(),
            "picked": self._box(self.parameter(subject)),
        }
        return self.news({**layers, "words": self._words()}, after)

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        right, top = self._cells.max(axis=0) + 1
        return {"x": (-0.2, right + 0.2), "y": (self._cells[:, 1].min() - 0.1 * top, top * 1.1)}

    def describe(self, frame: Frame) -> str:
        if self._checked is None:
            return "checking every parameter …"
        check, worst = self._checked.check, self._checked.check.max_relative_error
        bug = CheckView.of(self.run.view).bug
        if bug != "none":
            harmless = self._checked.verdict == "harmless"
            apart = "same direction, same length" if harmless else _apart(check.analytic, check.numeric)
            words = phrase(bold(self._checked.verdict), " here" * harmless, f": {apart}", between="")
        elif np.isnan(worst):
            words = "nothing but kinks"
        else:
            verdict = "passed" if check.passed else "not passed"
            words = phrase(bold(verdict), f": largest error {powers(worst)}", between="")
        at_kinks = check.relative_errors[check.kinks]
        aside = f"{len(at_kinks)} at kinks, up to {powers(at_kinks.max())}" if len(at_kinks) else ""
        late = f"epoch {self._epoch:,}" if self._epoch != frame.epoch.index else ""
        return phrase(phrase(self._dot(), words), aside, late, between=APART)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self.run.analysis(GradientAudit).work_at(frame, self.epsilon)

    def tapped(self, x: float, y: float) -> None:
        """Pick the parameter that was clicked."""
        away = np.abs(self._cells + 0.5 - [x, y]).max(axis=1)
        if away.min() < 1:
            self.pick(parameter=int(away.argmin()))

    def _dot(self) -> Markup:
        ok = passed(self._checked.check.max_relative_error)
        return dot(style.PASSED if ok else style.FAILED)

    def _answers(self) -> Columns:
        """The result of the check for every parameter; empty where it has not been made yet."""
        if self._checked is None:
            nothing = np.full(len(self._cells), np.nan)
            colors = [f"{style.GHOST}18"] * len(self._cells)
            return {"name": self._names, "analytic": nothing, "numeric": nothing, "error": nothing, "color": colors}
        check = self._checked.check
        return {
            "name": self._names,
            "analytic": check.analytic,
            "numeric": check.numeric,
            "error": check.relative_errors,
            "color": shades(check),
        }

    def _kinks(self) -> Columns:
        centers = self._cells[self._checked.check.kinks] + 0.5 if self._checked else np.empty((0, 2))
        return {"x": centers[:, 0], "y": centers[:, 1]}

    def _box(self, i: int) -> Columns:
        left, bottom = self._cells[i]
        return {"left": [left], "bottom": [bottom], "right": [left + 1], "top": [bottom + 1]}

    def _words(self) -> Columns:
        """Each layer's name over its block."""
        top, start, spots = self._cells[:, 1].max() + 1, 0, []
        for layer, (fan_in, fan_out) in enumerate(pairwise(self._network.sizes), start=1):
            spots.append((self._cells[start, 0] + fan_out / 2, f"W{layer}, b{layer}"))
            start += (fan_in + 1) * fan_out
        return {"x": [x for x, _ in spots], "y": [1.05 * top] * len(spots), "text": [text for _, text in spots]}


def cells(network: Network) -> np.ndarray:
    """(n_parameters, 2) the lower left corners of cells of size 1: layers from the left, weights over their biases."""
    corners, left = [], 0.0
    tallest = max(network.sizes[:-1])
    for fan_in, fan_out in pairwise(network.sizes):
        top = (tallest + fan_in) / 2
        corners += [(left + column, top - row) for row, column in np.ndindex(fan_in, fan_out)]
        corners += [(left + column, top - fan_in - GAP / 2) for column in range(fan_out)]
        left += fan_out + GAP
    return np.array(corners, dtype=float)


def shades(check: GradientCheck) -> list[str]:
    """Green for an error that passes, red for one that does not, deeper the larger; gray at a kink."""
    errors = np.clip(check.relative_errors, FAINTEST, FULL)
    depths = (70 + 185 * np.log(errors / FAINTEST) / np.log(FULL / FAINTEST)).tolist()
    aside = (check.kinks | np.isnan(errors)).tolist()
    return [
        f"{style.GHOST}30" if gray else f"{style.PASSED if passed(error) else style.FAILED}{round(depth):02x}"
        for error, depth, gray in zip(errors.tolist(), depths, aside, strict=True)
    ]


def _apart(a: np.ndarray, b: np.ndarray) -> str:
    """How far two gradients are apart, in words: the angle between them, and how much longer the first is."""
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    with np.errstate(all="ignore"):
        angle = np.degrees(np.arccos(np.clip(a @ b / np.prod(lengths), -1, 1)))
        ratio = lengths[0] / lengths[1]
    return "a gradient of no direction" if np.isnan(angle) else f"{angle:.0f}° off, {in_words(ratio)} times as long"
