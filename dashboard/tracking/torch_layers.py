"""The layers of a PyTorch module: what is measured, under which names, and what is left out and why."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ACTIVATIONS = "torch.nn.modules.activation"
PARAMETRIZED = ".parametrizations."


@dataclass(eq=False)
class Layers:
    """The measured parts of a module.

    Attributes:
        parameters: By layer, its own parameters: every parameter belongs to the module that owns it.
        hidden: The modules whose outputs are shown as hidden layers, by name.
        weighted: All modules with a matrix of weights, by identity; the last one to run shows where the units of an
            output are.
        seen: By identity, the names of the modules whose outputs are measured: with parameters, or hidden ones.
        order: The names of all layers with parameters or outputs, in the order of the module tree.
        compiled: Whether the module is compiled by torch.compile, so that no hook sees its outputs.
        is_whole: Whether all parameters have their shape: those of lazy modules have none before the first pass.
    """

    parameters: dict[str, list[Any]] = field(default_factory=dict)
    hidden: dict[str, Any] = field(default_factory=dict)
    weighted: dict[int, Any] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    compiled: bool = False
    is_whole: bool = True

    @property
    def owners(self) -> dict[int, str]:
        """The layer of every parameter, by the parameter's identity."""
        return {id(one): name for name, parts in self.parameters.items() for one in parts}


def layers_of(module: Any, leave_out: Callable[[str, str], None]) -> Layers:
    """Find what of a module is measured.

    Args:
        module: A PyTorch module.
        leave_out: Called with the name of each part that is not measured, and the reason.
    """
    found, owned, shared = Layers(), {}, {}
    leaves, places = [], {}
    for name, one in module.named_modules():
        name = name.replace("_orig_mod.", "").removesuffix("_orig_mod") or type(one).__name__
        found.compiled |= is_compiled(one)
        places.setdefault(name, one)
        if PARAMETRIZED not in name and not _children(one):
            leaves.append((name, one))
        for key, parameter in one.named_parameters(recurse=False, remove_duplicate=False):
            if _is_lazy(parameter):
                found.is_whole = False
            elif id(parameter) in shared:
                if shared[id(parameter)] != _layer(name):
                    leave_out(f"{_layer(name)}.{key}", f"it is the same as in {shared[id(parameter)]}, and shown there")
            else:
                shared[id(parameter)] = _layer(name)
                owned.setdefault(_layer(name), []).append((key, parameter))
    modules = dict(leaves)
    for name, parts in owned.items():
        found.parameters[name] = [one for _, one in parts]
        if name in modules and any(one.ndim >= 2 for _, one in parts):
            found.weighted[id(modules[name])] = modules[name]
    found.hidden = _hidden(leaves, found)
    found.order = tuple(name for name in places if name in found.parameters or name in found.hidden)
    found.seen = {id(places[name]): name for name in found.order}
    return found


def weights_of(parts: list[Any]) -> list[Any]:
    """The weights among a layer's parameters: those with two axes or more; all where there are none, as of a norm."""
    return [one for one in parts if one.ndim >= 2] or parts


def is_compiled(module: Any) -> bool:
    """Whether torch.compile has made this module, or compiled it in place."""
    return type(module).__name__ == "OptimizedModule" or vars(module).get("_compiled_call_impl") is not None


def _hidden(leaves: list[tuple[str, Any]], found: Layers) -> dict[str, Any]:
    """The activation modules, or all layers but the last where there are none."""
    activations = {name: one for name, one in leaves if type(one).__module__ == ACTIVATIONS}
    activations = {name: one for name, one in activations.items() if name not in found.parameters or _is_prelu(one)}
    weighted = [(name, one) for name, one in leaves if id(one) in found.weighted]
    return activations or dict(weighted[:-1])


def _is_prelu(module: Any) -> bool:
    return type(module).__name__ == "PReLU"


def _children(module: Any) -> list[str]:
    return [name for name, _ in module.named_children() if name != "parametrizations"]


def _layer(name: str) -> str:
    """The name of the layer that a module's parameters belong to."""
    return name.partition(PARAMETRIZED)[0].removesuffix(".parametrizations")


def _is_lazy(parameter: Any) -> bool:
    return sys.modules["torch"].nn.parameter.is_lazy(parameter)


def units_axis(module: Any, output: Any) -> int:
    """The axis of the units in the output of a module with weights: a convolution's are its channels."""
    size = getattr(module, "kernel_size", None)
    if isinstance(size, tuple):
        return max(0, output.ndim - 1 - len(size))
    return max(0, output.ndim - 1)


@dataclass(slots=True)
class Units:
    """Where the units were in the last output of a module with weights."""

    shape: tuple[int, ...]
    axis: int
    strides: tuple[int, ...]
    place: int

    @classmethod
    def of(cls, module: Any, output: Any) -> "Units":
        """The units of this output of a module."""
        return cls(tuple(output.shape), units_axis(module, output), tuple(output.stride()), output.data_ptr())

    @property
    def count(self) -> int:
        """How many units there are."""
        return self.shape[self.axis] if self.shape else 1

    def axis_in(self, inputs: Any, output: Any) -> int | None:
        """Their axis in what an activation makes of that output; None where all of its numbers belong to one unit."""
        shape = tuple(output.shape)
        if not shape:
            return None
        moved = self._moved(inputs, shape)
        if moved is not None:
            return moved
        if shape == self.shape:
            return self.axis
        alike = [axis for axis, size in enumerate(shape) if size == self.count]
        if len(alike) == 1 and self.count > 1:
            return alike[0]
        if self.count == 1 and output.numel() == _product(self.shape):
            return None
        return len(shape) - 1 if len(shape) <= 2 else min(1, len(shape) - 1)

    def _moved(self, inputs: Any, shape: tuple[int, ...]) -> int | None:
        """Their axis in an input that is a view of the output with its axes in another order."""
        if inputs is None or not self.shape or tuple(inputs.shape) != shape or inputs.data_ptr() != self.place:
            return None
        if sorted(zip(inputs.stride(), shape, strict=True)) != sorted(zip(self.strides, self.shape, strict=True)):
            return None
        if tuple(inputs.stride()) == self.strides:
            return self.axis
        mine = self.strides[self.axis], self.count
        places = [axis for axis, one in enumerate(zip(inputs.stride(), shape, strict=True)) if one == mine]
        return places[0] if len(places) == 1 else None


def axis_alone(output: Any) -> int | None:
    """The axis of the units in an output that follows no module with weights."""
    return None if output.ndim == 0 else 1 if output.ndim > 2 else output.ndim - 1


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
