"""Edits are parameters that a user has given other values at an epoch, by hand."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.recording import Recording

MAX_EDITS = 10_000
"""Edits of a recorded run that are read."""


def with_values(parameters: np.ndarray, values: Mapping[int, float]) -> np.ndarray:
    """A copy of the parameters with other values at these indices."""
    edited = parameters.copy()
    edited[list(values)] = list(values.values())
    return edited


def recorded_edits(recording: Recording, parameters: int) -> list[tuple[int, dict[int, float]]]:
    """The edits of a recorded run, in order: their epochs and their values by index.

    Args:
        recording: Its notes may come from anybody's file.
        parameters: How many the network has.

    Raises:
        ValueError: For an edit that is none of this network.
    """
    edits, newest = recording.notes.get("edits", [])[:MAX_EDITS], int(recording.epochs.index[-1])
    for edit in edits:
        if not _is_edit(edit, newest, parameters):
            raise ValueError(f"an edit of {str(edit)[:40]} is none of this network; it is [epoch, [[index, value]]]")
    return sorted(
        ((epoch, {i: float(value) for i, value in values}) for epoch, values in edits), key=lambda one: one[0]
    )


def _is_edit(edit: Any, newest: int, parameters: int) -> bool:
    """Whether this is an epoch up to the newest one, and finite values of parameters by their index."""
    match edit:
        case [int(epoch), list(values)] if not isinstance(epoch, bool) and 0 <= epoch <= newest:
            return all(_is_value(value, parameters) for value in values)
        case _:
            return False


def _is_value(pair: Any, parameters: int) -> bool:
    """Whether this is the index of a parameter and a finite number."""
    match pair:
        case [int(index), int(value) | float(value)] if not isinstance(index, bool) and not isinstance(value, bool):
            return 0 <= index < parameters and math.isfinite(value)
        case _:
            return False
