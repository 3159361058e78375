"""Page: one question, and the pictures that answer it."""

from collections.abc import Sequence
from html import escape
from typing import ClassVar

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import Div

from dashboard import style
from dashboard.browser import InView
from dashboard.instruments.instrument import Instrument
from dashboard.run import Frame, Run

CARD = {"padding": "10px 12px 8px", "borderRadius": "12px", "height": "100%"}
GRID = """
:host { display: grid !important; grid-auto-rows: max-content; gap: 12px; }
:host { grid-template-columns: repeat(6, minmax(0, 1fr)); }
:host > .third { grid-column: span 2; }
:host > .half { grid-column: span 3; }
:host > .whole { grid-column: span 6; }
@media (max-width: 1199px) { :host > .third, :host > .half { grid-column: span 3; } }
@media (max-width: 799px) { :host > * { grid-column: span 6 !important; } }
"""
HEADING = """
:host { min-width: 0; }
h2 { font-size: 15px; font-weight: 600; margin: 0; line-height: 1.3; }
p { font-size: 12.5px; margin: 1px 0 0; opacity: .72; line-height: 1.35; }
p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""
CAPTION = """
:host { min-width: 0; }
p { font-size: 12.5px; margin: 2px 0 0; min-height: 18px; opacity: .82; font-variant-numeric: tabular-nums; }
p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""


class Page(pn.viewable.Viewer):
    """A question, what to look for, and a grid of instruments. Subclasses name theirs; a new file here is a new page.

    `instruments` lists the slots of the grid: in each the first class that suits the run is shown.
    """

    slug: ClassVar[str] = ""
    title: ClassVar[str] = ""
    question: ClassVar[str] = ""
    look_for: ClassVar[str] = ""
    instruments: ClassVar[Sequence[Sequence[type[Instrument]]]] = ()

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self._slots = [Slot(run, choices) for choices in self.instruments]
        for slot, share in zip(self._slots, _shares(len(self._slots)), strict=True):
            slot.view.css_classes = [share]
        self._layout = pn.Column(
            *(slot.view for slot in self._slots), stylesheets=[GRID], margin=0, sizing_mode="stretch_width"
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    @property
    def shown(self) -> list[Instrument]:
        """The instruments that suit the run at present."""
        return [slot.instrument for slot in self._slots if slot.instrument]

    @property
    def in_view(self) -> list[Instrument]:
        """Those of them that are on the visitor's screen."""
        return [slot.instrument for slot in self._slots if slot.instrument and slot.view.near]

    def draw(self, frame: Frame, version: int) -> None:
        """Bring every picture in view to a frame, which is that of the run's `version`.

        Pictures not seen before are made one at a time, so that no visitor waits long for another's page.
        """
        in_view = [slot for slot in self._slots if slot.view.near]
        unmade = [slot for slot in in_view if not slot.made]
        for slot in in_view:
            if slot not in unmade[1:]:
                slot.draw(frame, version)

    def behind(self, version: int) -> bool:
        """Whether a picture in view does not show that version of the run yet."""
        return any(slot.view.near and slot.version != version for slot in self._slots)


class Slot(pn.viewable.Viewer):
    """A card for one instrument: its title, how to read it, the picture, its caption."""

    def __init__(self, run: Run, choices: Sequence[type[Instrument]]) -> None:
        super().__init__()
        self._run, self._choices = run, choices
        self._kind: type[Instrument] | None = choices[0]
        self.instrument: Instrument | None = None
        self.made, self.version = False, -1
        self._heading = pn.pane.HTML(stylesheets=[HEADING], margin=0, sizing_mode="stretch_width")
        self._switches = pn.Row(margin=0)
        self._reading = pmui.IconButton(icon="help_outline", size="small", margin=0)
        self._picture = pn.Column(margin=0, sizing_mode="stretch_width", min_height=style.HEIGHT)
        self._caption = Div(stylesheets=[CAPTION], margin=0, sizing_mode="stretch_width")
        self.view = InView(content=self._card(), sizing_mode="stretch_width", margin=0)
        self._name(self._kind_for(run.frame()))

    def __panel__(self) -> pn.viewable.Viewable:
        return self.view

    def draw(self, frame: Frame, version: int) -> None:
        """Bring the picture to a frame, choosing another if the run has become of another kind."""
        self._fit(frame)
        if self.instrument:
            self.instrument.draw(frame)
        self._caption.text = f"<p>{self.instrument.caption if self.instrument else ''}</p>"
        self.version = version

    def _card(self) -> pmui.Paper:
        head = pn.Row(self._heading, self._switches, self._reading, sizing_mode="stretch_width", margin=0)
        return pmui.Paper(
            head,
            self._picture,
            pn.pane.Bokeh(self._caption, margin=0, sizing_mode="stretch_width"),
            elevation=0,
            variant="outlined",
            sx=CARD,
            margin=0,
            sizing_mode="stretch_width",
        )

    def _fit(self, frame: Frame) -> None:
        kind = self._kind_for(frame)
        if self.made and kind is self._kind:
            return
        self._kind, self.made = kind, True
        self._name(kind)
        self.instrument = kind(self._run) if kind else None
        self._switches.objects = [_choice(self.instrument, name) for name in kind.controls] if kind else []
        self._picture.objects = [self.instrument] if self.instrument else [_nothing(self._choices[0])]

    def _kind_for(self, frame: Frame) -> type[Instrument] | None:
        """The first choice that suits the run; None where none does."""
        return next((choice for choice in self._choices if choice.suits(frame)), None)

    def _name(self, kind: type[Instrument] | None) -> None:
        title = (kind or self._choices[0]).title
        question, reading = (kind.question, kind.reading) if kind else ("", "")
        self._heading.object = f"<h2>{escape(title)}</h2><p>{escape(question)}</p>"
        self._reading.param.update(label=f"How to read {title}", description=reading, visible=bool(kind))


def _choice(instrument: Instrument, name: str) -> pn.viewable.Viewable:
    """A small control for what an instrument lets one choose."""
    parameter = instrument.param[name]
    if isinstance(parameter, param.Boolean):
        return pmui.Switch.from_param(parameter, size="small", margin=(0, 4), width=None, description=parameter.doc)
    return pmui.Select.from_param(
        parameter, size="small", margin=(-9, 0, 0, 0), width=84, variant="standard", description=""
    )


def _nothing(kind: type[Instrument]) -> pn.viewable.Viewable:
    return pmui.Typography(f"Nothing to show: {kind.missing}", variant="body2", height=kind.height, margin=(24, 8))


def _shares(slots: int) -> list[str]:
    """Each slot's share of the width: rows of three, and a last row that fills it."""
    rest = slots % 3
    return ["third"] * (slots - rest) + {0: [], 1: ["whole"], 2: ["half", "half"]}[rest]
