"""Epochs to record: made-up ones whose numbers say where they belong, and those of real trainings."""

import numpy as np

from engine import DATASETS, OPTIMIZERS, Network, Training
from engine.recording import History
from engine.training import COLUMNS, Epochs

WIDTHS = (2, 3)
N_PARAMETERS = 7


def block(start: int, stop: int, n_parameters: int = N_PARAMETERS) -> Epochs:
    """Epochs whose every number says to which epoch it belongs."""
    index = np.arange(start, stop)
    named = {name: index + place / 16 for place, name in enumerate(COLUMNS[1:-3], 1)}
    return Epochs(
        index=index,
        **named,
        gradient_norms=index[:, None] + np.zeros(3),
        mean_activations=index[:, None] + np.zeros(sum(WIDTHS)),
        parameters=index[:, None] + np.zeros(n_parameters),
        widths=WIDTHS,
    )


def history_of(epochs: int, piece: int = 64, **arguments: int) -> History:
    history = History(**arguments)
    for start in range(0, epochs, piece):
        history.extend(block(start, min(start + piece, epochs)))
    return history


def indices(history: History) -> list[int]:
    return [epoch.index for epoch in history]


MOONS = DATASETS["moons"](n=30)


def training_of(optimizer: str = "adam", n: int = 30, units: int = 6) -> Training:
    network = Network([2, units, 1], "tanh", seed=3)
    return Training(network, MOONS, optimizer=OPTIMIZERS[optimizer](), batch_size=7)


def trained(epochs: int = 100, **arguments: object) -> tuple[Training, History]:
    training, history = training_of(**arguments), History(capacity=64, recent=20)
    for _ in range(epochs // 20):
        history.extend(training.advance(20))
    return training, history


def assert_same_epochs(one: Epochs, other: Epochs) -> None:
    for name in COLUMNS:
        column, theirs = getattr(one, name), getattr(other, name)
        assert (column.dtype, column.shape, column.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes()), name
    assert one.widths == other.widths


def assert_same_history(one: History, other: History) -> None:
    """By everything that can be asked of it."""
    assert (one.capacity, one.recent, one.stride) == (other.capacity, other.recent, other.stride)
    assert_same_epochs(one.kept(), other.kept())
    assert_same_epochs(one.latest(), other.latest())
    assert indices(one) == indices(other)
    for index in range(-1, one[-1].index + 2, 7):
        assert one.at(index).index == other.at(index).index


def nested(depth: int) -> dict:
    return {"a": nested(depth - 1)} if depth else {}
