"""Backpropagation, stage by stage: every array of a forward and a backward pass, and mistakes to plant in it.

It is for looking at, not for training: arrays are (n, units), one row per example, as a textbook has them, and nothing
is saved for speed. `Network.gradient` computes the same numbers in another order.

A stage is a formula twice over: once as text, once as a function of the arrays before it and of the layer's number.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.kernel import layer_matrices
from engine.losses import OUTPUTS, matching_loss
from engine.network import Data, Gradient, Network
from engine.options import choose

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Stage:
    """One array of the passes and where it comes from.

    Attributes:
        name: "z1", "f'(z1)", "a1", "loss", "da1", "dz1", "dW1", "db1", ...; layers count from 1, a0 is the input, and d
            stands for the derivative of the loss with respect to what follows.
        formula: How it follows from earlier stages; the examples are rows, so that W stands to the right.
        array: (n, units) where there is one row per example; weights are (fan_in, fan_out), biases (fan_out,).
        part: "given", "forward" or "backward"
        layer: Its layer's number; 0 for the input, and for labels and loss that of the last layer.
    """

    name: str
    formula: str
    array: np.ndarray
    part: str
    layer: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape; () for the loss."""
        return self.array.shape


@dataclass(frozen=True)
class Rule:
    """One step of the backward pass: its formula, in which {i}, {above} and {below} are layers, and what it computes.

    `compute` takes all arrays so far, by name, and the number i of the layer.
    """

    formula: str
    compute: Callable[[Arrays, int], np.ndarray]

    def text(self, i: int) -> str:
        """The formula with the numbers of the layers written in; the input, a0, has no z."""
        return self.formula.format(i=i, above=i + 1, below=i - 1).replace("z0", "a0")


RULES: dict[str, Rule] = {
    "output": Rule("∂costs / n", lambda s, i: s["∂costs"] / len(s["∂costs"])),
    "slope": Rule("da{i} ⊙ f'(z{i})", lambda s, i: s[f"da{i}"] * s[f"f'(z{i})"]),
    "down": Rule("dz{above} W{above}ᵀ", lambda s, i: s[f"dz{i + 1}"] @ s[f"W{i + 1}"].T),
    "skip": Rule("da{above}", lambda s, i: s[f"da{i + 1}"]),
    "weights": Rule("a{below}ᵀ dz{i}", lambda s, i: s[f"a{i - 1}"].T @ s[f"dz{i}"]),
    "biases": Rule("sum of dz{i} over the examples", lambda s, i: s[f"dz{i}"].sum(axis=0)),
    "l1": Rule("l1 sign(W{i})", lambda s, i: s["l1"] * np.sign(s[f"W{i}"])),
    "l2": Rule("l2 W{i}", lambda s, i: s["l2"] * s[f"W{i}"]),
}
"""The right backward pass. "skip", "l1" and "l2" are added where there is a skip connection or a penalty."""


NO_BIASES = Rule("0, as there are none", lambda s, i: np.zeros_like(s[f"b{i}"]))

SLOPES: dict[tuple[str, str], str] = {
    ("binary cross-entropy", "sigmoid"): "a{i} - y",
    ("cross-entropy", "softmax"): "a{i} - y",
    ("mse", "sigmoid"): "2 (a{i} - y) ⊙ a{i} ⊙ (1 - a{i})",
    ("mse", "linear"): "2 (a{i} - y) / outputs",
    ("half mse", "sigmoid"): "(a{i} - y) ⊙ a{i} ⊙ (1 - a{i})",
    ("half mse", "linear"): "(a{i} - y) / outputs",
}
"""Losses and outputs whose derivative, example by example, is a formula worth reading."""


@dataclass(frozen=True)
class Bug:
    """A mistake: what goes wrong, in words, and the rule that takes the place of the right one called `replaces`."""

    doc: str
    replaces: str
    rule: Rule


