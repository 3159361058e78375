"""What keeps the cells of a notebook live, with a kernel that only notes down what it is asked for."""

import json
import time
from functools import partial
from math import inf
from types import SimpleNamespace
from zlib import decompress

import pytest
from bokeh.document import Document
from panel.config import panel_extension
from panel.io.notebook import Comm
from panel.io.state import state
from panel.models.comm_manager import CommManager
from panel_material_ui import Button
from pyviz_comms import CommManager as Manager

from dashboard import App, Run, Settings
from dashboard.instruments import GradientBars, LossCurve, standalone
from dashboard.jupyter_ui import kernel, kernel_host, still_page
from dashboard.jupyter_ui.kernel import Kernel
from dashboard.jupyter_ui.kernel_host import KernelHost
from dashboard.server import host


class Loop:
    """An event loop that runs its callbacks on demand."""

    def __init__(self) -> None:
        self.waiting = []

    def add_callback(self, callback):
        self.waiting.append(callback)

    def call_later(self, _, callback):
        self.waiting.append(callback)

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Line(Comm):
    """A comm whose other end is there."""

    def __init__(self, *how, **more) -> None:
        super().__init__(*how, **more)
        self._comm, self.sent = self, []

    def send(self, data=None, metadata=None, buffers=()):
        self.sent.append(data)


@pytest.fixture
def loop(monkeypatch) -> Loop:
    found = Loop()
    monkeypatch.setattr(kernel, "KERNEL", Kernel(SimpleNamespace(kernel=SimpleNamespace(io_loop=found))))
    monkeypatch.setattr(host, "_HOST", KernelHost())
    return found


def shown(thing) -> tuple[Line, str]:
    """Render something as the output of a cell; its comm, and the id of the output."""
    line, document = Line(), Document()
    root = thing._render_model(document, line)
    document.to_json()
    document.hold()
    return line, root.ref["id"]


def run() -> Run:
    return Run(Settings(n=40, hidden=[4]))


def test_where_there_is_no_notebook_nothing_changes():
    one = run()
    shown(LossCurve(one).pane)
    assert "advance" not in vars(one)
    kernel.beat()


def test_a_picture_in_a_cell_follows_its_run_and_nothing_is_sent_while_that_stands(loop):
    curve = LossCurve(run())
    line, _ = shown(curve.pane)
    loop.turn()
    curve.run.advance(7)
    sent = len(line.sent)
    loop.turn()
    assert curve.shown == 7
    assert len(line.sent) > sent
    sent = len(line.sent)
    for _ in range(5):
        loop.turn()
    assert len(line.sent) == sent


def test_a_run_that_keeps_the_kernel_busy_has_frames_drawn_on_the_way(loop):
    one = run()
    curve, seen = LossCurve(one), []
    line, _ = shown(curve.pane)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        one.advance(1)
        seen.append(curve.shown)
    assert 2 <= len(set(seen)) <= 1.5 / kernel.PERIOD + 2
    assert line.sent


def test_a_run_has_frames_drawn_within_one_long_advance(loop, monkeypatch):
    monkeypatch.setattr(kernel, "PERIOD", 0.0)
    monkeypatch.setattr(kernel, "SHARE", inf)  # however long a frame has taken, the next one is due
    one, drawn = run(), []
    curve = LossCurve(one)
    shown(curve.pane)
    monkeypatch.setattr(curve, "draw", lambda frame: drawn.append(frame.epoch.index))
    one.advance(300)
    assert len(drawn) > 2
    assert drawn == sorted(drawn)


def test_an_output_that_is_gone_is_let_go_of_and_the_ticking_ends(loop):
    _, ref = shown(LossCurve(run()).pane)
    loop.turn()
    assert loop.waiting
    state._views.pop(ref)
    loop.turn()
    loop.turn()
    assert not loop.waiting
    shown(LossCurve(run()).pane)
    assert loop.waiting


def test_nothing_is_drawn_before_the_page_listens(loop):
    curve = LossCurve(run())
    line, _ = shown(curve.pane)
    line._comm = None
    curve.run.advance(3)
    loop.turn()
    assert curve.shown == 0
    line._comm = line
    loop.turn()
    assert curve.shown == 3


def test_an_error_ends_one_output_and_no_other(loop, caplog, monkeypatch):
    broken, whole = LossCurve(run()), LossCurve(run())
    monkeypatch.setattr(broken, "draw", lambda frame: 1 / 0)
    for curve in (broken, whole):
        shown(curve.pane)
        curve.run.advance(2)
    loop.turn()
    assert "ZeroDivisionError" in caplog.text
    assert whole.shown == 2


def test_a_run_that_a_picture_does_not_suit_is_said_below_it(loop):
    bars = GradientBars(run())
    shown(bars.pane)
    bars.suits = lambda frame: False
    loop.turn()
    assert bars.caption.startswith("Nothing to show")


def test_an_instrument_in_a_second_cell_is_a_twin_with_the_same_choices(loop):
    curve = LossCurve(run(), log=True)
    first = standalone.Card(curve)
    shown(first.__panel__())
    second = standalone.Card(curve)
    assert first._instrument is curve
    assert second._instrument is not curve
    assert second._instrument.log


