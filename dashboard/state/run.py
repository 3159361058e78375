"""The store of one training: settings go in, history comes out."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import param

from dashboard.state.arrival import Arrival
from dashboard.state.bookmarks import Bookmarks
from dashboard.state.checkpoints import TUNED, Checkpoints, HyperparameterLog, LiveHyperparameters
from dashboard.state.edits import recorded_edits, with_values
from dashboard.state.replay import EPOCHS, UPDATES, Replay
from dashboard.state.settings import LIVE, MAX_COST, MAX_PARAMETERS, MAX_SECOND_ORDER_PARAMETERS, Settings
from dashboard.state.stopping import StopRule
from dashboard.state.store import Companion, Trainable, ordinal
from dashboard.state.view import View
from dashboard.storage.tables import OWN, TABLES
from engine.chance import FORMAT
from engine.datasets import Dataset, Standardization
from engine.features import COORDINATES, FeatureMap
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.recording import History, Recording
from engine.recording.history import bytes_per_row
from engine.training import Epoch, Epochs, Training

BLOCK = 64
"""Epochs trained ahead before they are recorded together; see engine/kernel.py for what that saves."""

LAST = 10
"""A run follows its settings after all controls have: what it refuses comes back to them as a change of its own."""

KIND = "run"
"""What recordings of runs say they are of."""

BELOW = "below_edge"
"""Under which recordings note up to which epoch a run was seen below the edge of stability."""

MAX_HYPERPARAMETER_CHANGES = 10_000

EARLY, FEWER = 64, 16
"""How many of the first epochs are all kept, of a small network and of a large one."""

EARLY_ROWS, EARLY_BYTES = 512, 16 * 2**20
"""What a million epochs leave, and how much that may take."""

WORTH = 5
"""Epochs from which on a run that is left for another can be had back."""

FEWEST_TO_SPLIT = 40
"""Data of fewer examples, such as the four points of XOR, are all trained on."""


@dataclass(frozen=True)
class Setup:
    """What is fixed from one fresh start to the next: the data, the untrained network, the loss.

    standardization   that of the inputs, if the settings ask for one
    rates   (n_parameters,) what the learning rate is multiplied by for each parameter, unless that is 1 for all
    features   what the inputs are made of, unless the points of the plane are the inputs themselves
    points   training and validation examples as points of the plane, if the inputs are made of them
    """

    train: Dataset
    validation: Dataset | None
    network: Network
    loss: str
    task: str
    standardization: Standardization | None = None
    rates: np.ndarray | None = None
    features: FeatureMap | None = None
    points: tuple[Dataset, Dataset | None] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Setup":
        """The data and the network that the settings describe.

        Raises ValueError where they do not go together, naming what would.
        """
        train, validation, standardization = _data(settings)
        features, points = _features(settings, train), (train, validation)
        if features:
            train, validation = features.apply(train), features.apply(validation) if validation else None
        outputs = train.n_classes if train.task == "classes" else 1
        network = Network(
            [train.x.shape[1], *_sizes(settings, train.x.shape[1], outputs), outputs],
            activation=settings.activations,
            output=settings.output,
            seed=settings.draws(settings.seed),
            **settings.network_arguments(),
        )
        _check_cost(network.n_parameters, len(train))
        rates = network.rates(OPTIMIZERS[settings.optimizer].degree, settings.layer_rates)
        made = {"features": features, "points": points} if features else {}
        return cls(train, validation, network, settings.loss, train.task, standardization, rates, **made)

    @property
    def examples(self) -> Dataset:
        """The training examples as pictures show them: points of the plane, whatever the network is given of them."""
        return self.points[0] if self.points else self.train

    @property
    def held_out(self) -> Dataset | None:
        """The validation examples, likewise."""
        return self.points[1] if self.points else self.validation

    @property
    def is_plane(self) -> bool:
        """Whether the examples are points of a plane."""
        return self.examples.x.shape[1] == len(COORDINATES)

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """(n, inputs) what the network is given of examples as pictures show them."""
        return self.features(x) if self.features else x

    def training(self, settings: Settings) -> Training:
        """A training of the network, from its start, as the settings want it.

        Raises ValueError where they do not go with the data.
        """
        return Training(
            self.network.copy(),
            self.train,
            loss=self.loss,
            seed=settings.draws(settings.batches_from),
            validation=self.validation,
            **settings.training_arguments(),
        )


@dataclass(frozen=True)
class Frame:
    """What one drawing shows: a run's setup, its history, and the epoch that all pictures agree on.

    Attributes:
        l1, l2: Of the objective that the epoch was measured with.
        hyperparameter_log: Those of every update; None where they are not known, as of a training elsewhere.
        hyperparameters: Those of the update that follows the epoch, known or to come.
        early: Epochs that are kept beside the history's evenly spaced ones, for axes on which the first take most room.

    Every number of a frame is that of its epoch: ask the frame for hyperparameters, never the settings of now.
    """

    setup: Setup
    history: History
    stride: int
    epoch: Epoch
    l1: float
    l2: float
    hyperparameter_log: HyperparameterLog | None = field(default=None, kw_only=True)
    hyperparameters: LiveHyperparameters | None = field(default=None, kw_only=True)
    early: Epochs | None = field(default=None, kw_only=True)

    def network(self) -> Network:
        """The network as it was at the frame's epoch."""
        network = self.setup.network.copy()
        network.parameters[:] = self.epoch.parameters
        return network

    @property
    def newest(self) -> "Frame":
        """The frame of the newest recorded epoch."""
        last = self.history[-1]
        return self if last.index == self.epoch.index else replace(self, epoch=last)

    @property
    def cursor(self) -> int:
        """The epoch that is asked for, at which not everything need have been measured."""
        return self.epoch.index

    @property
    def is_logged(self) -> bool:
        """Whether the numbers come from elsewhere, so that not all of them need be there."""
        return False

    @property
    def is_sparse(self) -> bool:
        """Whether there may be epochs of which something is not known."""
        return False

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What the layers with a gradient are called; nothing where they have no names but their numbers."""
        return ()

    @property
    def hidden_names(self) -> tuple[str, ...]:
        """Likewise of the hidden layers."""
        return ()

    def measured(self, column: str) -> "Frame":
        """The frame of the last epoch up to this one at which a column of `Epochs` was measured, else of the first.

        Its history is that of all epochs at which it was. In a run of ours everything is, always.
        """
        return self

    def knows(self, column: str) -> bool:
        """Whether a column was measured at any epoch."""
        return True

    def unmeasured(self, stride: int) -> np.ndarray:
        """The epochs up to this one, evenly spaced, at which there is something else than what the history is of."""
        return np.empty(0, np.int64)

    def batches(self, column: str) -> int:
        """Of how many batches a column is an average; 0 for all of the data, or an unknown number."""
        return 0

    def kept(self, after: int = -1) -> Epochs:
        """The evenly kept epochs from the one after `after` to the frame's."""
        return self.history.kept(after, self.epoch.index)

    def spread(self, rows: Epochs) -> Epochs:
        """Some of the epochs up to the frame's, and the early ones in their places between them."""
        if self.early is None or not len(rows):
            return rows
        early = self.early.rows((self.early.index < self.epoch.index) & ~np.isin(self.early.index, rows.index))
        both = rows.then(early)
        return both.rows(np.argsort(both.index, kind="stable"))

    def objective(self, epoch: int) -> tuple[float, float]:
        """The penalties, l1 and l2, with which an epoch was measured."""
        return self.hyperparameter_log.before(epoch).objective if self.hyperparameter_log else (self.l1, self.l2)

    def edges(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) the edge of stability at each of the epochs up to the frame's; nan where there is none."""
        return self.hyperparameter_log.edges(epochs) if self.hyperparameter_log else np.full(len(epochs), np.nan)

    @property
    def edge(self) -> float:
        """The edge of stability of the update which follows the frame's epoch, nan without one."""
        return float(self.hyperparameters.edges(np.array([self.epoch.index]))[0]) if self.hyperparameters else math.nan

    @property
    def preconditioned(self) -> bool:
        """Whether the edge of stability is one of the preconditioned sharpness, as with Adam."""
        return bool(self.hyperparameters and self.hyperparameters.preconditioned)


