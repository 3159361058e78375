"""Scripts, styles and icons that the page of a notebook needs to show the laboratory offline."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from zlib import compress

from bokeh.models import ImportedStyleSheet
from markupsafe import Markup
from panel.io.notebook import replace_inline_css
from panel.io.resources import CDN_DIST, patch_stylesheet
from panel.reactive import Syncable
from panel_material_ui.base import BUNDLE_PATH

from dashboard.widgets.beside import beside

LOADED = "application/vnd.holoviews_load.v0+json"
EXECUTED = "application/vnd.holoviews_exec.v0+json"
"""Where JupyterLab looks for scripts that are run once, and for what has a kernel."""

ONCE = "if (!window.Bokeh?.Panel) {\n%s\n}"
"""A page that has Bokeh keeps it: another one would cut off what is shown already."""

ICON = {
    "fontFamily": "Material Icons",
    "fontWeight": "normal",
    "fontStyle": "normal",
    "lineHeight": 1,
    "letterSpacing": "normal",
    "textTransform": "none",
    "whiteSpace": "nowrap",
    "direction": "ltr",
    "fontFeatureSettings": '"liga"',
}
"""What the widgets' own style sheet says of icons; of the rest of it they need nothing."""

IMPORTED = "export default (await window.descentLabWidgets).default"
"""Instead of the code of all widgets, 1.4 MB, in every one of them."""


def imported(_: Any) -> classmethod:
    """`MaterialComponent._render_esm`, for widgets that bring no code along: the page has it."""
    return classmethod(lambda cls, compiled=True, server=False: IMPORTED)


def scripts(panels: list[dict[str, str]]) -> list[str]:
    """What a page has to run once, in this order, given what Panel would have a cell put out."""
    own = [
        called("material_widgets.js", BUNDLE_PATH.read_text(encoding="utf-8")),
        called("icon_font.js", _font()),
        called("no_echoes.js"),
        called("comm_manager.js"),
    ]
    return [*(_guarded(data[LOADED]) for data in panels if LOADED in data), "\n".join(own)]


def called(name: str, *arguments: str) -> str:
    """The script that calls the function of a file in this folder."""
    return f"(\n{beside(__file__, name)})({', '.join(map(json.dumps, arguments))});"


def kept(key: str, ref: str, still: str) -> dict[str, str]:
    """What a notebook keeps of an output: an image of it, which a page with the kernel replaces by what is live.

    Args:
        key: Of the output.
        ref: Of what is live in it.
        still: The image, as `Markup`; anything else is text.
    """
    shown = Markup('<div data-descent-lab="{}"><div class="still">{}</div>').format(key, still)
    return {
        "text/html": "".join((shown, "<script>", called("live_output.js", key, ref), "</script></div>")),
        EXECUTED: "",
    }


def packed(html: str | None, scripts: list[str] | None) -> bytes:
    """The answer to a page that requests the live page of an output; no HTML where there is none any more."""
    return compress(json.dumps({"html": html, "scripts": scripts}).encode(), 6)


def themed(theme: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A theme of widgets for light and dark, with the icons that a notebook's page does not know."""
    icon = {"MuiIcon": {"styleOverrides": {"root": ICON}}}
    return {mode: {**look, "components": {**look.get("components", {}), **icon}} for mode, look in theme.items()}


def with_styles(properties: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`Syncable._process_param_change`, with style sheets as they are, where they would be links to another host."""

    def properties_with_styles(component: Syncable, params: dict[str, Any]) -> dict[str, Any]:
        found = properties(component, params)
        if "stylesheets" in found:
            found["stylesheets"] = [_with_text(sheet) for sheet in found["stylesheets"]]
        return found

    return properties_with_styles


def _with_text(sheet: Any) -> Any:
    if not isinstance(sheet, ImportedStyleSheet):
        return sheet
    patch_stylesheet(sheet, CDN_DIST)
    return replace_inline_css(sheet)


def _font() -> str:
    """The widgets' icons, as text."""
    folder = BUNDLE_PATH.parent
    (name,) = re.findall(r"material-icons-(?!outlined)\w+\.woff2", (folder / "material-icons.css").read_text())
    return b64encode((folder / name).read_bytes()).decode()


def _guarded(text: str) -> str:
    """A script that runs only where it is needed."""
    return ONCE % text if "Bokeh" in text else text