BUGS: dict[str, Bug] = {
    "drop the slope": Bug(
        "The derivative passes an activation as if that were not there: the factor f'(z) is forgotten.",
        "slope",
        Rule("da{i}", lambda s, i: s[f"da{i}"]),
    ),
    "slope of the activation": Bug(
        "The slope is taken at the activation, f'(f(z)), instead of at z. ReLU, of all, forgives it.",
        "slope",
        Rule("da{i} ⊙ f'(f(z{i}))", lambda s, i: s[f"da{i}"] * s[f"f'(f(z{i}))"]),
    ),
    "transpose the weights": Bug(
        "The derivative goes down through W instead of its transpose. A W that is not square is reshaped to fit, which "
        "for a single row or column happens to be right.",
        "down",
        Rule("dz{above} W{above}", lambda s, i: s[f"dz{i + 1}"] @ s[f"W{i + 1}"].reshape(s[f"W{i + 1}"].T.shape)),
    ),
    "forget the skip": Bug(
        "What went round a layer forward does not come back round it.",
        "skip",
        Rule("0", lambda s, i: np.zeros_like(s[f"da{i + 1}"])),
    ),
    "forget 1/n": Bug(
        "The loss is a mean over the examples, the gradient a sum.",
        "output",
        Rule("∂costs", lambda s, i: s["∂costs"]),
    ),
    "wrong sign": Bug(
        "Label minus answer instead of answer minus label: training would climb.",
        "output",
        Rule("-∂costs / n", lambda s, i: -s["∂costs"] / len(s["∂costs"])),
    ),
    "stale activation": Bug(
        "The weights' gradient is made with z, what the layer below was before its activation, instead of a.",
        "weights",
        Rule("z{below}ᵀ dz{i}", lambda s, i: s[f"z{i - 1}" if i > 1 else "a0"].T @ s[f"dz{i}"]),
    ),
    "forget the bias": Bug(
        "The biases have no gradient, so they stay where they started.",
        "biases",
        Rule("0", lambda s, i: np.zeros_like(s[f"b{i}"])),
    ),
    "forget half the square": Bug(
        "The slope of l2/2 W² is taken to be that of l2 W².",
        "l2",
        Rule("2 l2 W{i}", lambda s, i: 2 * s["l2"] * s[f"W{i}"]),
    ),
}


