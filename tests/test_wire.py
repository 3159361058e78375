"""Laws of what passes between the server and a page: what nobody listens for is not taken down."""

from typing import Any

import pytest
from bokeh.core.has_props import HasProps
from bokeh.document import Document
from bokeh.models import Axis, Div, LinearAxis
from bokeh.plotting import figure
from bokeh.protocol.message import Message
from bokeh.protocol.messages.patch_doc import patch_doc

from dashboard.bokeh_defaults import remember_defaults
from dashboard.wire import _is_about_looks


def told(*events: dict[str, Any]) -> Message:
    """What a page tells of its models."""
    return patch_doc(patch_doc.create_header(), {}, {"events": list(events)})


def changed(model: Any, name: str, value: object) -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": {"id": model.id}, "attr": name, "new": value}


@pytest.fixture
def plot():
    document, plot = Document(), figure()
    document.add_root(plot)
    return plot


def test_only_what_nobody_listens_for_is_left_out(plot):
    axis = plot.xaxis[0]
    looks = changed(axis, "axis_line_color", "red"), changed(plot, "inner_width", 242)
    assert _is_about_looks(told(*looks), plot.document)
    plot.on_change("inner_width", lambda attr, old, new: None)
    assert _is_about_looks(told(looks[0]), plot.document)
    assert not _is_about_looks(told(looks[1]), plot.document)
    assert not _is_about_looks(told(*looks), plot.document)


def test_what_is_no_model_of_the_page_or_no_plain_change_goes_on_to_bokeh(plot):
    sent = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": {}}
    assert not _is_about_looks(told(sent), plot.document)
    assert not _is_about_looks(told(changed(Div(), "text", "elsewhere")), plot.document)


def test_defaults_that_are_remembered_are_those_of_bokeh(plot):
    before = {kind: kind._overridden_defaults() for kind in (Axis, LinearAxis, Div)}
    remember_defaults()
    assert {kind: kind._overridden_defaults() for kind in before} == before
    plain = figure().background_fill_color
    plot.apply_theme({"background_fill_color": "red"})
    assert (plot.background_fill_color, plot.themed_values()) == ("red", {"background_fill_color": "red"})
    plot.unapply_theme()
    assert plot.background_fill_color == plain
    assert HasProps.themed_values(plot) is None
