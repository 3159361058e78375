"""Patches: everything of another library that the laboratory replaces in its process, and where it may.

A patch is for a range of releases. Outside of it the library is left as it is, and the log says so once: the laboratory
works there too, in the way that `docs/upstream.md` tells for each patch. What acts on served pages or messages acts on
the laboratory's documents alone (`documents`); a patch without a check of its own changes no result for anybody.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from inspect import getattr_static
from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.io import doc as bokeh_doc
from bokeh.server.urls import per_app_patterns
from panel.io.notebook import JupyterCommManagerBinary
from panel.io.server import DocHandler, WSHandler
from panel.reactive import Syncable
from panel_material_ui.base import MaterialComponent
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from dashboard.server.bokeh_defaults import looked_up, remembered
from dashboard.server.current_document import put_back
from dashboard.server.page_policy import StrictPage
from dashboard.server.releases import Release, release
from dashboard.server.web_socket import LabSocket, failing_where_awaited

log = logging.getLogger(__name__)

MARK = "__descent_lab__"
"""An attribute of what stands in the place of something, which outlives a reload of this module."""


@dataclass(frozen=True)
class Range:
    """Releases of a package for which something has been tried.

    Args:
        package: Its name on PyPI.
        first: The first of them.
        end: The first one that is none of them.
        is_mended: Whether that is because the library does it itself from `end` on.
    """

    package: str
    first: Release
    end: Release
    is_mended: bool = False

    def holds(self) -> bool:
        """Whether the installed release is one of them."""
        return self.first <= release(self.package) < self.end

    def __str__(self) -> str:
        return f"{self.package} from {_dotted(self.first)}, before {_dotted(self.end)}"


@dataclass(frozen=True)
class Patch:
    """An attribute of another library that something else stands in for.

    Args:
        owner: The class or module that has it.
        attribute: Its name.
        purpose: What it is for.
        versions: The releases that it is for.
        upstream: The issue where its library is told, or the heading in `docs/upstream.md`.
        replace: Gives what stands in for what is there.
    """

    owner: Any
    attribute: str
    purpose: str
    versions: Range
    upstream: str
    replace: Callable[[Any], Any]

    @property
    def is_installed(self) -> bool:
        """Whether it is in place."""
        return MARK in vars(_carrier(getattr_static(self.owner, self.attribute)))

    def install(self) -> None:
        """Put it in place, unless it is, or the library is of another release."""
        if not self.versions.holds():
            _left_out(f"{self.owner.__name__}.{self.attribute}", self.versions)
        elif not self.is_installed:
            put_in = self.replace(getattr_static(self.owner, self.attribute))
            setattr(_carrier(put_in), MARK, True)
            setattr(self.owner, self.attribute, put_in)


@dataclass(frozen=True)
class Route:
    """A handler of requests that stands in for one of Panel's, in Bokeh's public list `per_app_patterns`.

    It serves all apps of a server, and treats those that are not the laboratory's as its base does.
    """

    usual: type[RequestHandler]
    handler: type[RequestHandler]
    purpose: str
    versions: Range
    upstream: str

    @property
    def is_installed(self) -> bool:
        """Whether servers that are made from now on use it."""
        return self.handler in dict(per_app_patterns).values()

    def install(self) -> None:
        """Have servers use it that are made from now on."""
        if not self.versions.holds():
            _left_out(self.handler.__name__, self.versions)
            return
        per_app_patterns[:] = [(path, self.handler if kind is self.usual else kind) for path, kind in per_app_patterns]


SERVER: tuple[Patch | Route, ...] = (
    Route(
        DocHandler,
        StrictPage,
        "Pages of the laboratory come with a Content-Security-Policy that holds their scripts' hashes.",
        Range("panel", (1, 9), (2, 0)),
        "https://github.com/bokeh/bokeh/issues/11274",
    ),
    Route(
        WSHandler,
        LabSocket,
        "Messages of the laboratory's pages are sorted before Bokeh takes the document's lock for each.",
        Range("bokeh", (3, 8), (3, 11)),
        "docs/upstream.md#messages-nobody-listens-to",
    ),
    Patch(
        WebSocketHandler,
        "write_message",
        "A message to a user who has left fails where it is waited for, not with a traceback for each of its parts.",
        Range("panel", (1, 9), (1, 11)),
        "docs/upstream.md#parts-of-a-message-whose-failure-nobody-waits-for",
        failing_where_awaited,
    ),
    Patch(
        bokeh_doc,
        "patch_curdoc",
        "A callback that fails leaves no document behind as the current one of everybody.",
        Range("bokeh", (3, 8), (3, 10), is_mended=True),
        "https://github.com/bokeh/bokeh/pull/15239",
        put_back,
    ),
    Patch(
        HasProps,
        "_overridden_defaults",
        "A class's defaults are collected once, not at each look at a property.",
        Range("bokeh", (3, 8), (3, 10), is_mended=True),
        "https://github.com/bokeh/bokeh/issues/15321",
        remembered,
    ),
    Patch(
        HasProps,
        "themed_values",
        "A theme's values are looked up where they are.",
        Range("bokeh", (3, 8), (3, 11)),
        "docs/upstream.md#the-values-of-a-theme-are-looked-for-the-slow-way",
        looked_up,
    ),
)
"""What a process that serves the laboratory replaces."""


@cache
def notebook(comm: Callable[[Any], Any], code: Callable[[Any], Any], styles: Callable[[Any], Any]) -> tuple[Patch, ...]:
    """What the kernel of a notebook replaces besides.

    Args:
        comm: Makes a comm whose messages wait while something is drawn.
        code: Makes the method that gives a component's code.
        styles: Makes the method that gives a component's properties.
    """
    comms = [
        Patch(
            manager,
            "client_comm",
            "A message from the page waits while something is drawn, and all of its events are received.",
            Range("panel", (1, 9), (1, 11)),
            "docs/upstream.md#several-events-in-one-message-of-a-notebook",
            comm,
        )
        for manager in (JupyterCommManagerBinary.__base__, JupyterCommManagerBinary)
    ]
    return (
        *comms,
        Patch(
            MaterialComponent,
            "_render_esm",
            "The code of all widgets, 1.4 MB, is in the page once, not in each widget.",
            Range("panel-material-ui", (0, 16), (1, 0)),
            "docs/upstream.md#the-code-of-material-widgets-in-a-notebook",
            code,
        ),
        Patch(
            Syncable,
            "_process_param_change",
            "Style sheets come along where there is no network.",
            Range("panel", (1, 9), (1, 10), is_mended=True),
            "https://github.com/holoviz/panel/pull/8708",
            styles,
        ),
    )


def install(patches: Iterable[Patch | Route] = SERVER) -> bool:
    """Put patches in place, once; whether any was not before.

    Servers that have been made already keep their pages and sockets.
    """
    fresh = False
    for patch in patches:
        before = patch.is_installed
        patch.install()
        fresh |= patch.is_installed and not before
    return fresh


def _carrier(found: Any) -> Any:
    """What bears the mark of something that stands in: a function itself, where a class method is around it."""
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found


def _dotted(of: Release) -> str:
    return ".".join(map(str, of))


@cache
def _left_out(name: str, versions: Range) -> None:
    """Say, once, that something of a library is left as it is."""
    found = _dotted(release(versions.package))
    if versions.is_mended and release(versions.package) >= versions.end:
        log.debug("%s %s does itself what %s was replaced for", versions.package, found, name)
    else:
        log.warning("%s is not in use with %s %s: it is for %s", name, versions.package, found, versions)
