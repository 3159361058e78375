"""From settings in the engine's words to a training."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from engine.datasets import DATASETS, Dataset
from engine.initializers import INITIALIZERS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.options import choose, options
from engine.schedules import SCHEDULES
from engine.training import Training

FAMILIES = {"optimizer": OPTIMIZERS, "initializer": INITIALIZERS, "schedule": SCHEDULES}
DEFAULTS: dict[str, Any] = {"dataset": "moons", "hidden": (16, 16), "optimizer": "sgd", "initializer": "he"}
OUTPUTS = {"binary": "sigmoid", "classes": "softmax", "regression": "linear"}
"""Which output goes with a dataset's task where none is named."""


def training_of(settings: Mapping[str, Any]) -> Training:
    """A training from settings by name, in the words of `Network`, `Training` and the registries.

    Besides the arguments of those two there are

        dataset        a name or a `Dataset`; its options by their own names: n, noise, turns, ...
        data_seed      of the examples, 0 without
        validation     the share of the examples that is set aside, or data of its own
        hidden         the units of the hidden layers; or `depth` and `width`, of which either replaces its part
        optimizer, initializer, schedule   a name or an instance, and their numbers: learning_rate, std, half_life, ...
        layer_rates.0, layer_rates.1, ...   one of `layer_rates` alone, so that it can be an axis

    Whole numbers may come as floats, as an axis has them.
    Raises ValueError for a name that is unknown or a value that does not fit.
    """
    given: dict[str, Any] = DEFAULTS | {name: _plain(value) for name, value in settings.items()}
    data, validation = _data(given)
    members = {name: _member(given, name) for name in FAMILIES}
    network = _called(Network, given, sizes=_sizes(given, data), initializer=members.pop("initializer"))
    _set_layer_rates(given, len(network.sizes) - 1)
    arguments: dict[str, Any] = {"network": network, "data": data, "validation": validation, **members}
    training = _called(Training, given, **arguments)
    given.pop("seed", None)
    if given:
        unknown = ", ".join(map(repr, given))
        raise ValueError(f"setting {unknown} is unknown here; choose one of {', '.join(_names(settings))}")
    return training


def _plain(value: Any) -> Any:
    """A whole number as int, so that an axis can be a seed or a width."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _data(given: dict[str, Any]) -> tuple[Any, Any]:
    """The training and the validation data; takes what describes them out of `given`."""
    dataset, seed = given.pop("dataset"), given.pop("data_seed", 0)
    if isinstance(dataset, str):
        make = choose(DATASETS, dataset, "dataset")
        numbers = {name: given.pop(name) for name in _parameters(make) if name in given and name != "seed"}
        dataset = make(**numbers, seed=seed)
    validation = given.pop("validation", None)
    if isinstance(dataset, Dataset):
        given.setdefault("output", OUTPUTS[dataset.task])
        if isinstance(validation, float | int):
            return dataset.split(validation, seed) if validation else (dataset, None)
    return dataset, validation


def _sizes(given: dict[str, Any], data: Any) -> list[int]:
    hidden = [_count("units", units) for units in given.pop("hidden")]
    depth, width = given.pop("depth", len(hidden)), given.pop("width", None)
    if depth != len(hidden) or width is not None:
        units = width if width is not None else hidden[0] if hidden else 16
        hidden = [_count("width", units)] * _count("depth", depth, least=0)
    outputs = data.n_classes if getattr(data, "task", "") == "classes" else data.y[0].size
    return [data.x.shape[1], *hidden, int(outputs)]


def _count(name: str, value: Any, least: int = 1) -> int:
    if int(value) != value or value < least:
        raise ValueError(f"{name} {value!r} is impossible; choose a whole number of {least} or more")
    return int(value)


def _member(given: dict[str, Any], family: str) -> Any:
    """An optimizer, initializer or schedule with its numbers, which are taken out of `given`."""
    chosen = given.pop(family, None)
    if not isinstance(chosen, str):
        return chosen
    kind = choose(FAMILIES[family], chosen, family)
    return kind(**{name: given.pop(name) for name in _parameters(kind) if name in given})


def _set_layer_rates(given: dict[str, Any], layers: int) -> None:
    """What the learning rate is multiplied by in each layer, from those that are given one by one."""
    single = [name for name in given if name.startswith("layer_rates.")]
    if not single:
        return
    rates = list(given.get("layer_rates") or [1.0] * layers)
    for name in single:
        place = name.partition(".")[2]
        if not (place.isdecimal() and int(place) < len(rates)):
            last = len(rates) - 1
            raise ValueError(f"{name} is no layer's; choose one of layer_rates.0 to layer_rates.{last}, the output's")
        rates[int(place)] = given.pop(name)
    given["layer_rates"] = rates


def _called(thing: Callable[..., Any], given: dict[str, Any], **arguments: Any) -> Any:
    """The thing with these arguments and those of its others that are given; a seed is for all who take one."""
    names = [name for name in _parameters(thing) if name in given and name not in arguments]
    return thing(**arguments, **{name: given[name] if name == "seed" else given.pop(name) for name in names})


def _parameters(thing: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(thing).parameters)


def _names(settings: Mapping[str, Any]) -> list[str]:
    """What may be set, next to these settings."""
    names = {"dataset": None, "data_seed": None, "hidden": None, "depth": None, "width": None}
    chosen = {**DEFAULTS, **settings}
    makers = [DATASETS.get(chosen["dataset"])] if isinstance(chosen["dataset"], str) else []
    makers += [registry.get(chosen[name]) for name, registry in FAMILIES.items() if isinstance(chosen.get(name), str)]
    for make in (*makers, Network, Training):
        names |= dict.fromkeys(options(make) if make in makers else _parameters(make)) if make else {}
    return [name for name in names if name not in ("network", "data", "sizes")]
