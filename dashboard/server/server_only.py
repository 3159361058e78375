"""Which properties of a component the server alone changes, so that what a page says of them is not applied.

A component of the laboratory declares its own, as `server_only` beside its parameters. For components of Panel Material
UI, which the laboratory only uses, `MATERIAL` declares them. A subclass has those of its bases.
"""

from collections.abc import Mapping
from functools import cache

import panel_material_ui as pmui
from bokeh.model import DataModel, Model
from panel.custom import ReactiveESM
from panel_material_ui.widgets.base import MaterialWidget

MATERIAL: Mapping[type[ReactiveESM], tuple[str, ...]] = {
    MaterialWidget: ("label", "description", "disabled"),
    pmui.Accordion: ("disabled", "variant"),
    pmui.Alert: ("object", "severity", "variant"),
    pmui.Button: ("icon", "color", "variant"),
    pmui.DiscreteSlider: ("color",),
    pmui.Drawer: ("variant",),
    pmui.FloatInput: ("color", "variant"),
    pmui.FloatSlider: ("color",),
    pmui.IconButton: ("icon", "color", "variant"),
    pmui.IntInput: ("color", "variant"),
    pmui.IntSlider: ("color",),
    pmui.LinearProgress: ("value", "color", "variant"),
    pmui.MultiChoice: ("color", "variant"),
    pmui.Paper: ("variant",),
    pmui.Select: ("color", "variant"),
    pmui.Switch: ("color",),
    pmui.Typography: ("object", "color", "variant"),
}
"""What Panel Material UI's pages only show."""


def declared(kind: type) -> frozenset[str]:
    """The properties that a class declares itself, or that are declared for it here."""
    return frozenset((*vars(kind).get("server_only", ()), *MATERIAL.get(kind, ())))


def is_server_only(model: Model | None, name: str) -> bool:
    """Whether a property of what holds a component's values is for the server alone to change."""
    return isinstance(model, DataModel) and name in _server_only(type(model))


@cache
def _server_only(data: type[DataModel]) -> frozenset[str]:
    """The names for a class of models, which Panel has made for one component."""
    owners = (kind for kind in _descendants(ReactiveESM) if kind._data_model is data)
    return frozenset().union(*(declared(base) for owner in owners for base in owner.__mro__))


def _descendants(kind: type) -> set[type]:
    return {kind}.union(*map(_descendants, kind.__subclasses__()))
