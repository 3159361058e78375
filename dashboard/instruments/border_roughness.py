"""How rough the border on a map is, and whether it is the network that makes it so."""

from collections.abc import Iterator

import holoviews as hv

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import counted, share
from dashboard.state.analyses.border_checks import FEWEST, TRIED, BorderChecks, BorderFound
from dashboard.state.run_map import RunMap, map_of
from dashboard.state.store import Frame
from dashboard.state.view import MapView
from dashboard.widgets import style
from dashboard.widgets.plain_text import BREAK, dot, phrase
from engine.sweep.boundary import BoxDimension

COLORS = {"border": style.TRAIN, "cosine": style.variant_color(1), "quadratic": style.variant_color(3)}
WORDS = {"border": "this border", "cosine": "two numbers and a cosine", "quadratic": "two numbers, a quadratic"}

EMPTY = {"x": (1.5, 48), "y": (5, 10_000)}
"""The axes before there is a border."""

DOTS = ("size", "count", "color")


class BorderRoughness(Instrument):
    """Box counts of the border of a map, of two borders without a network, and the share that rounding decides."""

    title = "Is the border real?"
    question = "Is the border rough because of the network, of rounding, or of neither?"
    reading = (
        "The border between runs that train and others, covered with boxes of ever smaller size: the slope is its box "
        "dimension, 1 for a smooth line and up to 2 for one that fills the plane. Two numbers without any network have "
        "borders too: smooth on a quadratic, and as rough as a network's with a cosine on it. So a rough border is no "
        "sign of a network. If runs at the border come out otherwise once their settings are one rounding larger, "
        "rounding decides there, and not the model."
    )
    missing = "there is no map here."
    heavy = True

    @property
    def map(self) -> RunMap:
        """The map whose border it is."""
        return map_of(self.run)

    @property
    def found(self) -> BorderFound | None:
        """What is known of the border of the map that is shown; None before it was looked at."""
        return self._checks.of(self.map.sweep, self._mark())

    def begin(self, frame: Frame) -> None:
        self._checks = BorderChecks(self.run)
        self._sent: object = self

    def picture(self, frame: Frame) -> hv.Overlay:
        lines = [
            hv.Curve([], "size", "count", label=name).opts(color=color, line_width=2) for name, color in COLORS.items()
        ]
        rows = [(1, 1, color) for color in COLORS.values()]  # of a single one HoloViews would make a constant color
        dots = hv.Points(rows, [*DOTS[:2]], DOTS[2], label="dots").opts(
            color="color",
            size=8,
            tools=["hover"],
            hover_tooltips=[("box size (pixels)", "@size"), ("boxes at the border", "@count")],
        )
        sizes = [2**power for power in range(8)]
        return hv.Overlay([*lines, dots]).opts(
            logx=True,
            logy=True,
            xlim=EMPTY["x"],
            ylim=EMPTY["y"],
            xticks=[(size, str(size)) for size in sizes],
            xlabel="box size (pixels)",
            ylabel="boxes at the border",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        lines = self._lines()
        if after >= 0 and lines == self._sent:
            return {}
        self._sent = lines
        points = [
            (size, count, COLORS[name])
            for name, line in lines.items()
            for size, count in zip(line.sizes, line.counts, strict=True)
        ]
        layers = {name: {"size": [], "count": []} for name in COLORS}
        layers |= {name: {"size": list(line.sizes), "count": list(line.counts)} for name, line in lines.items()}
        return {**layers, "dots": {name: [one[i] for one in points] for i, name in enumerate(DOTS)}}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        lines = self._lines().values()
        if not lines:
            return EMPTY
        sizes = [size for line in lines for size in line.sizes]
        counts = [count for line in lines for count in line.counts]
        return {"x": (min(sizes) / 1.3, max(sizes) * 1.3), "y": (min(counts) / 1.5, max(counts) * 1.5)}

    def describe(self, frame: Frame) -> str:
        found = self.found
        if found is None:
            return self._why_nothing()
        if found.problem:
            return phrase(found.problem)
        words = [phrase(dot(COLORS[name]), f"{WORDS[name]} {line}") for name, line in self._lines().items()]
        return phrase(*words, *_rounding(found), between=BREAK) if words else "counting boxes…"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._checks.work(self.map, self._mark())

    def _mark(self) -> int:
        return self.map.mark_until(MapView.of(self.run.view).map_epoch)

    def _lines(self) -> dict[str, BoxDimension]:
        """What is drawn so far, by name."""
        found = self.found
        if not found or not found.dimension:
            return {}
        return {"border": found.dimension, **dict(found.references)}

    def _why_nothing(self) -> str:
        """What is missing before there is a border to look at."""
        run_map = self.map
        if run_map.sweep is None:
            return "Compute a map, and its border is looked at here."
        if min(run_map.sweep.size) < FEWEST:
            return f"A border's roughness shows from {FEWEST} pixels a side on."
        return "waiting for the map to be finished…"


def _rounding(found: BorderFound) -> list[str]:
    """What rounding decides at the border."""
    if found.rounding:
        return [found.rounding]
    if not found.tried:
        return []
    said = f"one rounding further {share(found.flipped / found.tried)} of {counted(found.tried, 'run')} flip"
    return [said if found.is_done else f"{said}, of at most {TRIED}"]