class Attempt:
    """One training from its start: its settings, what was recorded, and the way back to each of its epochs.

    Attributes:
        settings: The values that it was started with, and tuned to since.
        catching: Brings the training to the newest recorded epoch, in pieces, where it is not there yet.
        warning: What the page has to say of that, once.
    """

    def __init__(self, settings: Settings, setup: Setup) -> None:
        """Raises ValueError where the settings do not go with the data."""
        self.settings, self.setup = settings.values(), setup
        self.hyperparameters = LiveHyperparameters.of(settings, len(setup.train))
        self.training = setup.training(settings)
        self.history = History()
        self.bookmarks = Bookmarks(setup.network, setup.train.x)
        self.rule, self.ended, self.diverged = StopRule(settings), "", False
        self.catching: Iterator[None] = iter(())
        self.warning = ""
        self.early: Epochs | None = None
        untrained = self.training.advance(1)
        self.checkpoints = Checkpoints(self.training.checkpoint(), self.hyperparameters)
        self.add(untrained)

    @property
    def newest(self) -> int:
        """The newest recorded epoch."""
        return self.history[-1].index

    def add(self, block: Epochs) -> None:
        """Record what was trained, as far as it is finite, and see whether that is the end."""
        finite = block.finite
        if not finite.all():
            first = int(np.argmin(finite))
            self.diverged = True
            self.ended = f"diverged at epoch {block.index[first]}"
            self.bookmarks.mark("end", max(0, int(block.index[first]) - 1), "the last epoch before it diverged")
            block = block.rows(slice(first if len(self.history) else 1))
        else:
            self.ended = self.rule.verdict(block)
        if len(block):
            self.history.extend(block)
            self._keep_early(block)
            self.bookmarks.read(block)
            if not self.diverged:
                self.checkpoints.note(self.training, int(block.index[-1]))

    def _keep_early(self, block: Epochs) -> None:
        """Keep the first epochs, then every second, every fourth: about as many of every octave."""
        first = EARLY if EARLY_ROWS * bytes_per_row(block) <= EARLY_BYTES else FEWER
        octave = np.floor(np.log2(np.maximum(block.index / first, 0.5))).astype(int) + 1
        rows = block.rows(block.index % 2**octave == 0)
        if len(rows):
            self.early = self.early.then(rows) if self.early else rows

    def tune(self) -> None:
        """Take note of how the next update is tuned, also in what was recorded of the epoch before it."""
        if self.checkpoints.tune(self.newest, self.hyperparameters):
            self._amend()

    def _amend(self) -> None:
        """Record, at every epoch where hyperparameters changed, the learning rate of the update that followed it."""
        changed = np.array([since for since, _ in self.checkpoints.hyperparameter_log if since >= 0], int)
        for epoch, rate in zip(
            changed.tolist(), self.checkpoints.hyperparameter_log.learning_rates(changed).tolist(), strict=True
        ):
            rows = self.history.between(epoch - 1, epoch)
            rows.learning_rate[:] = rate
            self.history.amend(rows)

    def resume(self, settings: Settings) -> None:
        """Go on after a stop rule has ended it; after it diverged there is no going on."""
        if not self.diverged:
            self.rule, self.ended = StopRule(settings, passed=self.history[-1]), ""

    def fork(self, settings: Settings, epoch: int) -> "Attempt":
        """Another attempt that has come to one of the recorded epochs the same way, and then goes its own."""
        other = Attempt(settings, replace(self.setup))  # what was found out about the way left is not true of this one
        recording = Recording.of(self.history)
        other.history = replace(recording, epochs=recording.epochs.rows(recording.epochs.index <= epoch)).history()
        other.early = self.early.rows(self.early.index <= epoch) if self.early else None
        other.checkpoints, other.bookmarks = self.checkpoints.until(epoch), self.bookmarks.until(epoch)
        other.catch_up()
        other.resume(settings)
        return other

    def edited(self, settings: Settings, epoch: int, values: Mapping[int, float]) -> "Attempt":
        """A fork at one of the recorded epochs, at which these parameters are given other values.

        Raises ValueError where the loss is not finite with them.
        """
        row = self._measured(epoch, with_values(self.history.at(epoch).parameters, values))
        if not row.finite.all():
            raise ValueError("with such a weight the loss overflows; choose a smaller one")
        other = Attempt(settings, replace(self.setup))
        recording = Recording.of(self.history)
        before = recording.epochs.rows(recording.epochs.index < epoch)
        other.history = replace(recording, epochs=before.then(row)).history()
        other.early = self.early.rows(self.early.index < epoch) if self.early and epoch else None
        other._keep_early(row)
        other.bookmarks = self.bookmarks.until(epoch - 1)
        other.bookmarks.read(row)
        other.bookmarks.mark(f"edit {epoch}", epoch, "weights changed by hand")
        other.checkpoints = self.checkpoints.edited(epoch, values)
        other.catch_up()
        other.resume(settings)
        return other

    def _measured(self, epoch: int, parameters: np.ndarray) -> Epochs:
        """What would be recorded of an epoch with these parameters."""
        log, training = self.checkpoints.hyperparameter_log, self.setup.training(Settings(**self.settings))
        training.l1, training.l2 = log.before(epoch).objective
        training.network.parameters = parameters
        row = training.advance(1)
        row.index[:] = epoch
        row.learning_rate[:] = log.after(epoch).learning_rates(row.index)
        return row

    @property
    def is_worth_keeping(self) -> bool:
        """Whether something is lost if it cannot be had back."""
        return self.newest >= WORTH or bool(self.checkpoints.edits)

    def catch_up(self) -> None:
        """Have the training brought to the newest recorded epoch before it goes on."""
        self.catching = self._replay()

    def _replay(self) -> Iterator[None]:
        replay, goal = Replay(self.checkpoints, self.training, self.history), self.newest
        yield from replay.pieces(goal)
        if replay.deviation:
            self.warning = replay.deviation.sentence(goal)

    def again(self, after: int, until: int) -> Iterator[Epochs | None]:
        """Train the epochs with after < index <= until once more, as they were trained; None between two pieces."""
        training, here = self.setup.training(Settings(**self.settings)), after
        if here >= 0:
            yield from Replay(self.checkpoints, training, self.history).pieces(here)
        else:
            training.network.parameters = self.checkpoints.start.parameters
        while here < until:
            there = min([until, here + EPOCHS, *self.checkpoints.changes(here)[:1]])
            self.checkpoints.after(here).apply(training)
            for block in training.pieces(there - here, updates=UPDATES):
                if block is not None and self.checkpoints.edit(training, there):
                    yield block.rows(slice(-1)).then(self._measured(there, training.network.parameters))
                else:
                    yield block
            here = there

    def preconditioners(self, epochs: Iterable[int]) -> Iterator[tuple[int, np.ndarray | None] | None]:
        """Each of these epochs, in ascending order, with what the update after it divides by; None between two pieces.

        That is not recorded, so the way there is trained once more from the checkpoints.
        """
        training = self.setup.training(Settings(**self.settings))
        replay = Replay(self.checkpoints, training, self.history)
        for epoch in epochs:
            yield from replay.pieces(epoch)
            self.checkpoints.after(epoch).apply(training)
            yield epoch, training.preconditioner

    def recording(self, **about: Any) -> Recording:
        """All of it; the training has to be at the newest recorded epoch."""
        recording = Recording.of(self.history, settings=self.settings, **about)
        return recording if self.diverged else replace(recording, checkpoint=self.training.checkpoint())

    @classmethod
    def reopened(cls, settings: Settings, recording: Recording) -> "Attempt":
        """The attempt that a recording was made of.

        Raises ValueError when its parts do not fit together.
        """
        attempt = cls(settings, Setup.of(settings))
        network, epochs = attempt.setup.network, recording.epochs
        if (epochs.parameters.shape[1], epochs.gradient_norms.shape[1], epochs.widths) != (
            network.n_parameters,
            len(network.weights),
            network.widths,
        ):
            raise ValueError("what was recorded is of another network than its settings describe")
        attempt.history = recording.history()
        attempt.early = None
        attempt._keep_early(attempt.history.epochs())
        attempt.checkpoints = attempt.checkpoints.tuned(_hyperparameters(settings, recording, len(attempt.setup.train)))
        for epoch, values in recorded_edits(recording, network.n_parameters):
            attempt.checkpoints = attempt.checkpoints.edited(epoch, values)
        attempt._amend()
        attempt.bookmarks = attempt.bookmarks.found(recording.notes.get("bookmarks", []), recording.notes.get(BELOW))
        if recording.checkpoint is None:
            attempt.diverged, attempt.ended = True, f"diverged at epoch {attempt.newest + 1}"
        else:
            attempt.checkpoints.add(recording.checkpoint)
            attempt.catch_up()
        return attempt


