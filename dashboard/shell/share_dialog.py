"""The share dialog exports the open page: a link, the run, the page as a file, the network."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document

from dashboard.export.static_page import FRAMES, StaticPage, file_name, packed
from dashboard.shell.workspace import Workspace
from dashboard.state.followed import LONGEST_NAME
from dashboard.state.run import Setup
from dashboard.state.thread_task import ThreadTask
from dashboard.widgets.download import Payload
from dashboard.widgets.export_card import ExportCard
from dashboard.widgets.qr_code import QRCode
from engine.source_code import as_numpy, as_torch

LOOK = 0.25
"""Seconds between two reports of a file's progress."""

COUNTS = (30, 60, FRAMES, 240)
"""Numbers of epochs that a file may hold."""


class ShareDialog(pn.viewable.Viewer):
    """Export cards, each with its buttons. The host says which page and run are shown whenever something is requested.

    A file is made in a thread of its own and may be dropped at any time; that goes on when the dialog is closed.
    """

    def __init__(self, host: Workspace) -> None:
        super().__init__()
        self._host = host
        self._job: ThreadTask | None = None
        self._page: StaticPage | None = None
        self._document: Document | None = None
        self._link = ExportCard(
            {"link": self.link},
            title="Link",
            words="Opens this page with these settings and trains up to the epoch that is shown. On another kind of "
            "processor that may come out otherwise, which is then said there. Exact are saved runs; "
            "changes made on the way are in these only.",
            acts=[_act("link", "copy", "Copy link")],
        )
        self._following = ExportCard(
            {"follow": self.follow, "stop": self.stop},
            title="Follow",
            words="Others who open this link see what you do here as you do it, each at an epoch of their own.",
        )
        self._code_to_follow = QRCode()
        self._name = pmui.TextInput(
            label="Your name, which those who follow see",
            placeholder="none",
            max_length=LONGEST_NAME,
            size="small",
            width=300,
            margin=(0, 0, 18, 0),
        )
        self._name.param.watch(lambda _: self._sign(), "value")
        self._run = ExportCard(
            {"run": self.recording},
            title="Run",
            words="All of it in one file: settings, epochs, and how to go on exactly. Open it again under Runs.",
            acts=[_act("run", "save", "Save run", "One .npz file, which NumPy reads too")],
        )
        self._animation = ExportCard(
            {"make": self.make, "cancel": self.cancel, "page": self.page},
            title="Page",
            words="One HTML file that shows this page and plays its epochs. It works offline, without this program.",
            margin=(0, 0, 10, 0),
        )
        self._frames = pmui.Select(
            label="Epochs in the file",
            options=list(COUNTS),
            value=FRAMES,
            size="small",
            width=150,
            margin=(12, 0, 18, 0),
        )
        self._code = ExportCard(
            {"numpy": self.numpy, "torch": self.torch},
            title="Network",
            words="A Python file with the weights of the epoch that is shown, which runs without this laboratory.",
            acts=[
                _act("numpy", "save", "Save for NumPy", "Needs nothing but NumPy"),
                _act("numpy", "copy", "Copy for NumPy"),
                _act("torch", "save", "Save for PyTorch", "A torch.nn.Module in double precision"),
                _act("torch", "copy", "Copy for PyTorch"),
            ],
        )
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        follow = self._following, self._name, self._code_to_follow
        offers = self._link, *follow, self._run, self._animation, self._frames, self._code
        return pn.Column(*offers, margin=(4, 4, 0, 4), sizing_mode="stretch_width")

    def refresh(self) -> None:
        """Offer what the open page has."""
        self._code.visible = isinstance(self._host.run.frame().setup, Setup)
        self._link.visible = self._host.is_served
        self._following.visible = self._name.visible = self._host.is_served and not self._host.run.followed
        self._show_followers()
        self._follow()

    def close(self) -> None:
        """Drop a file that is being made."""
        if self._job:
            self._job.drop()
        self._job = None

    def link(self) -> Payload:
        """The query of a link to the page as it is now."""
        return _link({**self._host.query(), **_epoch(self._host)})

    def follow(self) -> Payload:
        """The query of a link that follows what is done here from now on."""
        shared = self._host.let_follow()
        self._sign()
        self._show_followers()
        return _link({"follow": shared.code})

    def stop(self) -> None:
        """Stop sharing: nobody follows any more."""
        self._host.stop_following()
        self._show_followers()

    def recording(self) -> Payload:
        """The run as a file."""
        host = self._host
        return Payload(packed(host.shown.recording(_title(host))), file_name(_title(host), "npz"))

    def numpy(self) -> Payload:
        """The network for NumPy."""
        return Payload(self._written(as_numpy).encode(), file_name(f"{_title(self._host)} numpy", "py"))

    def torch(self) -> Payload:
        """The network for PyTorch."""
        return Payload(self._written(as_torch).encode(), file_name(f"{_title(self._host)} pytorch", "py"))

    def make(self) -> None:
        """Begin to make a file of the page."""
        self.close()
        host, self._document = self._host, pn.state.curdoc
        try:
            self._page = StaticPage(
                type(host.shown),
                host.shown.recording(_title(host)),
                self._frames.value,
                results=host.run.study.results if host.run.study else None,
                pictures=_pictures(host),
                link=_address(self.link()),
            )
        except (ValueError, OSError) as error:
            self._page = None
            self._show_making(str(error))
            return
        self._job = ThreadTask(self._pieces(self._page), self._fail, in_turn=True)
        self._follow()

    def cancel(self) -> None:
        """Stop making it."""
        self.close()
        self._page = None
        self._follow()

    def page(self) -> Payload:
        """The file that was made of the page."""
        if not self._page or not self._page.file:
            raise ValueError("the page is not made yet; press “Make the page” first")
        return Payload(self._page.file, file_name(self._page.title, "html"))

    def _sign(self) -> None:
        """Tell those who follow who shares it."""
        if self._host.shared:
            self._host.shared.sign(self._name.value or "")

    def _show_followers(self) -> None:
        """Show how many follow, if anybody may."""
        shared = self._host.shared
        copy = _act("follow", "copy", "Copy it again" if shared else "Let others follow", "Copies the link")
        stop = _act("stop", "ask", "Stop", "Nobody can follow any more")
        state = f"{shared.following} follow" if shared else ""
        self._code_to_follow.show(_address(_link({"follow": shared.code})) if shared else "")
        self._following.param.update(acts=[copy, stop] if shared else [copy], state=state)

    def _written(self, write: Callable[..., str]) -> str:
        """The network of the epoch that is shown, as code for one library."""
        host, frame = self._host, self._host.run.frame()
        setup = frame.setup
        if not isinstance(setup, Setup):
            raise ValueError("there is no network on this page")
        scale, examples = setup.standardization, setup.examples.x[:3]
        raw = examples * scale.std + scale.mean if scale else examples
        return write(frame.network(), scale, _about(host), raw, setup.features)

    def _pieces(self, page: StaticPage) -> Iterator[None]:
        """The work on a file, with its progress now and then; it ends with the session."""
        reported = 0.0
        for _ in page.pieces():
            yield
            if time.monotonic() - reported > LOOK:
                reported = time.monotonic()
                if self._gone:
                    return
                self._later(self._follow)
        self._later(self._follow)

    @property
    def _gone(self) -> bool:
        """Whether the session that asked for the file has ended."""
        document = self._document
        return document is not None and (document.session_context is None or document.session_context.destroyed)

    def _fail(self, error: Exception) -> None:
        self._page = None
        self._later(lambda: self._show_making(f"the page could not be made: {error}"))

    def _later(self, change: Callable[[], None]) -> None:
        """Change what the user sees, from another thread."""
        if self._document is None:
            change()
        elif not self._gone:
            self._document.add_next_tick_callback(change)

    def _follow(self) -> None:
        """Show the progress of the file."""
        page = self._page
        if page and page.file:
            size = f"Download {len(page.file) / 1e6:.1f} MB"
            acts = [_act("page", "save", size), _act("make", "ask", "Make it anew", "As the page is now")]
            self._animation.param.update(acts=acts, share=-1.0, state=f"{page.frames} epochs of “{page.title}”")
        elif page and self._job:
            acts = [_act("cancel", "ask", "Cancel")]
            acts = self._animation.acts if self._animation.acts == acts else acts
            self._animation.param.update(acts=acts, share=page.progress, state=f"{page.progress:.0%}")
        else:
            self._show_making("")

    def _show_making(self, state: str) -> None:
        self._animation.param.update(acts=[_act("make", "ask", "Make the page")], share=-1.0, state=state)


