"""The error of the gradient check against epsilon: a U between rounding and truncation."""

from collections.abc import Hashable, Iterator

import holoviews as hv
import numpy as np

from dashboard.instruments.audit_picture import AuditPicture
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import powers
from dashboard.state.analyses.gradient_audit import EPSILONS, EXPONENTS, Findings, GradientAudit
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, dot, phrase
from engine.gradient_check import TOLERANCE

LEFT, RIGHT = EPSILONS[0] / 2, EPSILONS[-1] * 2
LOWEST, HIGHEST = 1e-14, 10.0


class EpsilonErrors(AuditPicture, Instrument):
    """The largest and the median relative error at every epsilon, over what theory predicts for both ends."""

    title = "Which ε?"
    question = "How far should a parameter be moved to see its slope?"
    reading = (
        "To the left the two losses are so close that their difference is rounding, and the error grows like 1/ε; to "
        "the right the loss bends within ε, and it grows like ε². The dashed lines are predicted for the median, from "
        "the rounding of the loss and the answers and from its third derivative. Numbers on top count the kinks. A bug "
        "is seen at every ε. Click to choose."
    )
    height = 330

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        expected = hv.Segments([(LEFT, 1, RIGHT, 1)], label="expected").opts(
            color=style.GHOST, line_width=2, line_dash="dashed"
        )
        limit = hv.Segments([(LEFT, TOLERANCE, RIGHT, TOLERANCE)], label="tolerance").opts(
            color=style.FAILED, line_width=1.5, line_dash="dotted"
        )
        lines = [
            hv.Curve([], "epsilon", "error", label=name).opts(color=color, line_width=2.5)
            for name, color in style.ERRORS.items()
        ]
        dots = [
            hv.Points([], ["epsilon", "error"], label=f"{name} dots").opts(
                color=color,
                size=5,
                tools=["hover"],
                hover_tooltips=_tooltips(name),
            )
            for name, color in style.ERRORS.items()
        ]
        cursor = hv.Segments([(1e-5, LOWEST, 1e-5, HIGHEST)], label="cursor").opts(
            color=style.CURSOR, line_width=1.5, alpha=0.7
        )
        words = hv.Labels([(1e-5, 1.0, "")], ["epsilon", "error"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size="11px"
        )
        return hv.Overlay([expected, limit, *lines, *dots, cursor, words]).opts(
            logx=True,
            logy=True,
            xlim=(LEFT, RIGHT),
            ylim=(LOWEST, HIGHEST),
            xticks=[10.0**power for power in range(-12, 0, 2)],
            yticks=[10.0**power for power in range(-13, 1, 2)],
            xformatter="%.0e",
            yformatter="%.0e",
            xlabel="ε",
            ylabel="relative error",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._found = found = self.run.analysis(GradientAudit).findings(frame)
        cursor = {"x0": [self.epsilon], "x1": [self.epsilon], "y0": [LOWEST], "y1": [HIGHEST]}
        seen = (found, len(found.checks), found.complete) if found else None
        if after >= 0 and seen == self._seen:
            return {"cursor": cursor}
        self._seen = seen
        return {"cursor": cursor, **self._curves(found), "expected": _expected(found), "words": _kinks(found)}

    def describe(self, frame: Frame) -> str:
        found = self._found
        if not found:
            return "checking every ε …"
        errors = {epsilon: one.check.max_relative_error for epsilon, one in found.checks.items()}
        known = {epsilon: error for epsilon, error in errors.items() if not np.isnan(error)}
        best = min(known, key=known.get, default=np.nan)
        dots = phrase(*(part for name, color in style.ERRORS.items() for part in (dot(color), name)))
        late = f"epoch {found.epoch:,}" if found.epoch != frame.epoch.index else ""
        return phrase(dots, f"best at {best:.0e}: {powers(known.get(best, np.nan))}", late, between=APART)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self.run.analysis(GradientAudit).work(frame)

    def tapped(self, x: float, y: float) -> None:
        """Choose the epsilon next to where it was clicked."""
        if x > 0:
            self.pick(exponent=int(np.clip(round(np.log10(x)), EXPONENTS[0], EXPONENTS[-1])))

    def _curves(self, found: Findings | None) -> dict[str, Columns]:
        checks = sorted(found.checks.items()) if found else []
        errors = {
            "largest": [(epsilon, one.check.max_relative_error) for epsilon, one in checks],
            "median": [(epsilon, one.check.median_relative_error) for epsilon, one in checks],
        }
        layers = {}
        for name, points in errors.items():
            columns = {"epsilon": [x for x, _ in points], "error": [_drawn(y) for _, y in points]}
            layers |= {name: columns, f"{name} dots": columns}
        return layers


def _expected(found: Findings | None) -> Columns:
    """The two legs of the U of the median, each as long as it stays in the picture."""
    if not found or np.isnan([found.rounding, found.bend]).any():
        return {"x0": [], "y0": [], "x1": [], "y1": []}
    with np.errstate(all="ignore"):
        lines = [(LEFT, found.rounding / LEFT, RIGHT, found.rounding / RIGHT)]
        lines += [(LEFT, found.bend * LEFT**2, RIGHT, found.bend * RIGHT**2)] if found.bend else []
    return dict(zip(("x0", "y0", "x1", "y1"), map(list, zip(*lines, strict=True)), strict=True))


def _kinks(found: Findings | None) -> Columns:
    """How many parameters are at kinks, at each power of ten."""
    counts = {e: int(one.check.kinks.sum()) for e, one in sorted(found.checks.items())} if found else {}
    shown = [(e, str(count)) for e, count in counts.items() if count]
    return {"epsilon": [e for e, _ in shown], "error": [HIGHEST / 3] * len(shown), "text": [text for _, text in shown]}


def _tooltips(name: str) -> list[tuple[str, str]]:
    return [(name, "@error{measured}"), ("ε", "@epsilon{measured}")]


def _drawn(error: float) -> float:
    """An error that can be drawn: exactly 0 lies at the lower edge, nothing breaks the line."""
    return error if np.isnan(error) else float(np.clip(error, LOWEST, HIGHEST))
