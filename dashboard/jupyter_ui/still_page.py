"""Images and words that a notebook keeps of a page."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import unescape
from typing import Any

from bokeh.models import Plot
from markupsafe import Markup

from dashboard.jupyter_ui import still
from dashboard.state.store import Shown
from dashboard.widgets.plain_text import BREAK, bold, html, phrase

ROW = "display: flex; flex-flow: row wrap; gap: 8px 20px; font-family: system-ui, sans-serif"
FIGURE = "flex: 0 1 460px; min-width: 260px; margin: 0"
SMALL = "font-size: 12.5px; opacity: .85"


def of(store: Shown, instruments: Sequence[Any], title: str = "") -> Markup:
    """Pictures of a store as they are now, under the state in words."""
    head = bold(title) + BREAK if title else ""
    words = Markup('<p style="margin: 4px 0 8px; font-family: system-ui, sans-serif">{}{}</p>').format(
        head, state(store)
    )
    return Markup('{}<div style="{}">{}</div>').format(words, ROW, phrase(*map(_figure, instruments), between=""))


def state(store: Shown) -> str:
    """What has become of a run, or what it was doing when this was drawn, and its numbers then."""
    readings = dict(store.readings(store.frame()))
    epoch, said = readings.pop("epoch", ""), store.ended or getattr(store, "condition", "")
    said = (said[:1].upper() + said[1:]).removesuffix("; Play goes on")  # an image has no button
    if said.lower().startswith("running"):
        said = f"{said} when this was drawn, at epoch {epoch}"
    elif not said:
        said = f"At epoch {epoch}"
    elif "epoch" not in said:
        said = f"{said} at epoch {epoch}"
    numbers = "".join(f", {name} {value}" for name, value in readings.items())
    return (
        f"{said.rstrip('.')}{numbers}. An image, drawn {datetime.now():%Y-%m-%d %H:%M}; run the cell to have it live."
    )


def _figure(one: Any) -> Markup:
    figure = getattr(one, "figure", None)
    words = unescape(re.sub("<[^>]*>", "", html(one.caption)))
    drawn = still.image(figure, f"{one.title}. {words}") if isinstance(figure, Plot) else ""
    caption = Markup('<figcaption style="{}">{}</figcaption>').format(SMALL, one.caption)
    return Markup('<figure style="{}">{}{}{}{}</figure>').format(FIGURE, bold(one.title), BREAK, drawn, caption)