def test_a_tuple_of_instruments_is_shown_and_other_tuples_are_not():
    one = run()
    assert kernel_host.shown((1, 2)) is None
    assert kernel_host.shown(()) is None
    assert kernel_host.shown((LossCurve(one), 2)) is None
    assert kernel_host.shown("a text") is None
    assert len(kernel_host.shown((LossCurve(one), GradientBars(one)))) == 2
    assert len(kernel_host.shown(LossCurve(one))) == 1


class Shell:
    """Notes down what is put out, by the id that it can be replaced under."""

    def __init__(self, loop) -> None:
        self.kernel, self.display_pub, self.outputs = SimpleNamespace(io_loop=loop), self, {}

    def publish(self, data, metadata=None, transient=None, update=False):
        assert update == (transient["display_id"] in self.outputs)
        self.outputs[transient["display_id"]] = data["text/html"]


class Lines(Manager):
    """Comms of a kernel whose page listens."""

    server_comm = client_comm = Line


@pytest.fixture
def shell(loop, monkeypatch) -> Shell:
    found = Shell(loop)
    kernel.KERNEL.shell = found
    monkeypatch.setattr(kernel, "CALM", 0.0)
    monkeypatch.setattr(panel_extension, "_loaded", True)
    monkeypatch.setattr(state, "_comm_manager", Lines)
    return found


def test_a_notebook_keeps_an_image_and_words_and_draws_them_anew_once_the_run_stands(shell, loop, monkeypatch):
    one = run()
    kernel.KERNEL.display(standalone.cards(LossCurve(one)))
    (first,) = shell.outputs.values()
    assert "At epoch 0, loss" in first
    assert 'alt="Loss. ' in first
    one.advance(30)
    loop.turn()
    loop.turn()
    (second,) = shell.outputs.values()
    assert "At epoch 30, loss" in second
    assert len(second) < 40_000
    put_out = len(shell.outputs)
    one.settings.stop_epoch = 40
    one.advance(30)
    kernel.draw_stills()
    (third,) = shell.outputs.values()
    assert "Stopped at epoch 40, where it was to stop, loss" in third
    assert len(shell.outputs) == put_out
    monkeypatch.setattr(shell, "publish", lambda *_, **more: pytest.fail("it is drawn already"))
    kernel.draw_stills()


def test_an_app_in_a_notebook_is_kept_as_all_of_its_pictures(shell):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    kernel.KERNEL.display(lab)
    (kept,) = shell.outputs.values()
    assert kept.count("<img") == len(lab.shown.shown) == 6
    assert "An image, drawn" in kept
    lab.end()


def test_a_page_that_asks_gets_what_is_live_as_it_is_now_and_the_scripts_only_where_it_has_none(shell, monkeypatch):
    comms, one = [], run()
    monkeypatch.setattr("comm.create_comm", lambda **told: comms.append(told) or SimpleNamespace(close=lambda: None))
    kernel.KERNEL._scripts = ["the scripts"]
    kernel.KERNEL.display(standalone.cards(LossCurve(one)))
    (key,) = shell.outputs
    for scripts in (True, False):
        line = SimpleNamespace(comm_id=f"with scripts: {scripts}")
        kernel.KERNEL._answer(line, {"content": {"data": {"key": key, "scripts": scripts}}})
    kernel.KERNEL._answer(SimpleNamespace(comm_id="third"), {"content": {"data": {"key": "another kernel's"}}})
    told = [json.loads(decompress(one["buffers"][0])) for one in comms]
    assert [one["scripts"] for one in told] == [["the scripts"], None, None]
    assert "docs_json" in told[0]["html"]
    assert told[2]["html"] is None
    assert "docs_json" not in shell.outputs[key]


def test_a_page_that_asks_twice_is_answered_once_so_that_nothing_is_lost_in_between(shell, monkeypatch):
    comms, one = [], run()
    monkeypatch.setattr("comm.create_comm", lambda **told: comms.append(told))
    curve = LossCurve(one)
    kernel.KERNEL.display(standalone.cards(curve))
    (key,) = shell.outputs
    (view,) = [state._views[ref] for ref in kernel.KERNEL._refs.values()]
    asked = {"content": {"data": {"key": key}}}
    kernel.KERNEL._answer(SimpleNamespace(comm_id="a line"), asked)
    view[3]._comm = None
    one.advance(30)
    kernel.draw_stills()
    held = len(view[2].callbacks._held_events)
    kernel.KERNEL._answer(SimpleNamespace(comm_id="a line"), asked)
    assert len(comms) == 1
    assert len(view[2].callbacks._held_events) == held > 0


def test_what_is_drawn_for_an_image_reaches_a_page_that_listens_later(shell, loop):
    curve = LossCurve(run())
    kernel.KERNEL.display(standalone.cards(curve))
    ((_, _, _, line),) = [state._views[ref] for ref in kernel.KERNEL._refs.values()]
    line._comm, line.sent = None, []
    curve.run.advance(30)
    kernel.draw_stills()
    assert line.sent == []
    line._comm = line
    loop.turn()
    assert "validation" in "".join(filter(None, line.sent))


