"""A session: the app of one user of a Panel server, from the link that opened it to its end."""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from weakref import WeakMethod

import panel as pn
from threadpoolctl import threadpool_limits

from dashboard.pages import PAGES, page_of
from dashboard.pages.page import Page
from dashboard.pages.short_link import VERSION
from dashboard.server import patches
from dashboard.server.documents import claim
from dashboard.server.inbound import LISTENERS
from dashboard.shell.app import App
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.store import Shown
from dashboard.storage.run_archive import RunArchive
from dashboard.tracking import discovery

log = logging.getLogger(__name__)

FARTHEST = 1_000_000
"""The last epoch that a link may ask for."""


def serve() -> None:
    """Serve the app of one session, from the link that opened it to its end."""
    query = {name: values[0].decode() for name, values in pn.state.session_args.items()}
    if patches.install():
        log.warning(
            "this server was made before the laboratory was loaded, and sends no Content-Security-Policy; use "
            "`panel serve dashboard`, or call dashboard.server.patches.install() before the server is made"
        )
    threadpool_limits(1, user_api="blas")  # the matrices are small: more threads only wait for one another
    sys.setswitchinterval(0.0005)  # the loop's many short calls wait less for the thread that trains
    kind, run, problems, key = _asked_for(query)
    epoch = _epoch(query.get("epoch", "0"), problems)
    _expect(run, epoch, query.get("weights", ""), problems)
    app = App(run, kind.slug, problems, lazy=True, key=key, reads=_asked_for)
    document = pn.state.curdoc
    claim(document)  # before anything is rendered: what is shown elsewhere is kept up to date otherwise
    app.page().servable(title="Descent Lab")
    LISTENERS[document] = WeakMethod(app.browser.receive)
    request = document.session_context.request
    with suppress(AttributeError, ValueError):  # a socket of another kind has no port
        _, port, *_ = request.connection.stream.socket.getsockname()
        _be_found(f"{request.protocol}://localhost:{port}{request.path}")
    pn.state.onload(lambda: app.loop.start(document, epoch))
    if kind.plays and not query.keys() - {"page", VERSION}:
        pn.state.onload(app.clock.play)
    pn.state.on_session_destroyed(lambda _: app.end())


@cache
def _be_found(address: str) -> None:
    """Let programs on this machine find the laboratory, to show in it what they train.

    The address is the server's own: the one that a client uses could be anybody's.
    """
    discovery.announce(address)


def _asked_for(query: Mapping[str, str]) -> tuple[type[Page], Shown, list[str], str]:
    """What a link leads to: the page, what it shows, what could not be followed, and the id of the kept run."""
    page, problems, key = query.get("page", "playground" if query else "home"), [], query.get("run", "")
    if key:
        try:
            recording = RunArchive().load(key)
            kind = page_of(recording)
            return kind, kind.reopened(recording), problems, key
        except (OSError, ValueError) as error:
            problems.append(str(error))
    if "follow" in query:
        try:
            shared = SharedRun.found(query["follow"])
            return PAGES[shared.page], FollowedRun(shared), problems, ""
        except ValueError as error:
            problems.append(str(error))
    if page not in PAGES:
        problems.append(f"page={page} does not exist; choose one of {', '.join(PAGES)}")
        page = "playground"
    run, more = PAGES[page].opened(query)
    return PAGES[page], run, problems + more, ""


def _expect(run: Shown, epoch: int, arrival: str, problems: list[str]) -> None:
    """Have a message shown if the epoch of a link turns out to be different here."""
    if epoch and arrival:
        try:
            run.expect(epoch, arrival)
        except ValueError as error:
            problems.append(str(error))


def _epoch(text: str, problems: list[str]) -> int:
    """The epoch that a link asks for; 0 where that is none."""
    if text.isascii() and text.isdigit() and int(text) <= FARTHEST:
        return int(text)
    problems.append(f"epoch={text[:20]} is not possible; choose a whole number from 0 to {FARTHEST:,}")
    return 0
