"""Torch hooks: hears what PyTorch's modules give and when its optimizers step, without anything attached to them.

A hook on a module is saved and copied with it, is compiled with it and may refuse to be. PyTorch has hooks for all
modules and for all optimizers of a process too, which stand elsewhere. Those for modules are there for the forward
passes that are measured only, since every module takes a slower way meanwhile; those for optimizers as long as anybody
watches. What runs under torch.compile is left alone: the hooks are traced to nothing.
"""

import os
import sys
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from dashboard.tracking.endings import is_ours

OF_COMPILED = r"Using `torch\.compile\(module\)` when there are global hooks"
"""How PyTorch's warning begins that our hook would be heard twice; where warnings are errors it would be raised."""


class Listener(Protocol):
    """Whoever hears of outputs and steps."""

    def begins(self, module: Any) -> None:
        """A module has been called."""

    def received(self, module: Any, inputs: tuple, output: Any) -> None:
        """A module has given this."""

    def steps(self, optimizer: Any, has_closure: bool) -> None:
        """An optimizer is about to step."""

    def stepped(self, optimizer: Any, has_closure: bool) -> None:
        """An optimizer has stepped."""

    def fails(self, error: BaseException) -> None:
        """What one of these has raised."""


_outputs: list["weakref.ref[Listener]"] = []
_steps: list["weakref.ref[Listener]"] = []
_handles: dict[str, list[Any]] = {"outputs": [], "steps": []}


def subscribe_to_outputs(listener: Listener) -> None:
    """Let the listener hear what every module gives, from now on."""
    if not any(one() is listener for one in _outputs):
        _outputs.append(weakref.ref(listener))
    if not _handles["outputs"]:
        if "torch._dynamo" in sys.modules:
            _let_warnings_be()
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        _handles["outputs"] = [register_module_forward_pre_hook(_on_call()), register_module_forward_hook(_on_output())]


def subscribe_to_steps(listener: Listener) -> None:
    """Let the listener hear of every optimizer's steps, from now on."""
    if not any(one() is listener for one in _steps):
        _steps.append(weakref.ref(listener))
    if not _handles["steps"]:
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        before, after = _on_step("steps"), _on_step("stepped")
        _handles["steps"] = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]


def unsubscribe_from_outputs(listener: Listener) -> None:
    """Let it hear of no more outputs."""
    _leave(_outputs, "outputs", listener)


def unsubscribe_from_steps(listener: Listener) -> None:
    """Let it hear of no more steps."""
    _leave(_steps, "steps", listener)


def _leave(listeners: list, kind: str, listener: Listener | None) -> None:
    listeners[:] = [one for one in listeners if one() is not None and one() is not listener]
    if not listeners:
        while _handles[kind]:
            _handles[kind].pop().remove()


def _all(listeners: list, kind: str, notify: Callable[[Any], None]) -> None:
    """Tell everybody; nothing is raised into the training."""
    for one in tuple(listeners):
        listener = one()
        if listener is None:
            _leave(listeners, kind, None)
            continue
        try:
            notify(listener)
        except BaseException as error:
            if not is_ours(error):
                raise
            with suppress(Exception):
                listener.fails(error)


def _on_call() -> Callable[[Any, tuple], None]:
    from torch.compiler import is_compiling

    if "call" in _made:
        return _made["call"]

    def on_call(module: Any, inputs: tuple) -> None:
        if is_compiling():
            return
        _all(_outputs, "outputs", lambda listener: listener.begins(module))

    return _made.setdefault("call", on_call)


def _on_output() -> Callable[[Any, tuple, Any], None]:
    from torch.compiler import is_compiling
    from torch.jit import is_tracing

    if "output" in _made:
        return _made["output"]

    def on_output(module: Any, inputs: tuple, output: Any) -> None:
        if is_compiling():
            return
        if not is_tracing():
            _all(_outputs, "outputs", lambda listener: listener.received(module, inputs, output))

    return _made.setdefault("output", on_output)


def _on_step(name: str) -> Callable[[Any, tuple, dict], None]:
    from torch.compiler import is_compiling

    if name in _made:
        return _made[name]

    def on_step(optimizer: Any, arguments: tuple, named: dict) -> None:
        if is_compiling():
            return
        closure = named.get("closure") if named else None
        has_closure = closure is not None or any(callable(one) for one in arguments[1:])
        _all(_steps, "steps", lambda listener: getattr(listener, name)(optimizer, has_closure))

    return _made.setdefault(name, on_step)


_made: dict[str, Callable] = {}
"""The hooks, always the same ones: what was compiled while one was there is compiled anew for another."""


def _let_warnings_be() -> None:
    """Have the warning about our own hooks be none, in front of what the program says of warnings."""
    first = warnings.filters[0] if warnings.filters else None
    if first is None or getattr(first[1], "pattern", "") != OF_COMPILED:
        warnings.filterwarnings("ignore", OF_COMPILED, UserWarning)


def _let_go() -> None:
    """In a forked process nobody listens."""
    _outputs.clear()
    _steps.clear()
    for kind in _handles:
        _leave([], kind, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
