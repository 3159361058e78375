"""The server's life: started anew under a page, and free of what belonged to pages that were closed."""

import json
import sys
from pathlib import Path

import pytest
from conftest import Server, Visit, answer, free_port, start, wait_until

pytestmark = pytest.mark.ui

PAGES = 10


def test_a_page_works_again_after_the_server_was_started_anew(windows, tmp_path):
    server = Server(tmp_path)
    server.start()
    try:
        page = Visit(windows())
        page.window.goto(server.url, wait_until="commit")
        page.ready()
        page.press("Play")
        page.pass_by(0)
        server.stop()
        server.start()
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
        for _ in range(PAGES):
            page = Visit(windows())
            page.window.goto(f"http://localhost:{port}/dashboard", wait_until="commit")
            page.press("Play")
            page.pass_by(0)
            page.window.close()
        wait_until(
            lambda: not any(count(port).values()), lambda: f"nothing to be left of {PAGES} pages; left: {count(port)}"
        )
        assert not any(word in log.read_text() for word in ("Traceback", "ERROR")), log.read_text()
    finally:
        process.terminate()
        process.wait(10)


def count(port: int) -> dict[str, int]:
    return json.loads(answer(f"http://localhost:{port}/count"))
