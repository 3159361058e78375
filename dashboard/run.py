"""Run: the store of one training. Settings go in, history comes out. No Panel here."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import param

from dashboard.settings import LIVE, MOST_CURVED, MOST_PARAMETERS, Settings
from dashboard.store import Companion, Store
from dashboard.view import View
from engine.datasets import Dataset, Standardization
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.recording import History
from engine.training import Epoch, Epochs, Training

BLOCK = 64
"""Epochs trained ahead before they are recorded together; see engine/kernel.py for what that saves."""

LAST = 10
"""A run follows its settings after all controls have: what it refuses comes back to them as a change of its own."""

PIECE = 16
"""Updates between two looks at the clock, in an epoch of many: less than 5 ms for the largest network."""

FEWEST_TO_SPLIT = 40
"""Data of fewer examples, such as the four points of XOR, are all trained on."""


@dataclass(frozen=True)
class Setup:
    """What is fixed from one fresh start to the next: the data, the untrained network, the loss."""

    train: Dataset
    validation: Dataset | None
    network: Network
    loss: str
    task: str

    @classmethod
    def of(cls, settings: Settings) -> "Setup":
        """The data and the network that the settings describe.

        Raises ValueError where they do not go together, naming what would.
        """
        train, validation = _data(settings)
        outputs = train.n_classes if train.task == "classes" else 1
        network = Network(
            [train.x.shape[1], *_sizes(settings, train.x.shape[1], outputs), outputs],
            activation=settings.activation,
            output=settings.output,
            initializer=settings.build("initializer"),
            seed=settings.seed,
            skip=settings.skip,
            bias=settings.bias,
        )
        return cls(train, validation, network, settings.loss, train.task)

    def training(self, settings: Settings) -> Training:
        """A training of the network, from its start, as the settings want it.

        Raises ValueError where they do not go with the data.
        """
        return Training(
            self.network.copy(),
            self.train,
            loss=self.loss,
            optimizer=settings.build("optimizer"),
            batch_size=_batch_size(settings, self),
            seed=settings.seed,
            l1=settings.l1,
            l2=settings.l2,
            validation=self.validation,
            schedule=settings.build("schedule"),
        )


@dataclass(frozen=True)
class Frame:
    """What one drawing shows: a run's setup, its history, and the epoch that all pictures agree on."""

    setup: Setup
    history: History
    stride: int
    epoch: Epoch
    l1: float
    l2: float

    def network(self) -> Network:
        """The network as it was at the frame's epoch."""
        network = self.setup.network.copy()
        network.parameters[:] = self.epoch.parameters
        return network

    def kept(self, after: int = -1) -> Epochs:
        """The evenly kept epochs from the one after `after` to the frame's."""
        return self.history.kept(after, self.epoch.index)


