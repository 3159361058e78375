"""The page says within two seconds that its server is gone or does not answer, and when it comes back."""

import os
import re
import signal
import sys
import time

import pytest
from conftest import PATIENCE, Server, Visit, answer

pytestmark = pytest.mark.ui

TOLD = 2.0
"""Seconds within which the page says so, where the machine has time for the page."""

LATE = 0.3
"""Seconds that the page's own clock may be late in all for that: where it is later, the machine is busy elsewhere."""

NOTICE = """
void (window.told = new Promise((resolve) => {
  const EVERY = 20
  let before = Date.now(), late = 0
  const look = () => {
    const now = Date.now()
    late += Math.max(0, now - before - 2 * EVERY)
    before = now
    if (document.querySelector("body > [role=alert]")) { resolve([now / 1000, late / 1000]) }
    else { setTimeout(look, EVERY) }
  }
  look()
}))
"""

SOCKETS = """
window.sockets = []
window.WebSocket = class extends WebSocket { constructor(...how) { super(...how); sockets.push(this) } }
"""

ON_ITS_WAY = """
new Promise((resolve) => {
  const {fetch} = window
  window.fetch = async (...what) => {
    const answer = await fetch(...what)
    resolve()
    await new Promise((done) => setTimeout(done, 650))
    return answer
  }
})
"""
"""Answers take long from now on to get from the network to the page; done when the first has left the server."""


@pytest.fixture(scope="module")
def one_for_all(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("heartbeat"))
    yield server
    server.stop()


@pytest.fixture
def own(one_for_all):
    """A server of these tests, which are allowed to kill it."""
    if one_for_all._process is None or one_for_all._process.poll() is not None:
        one_for_all.start()
    yield one_for_all
    if one_for_all._process.poll() is None:
        os.kill(one_for_all._process.pid, signal.SIGCONT)


@pytest.fixture
def page(own, windows):
    found = Visit(windows())
    found.window.add_init_script(SOCKETS)
    found.window.goto(own.url + "?page=playground", wait_until="commit", timeout=2 * PATIENCE)
    found.ready()
    yield found
    found.window.context.set_offline(False)
    found.window.close()


def banner(page):
    return "".join(page.window.locator("body > [role=alert]").all_inner_texts())


def signalled(server, number):
    """Send the server a signal; when, by the clock."""
    when = time.time()
    os.kill(server._process.pid, number)
    return when


def is_reported_in_time(page, since, capsys):
    """Wait until the page says it, and note down how long it took."""
    told, late = page.window.evaluate(f"""() => Promise.race([told, new Promise((_, reject) =>
        setTimeout(() => reject(new Error("nothing is told at all")), {PATIENCE}))])""")
    seconds = told - since
    with capsys.disabled():
        sys.stdout.write(f"\ntold after {seconds:.2f} s (the page's clock was {late:.2f} s late)\n")
    return seconds < TOLD or late > LATE


def can_be_used(page, name):
    """Whether a button can have the keyboard, or is what a pointer above it would hit."""
    return page.button(name).evaluate(
        """(one) => {
          const box = one.getBoundingClientRect()
          const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
          let around = one
          while (around && around != hit) { around = around.assignedSlot ?? around.parentNode ?? around.host }
          one.focus()
          return lab.focused() == one || around == hit
        }"""
    )


def play(page):
    page.press("Play")
    page.pass_by(30)
    assert can_be_used(page, "Pause")
    page.ask(NOTICE.strip())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_server_that_is_gone_is_reported_and_its_return_trains_the_run_again(own, page, number, capsys):
    play(page)
    assert is_reported_in_time(page, signalled(own, number), capsys)
    page.until(lambda: "The server is gone" in banner(page), lambda: f"the server to be gone: {banner(page)}")
    assert not can_be_used(page, "Pause")
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


def test_a_server_that_is_frozen_is_reported_and_nothing_is_lost_when_it_goes_on(own, page, capsys):
    page.press("Step")
    page.reach(1)
    page.ask(NOTICE.strip())
    assert is_reported_in_time(page, signalled(own, signal.SIGSTOP), capsys)
    assert "has not answered" in banner(page)
    page.press("Step")
    page.window.wait_for_timeout(1500)
    signalled(own, signal.SIGCONT)
    page.until(lambda: not banner(page), "the banner to be gone")
    said = page.window.locator("body > [role=status]")
    said.wait_for()
    assert re.match(
        r"The server answers again, after \d+ s\. What you pressed meanwhile takes effect", said.inner_text()
    )
    page.reach(2)
    said.wait_for(state="detached")
    assert page.window.get_by_text("frames/s").first.is_visible()


def test_an_answer_that_was_long_on_its_way_is_no_sign_of_life_of_now(own, page, capsys):
    page.ask(NOTICE.strip())
    page.ask(ON_ITS_WAY.strip())
    assert is_reported_in_time(page, signalled(own, signal.SIGSTOP), capsys)


def test_a_device_that_is_offline_is_reported_and_comes_back(own, page):
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
    told, until = [], time.monotonic() + 5
    while time.monotonic() < until:
        told.append(banner(page))
        page.window.wait_for_timeout(100)
    assert not [said for said in told if "gone" in said]
    assert sum("not answered" in said for said in told) <= len(told) / 4, (
        "a banner now and then at most, on a busy machine"
    )


def test_a_socket_that_was_cut_is_reported_as_what_it_was(own, page):
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
