"""The proxy of docs/deploy.md, as it is written there: the page, its socket and its health come through it."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text("utf-8")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PATIENCE_S = 120

needs_nginx = pytest.mark.skipif(NGINX is None or shutil.which("openssl") is None, reason="needs nginx and openssl")


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(answers: Callable[[], bool], process: subprocess.Popen, said: Path) -> None:
    begun = time.monotonic()
    while not answers():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < begun + PATIENCE_S, said.read_text()
        time.sleep(0.1)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[int]:
    """The port of nginx, with the configuration of the document before a server that is started as it says."""
    outer, inner = free_ports(2)
    (block,) = re.findall(r"```nginx\n(.*?)```", DEPLOY, flags=re.DOTALL)
    for stated, here in (
        ("443 ssl", f"127.0.0.1:{outer} ssl"),
        ("/etc/ssl/lab.pem", f"{tmp_path}/lab.pem"),
        ("/etc/ssl/lab.key", f"{tmp_path}/lab.key"),
        ("127.0.0.1:5006", f"127.0.0.1:{inner}"),
        ("lab.example.org", "localhost"),
    ):
        assert stated in block
        block = block.replace(stated, here)
    key = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    key += ["-keyout", f"{tmp_path}/lab.key", "-out", f"{tmp_path}/lab.pem"]
    subprocess.run(key, check=True, capture_output=True)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors;\nevents {{}}\n"
    whole = f"{head}http {{ access_log off;\n{folders}{block}}}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    (line,) = re.findall(r"^(descent-lab serve --address 127.*)$", DEPLOY, flags=re.MULTILINE)
    options = line.replace("lab.example.org", f"localhost:{outer}").split()[1:]
    told = {"DESCENT_LAB_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    said = tmp_path / "said"
    with said.open("w") as file:
        command = [sys.executable, "-m", "dashboard", *options, "--port", str(inner)]
        server = subprocess.Popen(command, cwd=tmp_path, env=os.environ | told, stdout=file, stderr=file)
        nginx = subprocess.Popen(
            [NGINX, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], stdout=file, stderr=file
        )
    try:
        until(lambda: is_open(inner), server, said)
        until(lambda: is_open(outer), nginx, said)
        yield outer
    finally:
        nginx.terminate()
        server.kill()
        nginx.wait()
        server.wait()


def answer(port: int, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", port, context=unchecked, timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()


@needs_nginx
def test_page_socket_and_health_come_through_the_proxy_of_the_document(proxied):
    page = answer(proxied, "/lab/dashboard")
    text = page.read().decode()
    assert page.status == 200
    token = re.search(r'"token":"([^"]+)"', text)[1]
    scripts = [path for path in re.findall(r'src="([^"]+)"', text) if "static" in path]
    assert scripts
    for path in scripts[:3]:
        found = answer(proxied, path if path.startswith("/") else f"/lab/{path}")
        assert found.status == 200, path
        found.read()
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Origin": f"https://localhost:{proxied}",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": f"bokeh, {token}",
    }
    assert answer(proxied, "/lab/dashboard/ws", upgrade).status == 101
    foreign = upgrade | {"Origin": "https://elsewhere.example"}
    assert answer(proxied, "/lab/dashboard/ws", foreign).status == 403
    load = json.loads(answer(proxied, "/lab/health").read())
    assert (load["status"], load["sessions"]) == ("ok", 1)
    assert answer(proxied, "/other").status in (403, 404), "nothing else is passed on"


def test_the_service_of_the_document_starts_the_server_that_its_proxy_expects():
    (unit,) = re.findall(r"```ini\n(.*?)```", DEPLOY, flags=re.DOTALL)
    (line,) = re.findall(r"^descent-lab (serve --address 127.*)$", DEPLOY, flags=re.MULTILINE)
    assert f"/descent-lab {line}\n" in unit
