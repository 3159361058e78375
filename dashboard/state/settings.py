"""Settings: every choice of a run, with its bounds, unit and meaning.

The families of the engine fill the menus, and their `Range`d fields become parameters, so that a new optimizer or
dataset brings its own controls along.
"""

import json
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Self

import param

from dashboard.state.choices import Choices, Magnitude
from dashboard.storage.tables import DIGEST, OWN, TABLES, Table
from engine.activations import ACTIVATIONS
from engine.chance import FORMAT, seeded
from engine.datasets import DATASETS, Dataset
from engine.features import COORDINATES, FEATURES
from engine.initializers import INITIALIZERS
from engine.losses import LOSSES, OUTPUTS
from engine.optimizers import OPTIMIZERS
from engine.options import Option, options
from engine.parametrizations import PARAMETRIZATIONS
from engine.schedules import SCHEDULES

FAMILIES: dict[str, Mapping[str, Callable]] = {
    "dataset": DATASETS,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
OUTPUT = {"binary": "sigmoid", "classes": "softmax", "regression": "linear"}
MAX_HIDDEN_LAYERS, MAX_UNITS_PER_LAYER, MAX_PARAMETERS = 64, 128, 80_000
MAX_COST = 50_000_000
"""Most parameters times examples: an epoch of so many takes about 15 ms of a core, in which nobody else has a turn."""

MAX_MULTIPLIER = 1e9
MAX_SECOND_ORDER_PARAMETERS = 600
"""Most parameters for an optimizer that solves for the Hessian at every step: about 15 ms each."""

COMMON = ("n", "noise")
ENOUGH = 20
"""As many examples as any dataset can draw, whatever its options."""


def family_options(families: Iterable[Mapping[str, Callable]]) -> dict[str, Option]:
    """Every option of every member; the first member that has it sets its default."""
    found: dict[str, Option] = {}
    for family in families:
        for member in family.values():
            found = {**options(member), **found}
    return found


OPTIONS = family_options(FAMILIES.values())


class Widths(param.List):
    """A list of hidden layer widths, each a whole number of units."""

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return f"a list of at most {MAX_HIDDEN_LAYERS} whole numbers from 1 to {MAX_UNITS_PER_LAYER}, like [16, 16]"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        for width in val:
            if type(width) is not int or not 1 <= width <= MAX_UNITS_PER_LAYER:
                raise ValueError(
                    f"a hidden layer of {width!r} units is not possible; "
                    f"choose a whole number from 1 to {MAX_UNITS_PER_LAYER}"
                )
        if len(val) > MAX_HIDDEN_LAYERS:
            raise ValueError(f"{len(val)} hidden layers are too many; choose at most {MAX_HIDDEN_LAYERS}")


class Multipliers(param.List):
    """A list of factors, one for each layer, or empty."""

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return (
            f"a list of at most {MAX_HIDDEN_LAYERS + 1} numbers from 0 to {MAX_MULTIPLIER:g}, like [1, 1, 0.1], or []"
        )

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        for factor in val:
            if type(factor) not in (int, float) or not 0 <= factor <= MAX_MULTIPLIER:
                raise ValueError(f"layer_rates cannot contain {factor!r}; choose numbers from 0 to {MAX_MULTIPLIER:g}")
        if len(val) > MAX_HIDDEN_LAYERS + 1:
            raise ValueError(
                f"layer_rates for {len(val)} layers are too many; choose at most {MAX_HIDDEN_LAYERS + 1}, or none"
            )


class Features(param.List):
    """A list of names of input features, at least one, each once."""

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return f"a list of at least one of {json.dumps(list(FEATURES))}, each once"

    def _validate_value(self, val: Any, allow_None: bool) -> None:
        super()._validate_value(val, allow_None)
        names = [name for name in val if isinstance(name, str) and name in FEATURES]
        if not val or len(set(names)) < len(val):
            raise ValueError(f"features cannot be {val!r}; choose {self.in_words()}")


class Digest(param.String):
    """The digest of a table, or empty."""

    def __init__(self, default: str = "", **params: Any) -> None:
        super().__init__(default=default, regex=f"^({DIGEST.pattern})?$", **params)

    def in_words(self) -> str:
        """The possible values, as the end of a sentence."""
        return "sixteen of the signs 0-9 and a-f, or nothing"


class Settings(Choices):
    """What to train, on what and how.

    Equal settings give equal runs: bit for bit on the same kind of processor, on another one up to rounding, which a
    run at the edge of stability magnifies.
    """

    dataset = param.Selector(default="moons", objects=[*DATASETS, OWN], doc="The examples to learn from.")
    own = Digest(label="Own data", doc="Which data of one's own are meant, by their digest.")
    n = param.Integer(
        default=200,
        bounds=(4, 2000),
        step=4,
        label="Examples",
        doc="How many examples are drawn, training and validation together.",
    )
    noise = param.Number(
        default=0.2,
        bounds=(0, 1),
        step=0.01,
        doc="Standard deviation of what is added to the points (for a regression: to the values).",
    )
    validation = param.Number(
        default=0.25,
        bounds=(0, 0.9),
        step=0.05,
        label="Validation share",
        doc="Share of the examples held out to measure on, never trained on. 0 trains on all.",
    )
    standardize = param.Boolean(
        default=False,
        label="Standardize inputs",
        doc="Shift and scale every input to mean 0 and standard deviation 1, as measured on the training examples.",
    )
    features = Features(
        default=list(COORDINATES),
        label="Input features",
        doc="What the network is given of each point, where examples are points of a plane: one input for each. Other "
        "data are given as they are. Standardized inputs are standardized before.",
    )

    hidden = Widths(
        default=[16, 16],
        item_type=int,
        label="Hidden layers",
        doc="Units in each hidden layer. No layer at all is logistic (or linear) regression.",
    )
    embedding = param.Integer(
        default=0,
        bounds=(0, MAX_UNITS_PER_LAYER),
        label="Embedding",
        doc="Units of a first layer without activation, which turns inputs of which one is 1 into as many numbers. "
        "0: there is no such layer.",
    )
    activation = param.Selector(
        default="relu", objects=list(ACTIVATIONS), doc="The function every hidden unit applies to its weighted sum."
    )
    skip = param.Boolean(
        default=False,
        label="Skip connections",
        doc="Add a hidden layer's input to its output where both are equally wide.",
    )
    initializer = param.Selector(
        default="he", objects=list(INITIALIZERS), doc="How the weights are drawn before the first epoch."
    )
    biases = param.Boolean(
        default=True,
        label="Biases",
        doc="Without biases every unit answers 0 to an input of 0 (a sigmoid one half), and there is less to train.",
    )
    bias = param.Number(
        default=0.0, bounds=(-10, 10), step=0.1, label="Initial bias", doc="What every bias starts from."
    )
    bias_std = param.Number(
        default=0.0,
        bounds=(0, 10),
        step=0.1,
        label="Bias std",
        doc="Standard deviation of the random numbers that are added to the initial biases. 0 makes all biases alike.",
    )

    parametrization = param.Selector(
        default="standard",
        objects=list(PARAMETRIZATIONS),
        doc="How start and learning rate depend on the sizes of the layers. In standard all learn at one rate; with "
        "ntk wide networks keep to their kernel, with mean-field and mup they learn features at any width.",
    )
    output_scale = Magnitude(
        default=1.0,
        bounds=(1e-6, 1e6),
        label="Output scale",
        doc="What the output's weighted sum is multiplied by. Large: the weights need hardly move. Small: they must.",
    )

    loss = param.Selector(default="binary cross-entropy", objects=list(LOSSES), doc="What training makes small.")
    optimizer = param.Selector(default="sgd", objects=list(OPTIMIZERS), doc="How a gradient becomes an update.")
    schedule = param.Selector(
        default="constant", objects=list(SCHEDULES), doc="How the learning rate changes over the epochs."
    )
    layer_rates = Multipliers(
        default=[],
        label="Layer rates",
        doc="What the learning rate is multiplied by in each layer, the output's last. Empty: by 1 in all. Sharpness "
        "and Hessian are then shown as a run with one learning rate would see them, so that the edge stays in place.",
    )
    batch_size = param.Integer(
        default=0,
        bounds=(0, 2000),
        label="Batch size",
        doc="Examples per update. 0 takes all training examples at once (full batch).",
    )
    l1 = param.Number(
        default=0.0, bounds=(0, 1), label="L1", doc="Weight of the sum of |w| in the loss; biases are left out."
    )
    l2 = param.Number(
        default=0.0,
        bounds=(0, 1),
        label="L2",
        doc="Weight of half the sum of w squared in the loss; biases are left out.",
    )
    seed = param.Integer(
        default=0,
        bounds=(0, 2**31 - 1),
        doc="The number all chance comes from: data, split, weights, batches, each with random numbers of its own. "
        "In a run of the older format 1 they share them, until a new seed is rolled or a preset chosen.",
    )
    data_seed = param.Integer(
        default=-1,
        bounds=(-1, 2**31 - 1),
        label="Data seed",
        doc="The number that data and split come from, to see other weights on the same data. -1 follows the seed.",
    )
    batch_seed = param.Integer(
        default=-1,
        bounds=(-1, 2**31 - 1),
        label="Batch seed",
        doc="The number that the order of the batches comes from, to see other orders from the same weights. "
        "-1 follows the seed.",
    )
    format = param.Integer(
        default=FORMAT,
        bounds=(1, FORMAT),
        doc="How the seed is shared out: in format 1 data and weights are drawn from the same random numbers, "
        "since format 2 each from numbers of its own.",
    )

    speed = param.Selector(
        default=100,
        objects={"1": 1, "5": 5, "20": 20, "100": 100, "500": 500, "as fast as it goes": 0},
        doc="Epochs per second.",
    )
    stop_epoch = param.Integer(
        default=0, bounds=(0, 10_000_000), label="Stop at epoch", doc="Pause when this epoch is reached. 0 never stops."
    )
    stop_loss = param.Number(
        default=0.0,
        bounds=(0, 1_000_000),
        label="Stop at loss",
        doc="Pause when the training loss is this small. 0 never stops.",
    )
    stop_plateau = param.Integer(
        default=0,
        bounds=(0, 10_000_000),
        label="Stop on plateau",
        doc="Pause after this many epochs in which the training loss has not fallen by a thousandth. 0 never stops.",
    )

    def __init__(self, **choices: Any) -> None:
        """Options that are not given take the default of the optimizer, dataset and so on to which they belong."""
        self._table: Table | None = None
        super().__init__(**choices)
        self._adopting = True
        self._adopt(FAMILIES, given=choices)
        self.param.watch(self._follow, self.names())

    @property
    def task(self) -> str:
        """`binary`, `classes` or `regression`, depending on the dataset and its options."""
        if self.dataset == OWN:
            return self.table().task if self.own in TABLES else "binary"
        return self.build("dataset", n=ENOUGH, noise=0.0, seed=0).task

    @property
    def is_plane(self) -> bool:
        """Whether the examples are points of a plane, of which input features can be made."""
        if self.dataset == OWN:
            return self.own in TABLES and self.table().dataset().features == len(COORDINATES)
        return self.build("dataset", n=ENOUGH, noise=0.0, seed=0).features == len(COORDINATES)

    @property
    def activations(self) -> list[str]:
        """That of each hidden layer, an embedding among them."""
        return ["linear"] * bool(self.embedding) + [self.activation] * len(self.hidden)

    @property
    def output(self) -> str:
        """The output layer that suits the task."""
        return OUTPUT[self.task]

    @property
    def data_from(self) -> int:
        """The seed of data and split."""
        return self.seed if self.data_seed < 0 else self.data_seed

    @property
    def batches_from(self) -> int:
        """The seed of the order of the batches."""
        return self.seed if self.batch_seed < 0 else self.batch_seed

    def draws(self, number: int) -> int:
        """A number as the seed from which runs of this format draw."""
        return seeded(number, self.format)

    def renew(self, seed: int) -> None:
        """Draw everything anew from another seed, in the present format."""
        self.param.update(seed=seed, format=FORMAT)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        return super().of({"format": 1, **values})

    def examples(self) -> Dataset:
        """All examples, before any are held out.

        Raises:
            ValueError: If they are a user's own and not known here.
        """
        if self.dataset == OWN:
            return self.table().dataset()
        return self.build("dataset", n=self.n, noise=self.noise, seed=self.draws(self.data_from))

    def table(self) -> Table:
        """All examples as a table; a user's own ones unchanged.

        Raises:
            ValueError: If they are a user's own and not known here.
        """
        if self.dataset != OWN:
            return Table.of(self.examples())
        if not self.own:
            raise ValueError("there are no data of your own yet; open “Your own data…” and choose a file")
        if self._table is None or self._table.digest != self.own:
            self._table = TABLES.get(self.own)
        return self._table

    def take(self, table: Table, **changes: Any) -> list[str]:
        """Learns from a table from now on; returns what else had to change for it, as sentences.

        Args:
            table: The data.
            **changes: Other settings to change at the same time.
        """
        said, rows = [], len(table.x)
        if self.batch_size > rows - round(self.validation * rows):
            said.append(f"Batches of {self.batch_size} are larger than these data: all examples are now one batch.")
            changes["batch_size"] = 0
        self.param.update(dataset=OWN, own=TABLES.hold(table), **changes)
        return said

    def losses(self) -> list[str]:
        """The losses that suit the task's output and its answers: labels for classes, values for a regression."""
        name, output = self.output, OUTPUTS[self.output]
        return [one for one, loss in LOSSES.items() if name in loss.outputs and loss.labels(output) is output]

    def options(self, choice: str) -> dict[str, Any]:
        """The options of the chosen `dataset`, `initializer`, `optimizer` or `schedule`, with their values."""
        member = FAMILIES[choice].get(getattr(self, choice))
        return {name: getattr(self, name) for name in options(member) if name not in COMMON} if member else {}

    def build(self, choice: str, **arguments: Any) -> Any:
        """The chosen member of a family, made with its options."""
        return FAMILIES[choice][getattr(self, choice)](**arguments, **self.options(choice))

    def network_arguments(self) -> dict[str, Any]:
        """What a `Network` or an `Ensemble` takes besides sizes, activations, output and seed."""
        return {
            "initializer": self.build("initializer"),
            "skip": self.skip,
            "bias": self.bias,
            "bias_std": self.bias_std,
            "has_biases": self.biases,
            "parametrization": self.parametrization,
            "output_scale": self.output_scale,
        }

    def training_arguments(self) -> dict[str, Any]:
        """What a `Training` or an `Ensemble` takes besides network, data, loss and seeds."""
        return {
            "optimizer": self.build("optimizer"),
            "batch_size": self.batch_size or None,
            "l1": self.l1,
            "l2": self.l2,
            "schedule": self.build("schedule"),
            "layer_rates": self.layer_rates or None,
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        """Return to earlier values, all of them at once."""
        self._adopting = False
        try:
            super().restore(values)
        finally:
            self._adopting = True

    @classmethod
    def from_query(cls, query: Mapping[str, str], defaults: Mapping[str, Any] | None = None) -> tuple[Self, list[str]]:
        """The choices that a link asks for. A link with a seed but no format is older than formats, and of format 1."""
        settings, problems = super().from_query(_with_format(query), defaults)
        if settings.dataset == OWN and settings.own not in TABLES:
            problems.append(f"own={settings.own} means data that are not known here: load their file; these are moons")
            settings.param.update(dataset="moons", own="")
        if query.get("loss") in LOSSES and settings.loss != query["loss"]:
            problems.append(
                f"loss={query['loss']} does not go with {settings.dataset}; "
                f"choose one of {', '.join(settings.losses())}"
            )
        return settings, problems

    def _follow(self, *events: param.parameterized.Event) -> None:
        if self._adopting:
            self._adopt([event.name for event in events if event.name in FAMILIES], {event.name for event in events})

    def _adopt(self, chosen: Iterable[str], given: Container[str]) -> None:
        """Adopts the defaults of what was newly chosen, and its loss, except where they are given."""
        members = [FAMILIES[name][getattr(self, name)] for name in chosen if getattr(self, name) in FAMILIES[name]]
        defaults = {name: option.default for member in members for name, option in options(member).items()}
        with param.parameterized.batch_call_watchers(self):
            self.param.update(**{name: value for name, value in defaults.items() if name not in given})
            self.fit_loss()

    def fit_loss(self) -> None:
        """Take the loss that the task's output has by itself, where the chosen one does not suit it."""
        if self.loss not in self.losses():
            self.loss = OUTPUTS[self.output].loss


def _with_format(query: Mapping[str, str]) -> Mapping[str, str]:
    """The link with its format: 1 where it has a seed and names no format."""
    if "seed" not in query or "format" in query:
        return query
    try:
        Settings.read("seed", query["seed"])
    except ValueError:
        return query
    return {**query, "format": "1"}


def _parameter(option: Option) -> param.Number:
    kind = param.Integer if option.kind is int else param.Number
    unit = f" ({option.range.unit})" if option.range.unit else ""
    low, high = option.range.low, option.range.high
    return kind(
        default=option.kind(option.default),
        bounds=(option.kind(low), option.kind(high)),
        label=option.name.replace("_", " ").capitalize(),
        doc=option.range.doc + unit,
    )


for _name, _option in OPTIONS.items():
    if _name not in Settings.param:
        Settings.param.add_parameter(_name, _parameter(_option))

LIVE = frozenset(
    ["batch_size", "l1", "l2", "schedule", "speed", "stop_epoch", "stop_loss", "stop_plateau"]
) | frozenset(family_options([OPTIMIZERS, SCHEDULES]))
"""Settings that change the running run in place; all others start it afresh."""
