"""Transport: the buttons that move time, and the line that says where it is."""

import time
from html import escape

import panel as pn
import panel_material_ui as pmui
from bokeh.models import Div

from dashboard.clock import Clock
from dashboard.controls import SeedEditor
from dashboard.run import Frame

STYLE = """
:host { min-width: 0; }
dl { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0; font-variant-numeric: tabular-nums; }
dl > div { min-width: 56px; }
dt { font-size: 11px; opacity: .68; white-space: nowrap; }
dd { margin: 0; font-size: 17px; line-height: 1.25; font-weight: 500; white-space: nowrap; }
"""
BAR = ":host { display: flex !important; flex-flow: row wrap; align-items: center; gap: 4px 18px; }"
CARD = {"padding": "4px 10px", "borderRadius": "12px"}


class Transport(pn.viewable.Viewer):
    """Play, pause, step, reset, a new seed and the speed, beside epoch, losses, accuracy and rates."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        settings = clock.run.settings
        self._seed = SeedEditor(settings)
        self._play = pmui.Button(
            label="Play",
            icon="play_arrow",
            color="primary",
            variant="contained",
            width=116,
            margin=4,
            on_click=self.toggle,
        )
        self._step = _icon("skip_next", "Step one epoch (arrow right)", self.step)
        self._reset = _icon("replay", "Reset to the same weights (R)", self.reset)
        self._roll = _icon("casino", "Roll a new seed: other data, other weights", self._seed.roll)
        self._speed = pmui.Select.from_param(
            settings.param.speed,
            label="Epochs per second",
            options=settings.param.speed.names,
            width=150,
            size="small",
            margin=(4, 10),
            description="",
        )
        self._numbers = Div(stylesheets=[STYLE], margin=0)
        self._rates = Rates()

    def __panel__(self) -> pn.viewable.Viewable:
        buttons = pn.Row(self._reset, self._play, self._step, self._roll, margin=0)
        numbers = pn.pane.Bokeh(self._numbers, margin=(4, 8), styles={"flex": "1 1 300px"})
        bar = pn.Column(buttons, self._speed, numbers, stylesheets=[BAR], margin=0, sizing_mode="stretch_width")
        return pmui.Paper(
            bar, elevation=0, variant="outlined", margin=(0, 0, 12, 0), sizing_mode="stretch_width", sx=CARD
        )

    def toggle(self, _: object = None) -> None:
        """Play if paused, pause if playing."""
        self.clock.toggle()

    def step(self, _: object = None) -> None:
        """One epoch."""
        self.clock.step()

    def reset(self, _: object = None) -> None:
        """Back to epoch 0, same weights."""
        self.clock.reset()

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        {"space": self.toggle, "right": self.step, "r": self.reset}[key]()

    def draw(self, frame: Frame) -> None:
        """Show a frame's numbers and the state of the clock."""
        playing = self.clock.playing
        if (self._play.label == "Pause") != playing:
            self._play.param.update(label="Pause" if playing else "Play", icon="pause" if playing else "play_arrow")
        self._rates.count(frame.epoch.index)
        self._numbers.text = _definitions(self._readings(frame))

    def _readings(self, frame: Frame) -> dict[str, str]:
        epoch = frame.epoch
        losses = {"loss": _loss(epoch.loss), "val. loss": _loss(epoch.validation_loss)}
        shares = {"accuracy": f"{epoch.accuracy:.1%}", "val. accuracy": f"{epoch.validation_accuracy:.1%}"}
        known = {name: text for name, text in {**losses, **shares}.items() if not text.startswith("nan")}
        epochs, frames = self._rates.per_second(self.clock.playing)
        return {"epoch": f"{epoch.index:,}", **known, "epochs/s": epochs, "frames/s": frames}


class Rates:
    """Epochs and frames a second over the last two seconds."""

    SPAN = 2.0

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def count(self, epoch: int) -> None:
        """A frame that shows this epoch has been drawn."""
        now = time.perf_counter()
        if self._marks and epoch < self._marks[-1][1]:
            self._marks = []
        self._marks = [mark for mark in self._marks if mark[0] > now - self.SPAN] + [(now, epoch)]

    def per_second(self, playing: bool) -> tuple[str, str]:
        """Both as text; a dash where nothing moves."""
        if not playing or len(self._marks) < 3:
            return "–", "–"
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return f"{(last - first) / (end - start):,.0f}", f"{(len(self._marks) - 1) / (end - start):.1f}"


def _icon(icon: str, description: str, action: object) -> pmui.IconButton:
    return pmui.IconButton(icon=icon, label=description, description=description, on_click=action, margin=2)


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e3 else f"{loss:.2e}"


def _definitions(readings: dict[str, str]) -> str:
    return (
        "<dl>"
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in readings.items())
        + "</dl>"
    )
