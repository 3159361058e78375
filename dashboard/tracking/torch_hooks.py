"""Global PyTorch hooks report module outputs and optimizer steps without anything being attached to a module.

A hook on a module is saved, copied and compiled with it, and may prevent all three. PyTorch also has hooks for all
modules and all optimizers of a process, which live elsewhere. Those for modules are installed only for the forward
passes that are measured, since every module takes a slower path meanwhile; those for optimizers as long as there are
subscribers. Code under torch.compile is left alone: the hooks are traced to nothing.
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
"""Start of PyTorch's warning that our hook would be called twice; it would be raised where warnings are errors."""


class Listener(Protocol):
    """What receives outputs and steps."""

    def begins(self, module: Any) -> None:
        """A module is called."""

    def received(self, module: Any, inputs: tuple, output: Any) -> None:
        """A module has returned this output."""

    def steps(self, optimizer: Any, has_closure: bool) -> None:
        """An optimizer is about to step."""

    def stepped(self, optimizer: Any, has_closure: bool) -> None:
        """An optimizer has stepped."""

    def fails(self, error: BaseException) -> None:
        """One of the methods above has raised this error."""


_outputs: list["weakref.ref[Listener]"] = []
_steps: list["weakref.ref[Listener]"] = []
_handles: dict[str, list[Any]] = {"outputs": [], "steps": []}


def subscribe_to_outputs(listener: Listener) -> None:
    """Notify the listener of every module's output from now on."""
    if not any(one() is listener for one in _outputs):
        _outputs.append(weakref.ref(listener))
    if not _handles["outputs"]:
        if "torch._dynamo" in sys.modules:
            _let_warnings_be()
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        _handles["outputs"] = [register_module_forward_pre_hook(_on_call()), register_module_forward_hook(_on_output())]


def subscribe_to_steps(listener: Listener) -> None:
    """Notify the listener of every optimizer's steps from now on."""
    if not any(one() is listener for one in _steps):
        _steps.append(weakref.ref(listener))
    if not _handles["steps"]:
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        before, after = _on_step("steps"), _on_step("stepped")
        _handles["steps"] = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]


def unsubscribe_from_outputs(listener: Listener) -> None:
    """Notify the listener of no more outputs."""
    _leave(_outputs, "outputs", listener)


def unsubscribe_from_steps(listener: Listener) -> None:
    """Notify the listener of no more steps."""
    _leave(_steps, "steps", listener)


def _leave(listeners: list, kind: str, listener: Listener | None) -> None:
    listeners[:] = [one for one in listeners if one() is not None and one() is not listener]
    if not listeners:
        while _handles[kind]:
            _handles[kind].pop().remove()


def _all(listeners: list, kind: str, notify: Callable[[Any], None]) -> None:
    """Notify every listener; nothing is raised into the training."""
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
"""The hooks, always the same objects: code compiled while one was installed would be compiled again for another."""


def _let_warnings_be() -> None:
    """Ignore the warning about our own hooks, ahead of the program's own warning filters."""
    first = warnings.filters[0] if warnings.filters else None
    if first is None or getattr(first[1], "pattern", "") != OF_COMPILED:
        warnings.filterwarnings("ignore", OF_COMPILED, UserWarning)


def _let_go() -> None:
    """Remove all listeners in a forked process."""
    _outputs.clear()
    _steps.clear()
    for kind in _handles:
        _leave([], kind, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
