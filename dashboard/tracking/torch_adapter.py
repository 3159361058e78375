"""The PyTorch adapter reads gradients, activations and parameters off a module while it trains.

PyTorch is imported only if the module has brought it along, and nothing is attached to the module.
"""

import gc
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.tracking import torch_hooks
from dashboard.tracking.endings import let_pass
from dashboard.tracking.named_records import LEVELS, QUANTITIES
from dashboard.tracking.sampler import MAX_OUTPUTS, UnmeasurableError, as_array, clock, reason
from dashboard.tracking.torch_layers import Units, axis_alone, is_compiled, layers_of, weights_of

TIME_FRACTION = 0.004
"""Fraction of the training's time that may go into measuring. What is not measured is not logged.

The time counted is less than half of the real cost: PyTorch takes slower paths where there are hooks.
"""

MAX_UNITS = 2048
MAX_PARAMETERS = 4096
MAX_CALLS = 8
"""Calls of one module in a forward pass that are distinguished; the outputs of further calls are averaged."""

MAX_WEIGHTS = 256
"""Most entries of a parameter, evenly spaced, whose update is measured."""

REFRESH_INTERVAL_S = 1.0
"""Seconds after which the module is checked for layers that were added or replaced."""


@dataclass(slots=True)
class Reading:
    """What was measured since the last reading; None for what was not. A gradient's norm is None where there is none.

    Attributes:
        late: Gradients of an epoch that was read before they were known.
        statistics: By quantity, of which there are those in `named_records.QUANTITIES`, a number for each layer.
        order: The names of the layers in the order of the module tree.
    """

    gradients: dict[str, float | None] | None = None
    activations: dict[str, np.ndarray] | None = None
    parameters: dict[str, np.ndarray] | None = None
    batches: tuple[int, int] = (0, 0)
    late: "Late | None" = None
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured."""
        return self.gradients is None and self.activations is None and self.parameters is None


@dataclass(slots=True)
class Late:
    """The gradients, over so many batches, of an epoch that was logged without them, and the updates by layer."""

    index: int
    gradients: dict[str, float | None]
    batches: int
    updates: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Batch:
    """What is known so far of a batch that is being measured.

    Attributes:
        outputs: By hidden layer, the mean of every unit at each of its calls.
        squares: By layer, the sum of squares of its gradient.
        felt: The parameters whose gradients have been read.
        index: The epoch with which the batch was logged.
        statistics: By layer, the statistics of its output.
        updates: By layer, the squared norms of the sampled weights' update and of these weights.
    """

    began: float
    spent: float = 0.0
    outputs: dict[str, list[np.ndarray]] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)
    felt: set[int] = field(default_factory=set)
    passed: bool = False
    index: int = -1
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    updates: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """By layer, the norm of the update over that of the weights."""
        return {name: math.sqrt(moved / size) for name, (moved, size) in self.updates.items() if size > 0}


class Probe:
    """Measures the gradient norm of every layer, the mean activation of every unit and the weights of a PyTorch module.

    Batches are measured as often as one percent of the time allows, and what was measured since the last reading is
    averaged: on large networks every batch, on tiny ones one or none. Only forward passes in training mode count.
    Gradients are those by which the optimizer steps: summed over accumulated batches, clipped, and without the factor
    of a GradScaler; where no optimizer steps, those present at the reading. No part of the graph is kept alive.

    Layers are the modules that own a parameter, such as Linear, Conv2d, Embedding, LSTM, LayerNorm or the q, k and v of
    attention; what is left out is reported. Of each layer there are also the size of one step's update over that of the
    weights, and mean, spread and quantiles of its output, of the last batch that was measured. Hidden units are the
    outputs of the activation modules or, in a network without any, of all layers but the last. A unit of a Linear is a
    number, of a convolution a channel.
    """

    def __init__(
        self,
        module: Any,
        leave_out: Callable[[str, str], None] = lambda name, why: None,
        density: float = 1.0,
        every: int = 0,
    ) -> None:
        """Begin to measure a module.

        Args:
            module: A PyTorch module.
            leave_out: Called with the name of what cannot be measured, and the reason.
            density: Multiple of the usual time that measuring may take.
            every: Measure for the epochs divisible by it, and no others; 0 to measure as time allows.

        Raises:
            TypeError: If it is not a PyTorch module.
        """
        if not hasattr(module, "named_modules") or "torch" not in sys.modules:
            raise TypeError(f"module is a {type(module).__name__}; give a torch.nn.Module")
        self._module, self._leave_out = module, leave_out
        self._density, self._every, self._last = density, every, -1
        self._layers = layers_of(module, leave_out)
        if not self._layers.parameters and self._layers.is_whole:
            raise TypeError("module has no layers with weights, such as torch.nn.Linear")
        self._names = {id(one): name for name, one in self._layers.hidden.items()}
        self._looked = time.perf_counter()
        self._batch: Batch | None = None
        self._done: list[Batch] = []
        self._late: list[Batch] = []
        self._units: Units | None = None
        self._many: set[str] = set()
        self._is_scaled: bool | None = None
        self._rest_until, self._parameters_until = 0.0, 0.0
        self._has_stepped, self._readings, self._is_over = False, 0, False
        self._moving: tuple[Batch, dict[str, list[np.ndarray]]] | None = None
        self._is_subscribed = not (self._layers.compiled or _is_compiled_elsewhere(module))
        if not self._is_subscribed:
            self._report_compiled()
        torch_hooks.subscribe_to_steps(self)
        self._begin()

    @property
    def is_idle(self) -> bool:
        """Whether nothing was measured, and no measurement is due yet."""
        batch = self._batch
        if self._done or self._late or not self._has_stepped:
            return False
        if batch is not None:
            return not (batch.passed or batch.outputs or batch.felt)
        return not self._every and time.perf_counter() < min(self._rest_until, self._parameters_until)

    def read(self, index: int) -> Reading:
        """What was measured since the last reading, for the epoch with this index."""
        began, batch = clock(), self._batch
        self._last = index
        if batch is not None and not batch.felt and not self._has_stepped:
            self._feel_now(batch)
        late, self._late = self._gathered_late(), [one for one in self._late if not one.felt]
        done, self._done = self._done, []
        if batch is not None and (batch.passed or batch.outputs or batch.felt):
            done = [*done, batch]
            self._batch = None
            batch.index = index
            if not batch.felt:
                self._late = [*self._late[-1:], batch]
            self._rest(batch, clock() - began)
        self._readings += 1
        found = Reading(late=late, parameters=self._parameters())
        found.gradients, gradients = self._norms(done)
        found.activations, activations = self._means(done)
        found.batches = gradients, activations
        found.statistics, found.order = self._statistics(done, found.gradients), self._layers.order
        self._begin()
        return found

    def skip(self, index: int) -> None:
        """Note that an epoch is logged for which nothing is measured, and begin for the next one if that is due."""
        self._last = index
        self._begin()

    def late(self) -> Late | None:
        """What has become known, since the last reading, of the epoch that it was for."""
        return self._gathered_late()

    def rest_until(self, moment: float) -> None:
        """Measure no batch before this moment, in seconds of `time.perf_counter`."""
        self._rest_until = max(self._rest_until, moment)

    def remove(self) -> None:
        """Unsubscribe from all hooks."""
        self._is_over = True
        torch_hooks.unsubscribe_from_outputs(self)
        torch_hooks.unsubscribe_from_steps(self)

    def begins(self, module: Any) -> None:
        """Called before a module runs: outputs of its parts when called one by one were not part of this pass."""
        batch = self._batch
        if module is self._module and batch is not None and not batch.passed and module.training:
            batch.outputs.clear()
            self._units = None

    def received(self, module: Any, inputs: tuple, output: Any) -> None:
        """Called with a module's output."""
        batch = self._batch
        if batch is None or batch.passed or not self._module.training:
            return
        began = clock()
        try:
            name = self._names.get(id(module))
            if name is not None:
                self._see(batch, name, inputs, output)
            which = self._layers.seen.get(id(module))
            if which is not None and which not in batch.statistics:
                self._describe(batch, which, inputs, output, name is not None)
            if id(module) in self._layers.weighted:
                self._units = _units_of(module, _first(output))
            if module is self._module:
                batch.passed = True
                torch_hooks.unsubscribe_from_outputs(self)
            elif is_compiled(module) and any(one is self._module for one in module.modules()):
                self._report_compiled()
        finally:
            batch.spent += clock() - began

    def steps(self, optimizer: Any, has_closure: bool) -> None:
        """Called before an optimizer steps by the present gradients; with a closure it computes them first."""
        if not has_closure:
            self._before_step(optimizer, self._feel(optimizer))

    def stepped(self, optimizer: Any, has_closure: bool) -> None:
        """Called after an optimizer has stepped."""
        if has_closure:
            self._feel(optimizer)
        elif self._moving is not None:
            self._after_step()
        if self._batch is None:
            self._begin()

    def fails(self, error: BaseException) -> None:
        """Called with an error that a hook raised: something could not be measured."""
        self._leave_out("some batches", reason(error))
        torch_hooks.unsubscribe_from_outputs(self)

    def _begin(self) -> None:
        """Measure the next batch, if a measurement is due."""
        now = time.perf_counter()
        if self._batch is not None or self._is_over:
            return
        if (self._last + 1) % self._every if self._every else now < self._rest_until:
            return
        began = clock()
        self._look_anew(now)
        self._batch = Batch(now)
        if self._is_subscribed and self._names:
            torch_hooks.subscribe_to_outputs(self)
        self._batch.spent = clock() - began

    def _look_anew(self, now: float) -> None:
        """Read the module's layers again: lazy ones have found their shapes, layers were added or replaced."""
        if now < self._looked + REFRESH_INTERVAL_S and self._layers.is_whole:
            return
        self._layers = layers_of(self._module, self._leave_out)
        self._names = {id(one): name for name, one in self._layers.hidden.items()}
        if self._layers.compiled and self._is_subscribed:
            self._report_compiled()
        self._looked = time.perf_counter()

    def _report_compiled(self) -> None:
        self._is_subscribed = False
        torch_hooks.unsubscribe_from_outputs(self)
        for name in self._layers.hidden:
            self._leave_out(f"activations of {name}", "a module compiled by torch.compile shows no outputs")

    def _see(self, batch: Batch, name: str, inputs: tuple, output: Any) -> None:
        """Take the means of a hidden layer's output."""
        try:
            found = _means(self._units, _first(inputs), _first(output))
        except Exception as error:
            let_pass(error)
            self._leave_out(f"activations of {name}", reason(error))
            return
        batch.outputs.setdefault(name, []).append(found)

    def _describe(self, batch: Batch, name: str, inputs: tuple, output: Any, is_hidden: bool) -> None:
        """Take the statistics of a layer's output; errors were reported with its means."""
        first = _first(output)
        if first is None:
            return
        try:
            units = self._units if is_hidden else None
            batch.statistics[name] = _statistics_of(units, _first(inputs), first, is_hidden)
        except Exception as error:
            let_pass(error)
            batch.statistics[name] = {}
            self._leave_out(f"statistics of {name}", reason(error))

    def _before_step(self, optimizer: Any, batch: Batch | None) -> None:
        """Take a sample of the weights before an optimizer steps."""
        self._moving = None
        if batch is None or batch.updates:
            return
        began = clock()
        owned = {id(one) for group in optimizer.param_groups for one in group["params"]}
        found = {}
        for name, parts in self._layers.parameters.items():
            some = [one for one in weights_of(parts) if id(one) in owned]
            if some:
                try:
                    found[name] = [_sample(one, max(1, one.numel() // MAX_WEIGHTS)) for one in some]
                except Exception as error:
                    let_pass(error)
                    self._leave_out(f"update of {name}", reason(error))
        self._moving = batch, found
        self._stepping = owned
        self._rest(batch, clock() - began)

    def _after_step(self) -> None:
        """Compare the weights after an optimizer's step with those before."""
        (batch, before), self._moving = self._moving, None
        began = clock()
        for name, samples in before.items():
            some = [one for one in weights_of(self._layers.parameters.get(name, [])) if id(one) in self._stepping]
            if len(some) != len(samples):
                continue
            after = [_sample(one, max(1, one.numel() // MAX_WEIGHTS)) for one in some]
            if all(len(new) == len(old) for new, old in zip(after, samples, strict=True)):
                moved = sum(float(((new - old) ** 2).sum()) for new, old in zip(after, samples, strict=True))
                batch.updates[name] = moved, sum(float((old**2).sum()) for old in samples)
        self._rest(batch, clock() - began)

    def _statistics(self, done: list[Batch], gradients: dict[str, float | None] | None) -> dict[str, dict[str, float]]:
        """By quantity, what was measured of every layer since the last reading."""
        found: dict[str, dict[str, float]] = {}
        if gradients is not None:
            found["gradient"] = {name: one for name, one in gradients.items() if one is not None}
        for batch in done:
            if batch.updates:
                found["update"] = batch.ratios
            for name, numbers in batch.statistics.items():
                for quantity, number in numbers.items():
                    found.setdefault(quantity, {})[name] = number
        return found

    def _feel(self, optimizer: Any) -> Batch | None:
        """Take the gradients by which an optimizer steps, of the batch being measured or of the one already logged.

        Returns:
            The batch; None where none is being measured.
        """
        batch = self._late[-1] if self._late and not self._late[-1].felt else self._batch
        if self._is_over:
            return None
        if batch is None:
            self._has_stepped |= self._is_of_ours(optimizer)
            return None
        began = clock()
        if batch is not self._batch and not batch.felt:
            batch.squares = {}  # what was there at the reading; this is what is stepped by
        owners, scale = self._layers.owners, _number(getattr(optimizer, "grad_scale", None))
        stepped = [one for group in optimizer.param_groups for one in group["params"] if id(one) in owners]
        if not stepped:
            return None
        self._has_stepped = True
        fresh = [one for one in stepped if id(one) not in batch.felt]
        self._squares(batch, fresh, owners, scale)
        batch.spent += clock() - began
        everything = {id(one) for parts in self._layers.parameters.values() for one in parts if one.requires_grad}
        if batch is self._batch and (not fresh or batch.felt >= everything):
            self._done.append(batch)
            self._batch = None
            self._rest(batch)
            torch_hooks.unsubscribe_from_outputs(self)
        return batch

    def _is_of_ours(self, optimizer: Any) -> bool:
        return not self._has_stepped and any(
            id(one) in self._layers.owners for group in optimizer.param_groups for one in group["params"]
        )

    def _feel_now(self, batch: Batch) -> None:
        """Take the gradients that are present, where no optimizer has been seen to step."""
        if self._is_scaled is None:
            self._is_scaled = any(type(one).__name__ == "GradScaler" for one in gc.get_objects())
        if self._is_scaled:
            self._leave_out("gradients", "until an optimizer steps by them: a GradScaler has scaled them")
            return
        owners = self._layers.owners
        parts = [one for parts in self._layers.parameters.values() for one in parts]
        found = Batch(batch.began)
        self._squares(found, parts, owners, 1.0)
        if not found.squares:
            return
        if self._readings:
            batch.squares, batch.felt = found.squares, found.felt
        else:
            batch.squares = found.squares  # until an optimizer is seen to step, or the next reading

    def _squares(self, batch: Batch, parts: list[Any], owners: dict[int, str], scale: float) -> None:
        for one in parts:
            batch.felt.add(id(one))
            gradient = one.grad
            if gradient is None:
                continue
            name = owners[id(one)]
            try:
                square = (_norm(gradient) / scale) ** 2
            except Exception as error:
                let_pass(error)
                self._leave_out(f"gradient of {name}", reason(error))
                continue
            batch.squares[name] = batch.squares.get(name, 0.0) + square

    def _rest(self, batch: Batch, more: float = 0.0) -> None:
        batch.spent += more
        self._rest_until = max(self._rest_until, batch.began + batch.spent / (self._density * TIME_FRACTION))

    def _norms(self, batches: list[Batch]) -> tuple[dict[str, float | None] | None, int]:
        """The mean norm of every layer's gradient, and over how many batches."""
        felt = [one for one in batches if one.felt and one.squares]
        if not felt:
            return None, 0
        layers = self._layers.parameters
        norms = {name: [one.squares[name] ** 0.5 for one in felt if name in one.squares] for name in layers}
        return {name: math.fsum(one) / len(one) if one else None for name, one in norms.items()}, len(felt)

    def _gathered_late(self) -> Late | None:
        """The gradients of the batch that was logged without them: an optimizer's, or those that were present."""
        for batch in self._late:
            if batch.squares and (batch.felt or self._is_over or self._readings):
                self._late = []
                norms = {name: _root(batch.squares.get(name)) for name in self._layers.parameters}
                return Late(batch.index, norms, 1, batch.ratios)
        return None

    def _means(self, batches: list[Batch]) -> tuple[dict[str, np.ndarray] | None, int]:
        """The mean of every hidden unit, and over how many batches."""
        received = [one for one in batches if one.outputs]
        rows: dict[str, list[np.ndarray]] = {}
        for batch in received:
            for name, calls in batch.outputs.items():
                if len(calls) > MAX_CALLS:
                    self._many.add(name)
                for place, means in enumerate(calls, 1):
                    which = name
                    if name in self._many:
                        which = name if len(means) == len(calls[0]) else f"{name} ({len(means)} units)"
                    elif place > 1:
                        which = f"{name} (call {place})"
                    same = rows.setdefault(which, [])
                    if not same or len(same[0]) == len(means):
                        same.append(means)
                    else:
                        rows[which] = [means]
        return {name: np.mean(found, axis=0) for name, found in rows.items()} or None, len(received)

    def _parameters(self) -> dict[str, np.ndarray] | None:
        """Every layer's weights, of many an evenly spaced sample; None while the next sample is not due."""
        now, began = time.perf_counter(), clock()
        if now < self._parameters_until and not self._every:
            return None
        found: dict[str, np.ndarray] = {}
        parts = {name: weights_of(parts) for name, parts in self._layers.parameters.items()}
        stride = max(1, -(-sum(one.numel() for some in parts.values() for one in some) // MAX_PARAMETERS))
        for name, some in parts.items():
            try:
                arrays = [_sample(one, stride) for one in some]
                found[name] = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
            except Exception as error:
                let_pass(error)
                self._leave_out(f"parameters of {name}", reason(error))
        self._parameters_until = now + (clock() - began) / (self._density * TIME_FRACTION)
        return found or None


def _sample(parameter: Any, stride: int) -> np.ndarray:
    """A copy of evenly spaced entries of a parameter, in float64."""
    _check(parameter)
    flat = parameter.detach()
    if flat.is_complex():
        flat = sys.modules["torch"].view_as_real(flat)
    return np.array(as_array(flat.reshape(-1)[::stride].cpu()), np.float64)


def _norm(gradient: Any) -> float:
    """The length of a gradient, in float64 where the device has it."""
    _check(gradient)
    torch = sys.modules["torch"]
    gradient = gradient.detach()
    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    elif gradient.layout is not torch.strided:
        gradient = gradient.to_dense()
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient)
    precise = torch.float32 if gradient.device.type == "mps" else torch.float64
    return float(torch.linalg.vector_norm(gradient, dtype=precise))


def _check(tensor: Any) -> None:
    """Raise UnmeasurableError where reading a tensor would disturb the training or another process that takes part."""
    torch = sys.modules["torch"]
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise UnmeasurableError(f"it is a {type(tensor).__name__}, which is not read")
    if tensor.is_cuda and torch.cuda.is_current_stream_capturing():
        raise UnmeasurableError("a CUDA graph is being captured")


def _means(units: Units | None, inputs: Any, output: Any) -> np.ndarray:
    """(units,) the mean of every unit of an output."""
    torch = sys.modules["torch"]
    if output is None:
        raise UnmeasurableError("its output is no tensor")
    _check(output)
    if output.is_complex():
        raise UnmeasurableError("its output is complex")
    output = output.detach()
    inputs = inputs if type(inputs) is torch.Tensor else None
    axis = axis_alone(output) if units is None else units.axis_in(inputs, output)
    if not output.numel():
        raise UnmeasurableError(f"its output of shape {tuple(output.shape)} is empty")
    precise = torch.float32 if output.device.type == "mps" else torch.float64
    if axis is None:
        output = output.mean(dtype=precise).reshape(1)
    elif output.ndim > 1:
        output = output.mean(dim=[i for i in range(output.ndim) if i != axis], dtype=precise)
    return np.array(as_array(output.cpu()), np.float64)


def _statistics_of(units: Units | None, inputs: Any, output: Any, is_hidden: bool) -> dict[str, float]:
    """Mean, spread and quantiles of an output; of a hidden layer's also the share of units that are zero throughout."""
    torch = sys.modules["torch"]
    _check(output)
    output = output.detach()
    if output.is_complex() or not output.numel():
        raise UnmeasurableError("its output is complex or empty")
    flat = output.reshape(-1)
    sample = np.array(as_array(flat[:: max(1, flat.numel() // MAX_OUTPUTS)].cpu()), np.float64)
    with np.errstate(all="ignore"):
        found = {"mean": float(sample.mean()), "spread": float(sample.std())}
        if np.isfinite(sample).all():
            found |= dict(zip(QUANTITIES[-len(LEVELS) :], np.quantile(sample, LEVELS).tolist(), strict=True))
    if is_hidden:
        inputs = inputs if type(inputs) is torch.Tensor else None
        axis = axis_alone(output) if units is None else units.axis_in(inputs, output)
        others = [i for i in range(output.ndim) if i != axis]
        if axis is not None and others:
            found["dead"] = float((torch.count_nonzero(output, dim=others) == 0).double().mean())
    return found


def _units_of(module: Any, output: Any) -> Units | None:
    """Where the units are in a module's output; None where the output has no memory, as under vmap."""
    try:
        return None if output is None else Units.of(module, output)
    except Exception:
        return None


def _first(value: Any) -> Any:
    """The first tensor among a module's inputs or outputs; None where there is none."""
    while isinstance(value, tuple | list) and value:
        value = value[0]
    return value if hasattr(value, "detach") and hasattr(value, "ndim") else None


def _number(scale: Any) -> float:
    """The factor by which a loss was multiplied, given as a tensor or None."""
    return 1.0 if scale is None else float(scale)


def _root(square: float | None) -> float | None:
    return None if square is None else square**0.5


def _is_compiled_elsewhere(module: Any) -> bool:
    """Whether a compiled module wraps this one: with our hook in place, PyTorch would compile it again."""
    if "torch._dynamo" not in sys.modules:
        return False
    return any(type(one) is dict and one.get("_orig_mod") is module for one in gc.get_referrers(module))
