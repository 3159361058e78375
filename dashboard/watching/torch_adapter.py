"""Torch adapter: reads gradients, activations and parameters off a PyTorch module while it trains.

PyTorch is never imported here: the module brings it along.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

SHARE = 0.004
"""Of the training's time that may go into measuring. What is not measured is shown as it was last.

What is counted is less than half of what it costs: PyTorch takes slower ways where there are hooks.
"""

MOST_UNITS = 2048
MOST_WEIGHTS = 4096
ACTIVATIONS = "torch.nn.modules.activation"


class Probe:
    """Hooks on a module: the norm of every layer's gradient, and every unit's mean activation.

    A batch is measured as often as a percent of the time allows, and what was measured since the last reading is
    averaged: on large networks every batch, on tiny ones one or none. Only forward passes in training mode count.
    Nothing is kept of the graph.

    Layers are the modules with a weight of two axes and more, such as Linear and Conv2d; hidden units are the outputs
    of the activation modules, or, where a network has none of those, of all layers but the last. A unit of a Linear is
    a number, of a convolution a channel.
    """

    def __init__(self, module: Any) -> None:
        """Raises TypeError where it is no PyTorch module."""
        if not hasattr(module, "register_forward_pre_hook") or not hasattr(module, "named_modules"):
            raise TypeError(f"module is a {type(module).__name__}; give a torch.nn.Module")
        self._module = module
        leaves = [(name or type(one).__name__, one) for name, one in module.named_modules() if not list(one.children())]
        self._layers = {name: one for name, one in leaves if getattr(getattr(one, "weight", None), "ndim", 0) >= 2}
        if not self._layers:
            raise TypeError("module has no layers with weights, such as torch.nn.Linear")
        found = [(name, one) for name, one in leaves if type(one).__module__ == ACTIVATIONS]
        self._hidden = dict(found) or dict(list(self._layers.items())[:-1])
        self._axes = _unit_axes(leaves, self._hidden)
        self._norms: dict[str, list[float]] = {}
        self._means: dict[str, list[np.ndarray]] = {}
        self._squares: dict[str, float] = {}
        self._hooks: list[Any] = []
        self._felt: list[Any] = []
        self._spent, self._rest_until, self._began = 0.0, 0.0, 0.0
        self._parameters_until = 0.0
        self._root: Any = None
        self._wait()

    def read(self) -> tuple[dict[str, float] | None, dict[str, np.ndarray] | None, dict[str, np.ndarray] | None]:
        """Gradient norms by layer, mean activations by hidden layer, weights by layer; None without news."""
        self._finish()
        self._wait()
        felt, seen = self._norms, self._means
        norms = {name: float(np.mean(felt.get(name, 0.0))) for name in self._layers} if felt else None
        means = {name: np.mean(seen[name], axis=0) for name in self._hidden if name in seen} or None
        self._norms, self._means = {}, {}
        return norms, means, self._parameters()

    def remove(self) -> None:
        """Take all hooks away."""
        self._disarm()
        self._rest()

    def _wait(self) -> None:
        """Hear of the next forward pass, if it is time again to measure one."""
        if self._root is None and time.perf_counter() >= self._rest_until:
            self._root = self._module.register_forward_pre_hook(self._before)

    def _rest(self) -> None:
        """Hear of no forward pass until the next reading: a hook that does nothing costs a small network percents."""
        if self._root is not None:
            self._root.remove()
            self._root = None

    def _before(self, module: Any, inputs: Any) -> None:
        """A forward pass begins: measure it, if it is time."""
        if self._hooks:
            self._finish()
        now = time.perf_counter()
        if now < self._rest_until:
            self._rest()
        elif module.training:
            self._began, self._spent = now, 0.0
            self._arm()
            self._spent += time.perf_counter() - now

    def _arm(self) -> None:
        for name, one in self._hidden.items():
            self._hooks.append(one.register_forward_hook(self._timed(self._see(name))))
        for name, one in self._layers.items():
            for parameter in one.parameters(recurse=False):
                if parameter.requires_grad:
                    self._hooks.append(parameter.register_hook(self._timed(self._feel(name))))
                    self._felt.append(parameter)

    def _finish(self) -> None:
        """The batch that was measured is over."""
        if not self._hooks:
            return
        began = time.perf_counter()
        self._disarm()
        for name, square in self._squares.items():
            self._norms.setdefault(name, []).append(square**0.5)
        self._squares = {}
        now = time.perf_counter()
        self._spent += now - began
        self._rest_until = self._began + self._spent / SHARE

    def _disarm(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        for parameter in self._felt:
            if not parameter._backward_hooks:
                parameter._backward_hooks = None  # an empty dict is gone through in Python at every backward pass
        self._felt = []

    def _timed(self, hook: Callable[[Any], None]) -> Callable[..., None]:
        """A hook whose time is counted; its last argument is what came out, or the gradient."""

        def timed(*arguments: Any) -> None:
            began = time.perf_counter()
            hook(arguments[-1])
            self._spent += time.perf_counter() - began

        return timed

    def _see(self, name: str) -> Callable[[Any], None]:
        def see(output: Any) -> None:
            output = output.detach()
            axis = self._axes[name] % output.ndim
            if output.ndim > 1:
                output = output.double().mean(dim=[i for i in range(output.ndim) if i != axis])
            self._means.setdefault(name, []).append(output.cpu().double().numpy().copy())

        return see

    def _feel(self, name: str) -> Callable[[Any], None]:
        def feel(gradient: Any) -> None:
            self._squares[name] = self._squares.get(name, 0.0) + float(gradient.detach().double().norm()) ** 2

        return feel

    def _parameters(self) -> dict[str, np.ndarray] | None:
        """Every layer's weights, of many evenly spread ones; None while it is not time again."""
        began = time.perf_counter()
        if began < self._parameters_until:
            return None
        weights = {name: one.weight.detach().reshape(-1) for name, one in self._layers.items()}
        total = sum(len(flat) for flat in weights.values())
        stride = max(1, -(-total // MOST_WEIGHTS))
        found = {name: flat[::stride].cpu().double().numpy().copy() for name, flat in weights.items()}
        self._parameters_until = began + (time.perf_counter() - began) / SHARE
        return found


def _unit_axes(leaves: list[tuple[str, Any]], hidden: dict[str, Any]) -> dict[str, int]:
    """The axis of the units in what each hidden layer gives: the last of a Linear's, the second of a convolution's."""
    axes, axis = {}, -1
    for name, one in leaves:
        if getattr(getattr(one, "weight", None), "ndim", 0) >= 2:
            axis = 1 if one.weight.ndim > 2 else -1
        if name in hidden:
            axes[name] = axis
    return axes
