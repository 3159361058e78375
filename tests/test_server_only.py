"""Each component declares what a page may not change in it, and a message that says otherwise changes nothing."""

import re
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, ClassVar

import panel_material_ui as pmui
import param
import pytest
from bokeh.document import Document
from bokeh.model import DataModel
from panel.custom import JSComponent, ReactiveESM

import dashboard
from dashboard.server.inbound import drop_echoes
from dashboard.server.server_only import MATERIAL, declared, is_server_only
from dashboard.widgets.browser import Browser, InView
from dashboard.widgets.plain_text import Alert, Words
from dashboard.widgets.tracked_list import TrackedList


def components() -> list[type[ReactiveESM]]:
    """All components of the laboratory."""
    for found in walk_packages(dashboard.__path__, "dashboard."):
        if found.name.startswith("dashboard.widgets."):
            import_module(found.name)
    waiting, known = [ReactiveESM], set()
    while waiting:
        kinds = set(waiting.pop().__subclasses__()) - known
        known |= kinds
        waiting += kinds
    return sorted((one for one in known if one.__module__.startswith("dashboard.")), key=lambda one: one.__name__)


def own(kind: type[ReactiveESM]) -> set[str]:
    """The parameters that a component adds to those of Panel."""
    mine = {name for name in kind.param if kind.param[name].owner.__module__.startswith("dashboard.")}
    return mine & set(kind._data_model.properties()) - {"name"}


SCRIPTED = [kind for kind in components() if issubclass(kind, JSComponent)]
every_component = pytest.mark.parametrize("kind", SCRIPTED, ids=lambda kind: kind.__name__)
every_declaration = pytest.mark.parametrize("kind", [*components(), *MATERIAL], ids=lambda kind: kind.__name__)


def held(document: Document, component: ReactiveESM) -> DataModel:
    """What holds a component's values on a page."""
    document.add_root(component.get_root(document))
    ((model, _),) = component._models.values()
    return model.data


def changed(model: Any, name: str, value: object) -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": {"id": model.id}, "attr": name, "new": value}


@every_declaration
def test_what_a_component_declares_exists(kind):
    assert declared(kind) <= set(kind._data_model.properties())


@every_component
def test_a_parameter_is_for_the_server_alone_unless_the_script_of_its_component_sets_it(kind):
    assert set(re.findall(r"\bmodel\.(\w+) = ", str(kind._esm))) == own(kind) - declared(kind)


@every_component
def test_what_a_page_alone_changes_is_not_for_the_server_alone(kind):
    assert not declared(kind) & set(getattr(kind, "received", ()))


def test_a_new_component_is_protected_by_declaring_its_properties():
    class Told(JSComponent):
        words = param.String(default="from the server")
        choice = param.Integer(default=0)
        server_only: ClassVar[tuple[str, ...]] = ("words",)
        _esm = "export function render() {}"

    class More(Told):
        about = param.String(default="about it")
        server_only: ClassVar[tuple[str, ...]] = ("about",)

    for kind, protected in ((Told, ["words"]), (More, ["words", "about"])):
        document = Document()
        data = held(document, kind())
        events = [changed(data, name, 1) for name in ("choice", *protected)]
        again = drop_echoes(document, events)
        assert [event["attr"] for event in events] == ["choice"]
        assert [(one.attr, one.new) for one in again] == [(name, getattr(data, name)) for name in protected]


@pytest.mark.parametrize(
    ("component", "name"),
    [
        (pmui.Button(label="Play"), "label"),
        (pmui.IconButton(icon="stop"), "icon"),
        (pmui.Switch(label="Standardize"), "label"),
        (Words("Text"), "object"),
        (Alert("Text"), "object"),
        (TrackedList(lambda _: None), "items"),
        (Browser(lambda _: None), "frame"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_property_of_a_base_is_protected_in_every_subclass(component, name):
    assert is_server_only(held(Document(), component), name)


@pytest.mark.parametrize(
    ("component", "name"),
    [
        (pmui.IntSlider(start=0, end=9, value=1), "value"),
        (pmui.Button(label="Play"), "clicks"),
        (Browser(lambda _: None), "shown"),
        (InView(content=None), "near"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_what_a_user_changes_goes_on_to_bokeh(component, name):
    document = Document()
    data = held(document, component)
    events = [changed(data, name, 1)]
    assert drop_echoes(document, events) == []
    assert len(events) == 1
