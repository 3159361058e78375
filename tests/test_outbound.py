"""Laws of messages to a page: what nobody listens to is not recorded, and pages that were closed are released."""

import asyncio
import gc
import re
import socket
import struct
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from weakref import ref

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.properties import List, String
from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.document.events import ModelChangedEvent
from bokeh.io import curdoc
from bokeh.model import DataModel
from bokeh.models import Axis, Div, LinearAxis, Slider
from bokeh.plotting import figure
from bokeh.protocol import Protocol
from bokeh.protocol.message import Message
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.server.connection import ServerConnection
from panel.io.document import dispatch_tornado, schedule_write_events
from panel_material_ui import Button, FloatSlider
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.locks import Lock
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from dashboard.server import echoes, patches
from dashboard.server.inbound import _is_about_looks, drop_echoes
from dashboard.server.outbound import send


def page_message(*events: dict[str, Any]) -> Message:
    """What a page sends about its models."""
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
    assert _is_about_looks(page_message(*looks), plot.document)
    plot.on_change("inner_width", lambda attr, old, new: None)
    assert _is_about_looks(page_message(looks[0]), plot.document)
    assert not _is_about_looks(page_message(looks[1]), plot.document)
    assert not _is_about_looks(page_message(*looks), plot.document)


def test_what_is_no_model_of_the_page_or_no_plain_change_goes_on_to_bokeh(plot):
    sent = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": {}}
    assert not _is_about_looks(page_message(sent), plot.document)
    assert not _is_about_looks(page_message(changed(Div(), "text", "elsewhere")), plot.document)


def test_defaults_that_are_remembered_are_those_of_bokeh(plot):
    before = {kind: kind._overridden_defaults() for kind in (Axis, LinearAxis, Div)}
    patches.install()
    assert {kind: kind._overridden_defaults() for kind in before} == before
    plain = figure().background_fill_color
    plot.apply_theme({"background_fill_color": "red"})
    assert (plot.background_fill_color, plot.themed_values()) == ("red", {"background_fill_color": "red"})
    plot.unapply_theme()
    assert plot.background_fill_color == plain
    assert HasProps.themed_values(plot) is None


def test_what_a_page_says_of_what_only_we_change_is_dropped_and_sent_again():
    document, button = Document(), Button(label="Play")
    button._render_model(document)
    (model, _), *_ = button._models.values()
    mixed_up, moved = changed(model.data, "label", "Pause"), changed(model.data, "clicks", 1)
    events = [mixed_up, moved]
    (again,) = drop_echoes(document, events)
    assert events == [moved]
    assert (again.model, again.attr, again.new) == (model.data, "label", "Play")
    assert drop_echoes(document, events) == []


class Chosen(DataModel):
    """What the component of a menu sends."""

    value = List(String, default=["loss"])


def test_a_value_that_is_remembered_does_not_keep_its_document():
    def left() -> ref[Document]:
        document, chosen = Document(), Chosen()
        document.add_root(chosen)
        drop_echoes(document, [{"kind": "MessageSent"}])
        chosen.value = ["gradients"]
        assert drop_echoes(document, [changed(chosen, "value", ["loss"])]) == []
        drop_echoes(document, [{"kind": "MessageSent"}])
        return ref(document)

    document = left()
    gc.collect()
    assert document() is None


def test_a_value_that_the_server_has_changed_again_is_not_taken_from_the_page_s_echo(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(echoes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    document, slider = Document(), FloatSlider(start=0, end=1, step=0.01, value=0.5)
    slider._render_model(document)
    (model, _), *_ = slider._models.values()
    data = model.data

    def says(value: float) -> list[ModelChangedEvent]:
        events = [changed(data, "value", value)]
        again = drop_echoes(document, events)
        data.update(**{event["attr"]: event["new"] for event in events})
        return again

    def sets(value: float) -> None:
        data.value = value
        drop_echoes(document, [{"kind": "MessageSent"}])  # anything else that the page says

    drop_echoes(document, [{"kind": "MessageSent"}])
    assert says(0.8) == []
    sets(0.2)
    now[0] += 0.3
    sets(0.8)
    now[0] += 0.3
    (again,) = says(0.2)
    assert (again.model, again.attr, again.new, data.value) == (data, "value", 0.8, 0.8)
    assert [says(value) for value in (0.81, 0.5, 0.2)] == [[], [], []], "a user who drags"
    sets(0.3)
    assert says(0.2) == [], "what a user had chosen is chosen again"
    sets(0.4)
    sets(0.6)
    now[0] += echoes.SPAN_S
    assert says(0.4) == [], "so late nothing is an echo"
    assert data.value == 0.4


def test_the_document_of_a_callback_that_fails_is_not_taken_for_that_of_others():
    patches.install()
    document = Document()
    with pytest.raises(ZeroDivisionError):
        invoke_with_curdoc(document, lambda: 1 / 0)
    assert curdoc() is not document
    assert invoke_with_curdoc(document, curdoc) is document


def test_what_panel_has_put_off_is_written_before_what_came_later():
    document = Document()
    document.add_root(Slider(start=0, end=9, value=0, step=1))
    document.models.flush_synced()
    parts = asyncio.run(sending_after_panel(document))
    assert re.findall(r'"new":(\d)', "".join(map(str, parts))) == ["1", "2"]


async def sending_after_panel(document: Document) -> list[str | bytes]:
    """What is written to a page for a change that Panel has put off, and one sent by us."""
    parts, slider = [], document.roots[0]
    line = SimpleNamespace(is_closing=lambda: False, write_message=lambda part, binary: parts.append(part) or done())
    page = SimpleNamespace(write_lock=Lock(), ws_connection=line)
    connection = ServerConnection(Protocol(), page, None, Mock())
    session = SimpleNamespace(_subscribed_connections={connection})
    document._session_context = lambda: SimpleNamespace(session=session)
    schedule_write_events(document, [connection], [ModelChangedEvent(document, slider, "value", 1)])
    await send(document, [ModelChangedEvent(document, slider, "value", 2)], nullcontext)
    await asyncio.sleep(0.05)
    return parts


def done() -> asyncio.Future:
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def test_what_panel_writes_to_a_page_that_was_just_closed_is_no_traceback():
    patches.install()
    written, complaints = asyncio.run(writing_to_one_who_has_left(page_message()))
    assert [type(failure) for failure in written] == 3 * [WebSocketClosedError]
    assert complaints == []


async def writing_to_one_who_has_left(message: Message) -> tuple[list[Any], list[str]]:
    """What comes of Panel's writing before the server has noticed, and what the event loop complains of."""
    visitors, complaints = asyncio.Queue(), []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, page_message: complaints.append(page_message["message"])
    )

    class Page(WebSocketHandler):
        is_ours = True

        def open(self) -> None:
            visitors.put_nowait(self)

    door = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/", Page)]))
    server.add_sockets(door)
    visitor = await websocket_connect(f"ws://127.0.0.1:{door[0].getsockname()[1]}/")
    page = await visitors.get()
    hang_up(visitor.stream)
    writing = dispatch_tornado(SimpleNamespace(_socket=page), msg=message)
    written = await asyncio.gather(*writing, return_exceptions=True)
    gc.collect()
    await asyncio.sleep(0)
    server.stop()
    return written, complaints


def hang_up(line: IOStream) -> None:
    """Leave as a browser does that is killed: the other side's next word is refused."""
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
