"""A tracked run shows a training that runs in somebody's own script, as far as its run log goes."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import param

from dashboard.state.choices import Choices
from dashboard.state.read_only import ReadOnly
from dashboard.state.run import Frame, Setup
from dashboard.state.store import Companion, ordinal
from dashboard.state.view import View
from dashboard.storage.home import home
from dashboard.tracking import run_log
from dashboard.tracking.log_listing import Entry, Listing
from dashboard.tracking.log_reader import NO_DATA, LogReader, Sketch
from dashboard.tracking.logbook import Logbook
from dashboard.tracking.logged_history import LoggedFrame, LoggedHistory, names_of
from dashboard.tracking.metric_lines import Logged
from dashboard.tracking.named_records import ALERT, Note
from dashboard.tracking.run_log import Layout
from engine.datasets import Dataset
from engine.network import Network
from engine.recording import History, Recording
from engine.training import Epochs

KIND = "watched"
"""The kind of recording that tracked runs are saved as."""

LOGBOOK = "logbook"
"""The extra of a recording that holds what the run logged by name."""

MAX_EXAMPLES = 5000
"""Most examples that are saved with a recording."""

STATES = {
    run_log.LIVE: "running",
    run_log.ENDED: "ended",
    run_log.STOPPED: "stopped",
    run_log.FAILED: "ended by an error",
    run_log.KILLED: "no longer reporting: killed, or its machine is off",
}

LAST = {run_log.ENDED: " at epoch {:,}"}
"""How the last epoch is appended to how a training has ended."""

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
    "learning rate": ("learning_rate", ".3g"),
}
"""The numbers in the bar on top: their column and format."""


MAX_OVERLAID = 9
"""Most runs that are drawn over the one that is shown."""

MAX_DAMAGED = 3
"""Damaged run logs that are reported beside the list."""


class RunLogId(param.String):
    """The id of a run log, or empty for the newest."""

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return "an id such as 20261123-190000-ab12cd, or nothing for the newest"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        if val and not run_log.ID.fullmatch(val):
            raise ValueError(f"{val!r} is no id")


class WatchSettings(Choices):
    """Which training is watched."""

    feed = RunLogId(default="", doc="The run that is watched; the newest where empty.")
    speed = param.Selector(default=0, objects={"as it comes": 0}, doc="A run elsewhere has its own speed.")


class WatchView(View):
    """What is picked on the page of watched runs: a layer by its name, and which runs are drawn over the one shown."""

    layer = param.String(default="", doc="Name of the layer that is picked; the first where empty.")
    over = param.List(default=[], item_type=str, bounds=(0, MAX_OVERLAID), doc="Ids of runs drawn over the one shown.")


@dataclass(frozen=True, eq=False)
class KeptRun:
    """A tracked run out of a recording.

    Attributes:
        about: What the program says of it: its tags and its config.
        penalties: On the weights, L1 and L2.
    """

    setup: Setup
    logged: LoggedHistory
    logbook: Logbook
    name: str
    created: str
    about: tuple[tuple[str, ...], dict[str, Any]] = ((), {})
    penalties: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """The run in a recording; older ones have neither logbook nor tags.

        Raises:
            ValueError: If it is another kind of recording, or damaged.
        """
        setup = _setup_of(recording)
        about, stored = recording.notes["watched"], recording.extras.get(LOGBOOK)
        try:
            book = Logbook() if stored is None else Logbook.unpacked(stored.tobytes())
            words = run_log.plain_tags(about.get("tags", ())), run_log.plain_config(about.get("config", {}))
            penalties = float(about.get("l1", 0.0)), float(about.get("l2", 0.0))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"this recording does not say what was watched: {error}") from error
        logged = LoggedHistory(recording.epochs, recording.stride)
        return cls(setup, logged, book, run_log.text(recording.name, 100), recording.created, words, penalties)

    @property
    def condition(self) -> str:
        """What it is, as a sentence without its end."""
        tags, config = self.about
        said = [f"kept recording of {self.name}" if self.name else "kept recording"]
        said += [f"tagged {', '.join(tags)}"] if tags else []
        return "; ".join([*said, *(f"{name} = {value}" for name, value in config.items())])


class TrackedRun(ReadOnly):
    """The training whose run log the settings name, or the newest one; nothing at all where there is none.

    Attributes:
        entries: The run logs there are, newest first.
        chosen: Id of the one that is shown; empty where there is none.
        problems: What is wrong with it, as sentences.
    """

    REFUSAL = "This training runs in a program of its own; it can be looked at here, not changed."
    settings: WatchSettings

    def __init__(
        self, settings: WatchSettings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        self._reader: LogReader | None = None
        self._still: KeptRun | None = None
        self._nothing, self._empty = _nothing(), Logbook()
        self._others: dict[str, LogReader] = {}
        self._listing = Listing.of(home())
        super().__init__(settings or WatchSettings(), view, study)
        self._watchers.append((self.settings, self.settings.param.watch(self._choose, "feed")))
        self.poll()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The run logs there are, newest first."""
        return self._listing.entries

    @property
    def unlisted(self) -> int:
        """How many older run logs there are beside them."""
        return self._listing.unlisted

    @property
    def chosen(self) -> str:
        """Id of the run log that is shown; empty where there is none."""
        return self._reader.run_log.id if self._reader and not self._still else ""

    @property
    def goes_on(self) -> bool:
        """Whether the training is running, as far as is known."""
        return self._still is None and self._reader is not None and self._reader.state == run_log.LIVE

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show yet."""
        return self._shown() is self._nothing or not len(self._shown()[1])

    @property
    def logbook(self) -> Logbook:
        """What the run that is shown logged under names of its own."""
        if self._still:
            return self._still.logbook
        return self._reader.logbook if self._reader else self._empty

    @property
    def about(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """What the program says of the run that is shown: its tags and its config."""
        if self._still:
            return self._still.about
        return (self._reader.run_log.tags, self._reader.run_log.config) if self._reader else ((), {})

    @property
    def alerts(self) -> tuple[Note, ...]:
        """The alerts of the run that is shown."""
        return tuple(note for note in self.logbook.notes if note.kind == ALERT)

    @property
    def overlaid(self) -> tuple[tuple[str, str, Logged], ...]:
        """The runs that are drawn over the one that is shown: name, id and what they logged."""
        return tuple(
            (reader.run_log.name, key, Logged(reader.logged, reader.logbook)) for key, reader in self._others.items()
        )

    @property
    def problems(self) -> list[str]:
        """What is wrong or missing, as sentences."""
        damaged = [f"{self.unlisted:,} older runs are not listed."] if self.unlisted else []
        damaged += [f"{entry.problem[:1].upper()}{entry.problem[1:]}." for entry in self.entries if entry.problem]
        return [*(self._reader.problems if self._reader and not self._still else []), *damaged[:MAX_DAMAGED]]

    @property
    def condition(self) -> str:
        """What the training that is shown is doing, as a sentence; empty where there is none."""
        if self._still:
            return self._still.condition
        if self._reader is None:
            return ""
        reader = self._reader
        said = STATES[reader.state]
        if reader.state == run_log.FAILED:
            said = reader.status.end
        elif reader.state == run_log.STOPPED:
            said = STOPPERS.get(reader.status.end, reader.status.end)
        if self.last is not None and reader.state != run_log.LIVE:
            said += LAST.get(reader.state, "; last logged epoch {:,}").format(self.last)
        if reader.diverged is not None:
            said += f"; diverged at epoch {reader.diverged:,}"
        return said

    @property
    def last(self) -> int | None:
        """The last epoch that was logged; None before the first."""
        if self._reader is None:
            return None
        status, logged = self._reader.status, self._reader.logged
        epochs = [status.epoch] if status.epochs else []
        if len(logged):
            epochs.append(logged.history[-1].index)
        return max(epochs, default=None)

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
        numbers = {label: _as_logged(frame, name, form) for label, (name, form) in READINGS.items()}
        return {"epoch": f"{frame.epoch.index:,}", **{label: word for label, word in numbers.items() if word}}

    def recording(self, name: str = "", **notes: Any) -> Recording:
        """Record what was logged.

        Raises:
            ValueError: If nothing has been logged yet, or there are too many examples to save.
        """
        setup, logged = self._shown()
        if self.is_empty:
            raise ValueError("there is nothing to keep yet: the run has logged no epoch")
        (tags, config), (l1, l2) = self.about, self._penalties
        about = _described(setup) | {"tags": tags, "config": config, "l1": l1, "l2": l2}
        source = self._still or (self._reader.run_log if self._reader else None)
        title, created = name or getattr(source, "name", ""), getattr(source, "created", "")
        notes |= {"kind": KIND, "watched": about}
        packed = self.logbook.packed()
        extras = {LOGBOOK: np.frombuffer(packed, np.uint8)} if packed else {}
        words = {"settings": {"feed": ""}, "notes": notes, "name": title, "created": created}
        return Recording.of(logged.history, **words, extras=extras)

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        if recording.notes.get("kind") != KIND:
            raise ValueError(f"this is a recording of a {recording.notes.get('kind', 'training')}, not a watched one")
        watched = cls(WatchSettings(), view)
        watched._still = KeptRun.of(recording)
        watched.fresh()
        return watched

    def _shown(self) -> tuple[Setup, LoggedHistory]:
        """Setup and history that are shown, empty ones included."""
        if self._still:
            return self._still.setup, self._still.logged
        return (self._reader.setup, self._reader.logged) if self._reader else self._nothing

    @property
    def _penalties(self) -> tuple[float, float]:
        """Those on the weights of the run that is shown, L1 and L2."""
        if self._still:
            return self._still.penalties
        return (self._reader.l1, self._reader.l2) if self._reader else (0.0, 0.0)

    def _newest(self) -> Frame:
        setup, logged = self._shown()
        if not len(logged):
            setup, logged = self._nothing
        history = logged.history
        names = _names(setup)
        return LoggedFrame(
            setup, history, history.stride, history[-1], *self._penalties, logged, names, logbook=self.logbook
        )

    def _theirs(self) -> int:
        theirs = self._reader.version if self._reader else 0
        others = sum(reader.version for reader in self._others.values())
        return theirs + self._listing.version + others

    def poll(self) -> None:
        """Read on, and turn to another run log where that is what was asked for."""
        self._listing.look()
        if self._still:
            return
        wanted = self.settings.feed or self._listing.newest
        if wanted != self.chosen:
            self._turn_to(wanted)
        if self._reader:
            self._reader.poll()
        self._poll_others()

    def read_all(self) -> None:
        """Read the run log that is shown to its end."""
        while self._reader is not None and self._reader.read_on():
            pass

    def _poll_others(self) -> None:
        """Read on in the runs that are drawn over this one; one that cannot be read is left out."""
        asked = self.view.over if isinstance(self.view, WatchView) else []
        wanted = [key for key in dict.fromkeys(asked) if key != self.chosen and run_log.ID.fullmatch(key)]
        if wanted != list(self._others):
            self._touched += sum(reader.version for reader in self._others.values()) + 1
            found = {}
            for key in wanted:
                with suppress(ValueError):
                    found[key] = LogReader.of(key)
            self._others = found
        for reader in self._others.values():
            reader.poll()

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
    """Leave a sign that a page of watched runs is open, so that no second one is opened. Errors are ignored."""
    sign_file = home() / "live" / "looking"
    try:
        if sign_file.parent.is_dir():
            sign_file.touch()
            os.utime(sign_file)
    except OSError:
        pass


def _nothing() -> tuple[Setup, LoggedHistory]:
    """An empty setup, and one epoch without numbers."""
    one, none = np.full(1, np.nan), np.empty((1, 0))
    logged = LoggedHistory(Epochs(np.zeros(1, np.int64), *[one] * 5, none, none, none, widths=()))
    return Setup(NO_DATA, None, Sketch(Layout()), "", "unknown"), logged


def _names(setup: Setup) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the layers with a gradient and of the hidden ones, where they are not just numbers."""
    if not isinstance(setup.network, Sketch):
        return (), ()
    layout = setup.network.layout
    return names_of(layout.layers), names_of(name for name, _ in layout.units)


