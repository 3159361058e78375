"""The logger records a training that runs in one's own script, so that the laboratory shows it live.

    for epoch in observe(train(network, data)):             # the engine's own trainings
        ...
    with watch("my run") as lab:                            # any loop, any library
        lab.log(epoch, loss=..., gradients=[...], activations=[...], parameters=...)

Whatever goes wrong here is reported once and never raised: the training goes on.
"""

import atexit
import inspect
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
import webbrowser
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from time import perf_counter
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

from dashboard.storage.home import home
from dashboard.tracking import discovery, run_log
from dashboard.tracking.alerts import Alerts
from dashboard.tracking.batching import NOT_LOGGED, LoggedEpoch
from dashboard.tracking.endings import (
    BROKEN_OFF,
    PROPER,
    Ending,
    Whereabouts,
    ending,
    is_left_by_an_exception,
    is_ours,
    let_pass,
)
from dashboard.tracking.log_writer import LogWriter
from dashboard.tracking.name_clash import strangers
from dashboard.tracking.named_records import ALERT, MAX_METRICS, MAX_STATISTIC_LAYERS
from dashboard.tracking.run_log import RunLog
from dashboard.tracking.sampler import (
    MAX_OWN_PARAMETERS,
    MAX_PARAMETERS,
    Sampler,
    distinct,
    fit,
    named,
    number,
    reason,
    short,
)
from engine.training import Epoch

log = logging.getLogger(__name__)

DISPLAYS: list[Callable[["Logger"], bool]] = []
"""Ways to show a run other than a browser: each is called with the logger, and returns whether it shows the run."""

PAGE_OPEN_S = 3.0
"""Seconds after its last sign for which a page of watched runs counts as open."""

MAX_EPOCH = 2**53 - 1
"""The largest epoch up to which float64 represents every whole number."""

USUAL_SHARE = 0.01
"""Part of a training's time that measuring may take, unless the program says otherwise."""

NAN = float("nan")
KINDS = ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")
ALIASES = {
    **dict.fromkeys(("train_loss", "training_loss"), "loss"),
    **dict.fromkeys(("acc", "train_acc", "train_accuracy", "training_accuracy"), "accuracy"),
    **dict.fromkeys(("val_loss", "valid_loss"), "validation_loss"),
    **dict.fromkeys(("val_acc", "val_accuracy", "valid_acc", "valid_accuracy"), "validation_accuracy"),
    "lr": "learning_rate",
}
"""Names that mean one of `KINDS`."""


