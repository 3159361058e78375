"""Lab: tells of a training that runs in one's own script, so that it is shown live. No Panel here.

    for epoch in observe(train(network, data)):             # our engine's
        ...
    with watch("my run") as lab:                            # any loop, any library
        lab.log(epoch, loss=..., gradients=[...], activations=[...], parameters=...)

Whatever goes wrong here is logged once, and never raised: the training goes on.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np

from dashboard.kept.shelf import home
from dashboard.watching import beacon, feed
from dashboard.watching.feed import Feed
from dashboard.watching.gauge import MOST_OURS, MOST_WEIGHTS, Gauge, Numbers, number
from dashboard.watching.scribe import Scribe, Telling
from engine.training import Epoch

log = logging.getLogger(__name__)

SHOWN: list[Callable[["Lab"], bool]] = []
"""Other ways of showing a run than a browser: each is asked with the lab, and says whether it has shown it."""

LOOKED = 3.0
"""Seconds for which a page of watched runs is taken to be open after its last sign."""

NAN = float("nan")


def _harmless(method: Callable) -> Callable:
    """The method, whose errors are logged, each kind once, and never raised."""

    @wraps(method)
    def tried(self: "Lab", *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        except Exception as error:
            self._excuse(error)
            return None

    return tried


class Lab:
    """A run that is told of while it trains: `log` an epoch whenever there is news. Made by `watch`.

    address   of the page that shows it; empty where it could not be told of
    id        of its feed
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
    ) -> None:
        self.name, self.address, self.id = str(name), "", ""
        self._excused: set[str] = set()
        self._scribe: Scribe | None = None
        self._probe: Any = None
        self._network = network
        self._gauge = Gauge()
        self._next, self._is_seldom = 0, False
        self._begin(module, data, validation, loss, l1, l2, open_browser)
        self._has_arrays = self._probe is not None or network is not None

    def log(
        self,
        epoch: Any = None,
        loss: Any = NAN,
        *,
        accuracy: Any = NAN,
        validation_loss: Any = NAN,
        validation_accuracy: Any = NAN,
        learning_rate: Any = NAN,
        gradients: Any = None,
        activations: Any = None,
        parameters: Any = None,
        **others: Any,
    ) -> None:
        """Tell of an epoch. Only the loss has to be there; what is not told with an epoch is shown as it was last.

        epoch         a whole number, 0 or more; one more than before where it is None
        gradients     a list or dict with one entry per layer: its gradient as an array, or the norm as a number
        activations   likewise per hidden layer: means (units,), or outputs (examples, units, ...), which are averaged
        parameters    one array, or a list or dict with one array per layer; of more than 4096 evenly spread ones

        All numbers are told at every epoch; what is made of arrays, in loops that are faster than that, at as many as
        a percent of the time allows. Arrays may be overwritten right afterwards. All may be NumPy's or PyTorch's.
        """
        scribe = self._scribe
        if scribe is None:
            return
        try:
            if not scribe.is_mine:
                raise RuntimeError("a forked process, or one that is over, tells nothing")
            if others:
                scribe.say(f"{', '.join(others)}: not shown; loss, accuracy, gradients and so on are.")
            index = epoch if type(epoch) is int and epoch >= 0 else self._index(epoch)
            self._next = index + 1
            numbers = (
                index,
                loss if type(loss) is float else number(loss),
                accuracy if accuracy is NAN else number(accuracy),
                validation_loss if validation_loss is NAN else number(validation_loss),
                validation_accuracy if validation_accuracy is NAN else number(validation_accuracy),
                learning_rate if learning_rate is NAN else number(learning_rate),
            )
            if self._has_arrays or not (gradients is None and activations is None and parameters is None):
                if perf_counter() >= self._gauge.rest_until:
                    measured = self._measured(gradients, activations, parameters)
                    scribe.take_arrays(Telling(index, numbers[1:], self._gauge.layout, *measured))
                    return
                if not self._is_seldom:
                    self._is_seldom = True
                    scribe.say(SELDOM)
            scribe.take(numbers)
        except Exception as error:
            self._excuse(error)

    def log_epoch(self, epoch: Epoch) -> None:
        """Tell of an epoch of the engine's own, as it is: its arrays are its own, so that this takes no time."""
        if self._scribe is None:
            return
        try:
            self._scribe.take_row(epoch)
        except Exception as error:
            self._excuse(error)

    @_harmless
    def close(self, end: str = feed.ENDED) -> None:
        """Tell the rest and stop. `with` and the end of the program do it."""
        if self._probe is not None:
            self._probe.remove()
            self._probe = None
        if self._scribe is not None:
            self._scribe.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(_ending(kind, error))

    @_harmless
    def _begin(
        self, module: Any, data: Any, validation: Any, loss: str | None, l1: float, l2: float, open_browser: bool | None
    ) -> None:
        told, examples = _of_ours(self._network, data, validation, loss, l1, l2)
        found = Feed.begun(self.name, told)
        many = any(len(one) > feed.MOST_EXAMPLES for one in examples.values())
        if examples and not many:
            _save_examples(found.folder / "data.npz", examples)
        self._scribe, self.id = Scribe(found), found.id
        if many:
            self._scribe.say(TOO_MANY)
        if module is not None:
            from dashboard.watching.torch_adapter import Probe

            self._probe = Probe(module)
        self._show(open_browser)

    @_harmless
    def _show(self, open_browser: bool | None) -> None:
        """Say where it can be seen, and open it there."""
        if [shown for shown in SHOWN if shown(self)]:
            return
        opens = _may_open() if open_browser is None else open_browser
        servers = beacon.lit()
        if servers:
            self.address = f"{servers[0]}?page=watch&feed={self.id}"
            if opens and not _is_looked_at():
                threading.Thread(target=webbrowser.open, args=(f"{servers[0]}?page=watch",)).start()
        elif opens:
            self.address = f"{_served()}?page=watch&feed={self.id}"
        place = self.address or f"?page=watch&feed={self.id} of a laboratory; start one: panel serve {_folder()} --show"
        if sys.stderr:
            sys.stderr.write(f"Descent Lab: watch {self.name!r} at {place}\n")

    def _measured(self, gradients: Any, activations: Any, parameters: Any) -> Numbers:
        """The numbers of what was given, or else of what can be read off the module or network."""
        self._gauge.begin()
        if self._probe is not None and gradients is None and activations is None and parameters is None:
            gradients, activations, parameters = self._probe.read()
        if parameters is None and self._network is not None:
            parameters = {"all": self._network.parameters}
        whole = self._network is not None and self._network.parameters.size <= MOST_OURS
        return self._gauge.read(gradients, activations, parameters, MOST_OURS if whole else MOST_WEIGHTS)

    def _index(self, epoch: Any) -> int:
        """The epoch as a whole number; the next one, and a word about it, where it is none."""
        if epoch is None:
            return self._next
        told = number(epoch)
        if 0 <= told < 2**53 and told == int(told):
            return int(told)
        self._scribe.say(f"Epoch {told:g} is no whole number of 0 or more; it is shown as {self._next}.")
        return self._next

    def _excuse(self, error: Exception) -> None:
        """Say once what went wrong and what to do; the training goes on."""
        said = f"{type(error).__name__}: {error}"
        if said not in self._excused and len(self._excused) < 20:
            self._excused.add(said)
            with suppress(Exception):
                advice = _advice(error)
                log.warning("the run %r is not shown as it should be, and goes on: %s%s", self.name, said, advice)
                if self._scribe is not None and self._scribe.is_mine:
                    self._scribe.say(f"Something could not be told: {said}")


