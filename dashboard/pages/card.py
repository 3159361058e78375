"""A card of a page holds one picture, and the same picture of every compared run."""

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import Plot

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.pages.compared_card import OWN, ComparedPicture, with_own_name
from dashboard.state.choices import Choices
from dashboard.state.store import ComparedRun, Frame, Shown
from dashboard.widgets import style
from dashboard.widgets.beside import beside
from dashboard.widgets.browser import InView
from dashboard.widgets.enlarge import Enlarge
from dashboard.widgets.help import Help
from dashboard.widgets.plain_text import APART, HTML, Words, element, inked, sheet, write
from dashboard.widgets.save_menu import SaveMenu, as_csv, file_name

CARD = {"padding": "12px 14px 10px", "borderRadius": "12px", "height": "100%"}
STYLE = beside(__file__, "card.css")
NO_BREAK = "\N{NO-BREAK SPACE}"
MAIN_SETTINGS = (
    *("dataset", "n", "noise", "hidden", "activation", "initializer", "loss", "optimizer", "learning_rate"),
    *("batch_size", "seed", "surface", "condition_number", "optimizers", "multiples"),
)
"""What a saved picture says of its run."""


class Card(pn.viewable.Viewer):
    """A card for one instrument: its title, how to read it, the picture, its caption, and those of all compared runs.

    Attributes:
        page: Slug of the page, for the names of files.
        title: That of the page, for what is written below saved pictures.
    """

    def __init__(self, run: Shown, choices: Sequence[type[Instrument]], page: str = "") -> None:
        super().__init__()
        self._run, self._choices, self.page, self.title = run, choices, page, ""
        self._kind: type[Instrument] | None = choices[0]
        self.instrument: Instrument | None = None
        self.compared: list[ComparedPicture] = []
        self._compared_runs: tuple[ComparedRun, ...] = ()
        self.made, self.version = False, -1
        self._heading = _part(HTML, "heading")
        self._switches = pn.Row(stylesheets=[STYLE], css_classes=["switches"], margin=0)
        self._save = SaveMenu(self._file)
        self._reading = Help()
        self._picture = _part(pn.Column, "picture")
        self._caption = sheet(stylesheets=[STYLE], css_classes=["caption"], sizing_mode="stretch_width")
        self.view = InView(content=self._card(), stylesheets=[STYLE], sizing_mode="stretch_width", margin=0)
        self._name(self._kind_for(run.frame()))

    def __panel__(self) -> pn.viewable.Viewable:
        return self.view

    @property
    def unmade(self) -> bool:
        """Whether a picture of the card was never drawn, which takes longer."""
        return (
            not self.made
            or self._run.compared_runs is not self._compared_runs
            or not all(one.made for one in self.compared)
        )

    @property
    def is_usual(self) -> bool:
        """Whether it looks the same to everybody: nothing else was chosen in it, and no runs are compared."""
        own = self.instrument
        return (
            self.made
            and not self._compared_runs
            and not own.is_zoomed
            and all(getattr(own, n) == own.param[n].default for n in self._picks())
        )

    def shows(self, kind: type[Instrument] | None) -> bool:
        """Whether it is the card for pictures of this kind."""
        return kind in self._choices

    def forget(self) -> None:
        """Redraws everything at the next frame: what the browser shows is no longer known."""
        self.version = -1
        if self.instrument:
            self.instrument.forget()

    def behind(self, version: int) -> bool:
        """Whether the card does not show that version of the run yet."""
        return self.version != version or any(one.behind(version) for one in self.compared)

    def draw(self, frame: Frame, version: int, make: bool = True) -> None:
        """Draw the pictures at a frame, and chooses others if the kind of the run has changed.

        Of pictures of compared runs that were never drawn, one is made per call, and none unless `make`.
        """
        if self.version != version:
            self._draw_own(frame)
            self.version = version
        if self._run.compared_runs is not self._compared_runs:
            self._subscriber()
        unmade = [one for one in self.compared if not one.made]
        for one in self.compared:
            if one not in unmade[int(make) :]:
                one.draw(version)

    def _draw_own(self, frame: Frame) -> None:
        self._fit(frame)
        if self.instrument:
            self.instrument.draw(frame)
        write(self._caption, element("p", self.instrument.caption if self.instrument else ""))

    def _card(self) -> pmui.Paper:
        tools = pn.Row(Enlarge(), self._save, self._reading, stylesheets=[STYLE], css_classes=["tools"], margin=0)
        return pmui.Paper(
            _part(pn.Row, "head", self._heading, self._switches, tools),
            self._picture,
            pn.pane.Bokeh(self._caption, margin=0, sizing_mode="stretch_width"),
            elevation=0,
            variant="outlined",
            sx=CARD,
            stylesheets=[STYLE],
            css_classes=["sheet"],
            margin=0,
            sizing_mode="stretch_width",
        )

    def _fit(self, frame: Frame) -> None:
        kind = self._kind_for(frame)
        if self.made and kind is self._kind:
            return
        self.instrument = kind(self._run) if kind else None
        self._kind, self.made = kind, True
        self._name(kind)
        self._switches.objects = [_choice(self.instrument, name) for name in self._controls(kind)]
        self._save.kinds = _kinds(self.instrument)
        self._subscriber()

    def _picks(self) -> Sequence[str]:
        """The names of what a user may choose in the card."""
        return self.instrument.controls if self.instrument else ()

    def _controls(self, kind: type[Instrument] | None) -> list[str]:
        """What a user may choose in the card: on a read-only run, not what would change it."""
        taken = kind.tools if kind and self._run.is_read_only else ()
        return [name for name in kind.controls if name not in taken] if kind else []

    def _subscriber(self) -> None:
        """Add a picture of each compared run, unless the instrument draws them itself."""
        self._compared_runs, before = self._run.compared_runs, self.compared
        known = {one.compared: one for one in before if one.own is self.instrument}
        apart = self.instrument is not None and not self.instrument.overlays_compared
        compared_runs = self._compared_runs if apart else ()
        self.compared = [
            known.get(compared) or ComparedPicture(compared, self.instrument) for compared in compared_runs
        ]
        for one in before:
            if one not in self.compared:
                one.leave()
        own = self.instrument or _nothing(self._choices[0])
        objects = [with_own_name(own) if self.compared else own, *self.compared]
        classes = ["picture", "several"] if self.compared else ["picture"]
        self._picture.param.update(objects=objects, css_classes=classes)

    def _file(self, kind: str) -> Mapping[str, Any]:
        """The file of the card as it is now, or the figures from which the browser draws it."""
        name = file_name(self.page, self.instrument.title, self.instrument.shown, kind)
        shown = [one for one in self.compared if one.instrument]
        if kind == "csv":
            return {"name": name, "text": as_csv({OWN: self.instrument.table(), **_tables(shown)})}
        own = {**self.instrument.drawing(), "name": OWN, "color": style.NEUTRAL}
        words = {"title": self.instrument.title, "key": self.instrument.key(), "lines": inked(self.instrument.caption)}
        words["about"] = APART.join([self.title, f"epoch {self.instrument.shown:,}", in_short(self._run.settings)])
        others = [{**one.instrument.drawing(), "name": one.compared.name, "color": one.compared.color} for one in shown]
        return {"name": name, "figures": [own, *others], **words}

    def _kind_for(self, frame: Frame) -> type[Instrument] | None:
        """The first instrument that suits the run; None where none does."""
        return next((choice for choice in self._choices if choice.suits(frame)), None)

    def _name(self, kind: type[Instrument] | None) -> None:
        title = (kind or self._choices[0]).title
        question, reading = (kind.question, kind.reading) if kind else ("", "")
        self._heading.object = element("h2", title) + element("p", question)
        self._reading.tell(f"How to read {title}", reading)