def harmless(method: Callable) -> Callable:
    """Wrap a method so that its errors go to `excuse` of its object, and are never raised."""

    @wraps(method)
    def tried(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        except BaseException as error:
            if not is_ours(error):
                raise
            self.excuse(error)
            return None

    return tried


class Logger:
    """A run that is logged while it trains: call `log` whenever there is something new. Made by `watch`.

    Attributes:
        address: URL of the page that shows the run; empty where it is not shown in a browser.
        id: Id of its run log.
    """

    def __init__(
        self,
        name: str = "run",
        module: Any = None,
        network: Any = None,
        data: Any = None,
        validation: Any = None,
        loss: str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        open_browser: bool | None = None,
        config: Any = None,
        tags: Any = (),
        on_alert: Callable[[str, int], Any] | None = None,
        every: int = 0,
        share: float = USUAL_SHARE,
        **others: Any,
    ) -> None:
        self.name, self.address, self.id = "run", "", ""
        self._excused: set[str] = set()
        self._writer: LogWriter | None = None
        self._probe: Any = None
        self._network = network
        self._sampler = Sampler()
        self._next, self._is_seldom, self._measured_at = 0, False, -1
        self._place = Whereabouts()
        self._metrics: set[str] = set()
        self._alerts, self._on_alert = Alerts(), on_alert
        self._every, self._share = _density(every, share)
        self._begin(name, module, data, validation, loss, l1, l2, open_browser, config, tags, others)
        self._has_arrays = self._probe is not None or network is not None
        if self._writer is not None:
            self._writer.ending = self._place.ending
            finish = weakref.finalize(self, _finish, self._writer, self._probe, self._place)
            finish.atexit = False  # at the end of the program the writer is asked, while modules still exist

    def log(
        self,
        epoch: Any = None,
        loss: Any = None,
        *more: Any,
        accuracy: Any = None,
        validation_loss: Any = None,
        validation_accuracy: Any = None,
        learning_rate: Any = None,
        gradients: Any = None,
        activations: Any = None,
        parameters: Any = None,
        **metrics: Any,
    ) -> None:
        """Log an epoch, in one call or several: calls for the same epoch are merged.

        All numbers are logged at every epoch. What is made of arrays is logged, in fast loops, only as often as one
        percent of the time allows. Arrays may be overwritten right after the call, and may be NumPy's or PyTorch's.
        None means "not logged", for every argument and within lists and dicts. What cannot be measured does not affect
        the rest.

        Args:
            epoch: A whole number, 0 or more; by default one more than before.
            loss: A number.
            *more: Not shown; the page says so.
            accuracy: A fraction between 0 and 1.
            validation_loss: A number.
            validation_accuracy: A fraction between 0 and 1.
            learning_rate: A number.
            gradients: A list or dict with one entry per layer: its gradient as an array, or the gradient's norm as a
                number.
            activations: A list or dict with one entry per hidden layer: means (units,), or outputs (examples, units,
                ...), which are averaged.
            parameters: One array, or a list or dict with one array per layer; of more than 4096 parameters an evenly
                spaced sample is logged.
            **metrics: Numbers by any name, such as `f1=0.8`; of a name with `train_` or `val_` in front the two are
                drawn together. `val_loss`, `lr`, `acc` and the like mean the arguments above. `step`, the number of
                updates so far, makes an axis; without an epoch it counts as one.
        """
        writer = self._writer
        if writer is None:
            return
        try:
            if not writer.is_mine:
                raise RuntimeError("a forked process, or one that is over, logs nothing")
            if not self._place.is_noted:
                self._place.note(inspect.currentframe().f_back)
            if epoch is None and metrics.get("step") is not None:
                epoch = metrics["step"]
            index = epoch if type(epoch) is int and 0 <= epoch <= MAX_EPOCH else self._index(epoch)
            self._next = index + 1
            given, numbers = 0, []
            values = loss, accuracy, validation_loss, validation_accuracy, learning_rate
            if metrics or more:
                values = self._log_metrics(index, values, more, metrics)
            for place, value in enumerate(values):
                if type(value) is not float:
                    value = None if value is None else self._number(KINDS[place], value)
                given |= (value is not None) << place
                numbers.append(NAN if value is None else value)
            if given & 1 and (words := self._alerts.of_loss(numbers[0])):
                self._alert(words, index)
            if self._every and index % self._every:
                gradients = activations = parameters = None
                if given or metrics:
                    writer.take((index, given, *numbers))
                if self._probe is not None:
                    self._probe.skip(index)
                return
            if gradients is None and activations is None and parameters is None:
                idle = self._probe is not None and self._probe.is_idle
                if idle:
                    self._report_thinning(index)
                if idle or not self._has_arrays:
                    if given or metrics:
                        writer.take((index, given, *numbers))
                    return
            self._log_arrays(
                LoggedEpoch(index, tuple(numbers), self._sampler.layout, given=given),
                (gradients, activations, parameters),
            )
        except BaseException as error:
            if not is_ours(error):
                raise
            self.excuse(error)

    @harmless
    def note(self, words: Any, epoch: Any = None) -> None:
        """Write words at an epoch, such as "rate dropped"; the curves show where.

        Args:
            words: At most 300 characters are kept.
            epoch: A whole number, 0 or more; by default the last one that was logged.
        """
        if self._writer is not None and self._writer.is_mine:
            index = max(0, self._next - 1) if epoch is None else self._index(epoch)
            self._writer.take_note(index, str(words))

    @harmless
    def log_epoch(self, epoch: Epoch) -> None:
        """Log an epoch of the engine as it is: its arrays never change, so nothing is copied."""
        if self._writer is not None:
            self._writer.take_row(epoch)

    @harmless
    def close(self, end: str = run_log.ENDED, error: str = "") -> None:
        """Write the rest and stop. Leaving `with`, the end of the program and garbage collection do the same.

        Args:
            end: How the run ended, in words that begin with one of the states in `run_log`.
            error: Class of the exception that ended the training.
        """
        probe, self._probe = self._probe, None
        try:
            if probe is not None:
                probe.remove()
                if (late := probe.late()) is not None:
                    self._log_late(late)
        finally:
            if self._writer is not None:
                self._writer.close(end, error)

    @harmless
    def left_from(self, frame: FrameType) -> Ending:
        """How a loop was left, seen from the frame that drops it; which exception it was is logged a moment later."""
        self._place.note(frame)
        if not is_left_by_an_exception(frame):
            return PROPER
        if self._writer is not None:
            look_back(self._writer, self._place)
        return BROKEN_OFF

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(kind, error)

    def __deepcopy__(self, _: dict) -> "Logger":
        """Return the same logger: copying a trainer does not begin a run."""
        return self

    def __reduce__(self) -> tuple:
        """Pickle as a stand-in that takes every call, so that a saved trainer loads without this project."""
        from unittest.mock import MagicMock

        return MagicMock, ()

    @harmless
    def _leave(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        self.close(*ending(kind, error))

    def _log_arrays(self, entry: LoggedEpoch, arrays: tuple[Any, Any, Any]) -> None:
        """Log the numbers, whatever happens to the arrays, and what is measured of these."""
        try:
            if self._probe is not None and all(one is None for one in arrays):
                self._log_module(entry)
            elif self._every or perf_counter() >= self._sampler.rest_until:
                self._sampler.begin()
                self._measure(entry, *arrays)
            else:
                self._report_thinning(entry.index)
        finally:
            if entry.has_content:
                self._writer.take_arrays(entry)

    def _log_module(self, entry: LoggedEpoch) -> None:
        """Measure what the module gives, and log what has become known of an earlier epoch."""
        self._sampler.begin()
        found = self._probe.read(entry.index)
        if found.late is not None:
            self._log_late(found.late)
        if found.is_empty:
            self._report_thinning(entry.index)
            return
        self._measured_at = entry.index
        entry.batches = found.batches
        self._measure(entry, found.gradients, found.activations, found.parameters, found.statistics, found.order)
        self._probe.rest_until(self._sampler.rest_until)

    def _measure(
        self,
        entry: LoggedEpoch,
        gradients: Any,
        activations: Any,
        parameters: Any,
        statistics: Mapping[str, Mapping[str, float]] | None = None,
        order: tuple[str, ...] = (),
    ) -> None:
        """Put numbers measured on the arrays into the entry, and log the statistics of layers."""
        if parameters is None and self._network is not None:
            parameters = {"all": self._network.parameters}
        whole = self._network is not None and self._network.parameters.size <= MAX_OWN_PARAMETERS
        found = self._sampler.read(gradients, activations, parameters, MAX_OWN_PARAMETERS if whole else MAX_PARAMETERS)
        entry.layout = found.layout
        entry.gradient_norms, entry.known_layers = found.gradient_norms, found.known_layers
        entry.means, entry.known_units, entry.parameters = found.means, found.known_units, found.parameters
        self._log_statistics(entry.index, found.statistics if statistics is None else statistics, order)

    def _log_statistics(
        self, index: int, statistics: Mapping[str, Mapping[str, float]], order: tuple[str, ...]
    ) -> None:
        """Log what was measured of layers, a number for each name under each quantity."""
        for words in self._alerts.of_layers(statistics):
            self._alert(words, index)
        given = {quantity: numbers for quantity, numbers in statistics.items() if numbers}
        if not given:
            return
        names = dict.fromkeys([*order, *(name for numbers in given.values() for name in numbers)])
        if len(names) > MAX_STATISTIC_LAYERS:
            most = MAX_STATISTIC_LAYERS
            self._writer.leave_out(f"layers {most + 1:,} to {len(names):,}", f"the most are {most:,}")
        kept = distinct(list(names)[:MAX_STATISTIC_LAYERS], self._writer.leave_out)
        places = {name: place for place, name in enumerate(kept)}
        table = np.full((len(given), len(places)), NAN)
        for row, numbers in enumerate(given.values()):
            for name, value in numbers.items():
                if name in places:
                    table[row, places[name]] = value
        self._writer.take_statistics(index, tuple(map(fit, places)), tuple(given), table)

    def _log_late(self, late: Any) -> None:
        """Log the gradients of an epoch that was logged before they were known."""
        entry = LoggedEpoch(late.index, NOT_LOGGED, self._sampler.layout, given=0, batches=(late.batches, 0))
        gradients = {name: one for name, one in late.gradients.items() if one is not None}
        self._measure(entry, late.gradients, None, None, {"gradient": gradients, "update": late.updates})
        self._writer.take_arrays(entry)

    @harmless
    def _begin(
        self,
        name: Any,
        module: Any,
        data: Any,
        validation: Any,
        loss: str | None,
        l1: float,
        l2: float,
        open_browser: bool | None,
        config: Any,
        tags: Any,
        others: Mapping[str, Any],
    ) -> None:
        if _is_read_again(inspect.currentframe().f_back):
            return
        self.name = str(name)
        about, examples = _of_ours(self._network, data, validation, loss, l1, l2)
        plain, odd = _config_of(config)
        found = RunLog.begun(self.name, about, config=plain, tags=_tags_of(tags))
        many = any(len(one) > run_log.MAX_EXAMPLES for one in examples.values())
        if examples and not many:
            _save_examples(found.folder / "data.npz", examples)
        self._writer, self.id = LogWriter(found), found.id
        self._sampler = Sampler(self._writer.leave_out, self._share / USUAL_SHARE)
        if many:
            self._writer.report(TOO_MANY)
        if odd:
            self._writer.report(f"config cannot be shown: {odd}")
        if others:
            self._writer.report(f"{', '.join(others)}: not known to watch; name, module, network, data and so on are.")
        if module is not None:
            self._attach(module)
        self._show(open_browser)

    @harmless
    def _attach(self, module: Any) -> None:
        from dashboard.tracking.torch_adapter import Probe

        self._probe = Probe(module, self._writer.leave_out, self._share / USUAL_SHARE, self._every)

    @harmless
    def _show(self, open_browser: bool | None) -> None:
        """Print where the run can be seen, and open it there."""
        if [shown for shown in DISPLAYS if shown(self)]:
            return
        opens = _may_open() if open_browser is None else open_browser
        servers = discovery.addresses()
        if servers:
            self.address = f"{servers[0]}?page=watch&feed={self.id}"
            if opens and not _is_looked_at():
                threading.Thread(target=webbrowser.open, args=(f"{servers[0]}?page=watch",)).start()
        elif opens:
            self.address = f"{_served()}?page=watch&feed={self.id}"
        place = self.address or f"?page=watch&feed={self.id} of a laboratory; start one: panel serve {_folder()} --show"
        if sys.stderr:
            sys.stderr.write(f"Descent Lab: watch {self.name!r} at {place}\n")

    def _number(self, kind: str, value: Any) -> float | None:
        """A number as Python's own; None, and a message about it, where it is not one."""
        try:
            with np.errstate(all="ignore"):
                found = number(value)
        except Exception as error:
            let_pass(error)
            self._writer.report(f"{kind}: {reason(error)}; it is not shown.")
            return None
        if isinstance(value, str):
            self._writer.report(f"{kind} was logged as text, {short(value)}; it is shown as {found:g}.")
        return found

    def _index(self, epoch: Any) -> int:
        """The epoch as a whole number; the next one, and a message about it, where it is not one."""
        following = min(self._next, MAX_EPOCH)
        if epoch is None:
            return following
        try:
            index = number(epoch)
        except Exception:
            index = NAN
        if 0 <= index <= MAX_EPOCH and index == int(index):
            return int(index)
        words = f"{index:g}" if index == index else short(epoch)
        self._writer.report(f"Epoch {words} is no whole number of 0 or more; it is shown as {following}.")
        return following

    def _log_metrics(self, index: int, values: tuple, more: tuple, metrics: Mapping[str, Any]) -> tuple:
        """Log numbers by name; return the five values, completed by those that were given under another name."""
        if more:
            self._writer.report(f"{len(more)} numbers without names: not shown; give them as name=number.")
        completed, found = dict(zip(KINDS, values, strict=True)), {}
        for name, value in (named(metrics) or {}).items():
            kind = ALIASES.get(name)
            if kind is not None and completed[kind] is None:
                completed[kind] = value
            elif value is not None and self._is_listed(name):
                measured = value if type(value) is float else self._number(name, value)
                if measured is not None:
                    found[fit(name)] = measured
                    self._check(index, name, measured)
        if found:
            self._writer.take_metrics(index, found)
        return tuple(completed.values())

    def _check(self, index: int, name: str, value: float) -> None:
        if value - value != 0 and (words := self._alerts.of_number(name, value)):
            self._alert(words, index)

    def _alert(self, words: str, index: int) -> None:
        """Write an alert, and call the program's own function; what that raises is reported and not passed on."""
        self._writer.take_note(index, words, ALERT)
        if self._on_alert is not None:
            try:
                self._on_alert(words, index)
            except Exception as error:
                let_pass(error)
                self._writer.report(f"on_alert failed: {reason(error)}")

    def _is_listed(self, name: str) -> bool:
        """Whether there is room for a metric of this name."""
        if name not in self._metrics:
            if len(self._metrics) >= MAX_METRICS:
                self._writer.report(f"There are more than {MAX_METRICS} names of metrics; later ones are not shown.")
                return False
            self._metrics.add(name)
        return True

    def _report_thinning(self, index: int) -> None:
        """Report once that not every epoch is measured; a second call for a measured epoch does not count."""
        if not self._is_seldom and index != self._measured_at:
            self._is_seldom = True
            self._writer.report(SELDOM)

    def excuse(self, error: BaseException) -> None:
        """Report once what went wrong and what to do; the training goes on."""
        with suppress(Exception):
            said = reason(error)
            if said in self._excused or len(self._excused) >= MAX_EXCUSES:
                return
            self._excused.add(said)
            advice = _advice(error)
            log.warning("the run %r is not shown as it should be, and goes on: %s%s", self.name, said, advice)
            if self._writer is not None and self._writer.is_mine:
                self._writer.report(f"Something could not be logged: {said}")


def _finish(writer: LogWriter, probe: Any, place: Whereabouts) -> None:
    """End the run of a logger that was garbage-collected, without waiting."""
    with suppress(Exception):
        if probe is not None:
            probe.remove()
        writer.release(*place.ending())


def _is_read_again(frame: FrameType | None) -> bool:
    """Whether a process of `multiprocessing` imports the program again, which called `watch` while it was imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__mp_main__":
            return True
        frame = frame.f_back
    return False


def look_back(writer: LogWriter, place: Whereabouts) -> None:
    """Log, a moment later or at the end of the program, which exception ended a loop."""

    def look() -> None:
        if place.ending() != PROPER:
            writer.amend(*place.ending())

    atexit.register(look)
    moment = threading.Timer(A_MOMENT, look)
    moment.daemon = True
    moment.start()


A_MOMENT = 0.5
MAX_EXCUSES = 20

TOO_MANY = (
    f"There are more than {run_log.MAX_EXAMPLES:,} examples: pictures that are made of them, "
    "such as the decision map, are not shown. Give observe or watch a part of them as data."
)

SELDOM = (
    "Gradients, activations and parameters are logged at some epochs only: at every one, making numbers of them would "
    "take more than a percent of the training's time."
)


def watch(
    name: str = "run",
    *,
    module: Any = None,
    network: Any = None,
    data: Any = None,
    validation: Any = None,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    open_browser: bool | None = None,
    config: Any = None,
    tags: Any = (),
    on_alert: Callable[[str, int], Any] | None = None,
    every: int = 0,
    share: float = USUAL_SHARE,
    **others: Any,
) -> Logger:
    """Show a training of any loop and any library live, in the laboratory's page.

    Args:
        name: The run's name on the page.
        module: A PyTorch module: gradients, activations and parameters are read off it at every `log`.
        network: A `Network` of the engine. With `data`, decision map and landscape are shown too.
        data: What the network is trained on.
        validation: Held-out data, as in `train`.
        loss: Name of the loss, as in `train`; by default the usual one of the network's output.
        l1: Penalty on the weights, as in `train`.
        l2: Penalty on the weights, as in `train`.
        open_browser: Whether to open the page; by default where there is a screen, unless DESCENT_LAB_BROWSER is 0.
        config: What distinguishes the run, as a dict of numbers, truth values and text, which may hold further dicts.
        tags: Words by which runs are found and grouped, as a list.
        on_alert: Called with the words and the epoch when a number is not finite for the first time, a layer has died
            or the loss jumps. The page shows it too.
        every: Measure arrays and the module at the epochs divisible by it, whatever that costs, and at no others; by
            default as often as `share` allows.
        share: Part of the training's time, from 0 to 1, that measuring may take.
        **others: Not known; the page says so.

    Returns:
        A logger to `log` the epochs to. Use it in a `with` block, so that the page shows how the training ended.
    """
    about = {"config": config, "tags": tags, "on_alert": on_alert, "every": every, "share": share}
    return Logger(name, module, network, data, validation, loss, l1, l2, open_browser, **about, **others)


def observe(
    training: Iterable[Epoch],
    name: str = "",
    *,
    network: Any = None,
    data: Any = None,
    validation: Any = None,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    open_browser: bool | None = None,
) -> Generator[Epoch, None, None]:
    """Show a training of the engine live, and yield the epochs of `train(...)` unchanged.

    Network, data and the arguments after them are read off `train(...)`; give them for epochs from elsewhere.

    Args:
        training: What `train(...)` returned, or epochs from elsewhere.
        name: The run's name; by default the data's name and the network's sizes.
        network: As in `watch`.
        data: As in `watch`.
        validation: As in `watch`.
        loss: As in `watch`.
        l1: As in `watch`.
        l2: As in `watch`.
        open_browser: As in `watch`.
    """
    given = {"network": network, "data": data, "validation": validation, "loss": loss, "l1": l1, "l2": l2}
    logger = _logger_of(training, name, given, open_browser)
    with Loop(logger):
        for epoch in training:
            logger.log_epoch(epoch)
            yield epoch


class Loop:
    """Closes a logger as somebody's loop over a generator is left: at its end, by an exception, or by dropping it.

    To be entered by the generator itself: how it was dropped shows in the frame that does so.
    """

    def __init__(self, logger: Logger, log_last: Callable[[], None] = lambda: None) -> None:
        """log_last: logs the body after which the loop was left by `break`."""
        self._logger, self._log_last = logger, log_last

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        end = ending(kind, error)
        if kind is GeneratorExit:
            generator = inspect.currentframe().f_back
            end = self._logger.left_from(generator.f_back) or PROPER
            if end == PROPER:
                self._log_last()
        self._logger.close(*end)


KNOWN = ("network", "data", "validation", "loss", "l1", "l2")


def _of_ours(network: Any, data: Any, validation: Any, loss: str | None, l1: float, l2: float) -> tuple[dict, dict]:
    """What about.json says of a network of the engine, and its examples by name; nothing of any other."""
    parts = ("sizes", "activations", "output", "skip")
    if network is None or data is None or not all(hasattr(network, part) for part in parts):
        return {}, {}
    outputs = {"sigmoid": "binary", "softmax": "classes"}
    about = {part: getattr(network, part) for part in parts} | {
        "loss": loss or _usual_loss(network.output),
        "l1": float(l1 or 0),
        "l2": float(l2 or 0),
        "task": getattr(data, "task", None) or outputs.get(network.output, "regression"),
    }
    examples = {"x": np.asarray(data.x), "y": np.asarray(data.y)}
    if validation is not None:
        examples |= {"x_held_out": np.asarray(validation.x), "y_held_out": np.asarray(validation.y)}
    return about, examples


def _config_of(config: Any) -> tuple[dict[str, Any], str]:
    """A config as plain values by dotted name, and what is wrong with it, if anything."""
    try:
        given = vars(config) if config is not None and not isinstance(config, Mapping) else config
        found = named(given) or {}
        plain = bool | int | float | str | None
        return {name: value if isinstance(value, plain) else short(value) for name, value in found.items()}, ""
    except Exception as error:
        let_pass(error)
        return {}, reason(error)


def _density(every: Any, share: Any) -> tuple[int, float]:
    """How densely to measure; the usual where that is no number."""
    fine = isinstance(share, int | float) and 0 < share <= 1
    return every if isinstance(every, int) and every > 0 else 0, float(share) if fine else USUAL_SHARE


def _tags_of(tags: Any) -> tuple[str, ...]:
    """Tags as text; a single one may be given without a list."""
    try:
        return (tags,) if isinstance(tags, str) else tuple(str(tag) for tag in tags or ())
    except Exception as error:
        let_pass(error)
        return ()


def _usual_loss(output: str) -> str:
    from engine.losses import OUTPUTS

    return OUTPUTS[output].loss


def _save_examples(path: Path, examples: Mapping[str, np.ndarray]) -> None:
    part = path.with_name(".data.part")
    with part.open("wb") as file:
        np.savez(file, **examples)
    os.replace(part, path)


def _logger_of(training: Any, name: str, arguments: Mapping[str, Any], open_browser: bool | None) -> Logger:
    """A logger for these epochs, with the arguments given, and else those that the training itself has."""
    given = {key: value for key, value in arguments.items() if value is not None and not _is_zero(value)}
    try:
        known = _arguments_of(training) | given
        name = name or _title(known)
    except Exception:
        known, name = given, name or "run"
    return Logger(name, **{key: known.get(key) for key in KNOWN}, open_browser=open_browser)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not value


def _arguments_of(training: Any) -> dict[str, Any]:
    """The arguments of `train(...)`, while it runs."""
    frame = getattr(training, "gi_frame", None)
    if frame is None or getattr(training, "__name__", "") != "train":
        return {}
    return {key: frame.f_locals.get(key) for key in KNOWN}


def _title(arguments: Mapping[str, Any]) -> str:
    """A name for a run that was given none."""
    network, name = arguments.get("network"), getattr(arguments.get("data"), "name", "")
    sizes = "-".join(map(str, getattr(network, "sizes", ())))
    return " ".join(filter(None, [name, sizes])) or "run"


def _may_open() -> bool:
    """Whether a browser may be opened without being asked for."""
    if os.environ.get("DESCENT_LAB_BROWSER") == "0":
        return False
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) or not sys.platform.startswith("linux")


def _is_looked_at() -> bool:
    """Whether a page of watched runs is open already; it turns to the newest run by itself."""
    try:
        return (home() / "live" / "looking").stat().st_mtime > time.time() - PAGE_OPEN_S
    except OSError:
        return False


def _served() -> str:
    """Start a server beside this process, which opens the browser itself; return its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-P", "-m", "dashboard.shell.viewer", "--port", str(port), "--open", "?page=watch"]
    process = "--of", str(os.getpid()), "--born", run_log.born()
    with (home() / "live" / "viewer.log").open("w") as said:
        ours = os.pathsep.join(filter(None, [str(Path(_folder()).parent), os.environ.get("PYTHONPATH")]))
        aside = {
            "env": os.environ | {"PYTHONPATH": ours},
            "stdin": subprocess.DEVNULL,
            "stdout": said,
            "stderr": said,
            "start_new_session": True,
        }
        viewer = subprocess.Popen([*command, *process], **aside)
    viewer.returncode = 0  # it outlives this process, and nobody waits for it
    return f"http://localhost:{port}/dashboard"


def _folder() -> str:
    return str(Path(__file__).parents[1])


def _advice(error: Exception) -> str:
    if isinstance(error, OSError):
        return f" ({home()} cannot be written to; set DESCENT_LAB_HOME to a folder that can)"
    found = strangers() if isinstance(error, AttributeError | ImportError | TypeError) else []
    return f" ({', '.join(found)}: a module of Python's own is meant here; rename it)" if found else ""
