"""The numbers of every racer, predicted and counted."""

import numpy as np
from markupsafe import Markup

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.race_picture import RacePicture, number
from dashboard.state.race import RaceFrame
from dashboard.widgets.plain_text import dot, element, phrase, sheet, write

STYLE = """
:host { overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums; }
th { font-weight: 500; opacity: .68; text-align: right; padding: 2px 4px 4px; vertical-align: bottom; }
td { text-align: right; padding: 3px 4px; border-top: 1px solid color-mix(in srgb, currentColor 13%, transparent); }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr.picked td { background: color-mix(in srgb, currentColor 8%, transparent); }
tr.hidden td { opacity: .4; }
"""
HEADS = ("", "rate", "predicted", "steps", "above", "cosine")


class RaceTable(RacePicture, Instrument):
    """A row for every racer. Steps count until the loss stays within 1e-6 of the lowest, as far as is known."""

    title = "Results"
    question = "How many steps to within 1e-6 of the lowest loss?"
    reading = (
        "Steps predicted from the curvatures at the minimum (none from where the surface curves down), steps counted, "
        "and how far the loss is above the lowest. The cosine is the median one between each step and the next over "
        "the last fifty: 1 is straight on, -1 a zigzag. The shaded row is the picked racer."
    )
    height = 300

    def describe(self, frame: RaceFrame) -> str:
        minima = frame.setup.surface.minima
        rest = frame.epoch.points[np.isfinite(frame.history.settled(frame.epoch.index))]
        found = {int(np.argmin(np.linalg.norm(minima - point, axis=1))) for point in rest}
        if len(minima) > 1 and len(rest):
            return f"{len(found)} of the {len(minima)} minima found"
        return f"lowest loss {number(frame.setup.lowest, 6)}"

    def table(self) -> dict[str, Columns]:
        """The numbers of the table with all their digits; nan where there is none."""
        frame, racers = self._frame, self._frame.setup.racers
        predicted = [frame.setup.predicted_steps(one.optimizer, [one.learning_rate])[0] for one in racers]
        values = (
            [racer.label for racer in racers],
            [racer.learning_rate for racer in racers],
            predicted,
            frame.history.settled(frame.epoch.index),
            frame.heights,
            frame.history.turns(frame.epoch.index),
        )
        return {"racers": dict(zip(("racer", *HEADS[1:]), values, strict=True))}

    def declare(self, frame: RaceFrame) -> None:
        """Make a table in HTML."""
        self.figure = sheet(stylesheets=[STYLE], sizing_mode="stretch_both")

    def write(self, frame: RaceFrame, after: int) -> None:
        """Write the table anew."""
        steps, turns = frame.history.settled(frame.epoch.index), frame.history.turns(frame.epoch.index)
        rows = [self._row(frame, place, steps[place], turns[place]) for place in range(len(steps))]
        heads = element("tr", *(element("th", head) for head in HEADS))
        write(self.figure, element("table", element("thead", heads), element("tbody", *rows)))
        self._frame = frame

    def _row(self, frame: RaceFrame, place: int, steps: float, turn: float) -> Markup:
        racer, height = frame.setup.racers[place], frame.heights[place]
        expected = float(frame.setup.predicted_steps(racer.optimizer, [racer.learning_rate])[0])
        kinds = {"picked": place == self.picked(frame), "hidden": place not in self.places(frame)}
        cells = (
            phrase(dot(self.color(frame, place)), racer.label),
            number(racer.learning_rate, 4),
            "never" if np.isinf(expected) else "" if np.isnan(expected) else f"{expected:,.0f}",
            f"{steps:,.0f}" if steps >= 0 else "",
            "blown up" if np.isnan(height) else number(height, 2),
            "" if np.isnan(turn) else f"{turn:.2f}",
        )
        names = " ".join(kind for kind, holds in kinds.items() if holds)
        return element("tr", *(element("td", cell) for cell in cells), kind=names)