def test_names_and_captions_of_an_image_are_text(shell):
    curve = LossCurve(run())
    curve.title = "<b onclick=alert(1)>"
    kept = still_page.of(curve.run, [curve])
    assert "<b onclick" not in kept


def test_an_app_in_a_cell_draws_all_of_its_pictures_itself(loop):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    line, _ = shown(lab.__panel__())
    (output,) = kernel.KERNEL._outputs.values()
    assert output._lives == [lab.loop]
    loop.turn()
    lab.clock.step()
    sent = len(line.sent)
    loop.turn()
    assert lab.run.history[-1].index == 1
    assert {one.shown for one in lab.shown.shown} == {1}
    assert len(line.sent) > sent
    lab.loop.leave()
    assert not lab.clock.playing
    lab.end()


def test_an_app_waits_for_a_page_that_is_behind(loop):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    shown(lab.__panel__())
    for _ in range(9):
        lab.run.advance(1)
        loop.turn()
    assert lab.browser.behind <= 3
    assert min(one.shown for one in lab.shown.shown) < 9
    lab.browser.shown = lab.browser.frame
    loop.turn()
    assert {one.shown for one in lab.shown.shown} == {9}
    lab.end()


def test_changes_and_clicks_in_one_message_of_a_page_all_count_and_of_changes_to_one_thing_the_last(loop):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    layout = lab.__panel__()
    line, ref = shown(layout)
    loop.turn()
    for _ in range(2):
        lab.run.advance(1)
        loop.turn()
    page = kernel.KERNEL._locked(Line)()
    page._on_msg = partial(layout._on_msg, ref, CommManager(plot_id=ref, comm_id=line.id))
    one, other = lab.shown.cards[:2]
    click = {"model": {"id": lab.playback_bar._play._models[ref][0].id}, "node": "click", "data": {"type": "map"}}
    event = {"type": "event", "name": "dom_event", "values": {"type": "map", "entries": [*map(list, click.items())]}}
    events = [
        change(one.view, ref, "near", False),
        change(other.view, ref, "near", False),
        change(lab.browser, ref, "shown", lab.browser.frame - 1),
        change(lab.browser, ref, "shown", lab.browser.frame),
        {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event},
        change(other.view, ref, "near", True),
    ]
    received = []
    lab.browser.param.watch(lambda event: received.append(event.new), "shown")
    header = {"msgtype": "PATCH-DOC"}
    page._handle_msg({"header": header, "metadata": {}, "content": {"events": events}, "_buffers": {}})
    assert received == [lab.browser.frame] == [2]
    assert (one.view.near, other.view.near, lab.clock.playing) == (False, True, True)
    lab.loop.leave()
    lab.end()


def test_what_a_page_has_mixed_up_is_sent_to_it_again(loop):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    layout = lab.__panel__()
    line, ref = shown(layout)
    loop.turn()
    page, play, before = kernel.KERNEL._locked(Line)(), lab.playback_bar._play, len(line.sent)
    page._on_msg = partial(layout._on_msg, ref, CommManager(plot_id=ref, comm_id=line.id))
    header, content = {"msgtype": "PATCH-DOC"}, {"events": [change(play, ref, "label", "Pause")]}
    page._handle_msg({"header": header, "metadata": {}, "content": content, "_buffers": {}})
    assert play.label == "Play"
    loop.turn()
    told = [json.loads(sent) for sent in line.sent[before:] if sent and '"label"' in sent]
    assert [event["new"] for message in told for event in message["events"]] == ["Play"]
    lab.end()


def test_a_button_of_somebody_else_in_the_same_notebook_says_what_its_page_sends(loop):
    theirs = Button(label="Theirs")
    line, ref = shown(theirs)
    page = kernel.KERNEL._locked(Line)()
    page._on_msg = partial(theirs._on_msg, ref, CommManager(plot_id=ref, comm_id=line.id))
    header, content = {"msgtype": "PATCH-DOC"}, {"events": [change(theirs, ref, "label", "Pressed")]}
    page._handle_msg({"header": header, "metadata": {}, "content": content, "_buffers": {}})
    assert theirs.label == "Pressed"


def change(thing, ref: str, name: str, value: object) -> dict:
    """What a page sends about a component of its own."""
    return {"kind": "ModelChanged", "model": {"id": thing._models[ref][0].data.id}, "attr": name, "new": value}


def test_what_a_page_sends_besides_events_is_received_unchanged(loop):
    page, received = kernel.KERNEL._locked(Line)(), []
    page._on_msg = received.append
    gone = {"event_type": "delete", "id": "a plot"}
    page._handle_msg(dict(gone))
    assert received == [gone]


def test_what_cannot_be_looked_at_fails_no_training_that_closes_its_log(loop, caplog, monkeypatch):
    lab = App(Run(Settings(n=40, hidden=[4])), "playground")
    shown(lab.__panel__())

    def broken() -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(lab.run, "poll", broken)
    kernel.draw_stills()
    assert "the disk is gone" in caplog.text
    lab.end()