class Backpropagation:
    """One forward and one backward pass, in `stages`, first to last: what is given, then forward, then backward.

    With `bug`, the name of one of `BUGS`, the backward pass makes that mistake in every layer it concerns, and
    everything that follows from it is wrong, too. Stages are copies: they stay as they are when the network moves on.

    Other arguments are those of `Network.loss`. `gradient` is laid out like `Network.gradient`, with a bug it is the
    wrong one.
    Raises ValueError when loss or data do not fit, or there is no such bug.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        loss: str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        bug: str | None = None,
    ) -> None:
        self.stages: list[Stage] = []
        self._network, self._output = network, OUTPUTS[network.output]
        self._loss, self._loss_name = matching_loss(loss, network.output), loss or self._output.loss
        self._depth = len(network.sizes) - 1
        self._arrays: dict[str, Any] = {"l1": l1, "l2": l2}
        rules = _rules(bug)
        with np.errstate(all="ignore"):
            self._give(data)
            self._go_forward()
            self._go_backward(rules)

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of this name. Raises ValueError listing every name there is, when there is no such array."""
        return choose({stage.name: stage.array for stage in self.stages}, name, "array")

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    @property
    def gradient(self) -> Gradient:
        """The gradient of the last stages, as `Network.gradient` has it; with a bug, the wrong one."""
        parts = [self._arrays[f"d{kind}{i}"] for i in range(1, self._depth + 1) for kind in "Wb"]
        flat = np.concatenate([part.ravel() for part in parts])
        matrices = layer_matrices(flat, self._network.sizes)
        return Gradient(flat, [m[:-1] for m in matrices], [m[-1] for m in matrices])

    def _give(self, data: Data) -> None:
        batch = self._network.batch(data, self._loss)
        self._add("a0", "the examples", batch.x[:-1].T, "given", 0)
        for i, (w, b) in enumerate(zip(self._network.weights, self._network.biases, strict=True), start=1):
            self._add(f"W{i}", "the weights", w, "given", i)
            if self._network.has_biases:
                self._add(f"b{i}", "the biases", b, "given", i)
            else:
                self._add(f"b{i}", "no biases", np.zeros_like(b), "given", i)
        self._add("y", "the labels", batch.targets.T, "given", self._depth)

    def _go_forward(self) -> None:
        s = self._arrays
        for i in range(1, self._depth + 1):
            self._add(f"z{i}", f"a{i - 1} W{i} + b{i}", s[f"a{i - 1}"] @ s[f"W{i}"] + s[f"b{i}"], "forward", i)
            if i < self._depth:
                self._activate(i)
        self._cost(self._depth)

    def _activate(self, i: int) -> None:
        s, activation, name = self._arrays, self._network.functions[i - 1], self._network.activations[i - 1]
        f = activation.function(s[f"z{i}"])
        s[f"f'(f(z{i}))"] = activation.slope(f)
        self._add(f"f'(z{i})", f"slope of {name} at z{i}", activation.slope(s[f"z{i}"]), "forward", i)
        if self._network.skips[i - 1]:
            self._add(f"a{i}", f"{name}(z{i}) + a{i - 1}", f + s[f"a{i - 1}"], "forward", i)
        else:
            self._add(f"a{i}", f"{name}(z{i})", f, "forward", i)

    def _cost(self, i: int) -> None:
        s = self._arrays
        z, y = (np.ascontiguousarray(s[key].T) for key in (f"z{i}", "y"))
        self._add(f"a{i}", f"{self._network.output}(z{i})", self._output.function(z).T, "forward", i)
        self._add("costs", f"{self._loss_name} of a{i} and y", self._loss.value(z, y, self._output), "forward", i)
        penalty = self._network.penalty(s["l1"], s["l2"]).value(self._network.parameters)
        self._add("loss", "mean of the costs" + self._penalties(), s["costs"].mean() + penalty, "forward", i)

    def _cost_slopes(self, i: int) -> None:
        s = self._arrays
        z, p, y = (np.ascontiguousarray(s[key].T) for key in (f"z{i}", f"a{i}", "y"))
        d = np.empty(z.shape)
        self._loss.slope(z, p, y, self._output, d)
        formula = SLOPES.get((self._loss_name, self._network.output), "derivative of the costs in z{i}").format(i=i)
        self._add("∂costs", formula, d.T, "backward", i)

    def _penalties(self) -> str:
        return (" + l1 |W|" if self._arrays["l1"] else "") + (" + l2/2 |W|²" if self._arrays["l2"] else "")

    def _go_backward(self, rules: Mapping[str, Rule]) -> None:
        penalties = [rules[name] for name in ("l1", "l2") if self._arrays[name]]
        self._cost_slopes(self._depth)
        self._sum(f"dz{self._depth}", self._depth, rules["output"])
        for i in range(self._depth, 0, -1):
            if i < self._depth:
                self._sum(f"da{i}", i, rules["down"], *([rules["skip"]] if self._skipped(i) else []))
                self._sum(f"dz{i}", i, rules["slope"])
            self._sum(f"dW{i}", i, rules["weights"], *penalties)
            self._sum(f"db{i}", i, rules["biases"] if self._network.has_biases else NO_BIASES)

    def _skipped(self, i: int) -> bool:
        """Whether what layer i gives is also added to what the layer above gives."""
        return i + 1 < self._depth and self._network.skips[i]

    def _sum(self, name: str, i: int, *rules: Rule) -> None:
        total = sum(rule.compute(self._arrays, i) for rule in rules)
        self._add(name, " + ".join(rule.text(i) for rule in rules), total, "backward", i)

    def _add(self, name: str, formula: str, array: np.ndarray | float, part: str, layer: int) -> None:
        self._arrays[name] = np.array(array, order="C")
        self.stages.append(Stage(name, formula, self._arrays[name], part, layer))


def _rules(name: str | None) -> Mapping[str, Rule]:
    if name is None:
        return RULES
    bug = choose(BUGS, name, "bug")
    return RULES | {bug.replaces: bug.rule}