class Run(Trainable):
    """One training: change its `settings`, `advance` it, read its `history`.

    A changed learning rate, batch size or penalty takes hold in the running run; any other change starts afresh from
    the same seed. A setting that cannot be is taken back and explained in `message`, and the run stays as it was.
    What a fresh start or a fork leaves behind can be had back by `undo`.
    One thread at a time advances a run; any other may read it or change its settings meanwhile.
    """

    settings: Settings

    def __init__(
        self, settings: Settings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        super().__init__(settings or Settings(), view, study)
        self._lock = threading.RLock()
        self._advancing = threading.Lock()
        self._begun: tuple[Attempt, Iterator[Epochs | None]] | None = None
        self._left: deque[Attempt] = deque(maxlen=3)
        self._gesture: tuple[float, Attempt, Attempt, int] | None = None
        self._arrival: Arrival | None = None
        self._attempt = Attempt(self.settings, Setup.of(self.settings))
        self._accepted = self.settings.values()
        watcher = self.settings.param.watch(self._follow, Settings.names(), precedence=LAST)
        self._watchers.append((self.settings, watcher))

    @property
    def setup(self) -> Setup:
        """The data and the untrained network."""
        return self._attempt.setup

    @property
    def history(self) -> History:
        return self._attempt.history

    @property
    def bookmarks(self) -> Bookmarks:
        return self._attempt.bookmarks

    @property
    def ended(self) -> str:
        return self._attempt.ended

    @property
    def network(self) -> Network:
        """The network as it is at the newest recorded epoch."""
        return self.frame().network()

    def frame(self) -> Frame:
        with self._lock:
            attempt, index = self._attempt, self.looked_at
            history, log = attempt.history, attempt.checkpoints.hyperparameter_log
            epoch = history[-1] if index is None else history.at(index)
            to_come = epoch.index == attempt.newest and not self._unfinished(attempt)
            hyperparameters = attempt.hyperparameters if to_come else log.after(epoch.index)
            epoch.learning_rate = float(hyperparameters.learning_rates(np.array([epoch.index]))[0])
            objective = log.before(epoch.index).objective
            known = {"hyperparameter_log": log, "hyperparameters": hyperparameters, "early": attempt.early}
            return Frame(attempt.setup, history, history.stride, epoch, *objective, **known)

    def readings(self, frame: Frame) -> dict[str, str]:
        epoch = frame.epoch
        losses = {"loss": epoch.loss, "val. loss": epoch.validation_loss}
        shares = {"accuracy": epoch.accuracy, "val. accuracy": epoch.validation_accuracy}
        return {
            "epoch": f"{epoch.index:,}",
            **{name: _in_digits(loss) for name, loss in losses.items() if not np.isnan(loss)},
            **{name: f"{share:.1%}" for name, share in shares.items() if not np.isnan(share)},
            **({"format": f"{self.settings.format} (older)"} if self.settings.format < FORMAT else {}),
        }

    def advance(self, epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
        """Train that many epochs more, fewer if the run ends or `enough` says so; how many were recorded.

        `enough` is asked again and again, also in the midst of an epoch, which is then finished the next time.
        """
        done = 0
        while done < epochs and not self.ended and not (done and enough()):
            recorded = self._advance_block(min(epochs - done, self.block), enough)
            if not recorded:
                break
            done += recorded
        return done

    def arrival(self) -> dict[str, str]:
        with self._lock:
            attempt, epoch = self._attempt, self.frame().epoch
            ways = [tuning.values for since, tuning in attempt.checkpoints.hyperparameter_log if since < epoch.index]
            changed = any(values != attempt.hyperparameters.values for values in ways) or any(
                at <= epoch.index for at in attempt.checkpoints.edits
            )
            return {"weights": Arrival.at(epoch, changed).written} if epoch.index else {}

    def expect(self, epoch: int, arrival: str) -> None:
        expected = Arrival.read(epoch, arrival)
        with self._lock:
            self._arrival = expected
            self._arrive()

    def _arrive(self) -> None:
        """See whether the epoch that a link leads to has been reached, and say so if it is another one there."""
        expected, attempt = self._arrival, self._attempt
        if not expected or (attempt.newest < expected.epoch and not attempt.diverged):
            return
        self._arrival, epoch = None, attempt.history.at(expected.epoch)
        if attempt.newest < expected.epoch:
            missed = expected.never_reached(attempt.ended)
        else:
            missed = expected.missed(epoch) if epoch.index == expected.epoch else ""
        if missed:
            self.refuse(missed)

    @property
    def block(self) -> int:
        """As many as a stop rule allows that is to stop exactly."""
        settings = self.settings
        if settings.stop_loss or settings.stop_plateau:
            return 1
        remaining = settings.stop_epoch - self.history[-1].index
        return min(BLOCK, remaining) if remaining > 0 else BLOCK

    def again(self, after: int, until: int) -> Iterator[Epochs | None]:
        """The epochs with after < index <= until, also those that are not kept, trained once more beside the run."""
        return self._attempt.again(after, until)

    def preconditioners(self, epochs: Iterable[int]) -> Iterator[tuple[int, np.ndarray | None] | None]:
        return self._attempt.preconditioners(epochs)

    def reset(self) -> None:
        """Start again from the same weights, and let go of what was said."""
        self._begin_attempt(Attempt(self.settings, Setup.of(self.settings)))
        self.message = ""

    def resume(self) -> None:
        """Go on after a stop rule has ended the run; a run that diverged has to be reset."""
        self._attempt.resume(self.settings)

    def fork(self) -> None:
        """Make the epoch that is looked at the newest one: from here another way may be gone, with other settings."""
        epoch = self.frame().epoch.index
        if epoch < self._attempt.newest:
            self._begin_attempt(self._attempt.fork(self.settings, epoch))
        self.look_at(None)

    def edit(self, values: Mapping[int, float], gesture: float = 0.0) -> None:
        """Give parameters, by their index, other values at the epoch that is looked at, and go on from there.

        Args:
            values: Finite numbers.
            gesture: Edits under one number, other than 0, are one step for `undo`.

        Raises:
            ValueError: If the network has no such parameter, or the loss overflows with these values.
        """
        with self._lock:
            attempt, epoch = self._attempt, self.frame().epoch.index
            for place in values:
                if not 0 <= place < attempt.setup.network.n_parameters:
                    raise ValueError(
                        f"there is no parameter {place}; choose one below {attempt.setup.network.n_parameters}"
                    )
                if attempt.setup.network.is_missing(place):
                    raise ValueError("this network has no biases; switch them on to change one, or change a weight")
            goes_on = self._gesture is not None and self._gesture[:2] == (gesture, attempt) and bool(gesture)
            base = self._gesture[2] if goes_on and attempt.newest == epoch == self._gesture[3] else attempt
            edited = base.edited(self.settings, epoch, values)
            self._begin_attempt(edited, keep=not goes_on)
            self._gesture = gesture, edited, base, epoch
            self.message = ""

    @property
    def kept(self) -> str:
        history = self.history
        if history.stride == 1:
            return "Every epoch is kept."
        return f"Kept: the last {history.recent:,} epochs and every {ordinal(history.stride)} one before."

    @property
    def left(self) -> str:
        """What `undo` brings back, in words; empty where there is nothing."""
        with self._lock:
            return f"the run that had come to epoch {self._left[-1].newest:,}" if self._left else ""

    def undo(self) -> None:
        """Have the run back that a fresh start or a fork has left behind, with its settings; again for the one before.

        The present run is the one to come back to, if it is worth it.
        """
        with self._lock:
            if not self._left:
                return
            attempt = self._left.pop()
            if self._attempt.is_worth_keeping:
                self._left.appendleft(self._attempt)
            self._take_up(attempt)
        self._after_taking_up(attempt)

    def have_back(self, values: Mapping[str, Any]) -> bool:
        with self._lock:
            attempt = next((one for one in reversed(self._left) if one.settings == values), None)
            if attempt is None or self._attempt.settings == values:
                return False
            self._left.remove(attempt)
            if self._attempt.is_worth_keeping:
                self._left.append(self._attempt)
            self._take_up(attempt)
        self._after_taking_up(attempt)
        return True

    def _take_up(self, attempt: Attempt) -> None:
        """Make an attempt that was left the present one."""
        attempt.catch_up()  # it may have been left amid a block
        self._attempt, self._looked_at, self._begun = attempt, None, None
        self._accepted = attempt.settings
        self.version += 1

    def _after_taking_up(self, attempt: Attempt) -> None:
        """Have everything else follow it."""
        self.settings.restore(attempt.settings)
        self.message = ""
        if self.study:
            self.study.follow(self.settings)

    def recording(self, name: str = "", **notes: Any) -> Recording:
        with self._advancing:
            attempt = self._attempt
            self._finish(attempt)
            seeds = {"training": attempt.settings["seed"], "data": self.settings.data_from}
            own = {"data": TABLES.pack(attempt.settings["own"])} if attempt.settings["dataset"] == OWN else {}
            about = {
                "kind": KIND,
                **own,
                "tunings": [[epoch, dict(tuning.values)] for epoch, tuning in attempt.checkpoints.hyperparameter_log],
                "edits": [[epoch, [*map(list, v.items())]] for epoch, v in attempt.checkpoints.edits.items()],
                "bookmarks": [[one.kind, one.epoch, one.title] for one in attempt.bookmarks],
                BELOW: attempt.bookmarks.below_edge,
            }
            return attempt.recording(name=name, seeds=seeds, notes={**about, **notes})

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        if recording.notes.get("kind") != KIND:
            raise ValueError(f"this is a recording of {recording.notes.get('kind', 'something else')!r}, not of a run")
        if "data" in recording.notes:
            TABLES.unpack(recording.notes["data"])
        settings = Settings.of(recording.settings)
        try:
            attempt = Attempt.reopened(settings, recording)
        except (TypeError, AttributeError) as error:
            raise ValueError("the parts of this recording do not fit together") from error
        run = cls(settings, view, study)
        run._attempt = attempt
        return run

    def _begin_attempt(self, attempt: Attempt, keep: bool | None = None) -> None:
        """Make an attempt the present one; keep: whether `undo` brings back the last, by default if worth it."""
        with self._lock:
            if self._attempt.is_worth_keeping if keep is None else keep:
                self._left.append(self._attempt)
            self._attempt, self._looked_at, self._arrival = attempt, None, None
            self.version += 1

    def _advance_block(self, epochs: int, enough: Callable[[], bool]) -> int:
        """Train a block, or go on with one that was left unfinished; how many epochs were recorded."""
        with self._advancing:
            attempt = self._attempt
            for _ in attempt.catching:
                if enough():
                    return 0
            self._tell(attempt)
            pieces = self._unfinished(attempt) or self._begin(attempt, epochs)
            for block in pieces:
                if block is not None:
                    self._begun = None
                    return self._record(attempt, block)
                if enough():
                    break
        return 0

    def _finish(self, attempt: Attempt) -> None:
        """Bring its training to the newest recorded epoch, and a block that was begun to its end."""
        for _ in attempt.catching:
            pass
        self._tell(attempt)
        for block in self._unfinished(attempt) or ():
            if block is not None:
                self._begun = None
                self._record(attempt, block)

    def _tell(self, attempt: Attempt) -> None:
        """Say on the page what has come of going the way of an attempt again."""
        if attempt.warning and attempt is self._attempt:
            self.refuse(attempt.warning)
            attempt.warning = ""

    def _unfinished(self, attempt: Attempt) -> Iterator[Epochs | None] | None:
        """The block that was begun, if it is of this attempt."""
        return self._begun[1] if self._begun and self._begun[0] is attempt else None

    def _begin(self, attempt: Attempt, epochs: int) -> Iterator[Epochs | None]:
        """Only a single epoch is cut into pieces: of several, some would be trained and none recorded after a pause.

        The training is tuned before: numbers written amid a block would be recorded for all of it.
        """
        with self._lock:
            attempt.tune()
            attempt.hyperparameters.apply(attempt.training)
        pieces = attempt.training.pieces(epochs, updates=UPDATES if epochs == 1 else None)
        self._begun = attempt, pieces
        return pieces

    def _record(self, attempt: Attempt, block: Epochs) -> int:
        """Add what was trained to the history, unless the run has started afresh meanwhile."""
        with self._lock:
            attempt.add(block)
            if attempt is self._attempt:
                if attempt.ended:
                    self.message = ""
                self._arrive()
                self.version += 1
        return len(block)

    def _follow(self, *events: param.parameterized.Event) -> None:
        changed = {name for name, value in self.settings.values().items() if value != self._accepted[name]}
        if not changed:
            return
        try:
            if changed <= LIVE and not self._begins_with(changed):
                self._retune(changed)
            else:
                self._begin_attempt(Attempt(self.settings, Setup.of(self.settings)))
        except ValueError as error:
            self.refuse(str(error))
            self.settings.restore(self._accepted)
            return
        self._accepted = self.settings.values()
        self.message = ""
        if self.study:
            self.study.follow(self.settings)

    def _begins_with(self, changed: set[str]) -> bool:
        """Whether these settings are part of what epoch 0 was measured with, and nothing else is recorded yet."""
        attempt = self._attempt
        return bool(changed & {"l1", "l2"}) and attempt.newest == 0 and not self._unfinished(attempt)

    def _retune(self, changed: set[str]) -> None:
        settings, attempt = self.settings, self._attempt
        hyperparameters = LiveHyperparameters.of(settings, len(attempt.setup.train))
        with self._lock:
            if hyperparameters.values != attempt.hyperparameters.values:
                self._arrival = None
            attempt.settings, attempt.hyperparameters = settings.values(), hyperparameters
            if any(name.startswith("stop_") for name in changed):
                attempt.resume(settings)
            self.version += 1


def _hyperparameters(settings: Settings, recording: Recording, examples: int) -> list[tuple[int, LiveHyperparameters]]:
    """How a recorded training was tuned, with the epochs from which that held."""
    scratch, found = Settings(**settings.values()), []
    for epoch, values in recording.notes.get("tunings", [])[:MAX_HYPERPARAMETER_CHANGES]:
        if type(epoch) is not int or not values.keys() <= set(TUNED):
            raise ValueError(f"a tuning at epoch {epoch!r} is not one")
        scratch.restore(values)
        found.append((epoch, LiveHyperparameters.of(scratch, examples)))
    return found


def _in_digits(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e3 else f"{loss:.2e}" if loss else "0"


def _data(settings: Settings) -> tuple[Dataset, Dataset | None, Standardization | None]:
    data = settings.examples()
    if settings.validation and len(data) >= FEWEST_TO_SPLIT:
        train, validation = data.split(settings.validation, seed=settings.draws(settings.data_from))
    else:
        train, validation = data, None
    if not settings.standardize:
        return train, validation, None
    scale = Standardization.of(train.x)
    return scale.apply(train), scale.apply(validation) if validation else None, scale


def _features(settings: Settings, train: Dataset) -> FeatureMap | None:
    """What the network's inputs are made of; None where they are the data's own."""
    if train.features != len(COORDINATES):
        return None
    features = FeatureMap.of(settings.features)
    return None if features.is_identity else features


def _check_cost(parameters: int, examples: int) -> None:
    if parameters * examples > MAX_COST:
        raise ValueError(
            f"{parameters:,} parameters times {examples:,} training examples are more than {MAX_COST:,} and make an "
            f"epoch too long; choose at most {MAX_COST // parameters:,} examples, or fewer layers or units"
        )


def _sizes(settings: Settings, features: int, outputs: int) -> list[int]:
    hidden = [*([settings.embedding] if settings.embedding else []), *settings.hidden]
    sizes = [features, *hidden, outputs]
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    most = MAX_SECOND_ORDER_PARAMETERS if OPTIMIZERS[settings.optimizer].second_order else MAX_PARAMETERS
    if parameters > most:
        raise ValueError(
            f"this network would have {parameters:,} parameters, the most with {settings.optimizer} is {most:,}; "
            "choose fewer layers or fewer units"
        )
    return hidden
