"""A watched or kept run as a table: a row for each epoch, a column for each number by name."""

import numpy as np

from dashboard.tracking.logbook import Logbook
from engine.training import NUMBERS, Epochs

EPOCH, SECONDS = "epoch", "seconds"


def columns_of(epochs: Epochs, logbook: Logbook | None, layers: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The columns of a table, each (k,), with nan where nothing was measured.

    Args:
        epochs: The epochs of a history; those at which only metrics were logged are added.
        logbook: What was logged under names.
        layers: Names of the layers with a gradient; numbered where there are none.
    """
    metrics = logbook.metrics if logbook else {}
    index = np.unique(np.concatenate([epochs.index, *(series.index for series in metrics.values())]))
    index = index.astype(np.int64)
    at = np.searchsorted(index, epochs.index)
    found: dict[str, np.ndarray] = {EPOCH: index}
    if logbook and len(logbook.moments):
        found[SECONDS] = logbook.seconds(index)
    for name in NUMBERS:
        column = _spread(len(index), at, getattr(epochs, name))
        if np.isfinite(column).any():
            found[name] = column
    for name, series in metrics.items():
        found[_free(name, found)] = _spread(len(index), np.searchsorted(index, series.index), series.values)
    norms = epochs.gradient_norms
    names = layers if len(layers) == norms.shape[1] else [str(place + 1) for place in range(norms.shape[1])]
    for name, column in zip(names, norms.T, strict=True):
        found[_free(f"gradient of {name}", found)] = _spread(len(index), at, column)
    return found


def _spread(rows: int, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(rows,) with the values at their places, and nan elsewhere."""
    column = np.full(rows, np.nan)
    column[at] = values
    return column


def _free(name: str, taken: dict[str, np.ndarray]) -> str:
    """A name that no other column has."""
    return name if name not in taken else _free(f"{name} (logged)", taken)
