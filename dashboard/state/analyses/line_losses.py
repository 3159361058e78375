"""The losses on the straight lines from other runs, and from its own start, to a run."""

from collections.abc import Hashable, Iterator, Mapping

import numpy as np

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.landscape import Survey, line
from engine.network import Network

Key = tuple[str, int]
"""A run of a study: its variant and its seed."""

START: Key = ("its own start", -1)

ALONG = np.linspace(-0.25, 1.25, 61)
"""Where the losses are computed: 0 is the other run, 1 this one."""

INSIDE = (ALONG >= 0) & (ALONG <= 1)

ODD = ("tanh", "sine", "linear", "erf")
"""Activations for which a unit with all signs flipped is the same unit."""

MAX_SWEEPS = 20
"""How often all layers are matched anew."""


class LineLosses:
    """The newest losses along lines to a run, from one fresh start to the next.

    Attributes:
        subject: What they depend on; None before there are any.
        losses: (61,) by run of the study, that from the run's own start first.
    """

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.subject: Hashable = None
        self.losses: dict[Key, np.ndarray] = {}

    def work(
        self, frame: Frame, subject: Hashable, others: Mapping[Key, np.ndarray], match: bool
    ) -> Iterator[object] | None:
        """Compute the losses along one line after the other; None where those of this subject are known.

        Args:
            frame: The frame at which the lines end.
            subject: Everything on which the losses depend.
            others: (n_parameters,) of other runs, where the lines begin.
            match: Whether to reorder their hidden units first.
        """
        return None if self.subject == subject else self._survey(frame, subject, others, match)

    def _survey(
        self, frame: Frame, subject: Hashable, others: Mapping[Key, np.ndarray], match: bool
    ) -> Iterator[object]:
        setup, network = frame.setup, frame.network()
        survey = Survey(network, setup.train, setup.loss, frame.l1, frame.l2)
        losses = {START: survey.losses_along(line(frame.history.at(0).parameters, network.parameters), ALONG)}
        for key, parameters in others.items():
            yield
            begin = matched(network, parameters) if match else parameters
            losses[key] = survey.losses_along(line(begin, network.parameters), ALONG)
        self.losses, self.subject = losses, subject
        self.run.touch()


def barrier(losses: np.ndarray) -> float:
    """How high the loss along a line rises above the straight connection of the losses at its two ends.

    Source: Entezari et al. 2022, "The role of permutation invariance in linear mode connectivity", definition 2.1.
    """
    t, inside = ALONG[INSIDE], losses[INSIDE]
    return float((inside - (1 - t) * inside[0] - t * inside[-1]).max())


def matched(network: Network, parameters: np.ndarray) -> np.ndarray:
    """Another run's parameters, with its hidden units in the order in which they are most like those of `network`.

    Layer by layer and again until nothing changes, the most similar pair of units comes first; the layer after one
    counts once it is in order itself. Where the activation is odd, all signs of a unit may also be flipped. The
    function that the network computes does not change. Skip connections tie the orders of several layers together: then
    nothing is changed. Source: Ainsworth, Hayase & Srinivasa 2023, "Git Re-Basin", section 3.2, with a greedy
    assignment.
    """
    other = network.copy()
    other.parameters[:] = parameters
    layers = len(network.sizes) - 2
    for sweep in range(0 if any(network.skips) else MAX_SWEEPS):
        before = other.parameters.copy()
        for layer in range(layers):
            _match_layer(network, other, layer, above=sweep > 0 or layer == layers - 1)
        if np.array_equal(before, other.parameters):
            break
    return other.parameters


def _match_layer(network: Network, other: Network, layer: int, above: bool) -> None:
    """Reorder one layer's units; `above` says whether the layer after it is in the order of `network` already."""
    likeness = network.weights[layer].T @ other.weights[layer]
    likeness += np.outer(network.biases[layer], other.biases[layer])
    if above:
        likeness += network.weights[layer + 1] @ other.weights[layer + 1].T
    order, signs = _assigned(likeness, odd=network.activations[layer] in ODD)
    other.weights[layer][...] = other.weights[layer][:, order] * signs
    other.biases[layer][...] = other.biases[layer][order] * signs
    other.weights[layer + 1][...] = other.weights[layer + 1][order] * signs[:, None]


def _assigned(likeness: np.ndarray, odd: bool) -> tuple[np.ndarray, np.ndarray]:
    """For every row its column, most similar pairs first, and with which sign."""
    left = np.abs(likeness) if odd else likeness.copy()
    order = np.empty(len(likeness), int)
    for _ in order:
        row, column = np.unravel_index(np.argmax(left), left.shape)
        order[row] = column
        left[row, :] = left[:, column] = -np.inf
    chosen = likeness[np.arange(len(order)), order]
    return order, np.where(chosen < 0, -1.0, 1.0) if odd else np.ones(len(order))