class Run(Store):
    """One training: change its `settings`, `advance` it, read its `history`.

    A changed learning rate, batch size or penalty takes hold in the running run; any other change starts afresh from
    the same seed. A setting that cannot be is taken back and explained in `message`, and the run stays as it was.
    One thread at a time advances a run; any other may read it or change its settings meanwhile.
    """

    settings: Settings

    def __init__(
        self, settings: Settings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        super().__init__(settings or Settings(), view, study)
        self._lock = threading.RLock()
        self._advancing = threading.Lock()
        self._begun: tuple[Training, Iterator[Epochs | None]] | None = None
        self._start(Setup.of(self.settings))
        self._accepted = self.settings.values()
        watcher = self.settings.param.watch(self._follow, Settings.names(), precedence=LAST)
        self._watchers.append((self.settings, watcher))

    @property
    def history(self) -> History:
        return self._history

    @property
    def ended(self) -> str:
        return self._ended

    @property
    def network(self) -> Network:
        """The network as it is at the newest recorded epoch."""
        return self.frame().network()

    def frame(self) -> Frame:
        with self._lock:
            history, index = self.history, self.looked_at
            epoch = history[-1] if index is None else history.at(index)
            return Frame(self.setup, history, history.stride, epoch, self._training.l1, self._training.l2)

    def readings(self, frame: Frame) -> dict[str, str]:
        epoch = frame.epoch
        losses = {"loss": epoch.loss, "val. loss": epoch.validation_loss}
        shares = {"accuracy": epoch.accuracy, "val. accuracy": epoch.validation_accuracy}
        return {
            "epoch": f"{epoch.index:,}",
            **{name: _in_digits(loss) for name, loss in losses.items() if not np.isnan(loss)},
            **{name: f"{share:.1%}" for name, share in shares.items() if not np.isnan(share)},
        }

    def advance(self, epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
        """Train that many epochs more, fewer if the run ends or `enough` says so; how many were recorded.

        `enough` is asked again and again, also in the midst of an epoch, which is then finished the next time.
        """
        done = 0
        while done < epochs and not self._ended and not (done and enough()):
            recorded = self._advance_block(min(epochs - done, self.block), enough)
            if not recorded:
                break
            done += recorded
        return done

    @property
    def block(self) -> int:
        """As many as a stop rule allows that is to stop exactly."""
        settings = self.settings
        if settings.stop_loss or settings.stop_plateau:
            return 1
        remaining = settings.stop_epoch - self.history[-1].index
        return min(BLOCK, remaining) if remaining > 0 else BLOCK

    def reset(self) -> None:
        """Start again from the same weights, and let go of what was said."""
        self._start(Setup.of(self.settings))
        self.message = ""

    def resume(self) -> None:
        """Go on after a stop rule has ended the run; a run that diverged has to be reset."""
        if self.study:
            self.study.start(self.settings)
        self._renew_rule()

    def _start(self, setup: Setup) -> None:
        settings = self.settings
        training = setup.training(settings)
        history = History()
        untrained = training.advance(1)
        history.extend(untrained)
        with self._lock:
            self.setup, self._history, self._training = setup, history, training
            self._looked_at = None
            self._numbers, self._schedule = settings.options("optimizer"), training.schedule
            self._rule, self._ended, self._diverged = StopRule(settings), "", False
            self._check(untrained)
            self.version += 1

    def _advance_block(self, epochs: int, enough: Callable[[], bool]) -> int:
        """Train a block, or go on with one that was left unfinished; how many epochs were recorded."""
        with self._advancing:
            training, pieces = self._begun = self._unfinished() or self._begin(epochs)
            for block in pieces:
                if block is not None:
                    self._begun = None
                    return self._record(training, block)
                if enough():
                    break
        return 0

    def _unfinished(self) -> tuple[Training, Iterator[Epochs | None]] | None:
        """The block that was begun, if it is of the present training."""
        return self._begun if self._begun and self._begun[0] is self._training else None

    def _begin(self, epochs: int) -> tuple[Training, Iterator[Epochs | None]]:
        """Only a single epoch is cut into pieces: of several, some would be trained and none recorded after a pause."""
        training = self._tuned()
        return training, training.pieces(epochs, updates=PIECE if epochs == 1 else None)

    def _tuned(self) -> Training:
        """The training with its newest numbers; written amid a block, they would be recorded for all of it."""
        with self._lock:
            for name, value in self._numbers.items():
                setattr(self._training.optimizer, name, value)
            self._training.schedule = self._schedule
            return self._training

    def _record(self, training: Training, block: Epochs) -> int:
        """Add what was trained to the history, unless the run has started afresh meanwhile."""
        with self._lock:
            if training is self._training:
                self._check(block)
                finite = block.finite
                self.history.extend(block if finite.all() else block.rows(slice(int(np.argmin(finite)))))
                self.version += 1
        return len(block)

    def _check(self, block: Epochs) -> None:
        if not block.finite.all():
            self._diverged = True
            self._ended = f"diverged at epoch {block.index[np.argmin(block.finite)]}"
        else:
            self._ended = self._rule.verdict(block)
        if self._ended:
            self.message = ""

    def _follow(self, *events: param.parameterized.Event) -> None:
        changed = {name for name, value in self.settings.values().items() if value != self._accepted[name]}
        if not changed:
            return
        try:
            self._retune(changed) if changed <= LIVE else self._start(Setup.of(self.settings))
        except ValueError as error:
            self.refuse(str(error))
            self.settings.restore(self._accepted)
            return
        self._accepted = self.settings.values()
        self.message = ""
        if self.study:
            self.study.follow(self.settings)

    def _renew_rule(self) -> None:
        if not self._diverged:
            self._rule = StopRule(self.settings, passed=self.history[-1])
            self._ended = ""

    def _retune(self, changed: set[str]) -> None:
        settings, training = self.settings, self._training
        batch_size = _batch_size(settings, self.setup)
        with self._lock:
            self._numbers, self._schedule = settings.options("optimizer"), settings.build("schedule")
            training.batch_size, training.l1, training.l2 = batch_size, settings.l1, settings.l2
            if any(name.startswith("stop_") for name in changed):
                self._renew_rule()
            self.version += 1


class StopRule:
    """When to pause by itself: at an epoch, at a loss, or on a plateau."""

    FALL = 1e-3

    def __init__(self, settings: Settings, passed: Epoch | None = None) -> None:
        """passed: an epoch whose goals, where already reached, do not count again."""
        self._epoch, self._loss, self._patience = settings.stop_epoch, settings.stop_loss, settings.stop_plateau
        self._passed = passed
        self._best = np.inf
        self._best_epoch = passed.index if passed else 0

    def verdict(self, block: Epochs) -> str:
        """Why to stop after this block, empty to go on. With a loss or plateau to look for, a block is one epoch."""
        newest, passed = block[-1], self._passed
        if self._epoch and newest.index >= self._epoch and not (passed and passed.index >= self._epoch):
            return f"stopped at epoch {newest.index}, as asked"
        if self._loss and newest.loss <= self._loss and not (passed and passed.loss <= self._loss):
            return f"stopped at epoch {newest.index}: the loss has come down to {self._loss:g}"
        if newest.loss < self._best * (1 - self.FALL):
            self._best, self._best_epoch = newest.loss, newest.index
        if self._patience and newest.index - self._best_epoch >= self._patience:
            return f"stopped at epoch {newest.index}: no better for {self._patience} epochs"
        return ""


def _in_digits(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e3 else f"{loss:.2e}"


def _data(settings: Settings) -> tuple[Dataset, Dataset | None]:
    data = settings.examples()
    if settings.validation and len(data) >= FEWEST_TO_SPLIT:
        train, validation = data.split(settings.validation, seed=settings.data_from)
    else:
        train, validation = data, None
    if settings.standardize:
        scale = Standardization.of(train.x)
        train, validation = scale.apply(train), scale.apply(validation) if validation else None
    return train, validation


def _sizes(settings: Settings, features: int, outputs: int) -> list[int]:
    sizes = [features, *settings.hidden, outputs]
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    most = MOST_CURVED if OPTIMIZERS[settings.optimizer].second_order else MOST_PARAMETERS
    if parameters > most:
        raise ValueError(
            f"this network would have {parameters:,} parameters, the most with {settings.optimizer} is {most:,}; "
            "choose fewer layers or fewer units"
        )
    return list(settings.hidden)


def _batch_size(settings: Settings, setup: Setup) -> int | None:
    examples = len(setup.train.x)
    if settings.batch_size > examples:
        raise ValueError(
            f"a batch of {settings.batch_size} is larger than the {examples} training examples; "
            f"choose 1 to {examples}, or 0 for all"
        )
    return settings.batch_size or None
