"""What a user can do with any chart: read the values under the pointer, look closer, and see everything again."""

from collections.abc import Callable, Iterator

import holoviews as hv
from bokeh.events import DoubleTap, RangesUpdate
from bokeh.models import BoxAnnotation, BoxZoomTool, ColumnDataSource, GlyphRenderer, HoverTool, Plot, Range1d
from holoviews.plotting.bokeh.element import ElementPlot

MAX_CURVES_AT_ONCE = 3
"""Of more curves, only the one under the pointer is read."""

SCROLLS = "@media (pointer: coarse) { .bk-events { touch-action: pan-y pinch-zoom !important; } }"
"""A thumb that moves over a picture scrolls the page, as without a zoom."""


EPOCHS = "epoch"
"""The name of an axis of epochs."""

SINCE_EPOCH_0 = 0.5
"""Where the future of epoch 0 begins, also on a logarithmic axis."""


PALE = "#88888866"
VEIL = f":host {{ left: 0; top: 0; --bk-fill-color: var(--veil, {PALE}); --bk-fill-alpha: 1; }}"
"""The page's ground, half opaque; the fallback is for pages that are not the laboratory's. Bokeh places it by its style
once there is a future; before, it would stand beside the chart."""


class Future:
    """A veil over what a chart with an epoch axis shows of the time after the epoch that is looked at."""

    def __init__(self, figure: Plot) -> None:
        self._cursor: int | None = None
        self._box = BoxAnnotation(
            left=0,
            fill_color=PALE,
            line_color=None,
            visible=False,
            level="annotation",
            css_classes=["future"],
            stylesheets=[VEIL],
        )
        figure.add_layout(self._box)

    @staticmethod
    def suits(figure: Plot) -> bool:
        """Whether a figure has an epoch axis."""
        return bool(figure.xaxis) and figure.xaxis[0].axis_label == EPOCHS

    @staticmethod
    def leave_out(figure: Plot, now: ColumnDataSource | None) -> None:
        """Draw the points of the epoch that is looked at above the veil."""
        for renderer in figure.renderers:
            if now is not None and renderer.data_source is now:
                renderer.level = "overlay"

    def follow(self, cursor: int | None) -> None:
        """Begin at an epoch; None if there is no future."""
        if cursor != self._cursor:
            self._cursor = cursor
            if cursor is None:
                self._box.visible = False
            else:
                self._box.update(left=max(cursor, SINCE_EPOCH_0), visible=True)


class Zoom:
    """Drag over a chart to look closer, double-click to see everything again.

    Attributes:
        is_on: Whether a part of the chart is looked at; its axes then stay as they are.
    """

    def __init__(self, figure: Plot, changed: Callable[[], None], keeps_aspect: bool = False) -> None:
        """Add it to a figure.

        Args:
            figure: Whose axes are numbers.
            changed: Called once everything is to be seen again.
            keeps_aspect: Whether both axes have one scale.
        """
        self.is_on, self._changed = False, changed
        self._box = BoxZoomTool(match_aspect=keeps_aspect)
        figure.toolbar.tools = [*figure.toolbar.tools, self._box]
        figure.stylesheets = [*figure.stylesheets, SCROLLS]
        figure.on_event(RangesUpdate, lambda _: self._look_closer())
        figure.on_event(DoubleTap, lambda _: self.leave())
        self._toolbar = figure.toolbar
        self.let(True)

    @staticmethod
    def suits(figure: Plot) -> bool:
        """Whether the axes of a figure are numbers."""
        return isinstance(figure.x_range, Range1d) and isinstance(figure.y_range, Range1d)

    def let(self, allowed: bool) -> None:
        """Whether a drag looks closer; it does not while it draws."""
        self._toolbar.active_drag = self._box if allowed else None

    def leave(self) -> None:
        """See everything again."""
        if self.is_on:
            self.is_on = False
            self._changed()

    def _look_closer(self) -> None:
        self.is_on = True


def curve_hovers(plot: hv.plotting.bokeh.element.OverlayPlot | ElementPlot, figure: Plot) -> list[HoverTool]:
    """Tools that read the curves of a chart which no other tool of it reads."""
    read = {renderer for tool in figure.select(HoverTool) for renderer in _renderers(tool)}
    curves = [(element, renderer) for element, renderer in _curves(plot) if renderer not in read]
    mode = "vline" if len(curves) <= MAX_CURVES_AT_ONCE else "mouse"
    x_label, y_label = (axis[0].axis_label or "" for axis in (figure.xaxis, figure.yaxis))
    return [
        HoverTool(
            renderers=[renderer],
            tooltips=_tooltips(element, str(x_label), str(y_label) if len(curves) == 1 else ""),
            mode=mode,
            line_policy="nearest",
            attachment="horizontal",
        )
        for element, renderer in curves
    ]


def _tooltips(curve: hv.Curve, x_label: str, name: str) -> list[tuple[str, str]]:
    x, y = curve.kdims[0].name, curve.vdims[0].name
    at = [(x_label, f"@{x}{{{'epoch' if x == 'epoch' else 'measured'}}}")] if x_label else []
    return [(name or curve.label.split(": ")[-1], f"@{y}{{measured}}"), *at]


def _renderers(tool: HoverTool) -> list[GlyphRenderer]:
    return tool.renderers if isinstance(tool.renderers, list) else []


def _curves(plot: ElementPlot) -> Iterator[tuple[hv.Curve, GlyphRenderer]]:
    for part in plot.traverse(lambda one: one, [ElementPlot]):
        element, renderer = part.current_frame, part.handles.get("glyph_renderer")
        if isinstance(element, hv.Curve) and renderer is not None:
            yield element, renderer