def _as_logged(frame: Frame, name: str, form: str) -> str:
    """A number as it was last logged, with the epoch where that is another; empty where there was none by then."""
    epoch = frame.measured(name).epoch
    if np.isnan(getattr(epoch, name)) or epoch.index > frame.epoch.index:
        return ""
    word = format(getattr(epoch, name), form)
    return word if epoch.index == frame.epoch.index else f"{word} at {epoch.index:,}"


def _described(setup: Setup) -> dict[str, Any]:
    """A setup as JSON."""
    network = setup.network
    if isinstance(network, Sketch):
        layout = network.layout
        parts = {"layers": layout.layers, "units": layout.units, "weights": layout.weights}
        return {"layout": parts, "validates": setup.validation is not None}
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
    """The setup in a recording. Raises ValueError where it does not fit."""
    about = recording.notes.get("watched")
    try:
        if "layout" in about:
            layout = Layout.unpacked(run_log.json.dumps(about["layout"]).encode())
            if layout.sizes[2] != recording.epochs.parameters.shape[1] or layout.widths != recording.epochs.widths:
                raise ValueError("its layout does not fit its epochs")
            return Setup(NO_DATA, NO_DATA if about["validates"] else None, Sketch(layout), "", "unknown")
        sizes = [int(size) for size in about["sizes"]]
        network = Network(sizes, list(about["activations"]), about["output"], skip=bool(about["skip"]))
        known = recording.epochs.parameters[np.isfinite(recording.epochs.parameters).all(axis=1)]
        if len(known):
            network.parameters = known[0]
        train = _examples(about, "train")
        validation = _examples(about, "validation") if "validation" in about else None
        return Setup(train, validation, network, str(about["loss"]), train.task)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this recording does not say what was watched: {error}") from error


def _examples(about: Mapping[str, Any], part: str) -> Dataset:
    x, y, task = np.array(about[part]["x"], float), np.array(about[part]["y"]), about["task"]
    if x.ndim != 2 or x.shape[1] != about["sizes"][0] or len(x) != len(y):
        raise ValueError("its examples do not fit its network")
    return Dataset(x, y.astype(np.int64 if task == "classes" else np.float64), task, int(about[part]["classes"]))
