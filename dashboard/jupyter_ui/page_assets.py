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

LOADED = "application/vnd.holoviews_load.v0+json"
EXECUTED = "application/vnd.holoviews_exec.v0+json"
"""Where JupyterLab looks for scripts that are run once, and for what has a kernel."""

ONCE = "if (!window.Bokeh?.Panel) {\n%s\n}"
"""A page that has Bokeh keeps it: another one would cut off what is shown already."""

WIDGETS = """
window.descentLabWidgets ??= (async () => {
  while (!window.importShim) { await new Promise((resolve) => setTimeout(resolve, 20)) }
  return await importShim(URL.createObjectURL(new Blob([%s], {type: "text/javascript"})))
})();
"""
QUIET = """
window.descentLabQuiet ??= (async () => {
  while (!window.Bokeh?.Panel) { await new Promise((resolve) => setTimeout(resolve, 20)) }
  const {prototype} = Bokeh.Models._known_models.get("panel.models.comm_manager.CommManager")
  const {_document_changed} = prototype
  prototype._document_changed = function (event) { if (event.sync !== false) { _document_changed.call(this, event) } }
})();
"""
"""Panel's page tells the kernel all that the kernel has just told it: seconds of work a frame, and a boomerang."""

INSISTENT = """
(() => {
  const manager = window.PyViz?.comm_manager
  if (!manager || manager.insistent) { return }
  manager.insistent = true
  const {register_target, get_client_comm} = manager, shown = new Map()
  const isShown = (plot) => window.PyViz.plot_index[plot] != null || window.Bokeh?.index[plot] != null
  const onceShown = (plot, hear) => {
    const waiting = []
    const pass = () => {
      if (isShown(plot) || !(plot in window.PyViz.kernels)) { waiting.splice(0).forEach(hear) }
      else { setTimeout(pass, 20) }
    }
    return (message) => { if (waiting.push(message) == 1) { pass() } }
  }
  const answered = (plot) => {
    const {waiting, send} = shown.get(plot) ?? {waiting: []}
    waiting.splice(0).forEach((message) => send(...message))
    shown.set(plot, {...shown.get(plot), isHeard: true})
  }
  manager.register_target = (plot, target, hear) => {
    const kernel = window.PyViz.kernels[plot]
    if (!kernel) { return register_target.call(manager, plot, target, hear) }
    kernel.registerCommTarget(target, (comm) => { comm.onMsg = onceShown(plot, hear); answered(plot) })
  }
  manager.get_client_comm = (plot, target, hear) => {
    const kernel = window.PyViz.kernels[plot], comm = get_client_comm.call(manager, plot, target, hear)
    if (!kernel) { return comm }
    const {send} = comm, waiting = []
    shown.set(plot, {kernel, send, waiting, isHeard: false})
    comm.send = (...message) => shown.get(plot)?.isHeard === false ? waiting.push(message) : send(...message)
    const insist = (wait) => {
      if (shown.get(plot)?.isHeard !== false) { return }
      comm.open()
      if (wait < 10000) { setTimeout(() => insist(2 * wait), wait) }
    }
    setTimeout(() => insist(500), 250)
    return comm
  }
  setInterval(() => {
    for (const [plot, {kernel}] of shown) {
      if (plot in window.PyViz.kernels) { continue }
      shown.delete(plot)
      const comm = kernel.connectToComm("hv-extension-comm")
      comm.open()
      comm.send({event_type: "delete", id: plot})
    }
  }, 1000)
})()
"""
"""What is between a page and its kernel. A busy kernel hears only of what has a thread of its own there, for which
JupyterLab asks when it first tells of it: so it is told again. What is said before the kernel listens would be lost,
and so would be what the kernel says before the output is drawn, piece by piece of a message: they wait. And that an
output is gone, which JupyterLab's extension means to tell, is told."""

