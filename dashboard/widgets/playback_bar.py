"""The playback bar: the buttons that move time, and the line that says where it is."""

import time
from collections.abc import Callable, Mapping, Sequence

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from dashboard.state.clock import Clock
from dashboard.state.store import Frame
from dashboard.widgets import style
from dashboard.widgets.beside import beside
from dashboard.widgets.browser import Scrubber
from dashboard.widgets.controls import SeedEditor
from dashboard.widgets.plain_text import element, sheet, write

STYLE = beside(__file__, "playback_bar.css")
SHEET = {"padding": "3px 10px", "borderRadius": "12px", "overflow": "visible"}
NOTHING_LEFT = "Nothing to have back"

PLAY = {"label": "Play", "icon": "play_arrow"}
PAUSE = {"label": "Pause", "icon": "pause"}
FORK = {"label": "Play from here", "icon": "call_split"}


class PlaybackBar(pn.viewable.Viewer):
    """Play, pause, step, reset, the speed and a way back in time, beside the run's current numbers.

    On a phone it is a sheet below the pictures, and has the main controls of the page as well.
    """

    def __init__(
        self,
        clock: Clock,
        knobs: Sequence[pn.viewable.Viewable] = (),
        played: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the bar.

        Args:
            clock: What it moves.
            knobs: The main controls of the page.
            played: Called when a user has it play.
        """
        super().__init__()
        self.clock, self._knobs, self._played = clock, knobs, played
        settings = clock.run.settings
        self._seed = SeedEditor(settings) if "seed" in settings.param else None
        self._play = pmui.Button(
            label="Play",
            icon="play_arrow",
            color="primary",
            variant="contained",
            width=142,
            stylesheets=[STYLE],
            css_classes=["play"],
            margin=(0, 2),
            on_click=self.toggle,
        )
        looks = clock.run.is_read_only
        on = "Look one epoch on (arrow right)" if looks else "Step one epoch (arrow right)"
        self._step = _icon("skip_next", on, self.step)
        again = "Look at the first epoch (R)" if looks else "Reset to the same weights (R)"
        self._reset = _icon("replay", again, self.reset)
        self._roll = _icon(
            "casino", "New seed: other data, other starting weights", self._seed.roll if self._seed else None
        )
        self._roll.param.update(visible=self._seed is not None, disabled=looks)
        self._back = _icon("skip_previous", "Look one epoch back (arrow left)", self.back)
        self._back.css_classes = ["time", "back"]
        self._undo = _icon("undo", NOTHING_LEFT, self.undo)
        self._undo.disabled = True
        self._scrubber = Scrubber(clock.look_at)
        self._speed = pmui.Select.from_param(
            settings.param.speed,
            label="Epochs per second",
            options=settings.param.speed.names,
            width=134,
            size="small",
            margin=(7, 0, 1, 0),
            css_classes=["speed"],
            description="",
            visible=len(settings.param.speed.names) > 1,
            disabled=looks,
        )
        self._numbers = sheet(stylesheets=[STYLE], css_classes=["readings"])
        self._rates = Rates()

    def __panel__(self) -> pn.viewable.Viewable:
        icons = self._reset, self._back, self._play, self._step, self._roll, self._undo
        buttons = pn.Row(*icons, stylesheets=[STYLE], css_classes=["buttons"], margin=0)
        numbers = pn.pane.Bokeh(self._numbers, margin=0, css_classes=["numbers"])
        knobs = pn.Row(*self._knobs, stylesheets=[STYLE], css_classes=["knobs"], margin=0)
        parts = buttons, self._speed, self._scrubber, numbers, *([knobs] if self._knobs else [])
        bar = pn.Column(*parts, stylesheets=[STYLE], css_classes=["bar"], margin=0, sizing_mode="stretch_width")
        return pmui.Paper(
            bar,
            elevation=0,
            variant="outlined",
            stylesheets=[STYLE],
            css_classes=["playback"],
            margin=0,
            sizing_mode="stretch_width",
            sx=SHEET,
        )

    def toggle(self, _: object = None) -> None:
        """Play if paused, pause if playing."""
        self.clock.toggle()
        if self.clock.playing:
            self._played()

    def step(self, _: object = None) -> None:
        """Advance one epoch."""
        self.clock.step()

    def back(self, _: object = None) -> None:
        """Look one epoch back."""
        self.clock.back()

    def roll(self, _: object = None) -> None:
        """Choose another seed."""
        self._seed.roll()

    def reset(self, _: object = None) -> None:
        """Return to epoch 0 with the same weights."""
        self.clock.reset()

    def undo(self, _: object = None) -> None:
        """Restore what the last fresh start or fork has replaced."""
        self.clock.undo()

    def home(self) -> None:
        """Look at epoch 0."""
        self.clock.look_at(0)

    def end(self) -> None:
        """Look at the newest epoch."""
        self.clock.look_at(None)

    def press(self, key: str) -> None:
        """Do what a key stands for, if anything."""
        keys = {"space": self.toggle, "right": self.step, "left": self.back, "r": self.reset}
        keys |= {"home": self.home, "end": self.end, "undo": self.undo}
        if key in keys:
            keys[key]()

    def draw(self, frame: Frame, followers: int | None = None) -> None:
        """Show a frame's numbers and the state of the clock; where the run is shared, how many follow it."""
        run, playing, shown = self.clock.run, self.clock.playing, frame.epoch.index
        back = run.looked_at is not None and not run.is_read_only
        self._offer(PAUSE if playing else FORK if back else PLAY)
        idle = run.is_read_only and not playing and run.looked_at is None
        if self._play.disabled != idle:
            self._play.disabled = idle
        self._rates.count(shown)
        epochs, frames = self._rates.per_second(playing)
        shared = {} if followers is None else {"followers": f"{followers:,}"}
        write(self._numbers, _definitions({**run.readings(frame), **shared, "epochs/s": epochs, "frames/s": frames}))
        self._scrubber.show(run, shown, playing)
        back = f"Have back {run.left} (Ctrl+Z)" if run.left else NOTHING_LEFT
        if self._undo.label != back:
            self._undo.param.update(label=back, description=back, disabled=not run.left)

    def _offer(self, words: Mapping[str, str]) -> None:
        """Set label and icon of the large button."""
        if self._play.label != words["label"]:
            self._play.param.update(**words)


class Rates:
    """Epochs and frames per second over the last two seconds."""

    SPAN = 2.0

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def count(self, epoch: int) -> None:
        """Count a drawn frame that shows this epoch."""
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
    return pmui.IconButton(
        icon=icon,
        label=description,
        description=description,
        size="small",
        on_click=action,
        margin=0,
        stylesheets=[style.HINT, STYLE],
        css_classes=["time"],
    )


def _definitions(readings: dict[str, str]) -> Markup:
    pairs = (element("div", _name(name), element("dd", value)) for name, value in readings.items())
    return element("dl", *pairs)


def _name(name: str) -> Markup:
    """A reading's name, with a mark where it holds for this moment only."""
    return element("dt", name, kind="rate" if name.endswith("/s") else "")
