"""What a browser may do on a page: the server's scripts run, and those of the page as it was sent, and no other."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from bokeh.server.urls import per_app_patterns
from panel.io.server import DocHandler

from dashboard.server import patches
from dashboard.server.page_policy import StrictPage, policy, with_nonce

ROOT = Path(__file__).parents[1]
PAGE = """<!doctype html><script type="esms-options">{"shimMode": true}</script>
<link rel="stylesheet" href="static/page.css"><script src="static/bokeh.js"></script>
<script>go("<b>")</script><script type="application/json" id="x">{"a": 1}</script><script type="module">come()</script>
"""

ODD_HOSTS = (
    *(
        "",
        "*",
        "*.example",
        "a *",
        "a; script-src *",
        "a,b",
        "a\n",
        "a'self'",
        "'unsafe-inline'",
        "a/b",
        "a:b@c",
        "a:*",
    ),
    *("[::1]:5006", "[::1", "a:", "a:123456", "a b", "data:", "a%3B", "http://a", "-a", ".a", "\u0430.example"),
    "a" * 300,
)


def parts(text: str) -> dict[str, list[str]]:
    return {name: rest for name, *rest in map(str.split, text.split("; "))}


def a_hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def test_the_scripts_of_a_page_run_by_their_hashes_and_those_that_come_later_by_a_nonce_alone():
    found = parts(policy(PAGE, "n1"))
    hashes = [part for part in found["script-src"] if part.startswith("'sha256")]
    assert hashes == [a_hash('go("<b>")'), a_hash("come()")]
    assert "'nonce-n1'" in found["script-src"]
    assert "'unsafe-inline'" not in found["script-src"]
    assert found["script-src-attr"] == found["object-src"] == found["base-uri"] == ["'none'"]
    assert found["connect-src"] == ["'self'", "blob:"]


@pytest.mark.parametrize("host", ["localhost:5006", "lab.example.org", "192.168.0.7:80", "a-b_c.d:65535", "Lab"])
def test_a_page_may_be_connected_to_the_host_it_came_from_in_browsers_that_ask_for_it_by_name(host):
    assert parts(policy(PAGE, "n1", host))["connect-src"] == ["'self'", "blob:", f"ws://{host}", f"wss://{host}"]


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_a_host_that_is_no_name_changes_nothing_in_the_policy(host):
    assert policy(PAGE, "n1", host) == policy(PAGE, "n1")


def test_the_nonce_is_that_of_the_data_for_the_loader_of_modules():
    page = with_nonce(PAGE, "n1")
    assert page.count("n1") == 1
    assert re.search(r'<script type="esms-options" nonce="n1">', page)


def test_a_page_that_is_loaded_from_elsewhere_names_the_hosts_and_no_other():
    page = '<script src="https://cdn.example/a/bokeh.js"></script><link href="https://fonts.example/x.css">'
    found = parts(policy(page, "n1"))
    assert found["script-src"][-2:] == found["style-src"][-2:] == ["https://cdn.example", "https://fonts.example"]
    assert "https://cdn.example" not in found["connect-src"]


def test_a_server_made_after_the_patches_sends_the_policy_with_its_pages():
    before = list(per_app_patterns)
    try:
        patches.install()
        patches.install()
        kinds = [kind for _, kind in per_app_patterns]
        assert kinds.count(StrictPage) == 1
        assert DocHandler not in kinds
        assert [path for path, _ in per_app_patterns] == [path for path, _ in before]
    finally:
        per_app_patterns[:] = before


@pytest.fixture
def guarded_server(tmp_path):
    """The address of a served laboratory with a prefix and a password, whose pages are made beforehand."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    options = f"--port {port} --prefix lab --basic-auth secret --cookie-secret spice --reuse-sessions --warm"
    command = [sys.executable, "-m", "panel", "serve", "dashboard", *options.split()]
    log = tmp_path / "log"
    environment = {**os.environ, "DESCENT_LAB_HOME": str(tmp_path / "home")}
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment)
    until = time.monotonic() + 120
    while "app running at" not in log.read_text():
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    yield f"http://localhost:{port}/lab"
    process.terminate()
    process.wait(20)
    assert "Traceback" not in log.read_text()


def test_a_server_with_a_prefix_and_a_password_sends_the_policy_and_never_what_a_host_is_said_to_be(guarded_server):
    visitor = build_opener(HTTPCookieProcessor())
    visitor.addheaders = []
    with visitor.open(f"{guarded_server}/dashboard", timeout=60) as login:
        assert "/lab/login" in login.url
        assert b'type="password"' in login.read()
    with contextlib.suppress(HTTPError):  # it leads to the root of the host, where nothing is
        visitor.open(f"{guarded_server}/login", b"username=ann&password=secret", timeout=60)
    netloc = urlsplit(guarded_server).netloc
    for _ in range(2):
        with visitor.open(f"{guarded_server}/dashboard", timeout=60) as page:
            assert page.url.endswith("/dashboard")
            found = parts(page.headers["Content-Security-Policy"])
            assert found["connect-src"] == ["'self'", "blob:", f"ws://{netloc}", f"wss://{netloc}"]
            assert found["frame-ancestors"] == ["'self'"]
            assert re.search(r'<script type="esms-options" nonce="', page.read().decode())
    for host in ("a; script-src *", "[::1]:80", "a,b", "a'b", "*", "x\ty"):
        asked = Request(f"{guarded_server}/dashboard", headers={"Host": host})
        with contextlib.suppress(HTTPError), visitor.open(asked, timeout=60) as page:  # most are refused
            told = parts(page.headers.get("Content-Security-Policy") or policy("", "n"))
            assert told["connect-src"] == ["'self'", "blob:"]
            assert "*" not in told["script-src"]