def _act(act: str, does: str, label: str, title: str = "") -> dict[str, str]:
    return {"act": act, "does": does, "label": label, "title": title}


def _link(query: Mapping[str, object]) -> Payload:
    return Payload(f"?{urlencode(query)}".encode(), "?")


def _title(host: Workspace) -> str:
    return f"{host.shown.title}, epoch {host.run.frame().epoch.index:,}"


def _epoch(host: Workspace) -> dict[str, int | str]:
    """The epoch that is shown as part of a link, and what it was like here; empty for epoch 0."""
    epoch = host.run.frame().epoch.index
    return {"epoch": epoch, **host.run.arrival()} if epoch and not host.run.followed else {}


def _address(link: Payload) -> str:
    """A full link, as the user's browser knows it; empty where there is no browser."""
    location = pn.state.location
    return location.href.split("?")[0].split("#")[0] + link.content.decode() if location and location.href else ""


def _pictures(host: Workspace) -> Mapping[str, Mapping[str, Any]]:
    """What is chosen in the cards, by the names of the instruments' classes."""
    return {
        type(one).__name__: {name: getattr(one, name) for name in one.controls if name not in one.tools}
        for one in host.shown.shown
    }


def _about(host: Workspace) -> str:
    """On what a network was trained, and how far."""
    settings, readings = host.run.settings, host.run.readings(host.run.frame())
    numbers = ", ".join(f"{name} {value}" for name, value in readings.items())
    return (
        f"Trained on {settings.dataset} with {settings.optimizer} at a learning rate of {settings.learning_rate:g}, "
        f"seed {settings.seed}:\n{numbers}."
    )
