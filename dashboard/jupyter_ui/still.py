"""An image of a picture that needs no program, for whoever opens a notebook without its kernel.

The browser draws what is alive; this draws the same figure from its data sources, with what our pictures are made of:
lines, points, segments, boxes, areas, images and words on linear, logarithmic or named axes.
"""

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from bokeh.models import (
    Axis,
    ColorMapper,
    FactorRange,
    FixedTicker,
    GlyphRenderer,
    LogColorMapper,
    LogScale,
    PlainText,
    Plot,
    Span,
)
from markupsafe import Markup
from PIL import Image

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 10, 40
INK = "#7a8594"
"""Can be read on light and dark."""

MOST = 1200
"""Points of a line, marks and other shapes of one kind that are drawn, evenly chosen."""

DASHES = {"dashed": "6 4", "dotted": "2 4", "dotdash": "2 4 6 4", "dashdot": "6 4 2 4"}


def svg(figure: Plot) -> str:
    """A figure as SVG, without its toolbar and what a pointer would show."""
    height = figure.height or HEIGHT
    x = Along(figure, "x", LEFT, WIDTH - RIGHT)
    y = Along(figure, "y", height - BOTTOM, TOP)
    inside = "".join(part for renderer in figure.renderers for part in _drawn(renderer, x, y))
    clip = (
        f'<clipPath id="c"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{height - TOP - BOTTOM}"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11">{clip}</clipPath>'
        f'<g clip-path="url(#c)">{inside}</g>{_x_axis(figure, x, height)}{_y_axis(figure, y, height)}</svg>'
    )


def image(figure: Plot, words: str) -> Markup:
    """A figure as an image in HTML; words: what is read out of it."""
    text = b64encode(svg(figure).encode()).decode()
    return Markup('<img alt="{}" src="data:image/svg+xml;base64,{}" style="width: 100%; max-width: {}px">').format(
        words, text, WIDTH
    )


