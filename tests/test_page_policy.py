"""What a browser may do on a page: the server's scripts run, and those of the page as it was sent, and no other."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from bokeh.server.urls import per_app_patterns
from panel.io.server import DocHandler

from dashboard.page_policy import StrictPage, policy, strict, with_nonce

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


def test_a_server_made_after_being_told_so_sends_the_policy_with_its_pages():
    before = list(per_app_patterns)
    try:
        strict()
        strict()
        kinds = [kind for _, kind in per_app_patterns]
        assert kinds.count(StrictPage) == 1
        assert DocHandler not in kinds
        assert [path for path, _ in per_app_patterns] == [path for path, _ in before]
    finally:
        per_app_patterns[:] = before
