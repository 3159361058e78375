"""What stands between a notebook's page and its kernel, tried on a page whose kernel is simulated by the test."""

import pytest

from dashboard.jupyter_ui.page_assets import INSISTENT

pytestmark = pytest.mark.ui

PAGE = """
window.targets = {}
window.kernel = {
  registerCommTarget(name, open) { targets[name] = open },
  connectToComm() { return {open() {}, send() {}} },
}
window.PyViz = {kernels: {plot: kernel}, plot_index: {}, comm_manager: {get_client_comm() {}, register_target() {}}}
window.heard = []
"""
OPEN = """
PyViz.comm_manager.register_target("plot", "target", (piece) => heard.push(piece))
window.comm = {}
targets.target(comm)
"""


@pytest.fixture
def page(windows):
    window = windows()
    window.evaluate(PAGE)
    window.evaluate(INSISTENT)
    window.evaluate(OPEN)
    yield window
    window.close()


def test_what_the_kernel_says_before_the_output_is_drawn_waits_for_it_in_order(page):
    page.evaluate("['header', 'metadata'].forEach((piece) => comm.onMsg(piece))")
    page.wait_for_timeout(100)
    assert page.evaluate("heard") == []

    page.evaluate("PyViz.plot_index.plot = {}")
    page.evaluate("comm.onMsg('content')")
    page.wait_for_function("heard.length == 3")
    page.evaluate("comm.onMsg('next')")
    assert page.evaluate("heard") == ["header", "metadata", "content", "next"]


def test_an_output_that_goes_before_it_is_drawn_is_not_waited_for(page):
    page.evaluate("comm.onMsg('header')")
    page.evaluate("delete PyViz.kernels.plot")
    page.wait_for_function("heard.length == 1")
