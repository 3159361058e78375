"""What all pictures of a race share: color indices, who is hidden, and which racer is picked."""

from collections.abc import Sequence
from typing import ClassVar

import holoviews as hv
import numpy as np
from bokeh.models import ColumnDataSource, GlyphRenderer

from dashboard.instruments import numerals
from dashboard.instruments.instrument import Columns
from dashboard.state.race import Race, RaceFrame
from dashboard.state.race_settings import RaceView
from dashboard.state.race_setup import COLORS, RaceSetup
from dashboard.state.store import Frame
from dashboard.widgets import style

TWO = (style.GHOST, style.CURSOR)
"""Colors for the rows that a layer is declared with: of a single one HoloViews would make a constant."""


class RacePicture:
    """Mixed into an instrument that draws a race. Every racer has a color index, each color index a layer of its own.

    The layers are declared once, so that other racers need no new picture. `multiplied` names the layers that exist
    once per color index: the picture declares the first one, such as "color 0".
    """

    multiplied: ClassVar[tuple[str, ...]] = ()
    run: Race
    _shown: Sequence[int] = ()

    def draw(self, frame: RaceFrame) -> None:
        """Draw a frame."""
        super().draw(frame)
        self._shown = self.places(frame)

    def continues(self, frame: RaceFrame) -> bool:
        """Whether what is drawn may stay: not when other racers are hidden."""
        return self.places(frame) == self._shown and super().continues(frame)

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Races only."""
        return isinstance(frame.setup, RaceSetup)

    def stride(self, frame: RaceFrame) -> int:
        """A power of three: in a zigzag, consecutive points that are drawn lie on opposite sides."""
        stride = 1
        while frame.epoch.index // stride >= self.points:
            stride *= 3
        return stride

    def declared(self) -> None:
        """Add the layers of all other color indices."""
        super().declared()
        for name in self.multiplied:
            self._multiply(name)

    def _multiply(self, name: str) -> None:
        """Copy the first layer for all other color indices in Bokeh: in HoloViews each would cost 16 ms.

        What has the color of index 0 gets that of its own index.
        """
        layers = list(self.figure.renderers)
        place = next(i for i, layer in enumerate(layers) if layer.data_source is self.sources[f"{name} 0"])
        for i in range(1, COLORS):
            source, glyph = ColumnDataSource(layers[place].data_source.data), layers[place].glyph.clone()
            if glyph.line_color == style.variant_color(0):
                glyph.line_color = style.variant_color(i)
            layers.insert(place + i, GlyphRenderer(data_source=source, glyph=glyph))
            self.sources[f"{name} {i}"] = source
        self.figure.renderers = layers

    def places(self, frame: RaceFrame) -> list[int]:
        """The racers that are not hidden, by their place in the race."""
        hidden = RaceView.of(self.run.view).hidden
        return [place for place, racer in enumerate(frame.setup.racers) if racer.label not in hidden]

    def picked(self, frame: RaceFrame) -> int:
        """The place of the picked racer."""
        labels = [racer.label for racer in frame.setup.racers]
        wanted = RaceView.of(self.run.view).racer
        return labels.index(wanted) if wanted in labels else 0

    def pick(self, frame: RaceFrame, place: int) -> None:
        """Make all pictures examine a racer."""
        self.run.view.pick(racer=frame.setup.racers[place].label)

    def color(self, frame: RaceFrame, place: int) -> str:
        """A racer's color, the same in all pictures."""
        return style.variant_color(frame.setup.racers[place].color_index)

    def colors(self, frame: RaceFrame, places: Sequence[int]) -> list[str]:
        """The colors of several racers."""
        return [self.color(frame, place) for place in places]

    def steps(self, frame: RaceFrame, after: int) -> np.ndarray:
        """(k,) the steps to draw, evenly spaced, from the one after `after` to the frame's."""
        stride = self.stride(frame)
        return np.arange((after // stride + 1) * stride, frame.epoch.index + 1, stride)

    def rows(self, frame: RaceFrame, after: int) -> slice:
        """The same as rows of the race's history."""
        stride = self.stride(frame)
        return slice((after // stride + 1) * stride, frame.epoch.index + 1, stride)

    def color_indices(self, frame: RaceFrame, x: np.ndarray, y: np.ndarray, names: Sequence[str], after: int) -> dict:
        """The layers of all color indices: x and y are (k, racers). Unused layers are emptied when all is written."""
        layers: dict[str, Columns] = {}
        if after < 0:
            layers = {color_index(i): {names[0]: [], names[1]: []} for i in range(COLORS)}
        for place in self.places(frame) if len(x) else ():
            columns = {names[0]: x[:, place], names[1]: y[:, place]}
            layers[color_index(frame.setup.racers[place].color_index)] = columns
        return layers


def color_index(place: int) -> str:
    """The label of the layer with a color index."""
    return f"color {place}"


def first_color(x: str, y: str) -> hv.Curve:
    """The layer with color index 0."""
    return hv.Curve([], x, y, label=color_index(0)).opts(
        color=style.variant_color(0), line_width=2, line_join="round", show_legend=False
    )


def number(value: float, digits: int = 3) -> str:
    """A number in a caption or a table; a dash where there is none."""
    return "∞" if np.isinf(value) else numerals.digits(value, digits)