TOO_MANY = (
    f"There are more than {feed.MOST_EXAMPLES:,} examples: pictures that are made of them, such as the decision map, "
    "are not shown. Give observe or watch a part of them as data."
)

SELDOM = (
    "Gradients, activations and parameters are told at some epochs only: at every one, making numbers of them would "
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
) -> Lab:
    """Show a training of any loop and any library, live: a lab to `log` its epochs to.

    module         a PyTorch module: gradients, activations and parameters are read off it at every `log`
    network, data  a Network of ours and what it is trained on, so that decision map and landscape can be shown too
    validation, loss, l1, l2   as in `train`
    open_browser   whether to open the page; by default where there is a screen, unless DESCENT_LAB_BROWSER is 0
    """
    return Lab(name, module, network, data, validation, loss, l1, l2, open_browser)


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
    """Show a training of the engine, live: yields the epochs of `train(...)` unchanged.

    Network, data and the rest are read off `train(...)`; they have to be given for epochs that come from elsewhere.
    """
    told = {"network": network, "data": data, "validation": validation, "loss": loss, "l1": l1, "l2": l2}
    told = _arguments_of(training) | {key: value for key, value in told.items() if value}
    lab = Lab(name or _title(told), **{key: told.get(key) for key in KNOWN}, open_browser=open_browser)
    end = feed.ENDED
    try:
        for epoch in training:
            lab.log_epoch(epoch)
            yield epoch
    except GeneratorExit:
        raise
    except BaseException as error:
        end = _ending(type(error), error)
        raise
    finally:
        lab.close(end)