class Along:
    """Where numbers lie along an axis of a figure, in pixels."""

    def __init__(self, figure: Plot, axis: str, first: float, last: float) -> None:
        self.range, self._first, self._last = getattr(figure, f"{axis}_range"), first, last
        self.log = isinstance(getattr(figure, f"{axis}_scale"), LogScale)
        self._names = list(self.range.factors) if isinstance(self.range, FactorRange) else None
        low, high = (0, len(self._names)) if self._names is not None else (self.range.start, self.range.end)
        if low is None or high is None or low != low or high != high or low == high:
            low, high = _extent(figure, axis)
        self.low, self.high = (_log(low), _log(high)) if self.log else (float(low), float(high))

    def __call__(self, values: Any) -> np.ndarray:
        if self._names is not None:
            places = [self._names.index(one) + 0.5 if one in self._names else one for one in values]
            values = np.array(places, float)
        values = np.asarray(values, float)
        if self.log:
            values = np.log10(np.where(values > 0, values, np.nan))
        share = (values - self.low) / ((self.high - self.low) or 1)
        return self._first + np.clip(share, -9, 10) * (self._last - self._first)

    def ticks(self, axis: Axis) -> Iterator[tuple[float, str]]:
        """Where the ticks are and what is written at them, few enough to be read."""
        if self._names is not None:
            yield from ((float(self([name])[0]), str(name)) for name in self._names)
            return
        low, high = sorted((self.low, self.high))
        if isinstance(axis.ticker, FixedTicker):
            at = [float(tick) for tick in axis.ticker.ticks]
        elif self.log:
            at = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        else:
            at = _round(low, high)
        inside = [one for one in at if low - 1e-9 <= (_log(one) if self.log else one) <= high + 1e-9]
        overrides = {float(key): _text(value) for key, value in axis.major_label_overrides.items() if _is_number(key)}
        every = max(1, -(-len(inside) // 7))
        yield from ((float(self(one)), overrides.get(one, f"{one:.6g}")) for one in inside[::every])


def _extent(figure: Plot, axis: str) -> tuple[float, float]:
    """The smallest and the largest number along an axis, where nobody has set its ends."""
    names = {"x": ("x", "x0", "x1", "left", "right"), "y": ("y", "y0", "y1", "top", "bottom")}[axis]
    renderers = [one for one in figure.renderers if isinstance(one, GlyphRenderer)]
    columns = [_values(one, name) for one in renderers for name in names if name in one.glyph.properties()]
    numbers = [np.asarray(column, float) for column in columns if len(column) and _is_number(column[0])]
    finite = np.concatenate([[0.0, 1.0] if not numbers else [], *[one[np.isfinite(one)] for one in numbers]])
    return (float(finite.min()), float(finite.max())) if len(finite) and finite.min() < finite.max() else (0.0, 1.0)


def _log(value: float) -> float:
    return math.log10(value) if value and value > 0 else -30.0


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _round(low: float, high: float) -> list[float]:
    """About five round numbers between two."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw * 0.999) if raw > 0 else 1.0
    return [
        round(number * step, 12) for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _x_axis(figure: Plot, x: Along, height: float) -> str:
    axis = next((one for one in [*figure.below, *figure.above] if isinstance(one, Axis)), None)
    if axis is None or not axis.visible:
        return ""
    base = height - BOTTOM
    parts = [_line(LEFT, base, WIDTH - RIGHT, base, INK)]
    for at, words in x.ticks(axis):
        parts += [_line(at, base, at, base + 4, INK), _words(at, base + 15, words, "middle", INK)]
    parts.append(_words((LEFT + WIDTH - RIGHT) / 2, height - 6, _text(axis.axis_label), "middle", INK))
    return "".join(parts)


def _y_axis(figure: Plot, y: Along, height: float) -> str:
    axis = next((one for one in [*figure.left, *figure.right] if isinstance(one, Axis)), None)
    if axis is None or not axis.visible:
        return ""
    parts = [_line(LEFT, TOP, LEFT, height - BOTTOM, INK)]
    for at, words in y.ticks(axis):
        parts += [_line(LEFT - 4, at, LEFT, at, INK), _words(LEFT - 6, at + 4, words, "end", INK)]
    middle = (TOP + height - BOTTOM) / 2
    label = _words(12, middle, _text(axis.axis_label), "middle", INK)
    return "".join(parts) + label.replace("<text", f'<text transform="rotate(-90 12 {middle:.1f})"', 1)


def _drawn(renderer: Any, x: Along, y: Along) -> Iterator[str]:
    """The shapes of a renderer."""
    if isinstance(renderer, Span) and renderer.visible and _is_number(renderer.location):
        at = renderer.location
        ends = (LEFT, y(at), WIDTH, y(at)) if renderer.dimension == "width" else (x(at), 0, x(at), 2 * HEIGHT)
        yield _line(*map(float, ends), str(renderer.line_color), 1)
    if isinstance(renderer, GlyphRenderer) and renderer.visible:
        draw = DRAWN.get(type(renderer.glyph).__name__)
        if draw:
            yield from draw(renderer, x, y)


def _values(renderer: GlyphRenderer, name: str) -> Sequence[Any]:
    """A property of every shape of a renderer; of one that is the same for all, as often as there are shapes."""
    glyph, data = renderer.glyph, renderer.data_source.data
    spec = getattr(glyph, name, None)
    field = getattr(spec, "field", spec["field"] if isinstance(spec, Mapping) and "field" in spec else None)
    if field is None and isinstance(spec, str) and spec in data:
        field = spec
    if isinstance(field, str):
        column = data.get(field, [])
        mapper = getattr(spec, "transform", None) or (spec.get("transform") if isinstance(spec, Mapping) else None)
        return _colors(mapper, column) if isinstance(mapper, ColorMapper) else column
    value = getattr(spec, "value", spec["value"] if isinstance(spec, Mapping) and "value" in spec else spec)
    longest = max((len(column) for column in data.values()), default=0)
    return [None if type(value).__name__ == "UndefinedType" else value] * longest


def _colors(mapper: ColorMapper, column: Sequence[Any]) -> list[str]:
    palette = list(mapper.palette)
    if hasattr(mapper, "factors"):
        places = {str(factor): i for i, factor in enumerate(mapper.factors)}
        return [palette[places[str(one)] % len(palette)] if str(one) in places else INK for one in column]
    places, known = _places(mapper, np.asarray(column, float))
    return [palette[place] if there else "none" for place, there in zip(places, known, strict=True)]


def _places(mapper: ColorMapper, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For numbers the positions of their colors in a palette, and where there is one."""
    known = np.isfinite(values)
    low = mapper.low if mapper.low is not None else np.min(values[known], initial=np.inf)
    high = mapper.high if mapper.high is not None else np.max(values[known], initial=-np.inf)
    if isinstance(mapper, LogColorMapper):
        values, low, high = np.log(np.maximum(values, 1e-300)), np.log(max(low, 1e-300)), np.log(max(high, 1e-300))
    share = (np.where(known, values, low) - low) / (((high - low) or 1) if np.isfinite(high - low) else 1)
    return np.clip((share * len(mapper.palette)).astype(int), 0, len(mapper.palette) - 1), known


def _every(count: int) -> range:
    return range(0, count, max(1, -(-count // MOST)))


def _look(renderer: GlyphRenderer, i: int, fills: bool = True) -> str:
    """How the shape at a place is drawn."""
    parts = []
    for what in ("fill", "line") if fills else ("line",):
        color, alpha = (_at(_values(renderer, f"{what}_{part}"), i) for part in ("color", "alpha"))
        name = {"fill": "fill", "line": "stroke"}[what]
        parts.append(f'{name}="{escape(str(color or "none"))}"')
        if _is_number(alpha) and float(alpha) < 1:
            parts.append(f'{name}-opacity="{float(alpha):.3g}"')
    width, dash = _at(_values(renderer, "line_width"), i), getattr(renderer.glyph, "line_dash", None)
    dash = getattr(dash, "value", dash)
    if _is_number(width) and float(width) != 1:
        parts.append(f'stroke-width="{float(width):.3g}"')
    pattern = " ".join(map(str, dash)) if isinstance(dash, list | tuple) else DASHES.get(str(dash), "")
    return " ".join(
        [*parts, *([f'stroke-dasharray="{pattern}"'] if pattern else []), *([] if fills else ['fill="none"'])]
    )


def _at(values: Sequence[Any], i: int) -> Any:
    return values[i] if i < len(values) else None


def _path(across: np.ndarray, down: np.ndarray, closed: bool = False) -> str:
    """Points as a path, which breaks where there is none."""
    steps, pen = [], "M"
    for at in _every(len(across)) if len(across) > 2 * MOST else range(len(across)):
        if not (np.isfinite(across[at]) and np.isfinite(down[at])):
            pen = "M"
            continue
        steps.append(f"{pen}{across[at]:.1f} {down[at]:.1f}")
        pen = "L"
    return "".join(steps) + ("Z" if closed and steps else "")


def _curve(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    across, down = x(_values(renderer, "x")), y(_values(renderer, "y"))
    if len(across):
        yield f'<path d="{_path(across, down)}" {_look(renderer, 0, fills=False)}/>'


def _curves(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    for i, (xs, ys) in enumerate(zip(_values(renderer, "xs"), _values(renderer, "ys"), strict=False)):
        yield f'<path d="{_path(x(xs), y(ys))}" {_look(renderer, i, fills=False)}/>'


def _areas(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    for i, (xs, ys) in enumerate(zip(_values(renderer, "xs"), _values(renderer, "ys"), strict=False)):
        rings = zip(_rings(xs), _rings(ys), strict=False)
        path = "".join(_path(x(across), y(down), closed=True) for across, down in rings)
        yield f'<path fill-rule="evenodd" d="{path}" {_look(renderer, i)}/>'


def _rings(part: Any) -> Iterator[Any]:
    """The innermost lists of nested ones."""
    if len(part) and isinstance(part[0], list | tuple | np.ndarray):
        for one in part:
            yield from _rings(one)
    else:
        yield part


def _band(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    across, low, high = x(_values(renderer, "x")), y(_values(renderer, "y1")), y(_values(renderer, "y2"))
    path = _path(np.concatenate([across, across[::-1]]), np.concatenate([low, high[::-1]]), closed=True)
    yield f'<path d="{path}" {_look(renderer, 0)}/>'


def _marks(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    across, down, sizes = x(_values(renderer, "x")), y(_values(renderer, "y")), _values(renderer, "size")
    for i in _every(len(across)):
        if np.isfinite(across[i]) and np.isfinite(down[i]):
            size = float(sizes[i]) if _is_number(_at(sizes, i)) else 4.0
            yield f'<circle cx="{across[i]:.1f}" cy="{down[i]:.1f}" r="{size / 2:.3g}" {_look(renderer, i)}/>'


def _segments(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    ends = [axis(_values(renderer, name)) for axis, name in ((x, "x0"), (y, "y0"), (x, "x1"), (y, "y1"))]
    for i in _every(len(ends[0])):
        x0, y0, x1, y1 = (float(end[i]) for end in ends)
        if all(map(math.isfinite, (x0, y0, x1, y1))):
            yield f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" {_look(renderer, i, fills=False)}/>'


def _boxes(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    sides = [axis(_values(renderer, name)) for axis, name in ((x, "left"), (x, "right"), (y, "bottom"), (y, "top"))]
    for i in _every(len(sides[0])):
        left, right, bottom, top = (float(side[i]) for side in sides)
        if all(map(math.isfinite, (left, right, bottom, top))):
            box = f'x="{min(left, right):.1f}" y="{min(top, bottom):.1f}"'
            yield f'<rect {box} width="{abs(right - left):.1f}" height="{abs(top - bottom):.1f}" {_look(renderer, i)}/>'


def _spans(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    level = type(renderer.glyph).__name__ == "HSpan"
    for i, at in enumerate((y if level else x)(_values(renderer, "y" if level else "x"))):
        if math.isfinite(at):
            path = f"M0 {at:.1f}H{WIDTH}" if level else f"M{at:.1f} 0V{2 * HEIGHT}"
            yield f'<path d="{path}" {_look(renderer, i, fills=False)}/>'


def _letters(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    across, down, texts = x(_values(renderer, "x")), y(_values(renderer, "y")), _values(renderer, "text")
    for i in _every(min(len(across), len(texts))):
        if np.isfinite(across[i]) and np.isfinite(down[i]):
            align, color = _at(_values(renderer, "text_align"), i), _at(_values(renderer, "text_color"), i)
            dx, dy = (float(_at(_values(renderer, f"{axis}_offset"), i) or 0) for axis in "xy")
            anchor = {"left": "start", "right": "end"}.get(str(align), "middle")
            down_by = {"bottom": -4, "top": 12}.get(str(_at(_values(renderer, "text_baseline"), i)), 4) + dy
            yield _words(across[i] + dx, down[i] + down_by, str(texts[i]), anchor, str(color or INK))


def _images(renderer: GlyphRenderer, x: Along, y: Along) -> Iterator[str]:
    mapper = getattr(renderer.glyph, "color_mapper", None)
    for i, pixels in enumerate(_values(renderer, "image")):
        left, bottom, width, height = (float(_values(renderer, name)[i]) for name in ("x", "y", "dw", "dh"))
        (x0, x1), (y0, y1) = x([left, left + width]), y([bottom, bottom + height])
        place = f'x="{min(x0, x1):.1f}" y="{min(y0, y1):.1f}" width="{abs(x1 - x0):.1f}" height="{abs(y1 - y0):.1f}"'
        style = 'preserveAspectRatio="none" style="image-rendering: pixelated"'
        yield f'<image href="data:image/png;base64,{_png(mapper, np.asarray(pixels))}" {place} {style}/>'


def _png(mapper: ColorMapper | None, pixels: np.ndarray) -> str:
    """An image's pixels, from the bottom row up, as a file."""
    if mapper is None:
        colors = np.ascontiguousarray(pixels, np.uint32).view(np.uint8).reshape(*pixels.shape, 4)
    else:
        places, known = _places(mapper, pixels.astype(float))
        palette = np.array([list(bytes.fromhex(color[1:].ljust(8, "f")))[:4] for color in mapper.palette], np.uint8)
        colors = np.where(known[..., None], palette[places], np.uint8(0))
    written = BytesIO()
    Image.fromarray(np.ascontiguousarray(colors[::-1]), "RGBA").quantize(255).save(written, "PNG", optimize=True)
    return b64encode(written.getvalue()).decode()


def _line(x0: float, y0: float, x1: float, y1: float, color: str, width: float = 1) -> str:
    return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{escape(color)}" stroke-width="{width}"/>'


def _text(label: str | PlainText | None) -> str:
    """What is written at an axis: Bokeh has a model of what it is not to take for a formula."""
    return label.text if isinstance(label, PlainText) else label or ""


def _words(x: float, y: float, words: str, anchor: str, color: str) -> str:
    fill = escape(color)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>' if words else ""


DRAWN = {
    "Line": _curve,
    "MultiLine": _curves,
    "Patches": _areas,
    "MultiPolygons": _areas,
    "VArea": _band,
    "Scatter": _marks,
    "Circle": _marks,
    "Segment": _segments,
    "Quad": _boxes,
    "HSpan": _spans,
    "VSpan": _spans,
    "Text": _letters,
    "Image": _images,
    "ImageRGBA": _images,
}
"""How the shapes of each kind of glyph are drawn."""