LOADER = """
((key, ref) => {
  const place = document.currentScript?.closest("[data-descent-lab]")
  const lab = (window.descentLab ??= {live: {}, asked: {}, places: {}, drawn: {}, loading: null})
  const kernels = () => window.PyViz?.kernels ?? {}

  // Beside what the notebook keeps, so that it stays as it is while that is drawn anew.
  const show = () => {
    const {element} = lab.live[key], place = lab.places[key], node = place.parentElement.parentElement
    if (element.parentNode != node) { node.append(element) }
    place.querySelector(".still").hidden = true
  }
  const forget = () => {
    const {element, target} = lab.live[key], still = lab.places[key].querySelector(".still")
    delete lab.live[key]
    delete lab.asked[key]
    element.remove()
    if (still) { still.hidden = false }
    if (target != null) { delete kernels()[target]; delete window.PyViz.plot_index?.[target] }
    const found = window.Bokeh?.index[target]?.model.document
    if (found) { found.clear(); Bokeh.documents.splice(Bokeh.documents.indexOf(found), 1) }
  }
  const run = (text) => {
    const script = document.createElement("script")
    script.textContent = text
    document.head.append(script)
  }
  const unpacked = async (buffer) => {
    const bytes = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("deflate"))
    return JSON.parse(await new Response(bytes).text())
  }
  const until = async (true_) => { while (!true_()) { await new Promise((done) => setTimeout(done, 20)) } }

  const hear = async (_, message) => {
    if (lab.asked[key]) { return }
    lab.asked[key] = true
    const told = await unpacked(message.buffers[0])
    if (told.html == null) { return }
    await until(() => lab.places[key].isConnected || !(key in kernels()))
    if (!lab.places[key].isConnected) { return }
    lab.loading ??= told.scripts && (async () => { told.scripts.forEach(run) })()
    await until(() => window.Bokeh?.Panel && window.PyViz?.comm_manager?.insistent)
    const element = document.createElement("div")
    element.innerHTML = told.html
    kernels()[ref] = kernels()[key]
    lab.live[key] = {element, target: ref, missing: 0, forget}
    show()
    for (const script of element.querySelectorAll("script")) {
      const made = document.createElement("script")
      for (const {name, value} of script.attributes) { made.setAttribute(name, value) }
      made.textContent = script.textContent
      script.replaceWith(made)
    }
  }

  const begin = (time) => {
    // An output is drawn before it is put on the page, and it may be drawn anew before that.
    if (lab.drawn[key] != place) { return }
    if (!place.isConnected) {
      if (key in kernels() || time < 50) { setTimeout(() => begin(time + 1), time < 50 ? 20 : 1000) }
      return
    }
    const kernel = kernels()[key]
    if (!kernel) { return }
    lab.places[key] = place
    // Where JupyterLab's extension draws an output anew, it takes off a script that it has never put there, and fails.
    const node = place.parentElement.parentElement
    node.removeChild = (child) => child.parentNode == node ? Node.prototype.removeChild.call(node, child) : child
    if (lab.live[key]) { kernels()[ref] = kernel; return show() }
    if (lab.asked[key] === false) { return }
    lab.asked[key] = false
    kernel.registerCommTarget(key, (comm, message) => hear(comm, message))
    // The same one again: a busy kernel hears it once it has got a thread of its own, for which JupyterLab asks.
    const line = kernel.connectToComm("descent-lab")
    const ask = (time) => {
      if (lab.asked[key] || !(key in kernels()) || time > 20) { return }
      line.open({key, scripts: !window.Bokeh?.Panel && !lab.loading})
      setTimeout(() => ask(time + 1), Math.min(500 * 2 ** time, 30000))
    }
    ask(0)
  }
  // JupyterLab's extension hears of a kernel that has died, but not of one that was shut down or swapped for another:
  // a line of this name can be made once with each.
  const isThere = (name, live) => {
    try {
      const {active} = kernels()[name].connectToComm("descent-lab", `descent-lab-is-there-${name}`)
      const first = !live.isKnown
      live.isKnown = true
      return active !== false && first
    } catch { return true }
  }
  lab.watch ??= setInterval(() => {
    for (const [name, live] of Object.entries(lab.live)) {
      live.missing = name in kernels() ? 0 : live.missing + 1
      if (live.missing > 1 || !live.missing && !isThere(name, live)) { live.forget() }
    }
  }, 1000)
  if (place && lab.live[key]) { place.querySelector(".still").hidden = true }
  if (place) { lab.drawn[key] = place; setTimeout(() => begin(0), 0) }
})(%s, %s)
"""
"""Asks the kernel for the live page in the place of the image, and for all that a page needs where it has none yet.

The image is what a notebook keeps. When it is drawn anew, the live page stays; when the kernel or the output is gone,
so is the live page, and the image is left.
"""

FONT = """
document.fonts.add(new FontFace("Material Icons", "url(data:font/woff2;base64,%s)"));
"""
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
    widgets = WIDGETS % json.dumps(BUNDLE_PATH.read_text(encoding="utf-8"))
    own = widgets + FONT % _font() + QUIET + INSISTENT
    return [*(_guarded(data[LOADED]) for data in panels if LOADED in data), own]


def kept(key: str, ref: str, still: str) -> dict[str, str]:
    """What a notebook keeps of an output: an image of it, which a page with the kernel replaces by what is live.

    key     of the output
    ref     of what is live in it
    still   the image, as `Markup`; anything else is text
    """
    loader = LOADER % (json.dumps(key), json.dumps(ref))
    shown = Markup('<div data-descent-lab="{}"><div class="still">{}</div>').format(key, still)
    return {"text/html": "".join((shown, "<script>", loader, "</script></div>")), EXECUTED: ""}


def packed(html: str | None, scripts: list[str] | None) -> bytes:
    """What a page is answered that asks for the live page of an output; no HTML where there is none any more."""
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
