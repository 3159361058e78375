"""What stands between a notebook's page and its kernel, tried on a page whose kernel is simulated by the test.

Each of the two scripts that change what libraries do on the page is tried against the libraries as they are: where a
test that begins with "without" fails, the library no longer needs the script.
"""

import json
from pathlib import Path

import bokeh
import panel
import pytest
from pyviz_comms import PYVIZ_PROXY, JupyterCommManager

from dashboard.jupyter_ui.page_assets import called, kept

pytestmark = pytest.mark.ui

KERNEL = """
window.targets = {}
window.opened = []
window.sent = []
window.kernel = {
  registerCommTarget(name, open) { targets[name] = open },
  connectToComm(name) {
    return {active: true, open() { opened.push(name) }, send(message) { sent.push(message) }}
  },
}
PyViz.kernels.plot = kernel
window.received = []
"""
LISTEN = """
PyViz.comm_manager.register_target("plot", "target", (piece) => received.push(piece))
window.comm = {}
"""
ANSWER = "targets.target(comm)"
ECHO = """
() => {
  const CommManager = Bokeh.Models.get("panel.models.comm_manager.CommManager")
  const manager = new CommManager({plot_id: "plot", comm_id: "one", client_comm_id: "two"})
  const model = new (Bokeh.Models.get("Range1d"))(), document = new (Bokeh.require("document").Document)()
  const buffered = []
  manager.process_events = () => { buffered.push(...manager._event_buffer.splice(0)) }
  document.add_root(manager)
  document.add_root(model)
  buffered.length = manager._event_buffer.length = 0
  const change = {kind: "ModelChanged", model: {id: model.id}, attr: "start"}
  document.apply_json_patch({events: [{...change, new: 7}]})
  const echoes = manager._event_buffer.length + buffered.length
  model.start = 8
  return [echoes, manager._event_buffer.length + buffered.length - echoes]
}
"""
"""How many changes the page would send back to the kernel, of one by the kernel and of one by the user."""


DRAW = """
(html) => {
  window.node ??= document.body.appendChild(document.createElement("div"))
  const drawn = document.createElement("div")
  drawn.innerHTML = html
  const still = drawn.querySelector("script"), script = document.createElement("script")
  script.textContent = still.textContent
  still.replaceWith(script)
  window.node.replaceChildren(drawn)
}
"""
"""Puts an output on the page as JupyterLab does, or draws it anew in its place."""

PACK = """
async (text) => {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"))
  return await new Response(stream).arrayBuffer()
}
"""


@pytest.fixture
def bare(windows):
    """A page with the comm manager that notebooks have, and the simulated kernel."""
    window = windows()
    window.evaluate(f"() => {{ {PYVIZ_PROXY}\n{JupyterCommManager.js_manager} }}")
    window.evaluate(KERNEL)
    yield window
    window.close()


@pytest.fixture
def page(bare):
    """The same with the laboratory's changes, and a target on which an output listens."""
    bare.evaluate(called("comm_manager.js"))
    bare.evaluate(LISTEN)
    return bare


@pytest.fixture
def with_bokeh(bare):
    """The same with Bokeh and Panel."""
    for name in ("bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables"):
        bare.add_script_tag(path=Path(bokeh.__file__).parent / f"server/static/js/{name}.min.js")
    bare.add_script_tag(path=Path(panel.__file__).parent / "dist/panel.min.js")
    return bare


def test_what_the_kernel_says_before_the_output_is_drawn_waits_for_it_in_order(page):
    page.evaluate(ANSWER)
    page.evaluate("['header', 'metadata'].forEach((piece) => comm.onMsg(piece))")
    page.wait_for_timeout(100)
    assert page.evaluate("received") == []

    page.evaluate("PyViz.plot_index.plot = {}")
    page.evaluate("comm.onMsg('content')")
    page.wait_for_function("received.length == 3")
    page.evaluate("comm.onMsg('next')")
    assert page.evaluate("received") == ["header", "metadata", "content", "next"]


def test_an_output_that_goes_before_it_is_drawn_is_not_waited_for(page):
    page.evaluate(ANSWER)
    page.evaluate("comm.onMsg('header')")
    page.evaluate("delete PyViz.kernels.plot")
    page.wait_for_function("received.length == 1")


def test_what_is_sent_before_the_kernel_listens_is_sent_when_it_does(page):
    page.evaluate("window.client = PyViz.comm_manager.get_client_comm('plot', 'client', () => {})")
    page.evaluate("client.send('early')")
    page.wait_for_function("opened.length > 2")
    assert page.evaluate("sent") == []
    page.evaluate(ANSWER)
    page.evaluate("client.send('late')")
    assert page.evaluate("sent") == ["early", "late"]


def test_the_kernel_is_told_of_an_output_that_is_gone(page):
    page.evaluate("PyViz.comm_manager.get_client_comm('plot', 'client', () => {})")
    page.evaluate("delete PyViz.kernels.plot")
    page.wait_for_function("sent.length == 1")
    assert page.evaluate("sent") == [{"event_type": "delete", "id": "plot"}]


def test_an_image_that_is_drawn_anew_while_the_live_page_is_loading_does_not_request_another(bare):
    image = kept("plot", "live", "an image")["text/html"]
    bare.evaluate(DRAW, image)
    bare.wait_for_function("opened.length >= 1 && Boolean(targets.plot)")
    answer = json.dumps({"html": "<b>live</b>", "scripts": None})
    bare.evaluate(f"async (text) => {{ window.answer = await ({PACK})(text) }}", answer)
    bare.evaluate("() => { targets.plot({}, {buffers: [answer]}) }")  # and do not wait until it is loaded
    bare.wait_for_timeout(300)  # a page without Bokeh loads it for ever
    before = bare.evaluate("opened.length")
    for _ in range(3):
        bare.evaluate(DRAW, image)
        bare.wait_for_timeout(300)
    assert bare.evaluate("opened.length") == before
    bare.evaluate("window.Bokeh = {Panel: {}, index: {}, documents: []}, PyViz.comm_manager.insistent = true")
    bare.wait_for_function("document.querySelectorAll('b').length == 1")
    assert bare.evaluate("document.querySelector('.still').hidden")


def test_without_the_script_a_message_reaches_an_output_that_is_not_drawn(bare):
    bare.evaluate(LISTEN)
    bare.evaluate(ANSWER)
    bare.evaluate("comm.onMsg('header')")
    assert bare.evaluate("received") == ["header"]


def test_without_the_script_a_comm_is_opened_once_and_what_is_sent_early_does_not_wait(bare):
    bare.evaluate("window.client = PyViz.comm_manager.get_client_comm('plot', 'client', () => {})")
    bare.evaluate("client.send('early')")
    bare.wait_for_timeout(1200)  # the script opens it again after a quarter of a second
    assert bare.evaluate("sent") == ["early"]
    assert bare.evaluate("opened") == ["client"]


def test_without_the_script_the_page_sends_back_what_it_received(with_bokeh):
    assert with_bokeh.evaluate(ECHO) == [1, 1]


def test_with_the_script_it_sends_what_its_user_changes_alone(with_bokeh):
    with_bokeh.evaluate(called("no_echoes.js"))
    with_bokeh.wait_for_timeout(100)
    assert with_bokeh.evaluate(ECHO) == [0, 1]
