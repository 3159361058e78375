"""The server's life: started anew under a page, and free of what belonged to pages that were closed."""

import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from conftest import LONGEST, PATIENCE, ROOT, Server, Visit, answer, end, free_port, start, wait_until

pytestmark = pytest.mark.ui

PAGES = 5


def test_a_page_comes_back_by_itself_when_its_server_does_and_can_be_reloaded(windows, tmp_path):
    server = Server(tmp_path)
    server.start()
    try:
        page = Visit(windows())
        page.window.goto(server.url + "?page=playground", wait_until="commit")
        page.ready()
        page.press("Play")
        page.pass_by(0)
        with page.window.expect_event("load", timeout=2 * PATIENCE):
            server.stop()
            server.start()
        page.ready()
        page.until(lambda: page.epoch() > 0 and not page.playing(), lambda: f"the epoch it was at: {page.where()}")
        page.window.reload(wait_until="commit")
        page.ready()
        page.reach(0)
        page.press("Play")
        page.pass_by(0)
        page.window.close()
        assert server.complaints() == []
    finally:
        server.stop()


def test_closed_pages_leave_no_document_no_thread_and_no_timer(windows, tmp_path):
    port, log = free_port(), tmp_path / "log"
    process = start([sys.executable, str(Path(__file__).parent / "counting_server.py"), str(port)], log)
    try:
        wait_until(lambda: answer(f"http://localhost:{port}/count") is not None, "the server to answer")
        look_in(windows(), port)
        settle(port)
        first = count(port)
        assert first["App"] <= 1, first
        for _ in range(PAGES):
            look_in(windows(), port)
        wait_until(
            lambda: all(left <= first[kind] for kind, left in count(port).items()),
            lambda: f"no more to be left of {PAGES} pages than of one, {first}; left: {count(port)}",
        )
        # Bokeh itself logs an error where a page is closed while the server still reads what it had sent.
        assert f'File "{ROOT / "dashboard"}' not in log.read_text(), log.read_text()[:LONGEST]
    finally:
        end(process)


def look_in(window: object, port: int) -> None:
    """Open a page, play, and close it."""
    page = Visit(window)
    page.window.goto(f"http://localhost:{port}/dashboard?page=playground", wait_until="commit")
    page.ready()
    page.press("Play")
    page.pass_by(0)
    page.window.close()


def settle(port: int) -> None:
    """Wait until no more than one page's objects live: the very first page's are kept by a timer of Panel's own."""

    def is_settled() -> bool:
        left = count(port)
        return left["App"] <= 1 and not left["tasks"] and not left["scheduler threads"]

    wait_until(is_settled, lambda: f"sessions to expire: {count(port)}")


def count(port: int) -> dict[str, int]:
    return json.loads(answer(f"http://localhost:{port}/count"))


def test_a_password_is_asked_for_and_lets_in_whoever_knows_it(tmp_path):
    users = tmp_path / "users.json"
    users.write_text('{"ann": "correct horse"}')
    port, log = free_port(), tmp_path / "log"
    options = ["--basic-auth", str(users), "--cookie-secret", "a secret", "--session-ids", "signed"]
    command = [sys.executable, "-m", "panel", "serve", "dashboard", "--port", str(port), *options]
    secret = {"BOKEH_SECRET_KEY": "another secret", "DESCENT_LAB_HOME": str(tmp_path / "home")}
    process = start(command, log, secret)
    try:
        wait_until(lambda: answer(f"http://localhost:{port}/login") is not None, "the server to answer")
        assert is_let_in(port, "ann", "correct horse")
        assert not is_let_in(port, "ann", "wrong horse")
        assert not is_let_in(port, "eve", "correct horse")
        assert "Traceback" not in log.read_text(), log.read_text()[:LONGEST]
    finally:
        end(process)


def is_let_in(port, name, password):
    """Whether somebody who logs in so gets the laboratory, and not the login once more."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    lab = f"http://localhost:{port}/dashboard"
    with browser.open(lab) as asked:
        assert asked.url.startswith(f"http://localhost:{port}/login")
    told = urllib.parse.urlencode({"username": name, "password": password}).encode()
    with browser.open(f"http://localhost:{port}/login", told) as answered:
        assert ("login" in answered.url) == ("error" in answered.url)
    with browser.open(lab) as shown:
        return shown.url == lab and "Descent Lab" in shown.read().decode()