def in_short(settings: Choices) -> str:
    """The main settings in a line."""
    texts = settings.texts()
    named = (f"{name} {texts[name]}".replace("_", NO_BREAK) for name in MAIN_SETTINGS if name in texts)
    return APART.join(one.replace(" ", NO_BREAK) for one in named)


def _part(kind: type[pn.viewable.Viewable], name: str, *content: object) -> Any:
    """A part of the card, to which its style sheet gives a place by this name."""
    return kind(*content, stylesheets=[STYLE], css_classes=[name], margin=0, sizing_mode="stretch_width")


def _choice(instrument: Instrument, name: str) -> pn.viewable.Viewable:
    """A small control for one of an instrument's choices."""
    parameter = instrument.param[name]
    if isinstance(parameter, param.Boolean):
        return pmui.Switch.from_param(parameter, size="small", margin=(0, 4), width=None, description=parameter.doc)
    return pmui.Select.from_param(
        parameter,
        size="small",
        margin=0,
        width=140,
        variant="standard",
        description="",
        stylesheets=[STYLE],
        css_classes=["choice"],
    )


def _kinds(instrument: Instrument | None) -> list[str]:
    """The file formats in which an instrument can be saved."""
    if instrument is None:
        return []
    drawn = list(instrument.formats) if isinstance(instrument.figure, Plot) else []
    return [*drawn, "csv"] if instrument.table() else drawn


def _tables(shown: Sequence[ComparedPicture]) -> dict[str, dict[str, Columns]]:
    """What the pictures of compared runs show, by names that differ even if those of the runs do not."""
    return {f"compared {i}: {one.compared.name}": one.instrument.table() for i, one in enumerate(shown, 1)}


def _nothing(kind: type[Instrument]) -> pn.viewable.Viewable:
    return Words(f"Nothing to show: {kind.missing}", variant="body2", height=kind.height, margin=(24, 8))
