"""The Content-Security-Policy: what the browser may do on a page, whatever a text on it looks like.

Only scripts of the server run, and those that stand in the page as it was sent, by their hashes: no handler in a tag,
no `javascript:` link, nothing that came later. es-module-shims, by which Panel loads components, adds scripts of its
own; it takes their nonce from the first script of the page that has one. Nothing is requested from another host or
sent to one, and no other site shows the laboratory in a frame. The functions of BokehJS and the modules of Panel's
components are made in the browser: that is what 'unsafe-eval' and blob: are for.
"""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

from bokeh.server.session import ServerSession
from panel.io.server import DocHandler

from dashboard.server.documents import is_ours

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' blob: 'nonce-{nonce}' {scripts}; script-src-attr 'none'; "
    "style-src 'self' 'unsafe-inline' {hosts}; img-src 'self' data: blob:; font-src 'self' data: {hosts}; "
    "connect-src 'self' blob: {lines}; worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,252})(:\d{1,5})?", re.ASCII | re.IGNORECASE)
"""A host as a policy can name it, which is less than what a request may say: no address of IPv6, no other character."""

RUN = {None, "", "text/javascript", "application/javascript", "module", "importmap"}
"""Types of scripts that a browser runs; others are data."""

SHIMS = '<script type="esms-options"'


def with_nonce(page: str, nonce: str) -> str:
    """The page with a nonce for the scripts that es-module-shims adds, at the data that Panel has for it."""
    return page.replace(SHIMS, f'{SHIMS} nonce="{nonce}"', 1)


def lines_to(host: str) -> str:
    """The WebSockets of a host, which 'self' does not cover in every browser; none for what is no name of a host."""
    return f"ws://{host} wss://{host}" if HOST.fullmatch(host) else ""


def policy(page: str, nonce: str, host: str = "") -> str:
    """The policy for a page of HTML: with the hashes of its scripts, and the hosts that it is itself loaded from.

    host: what the request was sent to, as it says itself
    """
    found = Scripts()
    found.feed(page)
    hosts = sorted({f"{url.scheme}://{url.netloc}" for url in map(urlsplit, found.sources) if url.netloc})
    hashes = (f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in found.scripts)
    scripts, lines = " ".join([*hashes, *hosts]), lines_to(host)
    text = POLICY.format(nonce=nonce, scripts=scripts, hosts=" ".join(hosts), lines=lines)
    return text.replace(" ;", ";")


class Scripts(HTMLParser):
    """The scripts that stand in a page, and where the others are loaded from."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.sources: list[str] = []
        self._within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note down where something is loaded from, or that a script begins."""
        attributes = dict(attrs)
        source = attributes.get("src") if tag == "script" else attributes.get("href") if tag == "link" else None
        if source:
            self.sources.append(source)
        self._within = tag == "script" and not source and attributes.get("type") in RUN
        if self._within:
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        """Note down what is in a script."""
        if self._within:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Note that a script ends."""
        self._within = False


class StrictPage(DocHandler):
    """Sends a page of the laboratory together with its policy, and any other page of the server as Panel does."""

    _guarded = False

    async def get_session(self) -> ServerSession:
        """The session whose page is requested."""
        session = await super().get_session()
        self._guarded = session is not None and is_ours(session.document)
        return session

    def write(self, chunk: Any) -> None:
        """Send the page."""
        if self._guarded and isinstance(chunk, str):
            nonce = token_urlsafe(16)
            chunk = with_nonce(chunk, nonce)
            self.set_header("Content-Security-Policy", policy(chunk, nonce, self.request.host))
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header("Referrer-Policy", "same-origin")
        super().write(chunk)
