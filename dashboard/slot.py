"""Slot: a card of a page for one picture."""

from collections.abc import Sequence
from html import escape

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import Div

from dashboard import style
from dashboard.browser import InView
from dashboard.instruments.instrument import Instrument
from dashboard.store import Frame, Store

CARD = {"padding": "10px 12px 8px", "borderRadius": "12px", "height": "100%"}
HEADING = """
:host { min-width: 0; }
h2 { font-size: 15px; font-weight: 600; margin: 0; line-height: 1.3; }
p { font-size: 12.5px; margin: 1px 0 0; opacity: .72; line-height: 1.35; }
p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""
CAPTION = """
:host { min-width: 0; overflow: hidden; }
p { font-size: 12.5px; margin: 2px 0 0; min-height: 18px; opacity: .82; font-variant-numeric: tabular-nums; }
p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""


class Slot(pn.viewable.Viewer):
    """A card for one instrument: its title, how to read it, the picture, its caption."""

    def __init__(self, run: Store, choices: Sequence[type[Instrument]]) -> None:
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