KNOWN = ("network", "data", "validation", "loss", "l1", "l2")


def _of_ours(network: Any, data: Any, validation: Any, loss: str | None, l1: float, l2: float) -> tuple[dict, dict]:
    """What a feed says of a network of the engine, and its examples by name; nothing of any other."""
    parts = ("sizes", "activations", "output", "skip")
    if network is None or data is None or not all(hasattr(network, part) for part in parts):
        return {}, {}
    outputs = {"sigmoid": "binary", "softmax": "classes"}
    told = {part: getattr(network, part) for part in parts} | {
        "loss": loss or _usual_loss(network.output),
        "l1": float(l1 or 0),
        "l2": float(l2 or 0),
        "task": getattr(data, "task", None) or outputs.get(network.output, "regression"),
    }
    examples = {"x": np.asarray(data.x), "y": np.asarray(data.y)}
    if validation is not None:
        examples |= {"x_held_out": np.asarray(validation.x), "y_held_out": np.asarray(validation.y)}
    return told, examples


def _usual_loss(output: str) -> str:
    from engine.losses import OUTPUTS

    return OUTPUTS[output].loss


def _save_examples(path: Path, examples: Mapping[str, np.ndarray]) -> None:
    part = path.with_name(".data.part")
    with part.open("wb") as file:
        np.savez(file, **examples)
    os.replace(part, path)


def _arguments_of(training: Any) -> dict[str, Any]:
    """What `train(...)` was given, as far as it has not ended."""
    frame = getattr(training, "gi_frame", None)
    if frame is None or getattr(training, "__name__", "") != "train":
        return {}
    return {key: frame.f_locals.get(key) for key in KNOWN}


def _title(told: Mapping[str, Any]) -> str:
    """A name for a run without one."""
    network, name = told.get("network"), getattr(told.get("data"), "name", "")
    sizes = "-".join(map(str, getattr(network, "sizes", ())))
    return " ".join(filter(None, [name, sizes])) or "run"


def _ending(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """How a loop was left, in words."""
    if kind is None or issubclass(kind, GeneratorExit):
        return feed.ENDED
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return f"{feed.STOPPED} by {kind.__name__}"
    return f"{feed.FAILED}: {kind.__name__}: {error}"


def _may_open() -> bool:
    """Whether a browser may be opened by itself."""
    if os.environ.get("DESCENT_LAB_BROWSER") == "0":
        return False
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) or not sys.platform.startswith("linux")


def _is_looked_at() -> bool:
    """Whether a page of watched runs is open already, which shows this one by itself."""
    try:
        return (home() / "live" / "looking").stat().st_mtime > time.time() - LOOKED
    except OSError:
        return False


def _served() -> str:
    """Serve a laboratory beside this process, which opens the browser itself; its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dashboard.watching.viewer", "--port", str(port), "--open", "?page=watch"]
    told = "--of", str(os.getpid()), "--born", feed.born()
    with (home() / "live" / "viewer.log").open("w") as said:
        aside = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said, "start_new_session": True}
        viewer = subprocess.Popen([*command, *told], **aside)
    viewer.returncode = 0  # it outlives this process, and nobody waits for it
    return f"http://localhost:{port}/dashboard"


def _folder() -> str:
    return str(Path(__file__).parents[1])


def _advice(error: Exception) -> str:
    if isinstance(error, OSError):
        return f" ({home()} cannot be written to; set DESCENT_LAB_HOME to a folder that can)"
    return ""
