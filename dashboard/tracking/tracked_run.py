"""Watched: the store of a training that runs in somebody's own script, as far as its feed tells. No Panel here."""

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import param

from dashboard.state.choices import Choices
from dashboard.state.read_only import ReadOnly
from dashboard.state.run import Frame, Setup
from dashboard.state.store import Companion, ordinal
from dashboard.state.view import View
from dashboard.storage.run_archive import home
from dashboard.tracking import run_log
from dashboard.tracking.log_listing import Entry, Listing
from dashboard.tracking.log_reader import NO_DATA, LogReader, Sketch
from dashboard.tracking.logged_history import LoggedFrame, LoggedHistory, names_of
from dashboard.tracking.run_log import Layout
from engine.datasets import Dataset
from engine.network import Network
from engine.recording import History, Recording
from engine.training import Epochs

KIND = "watched"
"""What recordings of watched trainings say they are of."""

MAX_EXAMPLES = 5000
"""Examples that are kept with a recording."""

STATES = {
    run_log.LIVE: "running",
    run_log.ENDED: "ended",
    run_log.STOPPED: "stopped",
    run_log.FAILED: "ended by an error",
    run_log.KILLED: "no longer reporting: killed, or its machine is off",
}

LAST = {run_log.ENDED: " at epoch {:,}"}
"""How the last epoch is added to how a training has ended."""

STOPPERS = {
    "stopped by KeyboardInterrupt": "stopped by Ctrl-C",
    "stopped by SystemExit": "stopped: the program was left",
}
"""How a training was stopped, in words."""

READINGS = {
    "loss": ("loss", ".4g"),
    "val. loss": ("validation_loss", ".4g"),
    "accuracy": ("accuracy", ".1%"),
    "val. accuracy": ("validation_accuracy", ".1%"),
}
"""The numbers in the bar on top: of which column, and how they are written."""


MAX_DAMAGED = 3
"""Feeds whose damage is told beside the list."""


class RunLogId(param.String):
    """The id of a feed, or nothing for the newest."""

    def in_words(self) -> str:
        """What is possible, as the end of a sentence."""
        return "an id such as 20261123-190000-ab12cd, or nothing for the newest"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        if val and not run_log.ID.fullmatch(val):
            raise ValueError(f"{val!r} is no id")


class WatchSettings(Choices):
    """Which training is watched."""

    feed = RunLogId(default="", doc="The run that is watched; the newest where empty.")
    speed = param.Selector(default=0, objects={"as it comes": 0}, doc="A run elsewhere has its own speed.")


