"""The network canvas draws a network with what every unit answers, computed in the browser from the parameters."""

import json
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import param
from bokeh.model import Model
from panel.io.notebook import Comm

from dashboard.server.live_component import LiveComponent
from dashboard.state.settings import MAX_HIDDEN_LAYERS, MAX_UNITS_PER_LAYER
from dashboard.widgets import style
from dashboard.widgets.beside import beside

FORWARD = beside(__file__, "network_forward.js")
"""The forward pass, a module of its own."""

STYLE = {
    "classes": style.CLASSES,
    "opaque": style.OPAQUE,
    "activation": style.ACTIVATION[::5],
    "positive": style.POSITIVE,
    "negative": style.NEGATIVE,
    "slope": style.SLOPE,
    "cursor": style.CURSOR,
    "curve": style.CURSOR,
    "layers": MAX_HIDDEN_LAYERS,
    "units": MAX_UNITS_PER_LAYER,
}


class NetworkCanvas(LiveComponent):
    """A network from its inputs to its output: units as small maps of what they answer, weights as lines.

    A frame sends the flat parameters alone. The browser computes all answers from them, and goes smoothly from one
    frame to the next while `live`.
    """

    network = param.Dict(
        default={},
        doc="What a fresh start fixes: sizes, activations, skips, output, inputs (their names), features (what the "
        "inputs are of the points of a plane; empty where examples are none), box (the ends of the examples) and task.",
    )
    examples = param.ClassSelector(
        class_=np.ndarray, doc="(n * (k + 1),) the k numbers and the answer of each example."
    )
    parameters = param.ClassSelector(class_=np.ndarray, doc="(n_parameters,) of the epoch that is shown.")
    gradient = param.ClassSelector(class_=np.ndarray, doc="The same of the gradient; None while weights are shown.")
    live = param.Boolean(default=True, doc="Whether the newest epoch is shown, so that a frame follows from the last.")
    unit = param.List(default=[], doc="The picked hidden unit, as [layer, unit]; [] for none.")
    example = param.Integer(default=None, doc="The row of the picked example.")
    sentence = param.String(default="", doc="What the picture says, for a screen reader.")
    editable = param.Boolean(default=False, doc="Whether weights, units and layers can be changed.")

    server_only = (
        "network",
        "examples",
        "parameters",
        "gradient",
        "live",
        "unit",
        "example",
        "sentence",
        "editable",
    )
    _esm = f"const STYLE = {json.dumps(STYLE)}\n{beside(__file__, 'network_canvas.js')}"
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "network_canvas.css").replace("CURSOR", style.CURSOR)]

    def __init__(
        self, asked: Callable[[dict[str, Any]], None], shown: Callable[[Model, Comm | None], None], **params: Any
    ) -> None:
        """Start without a network.

        Args:
            asked: Called with what was clicked: `unit` to pick, `edit` of parameters as pairs of index and value, with
                a number for the `gesture` that it is part of, or `hidden` layers to have.
            shown: Called when it is on a page, as `rendered` is.
            **params: As for any component.
        """
        super().__init__(**params)
        self._asked, self._shown = asked, shown

    def rendered(self, root: Model, comm: Comm | None) -> None:
        self._shown(root, comm)

    def _handle_msg(self, msg: Any) -> None:
        if isinstance(msg, dict):
            self._asked(msg)
