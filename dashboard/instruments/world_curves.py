"""A solvable world: its exact line, runs of the engine over it, and the run of the page."""

from collections.abc import Hashable, Sequence

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import counted, digits
from dashboard.instruments.study_picture import in_digits
from dashboard.state.solvable_worlds import SolvableWorlds
from dashboard.state.store import Frame
from dashboard.state.worlds.world import Line, Sample
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, phrase

MAX_RUNS = 60
"""Runs that are drawn one by one."""

TINY = 1e-30


class WorldPicture(Instrument):
    """What both pictures of a world share: it is declared anew for another world, and written where one changes.

    Attributes:
        lines: The exact lines of the world at the page's settings.
        drawn_subject, drawn_samples: What was last drawn.
    """

    missing = "there is no solvable world here."
    height = 420

    def __init__(self, run: object, **params: object) -> None:
        super().__init__(run, **params)
        self.no_worlds = SolvableWorlds()
        self.lines: Sequence[Line] = ()

    @property
    def worlds(self) -> SolvableWorlds:
        """What computes the runs; where the page has no such thing, one with which nobody computes."""
        return self.run.study if isinstance(self.run.study, SolvableWorlds) else self.no_worlds

    @property
    def samples(self) -> Sequence[Sample]:
        """What was measured with the present settings."""
        return self.worlds.samples if self.worlds.is_of(self.run.settings) else ()

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether the data are those of a world; the settings that do not belong to it are named in the caption."""
        setup = frame.setup
        is_solved = {
            "slope": True,
            "linear teacher": not setup.network.widths,
            "sine": setup.network.parametrization == "ntk",
        }
        return is_solved.get(setup.train.name, False)

    def is_fresh(self, frame: Frame) -> bool:
        return super().is_fresh(frame) or self.subject() != self.drawn_subject

    def begin(self, frame: Frame) -> None:
        self.drawn_subject = self.subject()
        self.lines = self.worlds.lines(frame.setup, self.run.settings)
        self.drawn_samples: object = self

    def outline(self, frame: Frame) -> Hashable:
        return self.worlds.world

    def continues(self, frame: Frame) -> bool:
        return self.drawn_samples is self.samples and super().continues(frame)

    def subject(self) -> Hashable:
        """Everything on which the exact lines depend, besides the setup."""
        settings = self.run.settings
        return self.worlds.world, self.worlds.size, settings.learning_rate, self.worlds.chosen.misfit(settings)


class WorldCurves(WorldPicture):
    """The exact lines, dashed; every run, thin; their mean; and the page's run at the frame's epoch, red."""

    title = "The exact line and the runs"
    question = "Does the engine do what theory says?"
    reading = (
        "The dashed lines are theory, drawn before anything is trained. The thin lines are runs of the engine from "
        "other seeds, the blue one is their mean, the red one the run of the page at the epoch that is looked at. Turn "
        "the dial “Size”: the larger, the closer the runs come to the line."
    )

    def picture(self, frame: Frame) -> hv.Overlay:
        world = self.worlds.chosen
        exact = hv.Contours([], label="exact").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        names = hv.Labels([], ["x", "y"], "text", label="names").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right", text_baseline="bottom"
        )
        runs = hv.Contours([], label="runs").opts(color=style.TRAIN, line_width=1, alpha=0.2)
        orbit = hv.Points([], ["x", "y"], label="orbit").opts(color=style.GHOST, size=1.5, alpha=0.5)
        mean = hv.Curve([], "x", "mean", label="mean").opts(color=style.TRAIN, line_width=2.5)
        means = hv.Points([], ["x", "y"], label="means").opts(color=style.TRAIN, size=5)
        own = hv.Curve([], "x", "this run", label="run").opts(color=style.CURSOR, line_width=2.5)
        now = hv.Points([], ["x", "y"], label="now").opts(color=style.CURSOR, size=6)
        scales = {"logy": True, "yticks": style.DECADES, "yformatter": "%.0e"} if world.log_y else {}
        return hv.Overlay([orbit, runs, mean, means, exact, names, own, now]).opts(
            **scales, logx=world.log_x, xlim=(0.1, 1), ylim=(0.1, 1), xlabel=world.x, ylabel=world.y
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._own = self._own_line(frame)
        x, y = self._own
        dots = self.worlds.chosen.dots
        layers = {
            "run": {"x": [] if dots else x, "this run": [] if dots else self._heights(y)},
            "now": {"x": x if dots else x[-1:], "y": self._heights(y if dots else y[-1:])},
        }
        if after < 0:
            self.drawn_samples = self.samples
            layers |= self._fixed(dots)
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        values = [self._own, *((line.x, line.y) for line in self.lines)]
        values += [(sample.x, _spread(sample.y)) for sample in self.samples]
        if not any(np.size(x) for x, _ in values):
            return {}
        x = np.concatenate([np.ravel(x) for x, _ in values])
        y = np.concatenate([np.ravel(y) for _, y in values])
        y = y[np.isfinite(y) & (y > TINY)] if self.worlds.chosen.log_y else y[np.isfinite(y)]
        return {"x": padded(x, self.worlds.chosen.log_x), "y": padded(y, self.worlds.chosen.log_y)}

    def describe(self, frame: Frame) -> str:
        found = self.worlds
        trouble = found.chosen.misfit(self.run.settings)
        if trouble:
            return trouble
        x, y = self._own
        own = f"this run {digits(y[-1])} at {found.chosen.x} {digits(x[-1])}" if len(x) else ""
        if not self.samples:
            return phrase(own, "press “Run them” for runs of other seeds", between=APART)
        off = np.concatenate([sample.deviations(found.chosen.in_errors) for sample in self.samples])
        off = np.abs(off[np.isfinite(off)])
        largest = digits(off.max(), 2) if len(off) else "0"
        unit = "standard errors" if found.chosen.in_errors else "of the largest value"
        runs = counted(len(self.samples[0].y), "run")
        return phrase(own, f"{runs}: their mean is off the line by at most {largest} {unit}", between=APART)

    def _fixed(self, dots: bool) -> dict[str, Columns]:
        """The layers that do not move with time."""
        curves = [line for line in self.lines if not dots or line.label]
        orbits = [line for line in self.lines if dots and not line.label]
        runs = [] if dots else [(sample.x, y) for sample in self.samples for y in sample.y[:MAX_RUNS]]
        means = [] if dots else self.samples
        return {
            "exact": {
                "xs": [in_digits(line.x) for line in curves],
                "ys": [in_digits(self._heights(line.y)) for line in curves],
            },
            "names": {
                "x": [float(line.x[-1]) for line in curves],
                "y": [float(self._heights(line.y)[-1]) for line in curves],
                "text": [line.label for line in curves],
            },
            "orbit": {
                "x": np.concatenate([line.x for line in orbits]) if orbits else [],
                "y": np.concatenate([line.y for line in orbits]) if orbits else [],
            },
            "runs": {"xs": [in_digits(x) for x, _ in runs], "ys": [in_digits(self._heights(y)) for _, y in runs]},
            "mean": {
                "x": np.concatenate([np.append(one.x, np.nan) for one in means]) if means else [],
                "mean": np.concatenate([np.append(self._heights(one.mean), np.nan) for one in means]) if means else [],
            },
            "means": {
                "x": np.concatenate([one.x for one in self.samples]) if dots and self.samples else [],
                "y": np.concatenate([one.mean for one in self.samples]) if dots and self.samples else [],
            },
        }

    def _own_line(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        settings = self.run.settings
        if self.worlds.chosen.misfit(settings) or not self.lines:
            return np.empty(0), np.empty(0)
        with np.errstate(all="ignore"):
            return self.worlds.chosen.own(frame, settings)

    def _heights(self, values: np.ndarray) -> np.ndarray:
        return np.maximum(values, TINY) if self.worlds.chosen.log_y else np.asarray(values)


class WorldDeviations(WorldPicture):
    """By how much the mean of the runs is off the exact line."""

    title = "Off the line"
    question = "Is what is left over chance?"
    reading = (
        "The mean of the runs minus what theory says, in standard errors of that mean: between the dashed lines at −2 "
        "and 2 it is chance, and from more runs it comes no nearer. Narrow networks leave the band, because theory is "
        "that of infinite width. Where theory follows every single run, what is drawn is how far they are apart as a "
        "share of the largest value: rounding, or the length of a step."
    )

    def outline(self, frame: Frame) -> Hashable:
        return self.worlds.world

    def picture(self, frame: Frame) -> hv.Overlay:
        world = self.worlds.chosen
        band = hv.Contours([], label="band").opts(color=style.GHOST, line_width=1.5, line_dash="dashed")
        line = hv.Curve([], "x", "off", label="deviation").opts(color=style.TRAIN, line_width=2)
        dots = hv.Points([], ["x", "y"], label="dots").opts(color=style.TRAIN, size=6)
        scales = {} if world.in_errors else {"logy": True, "yticks": style.DECADES, "yformatter": "%.0e"}
        return hv.Overlay([band, line, dots]).opts(
            **scales,
            logx=world.log_x,
            xlim=(0.1, 1),
            ylim=(0.1, 1),
            xlabel=world.x,
            ylabel="standard errors" if world.in_errors else "share of the largest",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if after >= 0:
            return {}
        self.drawn_samples = self.samples
        world = self.worlds.chosen
        x = [one.x for one in self.samples]
        off = [one.deviations(world.in_errors) for one in self.samples]
        self._off = np.concatenate(off) if off else np.empty(0)
        self._x = np.concatenate([*x, *(line.x for line in self.lines)]) if x or self.lines else np.empty(0)
        floor = -np.inf if world.in_errors else 1e-18
        ends = [float(self._x.min()), float(self._x.max())] if len(self._x) else []
        levels = (-2.0, 0.0, 2.0) if world.in_errors and ends else ()
        gapped = [np.append(one, np.nan) for one in x], [np.append(np.maximum(one, floor), np.nan) for one in off]
        return {
            "band": {"xs": [ends for _ in levels], "ys": [[level] * 2 for level in levels]},
            "deviation": {
                "x": np.concatenate(gapped[0]) if x else [],
                "off": np.concatenate(gapped[1]) if x else [],
            },
            "dots": {"x": np.concatenate(x) if x else [], "y": np.maximum(self._off, floor)},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        world = self.worlds.chosen
        fine = self._off[np.isfinite(self._off)]
        if world.in_errors:
            high = max(4.0, 1.1 * float(np.abs(fine).max(initial=0.0)))
            y = (-high, high)
        else:
            fine = np.maximum(fine, 1e-18)
            y = (float(fine.min()) / 3, float(fine.max()) * 3) if len(fine) else (1e-18, 1.0)
        return {"x": padded(self._x, world.log_x), "y": y}

    def describe(self, frame: Frame) -> str:
        found = self.worlds
        if not self.samples:
            return "press “Run them” to hold runs against the line"
        fine = self._off[np.isfinite(self._off)]
        if not found.chosen.in_errors:
            return f"at most {digits(np.abs(fine).max(initial=0.0), 2)} of the largest value"
        inside = int((np.abs(fine) <= 2).sum())
        return f"{inside} of {len(fine)} places within 2 standard errors of {counted(len(self.samples[0].y), 'run')}"


def padded(values: np.ndarray, log: bool = False) -> tuple[float, float]:
    """Ends of an axis around values."""
    if not len(values):
        return 0.1, 1.0
    low, high = float(values.min()), float(values.max())
    if log:
        return low / 1.5, high * 1.5
    margin = 0.06 * max(high - low, 1e-3)
    return low - margin, high + margin


def _spread(values: np.ndarray) -> np.ndarray:
    """What of the runs is to be seen: all but the farthest of them."""
    whole = values[np.isfinite(values).all(axis=1)]
    return np.quantile(whole, (0.02, 0.98), axis=0).ravel() if len(whole) else np.empty(0)