class TrackedRun(ReadOnly):
    """The training whose feed the settings name, or the newest there is; nothing at all where there is none.

    `entries` are the feeds there are, `chosen` the id of the one that is shown, and `problems` what is wrong with it.
    """

    REFUSAL = "This training runs in a program of its own; it can be looked at here, not changed."
    settings: WatchSettings

    def __init__(
        self, settings: WatchSettings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        self._reader: LogReader | None = None
        self._still: tuple[Setup, LoggedHistory] | None = None
        self._nothing = _nothing()
        self._listing = Listing.of(home())
        super().__init__(settings or WatchSettings(), view, study)
        self._watchers.append((self.settings, self.settings.param.watch(self._choose, "feed")))
        self._look_around()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The feeds there are, the newest first."""
        return self._listing.entries

    @property
    def chosen(self) -> str:
        """The id of the feed that is shown; empty where there is none."""
        return self._reader.run_log.id if self._reader else ""

    @property
    def goes_on(self) -> bool:
        """Whether the training runs, as far as is known."""
        return self._still is None and self._reader is not None and self._reader.state == run_log.LIVE

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be shown yet."""
        return self._shown() is self._nothing or not len(self._shown()[1])

    @property
    def problems(self) -> list[str]:
        """What was not as it should be, as sentences."""
        damaged = [f"{entry.problem[:1].upper()}{entry.problem[1:]}." for entry in self.entries if entry.problem]
        return [*(self._reader.problems if self._reader else []), *damaged[:MAX_DAMAGED]]

    @property
    def condition(self) -> str:
        """What the training that is shown is doing, as a sentence; empty where there is none."""
        if self._reader is None:
            return ""
        reader = self._reader
        said = STATES[reader.state]
        if reader.state == run_log.FAILED:
            said = reader.status.end
        elif reader.state == run_log.STOPPED:
            said = STOPPERS.get(reader.status.end, reader.status.end)
        if self.last is not None and reader.state != run_log.LIVE:
            said += LAST.get(reader.state, "; last told of epoch {:,}").format(self.last)
        if reader.diverged is not None:
            said += f"; diverged at epoch {reader.diverged:,}"
        return said

    @property
    def last(self) -> int | None:
        """The last epoch that was told of; None before the first."""
        if self._reader is None:
            return None
        status, told = self._reader.status, self._reader.logged
        return max([status.epoch] * bool(status.epochs) + ([told.history[-1].index] if len(told) else []), default=None)

    @property
    def history(self) -> History:
        return self._newest().history

    @property
    def kept(self) -> str:
        history = self.history
        if history.stride == 1:
            return "Every logged epoch is kept."
        return f"Kept: the last {history.recent:,} logged epochs and every {ordinal(history.stride)} one before."

    def readings(self, frame: Frame) -> dict[str, str]:
        if self.is_empty:
            return {"epoch": "–"}
        told = {label: _as_logged(frame, name, form) for label, (name, form) in READINGS.items()}
        return {"epoch": f"{frame.epoch.index:,}", **{label: word for label, word in told.items() if word}}

    def recording(self, name: str = "", **notes: Any) -> Recording:
        """Raises ValueError where nothing has been told yet, or the examples are too many to be kept with it."""
        setup, told = self._shown()
        if self.is_empty:
            raise ValueError("there is nothing to keep yet: the run has told of no epoch")
        about = _described(setup)
        title = name or (self._reader.run_log.name if self._reader else "")
        created = self._reader.run_log.created if self._reader else ""
        notes |= {"kind": KIND, "watched": about}
        return Recording.of(told.history, settings={"feed": ""}, notes=notes, name=title, created=created)

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        if recording.notes.get("kind") != KIND:
            raise ValueError(f"this is a recording of a {recording.notes.get('kind', 'training')}, not a watched one")
        watched = cls(WatchSettings(), view)
        watched._still = _setup_of(recording), LoggedHistory(recording.epochs, recording.stride)
        watched.fresh()
        return watched

    def _shown(self) -> tuple[Setup, LoggedHistory]:
        """What there is, also where it is nothing."""
        if self._still:
            return self._still
        return (self._reader.setup, self._reader.logged) if self._reader else self._nothing

    def _newest(self) -> Frame:
        setup, told = self._shown()
        if not len(told):
            setup, told = self._nothing
        l1, l2 = (self._reader.l1, self._reader.l2) if self._reader else (0.0, 0.0)
        history = told.history
        return LoggedFrame(setup, history, history.stride, history[-1], l1, l2, told, _names(setup))

    def _theirs(self) -> int:
        self._look_around()
        theirs = self._reader.version if self._reader else 0
        return theirs + self._listing.version

    def _look_around(self) -> None:
        """Read on, and turn to another feed where that is what was asked for."""
        self._listing.look()
        if self._still:
            return
        wanted = self.settings.feed or self._listing.newest
        if wanted != self.chosen:
            self._turn_to(wanted)
        if self._reader:
            self._reader.poll()

    def _turn_to(self, key: str) -> None:
        self._touched += self._reader.version if self._reader else 0
        try:
            self._reader = LogReader.of(key) if key else None
        except ValueError as error:
            if self.message != str(error):
                self.message = str(error)
                self.refusals += 1
            self._reader = None
            return
        self.message = ""
        self.fresh()

    def _choose(self, *_: param.parameterized.Event) -> None:
        self._still = None
        self.touch()


def note_page_open() -> None:
    """Leave a sign that somebody looks at feeds, so that no second page is opened for them. Errors are no matter."""
    sign_file = home() / "live" / "looking"
    try:
        if sign_file.parent.is_dir():
            sign_file.touch()
            os.utime(sign_file)
    except OSError:
        pass


def _nothing() -> tuple[Setup, LoggedHistory]:
    """A setup of nothing, and one epoch without numbers."""
    one, none = np.full(1, np.nan), np.empty((1, 0))
    told = LoggedHistory(Epochs(np.zeros(1, np.int64), *[one] * 5, none, none, none, widths=()))
    return Setup(NO_DATA, None, Sketch(Layout()), "", "unknown"), told


def _names(setup: Setup) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the layers with a gradient and of the hidden ones, where they have other names than their numbers."""
    if not isinstance(setup.network, Sketch):
        return (), ()
    layout = setup.network.layout
    return names_of(layout.layers), names_of(name for name, _ in layout.units)


def _as_logged(frame: Frame, name: str, form: str) -> str:
    """A number as it was told last, with the epoch where that is another; empty where it was not told by then."""
    epoch = frame.measured(name).epoch
    if np.isnan(getattr(epoch, name)) or epoch.index > frame.epoch.index:
        return ""
    word = format(getattr(epoch, name), form)
    return word if epoch.index == frame.epoch.index else f"{word} at {epoch.index:,}"


def _described(setup: Setup) -> dict[str, Any]:
    """A setup in words that JSON has."""
    network = setup.network
    if isinstance(network, Sketch):
        layout = network.layout
        told = {"layers": layout.layers, "units": layout.units, "weights": layout.weights}
        return {"layout": told, "validates": setup.validation is not None}
    parts = {"train": setup.train, "validation": setup.validation}
    examples = sum(len(part) for part in parts.values() if part is not None)
    if examples > MAX_EXAMPLES:
        raise ValueError(f"its {examples:,} examples are too many to be kept with it; the most are {MAX_EXAMPLES:,}")
    return {
        "sizes": network.sizes,
        "activations": network.activations,
        "output": network.output,
        "skip": network.skip,
        "loss": setup.loss,
        "task": setup.task,
        **{
            name: {"x": part.x.tolist(), "y": part.y.tolist(), "classes": part.n_classes}
            for name, part in parts.items()
            if part is not None
        },
    }


def _setup_of(recording: Recording) -> Setup:
    """The setup that a recording tells of. Raises ValueError where it does not fit."""
    told = recording.notes.get("watched")
    try:
        if "layout" in told:
            layout = Layout.unpacked(run_log.json.dumps(told["layout"]).encode())
            if layout.sizes[2] != recording.epochs.parameters.shape[1] or layout.widths != recording.epochs.widths:
                raise ValueError("its layout does not fit its epochs")
            return Setup(NO_DATA, NO_DATA if told["validates"] else None, Sketch(layout), "", "unknown")
        sizes = [int(size) for size in told["sizes"]]
        network = Network(sizes, list(told["activations"]), told["output"], skip=bool(told["skip"]))
        known = recording.epochs.parameters[np.isfinite(recording.epochs.parameters).all(axis=1)]
        if len(known):
            network.parameters = known[0]
        train = _examples(told, "train")
        validation = _examples(told, "validation") if "validation" in told else None
        return Setup(train, validation, network, str(told["loss"]), train.task)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this recording does not say what was watched: {error}") from error


def _examples(told: Mapping[str, Any], part: str) -> Dataset:
    x, y, task = np.array(told[part]["x"], float), np.array(told[part]["y"]), told["task"]
    if x.ndim != 2 or x.shape[1] != told["sizes"][0] or len(x) != len(y):
        raise ValueError("its examples do not fit its network")
    return Dataset(x, y.astype(np.int64 if task == "classes" else np.float64), task, int(told[part]["classes"]))
