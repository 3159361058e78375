"""A server that is gone, or does not answer, is told on the page within two seconds, and its coming back is too."""

import os
import signal
import time

import pytest
from conftest import PATIENCE, Server, Visit, answer

pytestmark = pytest.mark.ui

TOLD = 2.0
"""Seconds within which the page says so; measured by a clock in the page itself."""
NOTICE = """
void (window.told = new Promise((resolve) => {
  const look = () => document.querySelector("body > [role=alert]") ? resolve(Date.now()) : setTimeout(look, 20)
  look()
}))
"""

SOCKETS = """
window.sockets = []
window.WebSocket = class extends WebSocket { constructor(...how) { super(...how); sockets.push(this) } }
"""


@pytest.fixture
def own(tmp_path):
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(own, windows):
    found = Visit(windows())
    found.window.add_init_script(SOCKETS)
    found.window.goto(own.url + "?page=playground", wait_until="commit")
    found.ready()
    yield found
    found.window.close()


def banner(page):
    found = page.window.locator("body > [role=alert]")
    return found.inner_text() if found.count() else ""


def signalled(server, number):
    """Send the server a signal; when, by the clock."""
    os.kill(server._process.pid, number)
    return time.time()


def seconds_until_told(page, since):
    return page.ask("told.then((when) => when / 1000)") - since


def play(page):
    page.press("Play")
    page.pass_by(30)
    page.ask(NOTICE.strip())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_server_that_is_gone_is_told_and_its_return_trains_the_run_again(own, page, number):
    play(page)
    assert seconds_until_told(page, signalled(own, number)) < TOLD
    page.until(lambda: "The server is gone" in banner(page), lambda: f"the server to be gone: {banner(page)}")
    assert page.window.get_by_role("button", name="Pause").count() == 0, "nothing can be pressed"
    assert not page.window.get_by_text("frames/s").first.is_visible()
    reached = page.ask("lab.drawn()")
    own._process.wait(10)
    with page.window.expect_event("load", timeout=2 * PATIENCE):
        own.start()
    page.ready()
    said = page.window.locator("body > [role=status]")
    said.wait_for()
    assert "The server was restarted. The run is trained again up to epoch" in said.inner_text()
    page.until(lambda: page.epoch() >= reached and not page.playing(), lambda: f"epoch {reached}: {page.where()}")
    page.until(lambda: "epoch" not in page.link(), "the epoch to be gone from the address")
    said.get_by_role("button", name="Close").click()
    assert said.count() == 0


def test_a_server_that_is_frozen_is_told_and_nothing_is_lost_when_it_goes_on(own, page):
    page.press("Step")
    page.reach(1)
    page.ask(NOTICE.strip())
    assert seconds_until_told(page, signalled(own, signal.SIGSTOP)) < TOLD
    assert "has not answered" in banner(page)
    page.press("Step")
    page.window.wait_for_timeout(1500)
    signalled(own, signal.SIGCONT)
    page.until(lambda: not banner(page), "the banner to be gone")
    page.reach(2)
    assert page.window.get_by_text("frames/s").first.is_visible()


def test_a_device_that_is_offline_is_told_and_comes_back(own, page):
    page.window.context.set_offline(True)
    page.until(lambda: "cannot be reached" in banner(page), lambda: f"a banner: {banner(page)!r}")
    assert "offline" in banner(page)
    page.window.context.set_offline(False)
    page.until(lambda: not banner(page), "the banner to be gone")
    page.press("Step")
    page.reach(1)


def test_a_server_that_works_hard_is_not_called_gone(own, page):
    page.choose("Epochs per second", "as fast as it goes")
    page.press("Play")
    told, until = [], time.monotonic() + 8
    while time.monotonic() < until:
        told.append(banner(page))
        page.window.wait_for_timeout(100)
    assert not [said for said in told if "gone" in said]
    assert sum("not answered" in said for said in told) <= len(told) / 4, (
        "a banner now and then at most, on a busy machine"
    )


def test_a_socket_that_was_cut_is_told_as_what_it_was(own, page):
    """As after a laptop has slept: the server is the same, and has forgotten the session."""
    page.press("Step")
    page.reach(1)
    with page.window.expect_event("load", timeout=2 * PATIENCE):
        page.ask("sockets.forEach((one) => one.close())")
    page.ready()
    said = page.window.locator("body > [role=status]")
    said.wait_for()
    assert "The connection to the server was lost" in said.inner_text()
    page.reach(1)
    assert answer(own.url) is not None
