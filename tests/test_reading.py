"""Reading a run log: each number at the epoch for which it was logged, and nothing where nothing was logged."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.layer_curves import LayerCurves
from dashboard.instruments.logged_activations import LoggedActivations
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.pages.watch import Watch
from dashboard.state.playback import clock_of
from dashboard.tracking import run_log
from dashboard.tracking.log_listing import DAMAGED
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.non_finite import NotFinite
from dashboard.tracking.run_log import Layout, Measured, RunLog, Status, record
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings
from engine.training import NUMBERS, Epochs

NAN = float("nan")
LAYERS = ("conv", "out")
LAYOUT = Layout(LAYERS, (("hidden", 3),), (("conv", 4), ("out", 2)))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path))
    monkeypatch.setattr(run_log, "HEARTBEATS", {})
    return tmp_path


class RecordWriter:
    """Writes a run log record by record, as in the format."""

    def __init__(self, name: str = "a run", layout: Layout = LAYOUT, folder: Path | None = None) -> None:
        self.run_log, self.layout = RunLog.begun(name, folder=folder), layout
        self._append(run_log.LAYOUT, layout.packed())
        self._epochs = self._last = 0

    def write(
        self,
        *index: int,
        gradients: Any = None,
        means: Any = None,
        parameters: Any = None,
        batches: tuple[int, int] = (0, 0),
        known: Any = None,
        **numbers: Any,
    ) -> "RecordWriter":
        """A record of these epochs; a number for all of them or one for each, None where it was not logged."""
        k, self._last = len(index), max(index, default=0)
        columns = np.full((k, len(NUMBERS)), NAN)
        given = np.zeros((k, len(NUMBERS)), bool)
        for name, values in numbers.items():
            for row, value in enumerate(values if isinstance(values, list) else [values] * k):
                if value is not None:
                    columns[row, NUMBERS.index(name)], given[row, NUMBERS.index(name)] = value, True
        tables = [
            np.empty((k, 0)) if one is None else np.tile(np.array(one, float), (k, 1)) for one in (gradients, means)
        ]
        if parameters is not None:
            table = np.tile(np.array(parameters, float), (k, 1))
            self._append(run_log.PARAMETERS, run_log.packed_parameters(np.array(index), table))
        epochs = Epochs(np.array(index), *columns.T, *tables, np.empty((k, 0)), widths=())
        measured = Measured.of(epochs, given, np.tile(np.array(batches, np.uint32), (k, 1)), known)
        self._append(run_log.EPOCHS, run_log.packed(measured))
        self._epochs += k
        self._say(Status(self._epochs, index[-1], NAN, "", time.time()))
        return self

    def leave_out(self, layers: dict[str, str]) -> "RecordWriter":
        self._append(run_log.LEFT_OUT, run_log.packed_left_out(layers))
        return self

    def lay_out(self, layout: Layout) -> "RecordWriter":
        self.layout = layout
        self._append(run_log.LAYOUT, layout.packed())
        return self

    def end(self, words: str = "ended") -> "RecordWriter":
        self._say(Status(self._epochs, self._last, NAN, words, time.time()))
        return self

    def _append(self, kind: bytes, payload: bytes) -> None:
        with self.run_log.records.open("ab") as file:
            file.write(record(kind, payload))

    def _say(self, status: Status) -> None:
        (self.run_log.folder / "status").write_bytes(status.packed())


def seen(writer: RecordWriter) -> LogReader:
    reader = LogReader.of(writer.run_log.id)
    for _ in range(3):
        reader._looked = -1
        reader.poll()
    return reader


def look(watched: TrackedRun) -> TrackedRun:
    """The store, once it has looked around."""
    watched._listing._looked = -1
    if watched._reader:
        watched._reader._looked = -1
    watched.poll()
    return watched


def of(reader: LogReader, column: str) -> dict[int, Any]:
    """A column at the epochs at which it is known."""
    epochs = reader.history.epochs()
    values = getattr(epochs, column)
    known = np.isfinite(values) if values.ndim == 1 else np.isfinite(values).any(axis=1)
    return dict(zip(epochs.index[known].tolist(), values[known].tolist(), strict=True))


def drawn(instrument: Any, layer: str) -> dict[str, list]:
    return {name: list(values) for name, values in instrument.sources[layer].data.items()}


# What was told of one epoch in several calls


@pytest.mark.parametrize("apart", [1, 2, 5, 100])
@pytest.mark.parametrize("order", [("loss", "validation_loss"), ("validation_loss", "loss")])
def test_two_calls_for_one_epoch_are_put_together_however_they_are_written(apart, order):
    writer, reader = RecordWriter(), None
    calls = [(epoch, name) for epoch in range(20) for name in order]
    value = {"loss": lambda epoch: 1 / (epoch + 1), "validation_loss": lambda epoch: 2 / (epoch + 1)}
    for start in range(0, len(calls), apart):
        part = calls[start : start + apart]
        numbers = {name: [value[name](epoch) if logged == name else None for epoch, logged in part] for name in order}
        writer.write(*(epoch for epoch, _ in part), **numbers)
        reader = seen(writer)
    assert of(reader, "loss") == {epoch: 1 / (epoch + 1) for epoch in range(20)}
    assert of(reader, "validation_loss") == {epoch: 2 / (epoch + 1) for epoch in range(20)}
    assert reader.diverged is None
    assert reader.problems == []
    assert reader.setup.validation is not None


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["loss", "accuracy", "gradients"]), st.integers(1, 99)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 9),
)
@settings(deadline=None)
def test_in_any_order_the_last_word_counts_for_every_number_by_itself(tmp_path_factory, logged, pieces):
    os.environ["DESCENT_LAB_HOME"] = str(tmp_path_factory.mktemp("order"))
    writer, reader = RecordWriter(), None
    expected: dict[str, dict[int, Any]] = {"loss": {}, "accuracy": {}, "gradient_norms": {}}
    for place, (epoch, name, value) in enumerate(logged):
        if name == "gradients":
            writer.write(epoch, gradients=[value, 1])
            expected["gradient_norms"][epoch] = [value, 1]
        else:
            writer.write(epoch, **{name: value})
            expected[name][epoch] = value
        if place % pieces == 0:
            reader = seen(writer)
    reader = seen(writer)
    for column, values in expected.items():
        assert of(reader, column) == values
        history = reader.logged.of(column)
        assert (history.epochs().index.tolist() if len(history) else []) == sorted(values)


def test_a_number_that_is_not_logged_does_not_count_as_not_finite():
    writer = RecordWriter()
    for epoch in range(20):
        writer.write(epoch, loss=1.0, validation_loss=2.0 if epoch % 5 == 0 else None)
    reader = seen(writer)
    assert list(of(reader, "loss")) == list(range(20))
    assert list(of(reader, "validation_loss")) == [0, 5, 10, 15]
    assert reader.problems == []
    assert reader.diverged is None


@pytest.mark.parametrize("logged", [{"accuracy": 0.5}, {"gradients": [1, 2]}, {"means": [1, 2, 3]}])
def test_where_no_loss_is_logged_nothing_has_diverged(logged):
    writer = RecordWriter()
    for epoch in range(9):
        writer.write(epoch, **logged)
    reader = seen(writer)
    assert reader.diverged is None
    assert reader.problems == []
    watched = look(TrackedRun())
    assert "diverged" not in watched.condition
    assert [type(one).__name__ for one in Watch(watched).shown if isinstance(one, LossCurve)] == []


def test_a_later_call_that_says_nan_takes_the_number_back_and_one_that_says_a_number_sets_it():
    writer = RecordWriter().write(0, 1, 2, loss=[1.0, 2.0, NAN])
    assert seen(writer).diverged == 2
    writer.write(1, loss=NAN).write(2, loss=0.5)
    reader = seen(writer)
    assert of(reader, "loss") == {0: 1.0, 2: 0.5}
    assert list(reader._odd["loss"].epochs) == [1]
    assert reader.diverged is None


# What is not finite


def losses(*values: float) -> LogReader:
    return seen(RecordWriter().write(*range(len(values)), loss=list(values)))


def test_the_first_epoch_that_is_not_finite_is_named_and_stays_so():
    writer = RecordWriter().write(*range(50), loss=[1 / (epoch + 1) for epoch in range(50)])
    for last in (60, 149, 5000):
        writer.write(*range(50, last + 1), loss=NAN)
        reader = seen(writer)
        assert reader.diverged == 50
        assert any(f"a loss that is no finite number, 50 to {last:,}" in said for said in reader.problems)
    writer.end()
    seen(writer)
    assert look(TrackedRun()).condition == "ended at epoch 5,000; diverged at epoch 50"


@pytest.mark.parametrize(
    ("values", "diverged", "words"),
    [
        ([1, 1, NAN, 1], None, "1 epoch has a loss that is no finite number, 2; it is not drawn."),
        ([float("inf"), 1, 1], None, "1 epoch has a loss that is no finite number, 0; it is not drawn."),
        ([NAN] * 3, 0, "3 epochs have a loss that is no finite number, 0 to 2; they are not drawn."),
        ([1, NAN, 1, NAN, NAN], 3, "3 epochs have a loss that is no finite number, 1 and 3 to 4; they are not drawn."),
        ([1, 1e290, 1e300], None, None),
        ([1, float("-inf")], 1, "1 epoch has a loss that is no finite number, 1; it is not drawn."),
        ([1, NAN] * 5 + [1], None, "5 epochs have a loss that is no finite number, 1, 3, 5 and others up to 9; they"),
    ],
)
def test_what_is_said_of_losses_that_are_not_finite(values, diverged, words):
    reader = losses(*values)
    assert reader.diverged == diverged
    assert [said for said in reader.problems if words and said.startswith(words)] if words else reader.problems == []


def test_a_validation_loss_that_is_not_finite_is_no_divergence():
    reader = seen(RecordWriter().write(*range(5), loss=1.0, validation_loss=[1.0, NAN, NAN, NAN, float("inf")]))
    assert reader.diverged is None
    assert reader.problems == ["4 epochs have a validation loss that is no finite number, 1 to 4; they are not drawn."]


def test_a_gradient_that_is_not_finite_takes_neither_the_loss_nor_the_other_layers_with_it():
    reader = seen(RecordWriter().write(0, loss=3.0, gradients=[1, 2]).write(1, loss=2.0, gradients=[float("inf"), 2]))
    assert of(reader, "loss") == {0: 3.0, 1: 2.0}
    assert np.array_equal(reader.history[-1].gradient_norms, [NAN, 2], equal_nan=True)
    assert reader.problems == ["1 epoch has a gradient that is no finite number, 1; it is not drawn."]


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 10))
def test_stretches_hold_the_epochs_that_are_not_finite_and_no_other(bad, pieces):
    found, bad = NotFinite("a loss"), np.array(bad)
    for start in range(0, len(bad), pieces):
        part = np.arange(start, min(start + pieces, len(bad)))
        found.note(part, bad[part])
    assert [i for first, last in found.stretches() for i in range(first, last + 1)] == np.flatnonzero(bad).tolist()
    assert len(found) == bad.sum()


# What was measured at some epochs only


def sparse() -> RecordWriter:
    """Gradients, activations and parameters at epochs 5, 10, 15 ... of 0 to 42."""
    writer = RecordWriter()
    for epoch in range(43):
        if epoch and epoch % 5 == 0:
            tables = {"gradients": [epoch, 2], "means": [0, 1, epoch], "parameters": np.arange(6) + epoch}
            writer.write(epoch, loss=1.0, **tables, batches=(2, 2))
        else:
            writer.write(epoch, loss=1.0)
    return writer


MEASURED = [5, 10, 15, 20, 25, 30, 35, 40]


def test_what_was_not_measured_is_not_known_and_what_was_is_at_its_epoch():
    reader = seen(sparse())
    assert {epoch: norms[0] for epoch, norms in of(reader, "gradient_norms").items()} == {e: e for e in MEASURED}
    assert list(of(reader, "mean_activations")) == list(of(reader, "parameters")) == MEASURED


def test_measurements_far_apart_are_all_in_sight_however_long_the_run():
    writer = RecordWriter()
    for start in range(0, 20_000, 1000):
        index = np.arange(start, start + 1000)
        writer.write(*index.tolist(), loss=1.0)
        writer.write(*index[3::97].tolist(), gradients=[1, 2])
    history = seen(writer).logged.of("gradient_norms")
    logged = [start + place for start in range(0, 20_000, 1000) for place in range(3, 1000, 97)]
    assert history.epochs().index.tolist() == logged


@pytest.mark.parametrize("epoch", [0, 4, 5, 12, 40, 42])
def test_bars_are_of_the_last_epoch_measured_and_say_so(epoch):
    sparse()
    watched = look(TrackedRun())
    watched.look_at(epoch)
    bars = GradientBars(watched)
    bars.draw(watched.frame())
    last = max((one for one in MEASURED if one <= epoch), default=None)
    norms = drawn(bars, "bars")["norm"]
    if last is None:
        assert np.isnan(norms).all()
        assert "not measured before epoch 5" in bars.caption
    else:
        assert norms == [last, 2]
        assert ("measured at epoch" in bars.caption) == (epoch != last)
        assert f"first ÷ last layer: {last / 2:g} (at epoch 5: 2.5)" in bars.caption
    assert "epoch 0" not in bars.caption
    assert "epoch 5" in bars.sources
    assert drawn(bars, "bars")["layer"] == list(LAYERS)


def test_curves_have_gaps_where_nothing_was_measured_and_dots_where_it_was():
    sparse()
    watched = look(TrackedRun())
    curves = LayerCurves(watched, log_x=False)
    curves.draw(watched.frame())
    line = drawn(curves, "line 0")
    known = {epoch: value for epoch, value in zip(line["epoch"], line["value"], strict=True) if value == value}
    assert known == {epoch: epoch for epoch in MEASURED}
    assert sorted({*range(43)} - {*MEASURED}) == [
        e for e, v in zip(line["epoch"], line["value"], strict=True) if v != v
    ]
    dots = drawn(curves, "measured")
    assert sorted(zip(dots["epoch"], dots["value"], strict=True)) == sorted(
        [(epoch, value) for epoch in MEASURED for value in (epoch, 2)]
    )
    assert "conv 40" in curves.caption
    assert "measured at epoch 40" in curves.caption
    watched.look_at(3)
    curves.draw(watched.frame())
    assert np.isnan(drawn(curves, "line 0")["value"]).all()
    assert drawn(curves, "cursor")["x0"] == [3]
    assert "not measured" in curves.caption


def test_the_activation_map_is_empty_where_nothing_was_measured_and_says_of_how_many_batches_it_is():
    sparse()
    watched = look(TrackedRun())
    picture = LoggedActivations(watched)
    picture.draw(watched.frame())
    image = drawn(picture, "means")["image"][0]
    assert np.flatnonzero(np.isfinite(image).any(axis=0)).tolist() == MEASURED
    assert image[0, 40] == 40
    assert picture.caption.startswith("1 dead in the 2 batches measured, 0 dim of 3 units")
    assert "measured at epoch 40" in picture.caption
    watched.look_at(2)
    picture.draw(watched.frame())
    assert picture.caption.startswith("0 dead")
    assert "3 not measured" in picture.caption
    assert drawn(picture, "dead")["x"] == []


def test_the_pace_of_a_layer_is_the_distance_over_the_epochs_in_between():
    sparse()
    watched = look(TrackedRun())
    ratios = UpdateRatios(watched, log_x=False)
    ratios.draw(watched.frame())
    line = drawn(ratios, "line 0")
    known = {epoch: value for epoch, value in zip(line["epoch"], line["value"], strict=True) if value == value}
    expected = {
        epoch: np.linalg.norm([5.0] * 4) / np.linalg.norm(np.arange(4) + epoch - 5) / 5 for epoch in MEASURED[1:]
    }
    assert known == pytest.approx(expected)


@pytest.mark.parametrize("every", [3, 10])
def test_epochs_that_were_not_logged_are_not_made_up(every):
    writer = RecordWriter()
    for epoch in range(every - 1, 100 * every, every):
        writer.write(epoch, loss=float(epoch), gradients=[1, 2])
    logged = list(range(every - 1, 100 * every, every))
    watched = look(TrackedRun())
    curve = LossCurve(watched)
    curve.draw(watched.frame())
    assert drawn(curve, "training") == {"epoch": logged, "loss": [float(epoch) for epoch in logged]}
    assert drawn(curve, "measured")["epoch"] == logged
    clock = clock_of(watched)
    clock.look_at(every * 5 + 1)
    assert watched.frame().epoch.index == every * 5 - 1
    clock.back()
    assert watched.frame().epoch.index == every * 4 - 1
    assert watched.readings(watched.frame())["epoch"] == f"{every * 4 - 1:,}"
    clock.reset()
    assert watched.frame().epoch.index == logged[0]


def test_a_loss_that_is_not_finite_leaves_a_gap_and_one_not_logged_is_read_where_it_was():
    RecordWriter().write(
        *range(10), loss=[1.0] * 7 + [NAN] + [1.0] * 2, validation_loss=[2.0, *[None] * 3] * 2 + [None] * 2
    )
    watched = look(TrackedRun())
    curve = LossCurve(watched)
    curve.draw(watched.frame())
    assert np.array_equal(drawn(curve, "training")["loss"], [1.0] * 7 + [NAN] + [1.0] * 2, equal_nan=True)
    held_out = drawn(curve, "validation")["loss"]
    assert np.array_equal(held_out, [2.0, NAN, NAN, NAN] * 2 + [NAN] * 2, equal_nan=True)
    assert (0, 2.0) in zip(*(drawn(curve, "measured")[name] for name in ("epoch", "loss")), strict=True)
    assert "validation 2 at epoch 4" in curve.caption
    assert watched.readings(watched.frame()) == {"epoch": "9", "loss": "1", "val. loss": "2 at 4"}


def test_pictures_that_follow_a_run_show_what_those_show_that_come_at_its_end():
    writer, followed = RecordWriter(), []
    for epoch in range(60):
        writer.write(epoch, loss=1 / (epoch + 1))
        if epoch == 0:
            writer.write(0, gradients=[1, 2], means=[1, 2, 3], parameters=[1] * 6)
            watched = look(TrackedRun())
            followed = [kind(watched) for kind in (LossCurve, GradientBars, LayerCurves, LoggedActivations)]
        if epoch % 7 == 3:
            writer.write(epoch, gradients=[epoch, 1], means=[0, 1, epoch], validation_loss=1.0)
        look(watched)
        for one in followed:
            one.draw(watched.frame())
    for one in followed:
        fresh = type(one)(watched)
        fresh.draw(watched.frame())
        assert one.caption == fresh.caption
        assert one.sources.keys() == fresh.sources.keys()
        for layer in fresh.sources:
            before, after = drawn(one, layer), drawn(fresh, layer)
            assert all(np.array_equal(before[name], after[name]) or repr(before) == repr(after) for name in after)


def test_a_layer_without_a_gradient_is_not_known_and_the_others_are():
    writer = RecordWriter()
    for epoch in range(4):
        writer.write(epoch, loss=1.0, gradients=[NAN, 2.0], known=np.array([False, True]))
    reader = seen(writer)
    assert reader.problems == []
    bars = GradientBars(look(TrackedRun()))
    assert np.array_equal(drawn(bars, "bars")["norm"], [NAN, 2.0], equal_nan=True)
    assert bars.caption == "1 of 2 layers measured"


def test_what_keeps_its_name_keeps_its_numbers_when_there_is_more_to_measure():
    writer = RecordWriter(layout=Layout(("a", "b")))
    writer.write(0, loss=1.0, gradients=[1, 2])
    writer.lay_out(Layout(("new", "a", "b"), (("h", 2),)))
    writer.write(1, loss=0.5, gradients=[7, 8, 9], means=[1, 2])
    norms = of(seen(writer), "gradient_norms")
    assert np.array_equal(norms[0], [NAN, 1, 2], equal_nan=True)
    assert norms[1] == [7, 8, 9]


def test_layers_that_are_left_out_are_reported_with_the_reason():
    writer = RecordWriter().write(0, loss=1.0).leave_out({"norm1": "no matrix", "norm2": "no matrix", "lstm": "tied"})
    assert seen(writer).problems == ["Not measured: norm1, norm2 (no matrix); lstm (tied)."]


def test_an_archived_run_knows_no_more_than_was_logged(tmp_path):
    sparse()
    watched = look(TrackedRun())
    again = TrackedRun.reopened(watched.recording("kept"))
    for store in (watched, again):
        bars = GradientBars(store)
        assert drawn(bars, "bars")["norm"] == [40, 2]
        assert "measured at epoch 40" in bars.caption


# How a run has ended


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("ended", "Ended at epoch 200."),
        ("stopped by KeyboardInterrupt", "Stopped by Ctrl-C; last logged epoch 200."),
        ("failed: ValueError: data ran out: ü", "Failed: ValueError: data ran out: ü; last logged epoch 200."),
        ("failed: RuntimeError: <img src=x>", "Failed: RuntimeError: <img src=x>; last logged epoch 200."),
        ("nonsense", "No longer reporting: killed, or its machine is off; last logged epoch 200."),
    ],
)
def test_the_page_says_how_a_run_has_ended_and_where(end, said):
    RecordWriter().write(0, 200, loss=1.0).end(end)
    page = Watch(look(TrackedRun()))
    assert page._list.said == said


def test_a_run_that_ended_before_it_logged_an_epoch_ended_at_none():
    RecordWriter().end()
    assert Watch(look(TrackedRun()))._list.said == "Ended."


def test_of_a_run_that_has_ended_there_is_nothing_to_follow():
    writer = RecordWriter().write(0, 1, 2, loss=1.0)
    watched = look(TrackedRun())
    clock = clock_of(watched)
    assert clock.playing
    writer.end()
    look(watched)
    assert not clock.playing
    clock.look_at(1)
    clock.play()
    assert watched.frame().epoch.index == 2


# Which run is the newest


def begun(created: str, name: str, key: str | None = None, **about: Any) -> RunLog:
    """A run log with this time of creation, written a second ago at the earliest."""
    writer = RecordWriter(name).write(0, loss=1.0)
    path = writer.run_log.folder / "about.json"
    logged = json.loads(path.read_text()) | {"created": created, **about}
    path.write_text(json.dumps(logged))
    if key:
        writer.run_log.folder.rename(writer.run_log.folder.with_name(key))
    return RunLog.found(key or writer.run_log.id)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-11-29T19:00:00+00:00", "2026-11-29T14:00:04-05:00"),
        ("2026-10-25T02:59:00+02:00", "2026-10-25T02:01:00+01:00"),
        ("2026-11-01T01:59:00-04:00", "2026-11-01T01:00:30-05:00"),
        ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"),
        ("2026-11-29T23:00:00+14:00", "2026-11-29T00:00:00-12:00"),
    ],
)
@pytest.mark.parametrize("ids", [("20261129-190000-aaaaaa", "20261129-140004-bbbbbb"), (None, None)])
def test_the_newest_run_is_the_one_that_began_last_whatever_the_time_zones(earlier, later, ids):
    begun(later, "second", ids[1])
    begun(earlier, "first", ids[0])
    watched = look(TrackedRun())
    assert [entry.name for entry in watched.entries] == ["second", "first"]
    assert RunLog.found(watched.chosen).name == "second"


def test_a_run_from_a_clock_that_is_fast_is_no_newer_than_its_file():
    fast = begun("2036-01-01T00:00:00+00:00", "fast")
    os.utime(fast.folder / "about.json", (time.time() - 60,) * 2)
    begun("2026-11-29T00:00:00+00:00", "old")
    with_now = RecordWriter("now").write(0, loss=1.0)
    assert [entry.name for entry in look(TrackedRun()).entries] == ["now", "fast", "old"]
    assert with_now.run_log.id == look(TrackedRun()).chosen


@pytest.mark.parametrize("ahead", [7200.0, -7200.0, 1e9, 0.0])
def test_a_run_of_another_machine_runs_as_long_as_it_gives_signs_whatever_its_clock(ahead, monkeypatch):
    far = begun("2026-11-29T00:00:00+00:00", "far", host="another machine")
    status, now = far.folder / "status", time.time()

    def sign(count: int, seconds_ago: float) -> None:
        status.write_bytes(Status(count, 0, 1.0, "", now - seconds_ago + ahead).packed())
        os.utime(status, (now - seconds_ago + ahead,) * 2)

    sign(1, 3600)
    assert far.state() == run_log.KILLED, "dead for an hour, and never seen alive"
    sign(2, 0)
    assert far.state() == run_log.LIVE
    monkeypatch.setattr(time, "time", lambda: now + run_log.HEARTBEAT_TIMEOUT_S + 1)
    assert far.state() == run_log.KILLED


def test_runs_that_are_deleted_are_those_that_began_first():
    for hour, zone in ((1, "+14:00"), (2, "-12:00"), (3, "+00:00"), (4, "-05:00")):
        begun(f"2026-11-2{hour}T00:00:00{zone}", f"{hour}", f"2026112{9 - hour}-000000-aaaaa{hour}", pid=2**22 + 1)
    broken = begun("yesterday", "broken")
    (broken.folder / "about.json").write_text("{")
    RecordWriter("new")
    assert run_log.prune(3) == 2
    names = [entry.name for entry in look(TrackedRun()).entries if entry.state != DAMAGED]
    assert names == ["new", "4", "3"]
    assert broken.folder.exists()


# Damage


def fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: fill(path, b""),
    "text": lambda path: fill(path, b"yesterday"),
    "noise": lambda path: fill(path, np.random.default_rng(0).bytes(5000)),
    "zeros": lambda path: fill(path, bytes(5000)),
    "a list": lambda path: fill(path, b"[1, 2]"),
    "numbers for all": lambda path: fill(
        path,
        b'{"format": 2, "name": 5, "created": 1e999, "pid": 99999999999999999, "born": 1, "host": 0, "network": {}}',
    ),
    "odd parts": lambda path: fill(
        path,
        b'{"format": 2, "name": "\\ud800\\u0000", "created": "9999-12-31T23:59:59+00:00", "pid": 0, "born": "", '
        b'"host": "far", "network": {"sizes": [1e400, "x"], "l1": "much", "task": 3, "activations": 7}}',
    ),
    "odd words": lambda path: fill(
        path,
        b'{"format": 3, "name": "odd", "created": "", "pid": 1, "born": "", "host": "far", "network": {}, '
        b'"config": [1, {"a": 1e999}], "tags": 7}',
    ),
    "deep": lambda path: fill(path, b"[" * 100_000),
    "huge": lambda path: os.truncate(path, 2**33),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to zeros": lambda path: path.symlink_to("/dev/zero"),
    "closed": lambda path: (fill(path, b"{}"), path.chmod(0)),
    "gone": lambda path: None,
    "no number": lambda path: fill(path, Status(5, 4, NAN, "", NAN).packed()),
    "an odd end": lambda path: fill(path, Status(5, 4, 1.0, "exploded \x00 badly", 1e300).packed()),
}


def damaged(path: Path, kind: str) -> None:
    if kind == "huge":
        path.touch()
        DAMAGE[kind](path)
        return
    path.unlink()
    DAMAGE[kind](path)


@pytest.mark.parametrize("file", ["about.json", "status", "epochs.feed", "data.npz"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_hides_no_other_and_is_quiet(file, kind, caplog, place):
    good = RecordWriter("good").write(*range(5), loss=1.0).end()
    time.sleep(0.01)
    bad = RecordWriter("bad").write(*range(5), loss=1.0)
    (bad.run_log.folder / "data.npz").write_bytes(b"PK\3\4")
    before = look(TrackedRun())
    damaged(bad.run_log.folder / file, kind)
    for watched in (
        before,
        TrackedRun(),
        TrackedRun(WatchSettings(feed=bad.run_log.id)),
        TrackedRun(WatchSettings(feed=good.run_log.id)),
    ):
        page = Watch(watched)
        for _ in range(3):
            look(watched)
            page.draw(watched.frame(), watched.version)
            json.dumps(page._list.items).encode()
            page._list.said.encode()
    assert "good" in [entry.name for entry in watched.entries]
    assert look(TrackedRun(WatchSettings(feed=good.run_log.id))).frame().epoch.index == 4
    assert caplog.records == []
    if file == "about.json" and kind not in ("gone", "a link to nothing", "numbers for all", "odd parts"):
        assert next(entry for entry in watched.entries if entry.id == bad.run_log.id).state == DAMAGED
        assert any(bad.run_log.id in said for said in watched.problems)


def test_the_date_of_one_run_takes_nothing_else_down(caplog):
    bad = begun("yesterday", "bad", "20261130-235959-abcdef", host="elsewhere", pid=7)
    good = RecordWriter("good").write(0, loss=1.0)
    watched = look(TrackedRun())
    assert {entry.name for entry in watched.entries} == {"bad", "good"}
    assert watched.chosen in (bad.id, good.run_log.id)
    assert caplog.records == []


@pytest.mark.parametrize("what", ["a file for the folder", "a folder that is closed", "a folder of nothing"])
def test_a_folder_that_is_none_hides_no_run(what, place):
    good = RecordWriter("good").write(0, loss=1.0)
    odd = place / "live" / "20261130-235959-abcdef"
    odd.touch() if what.startswith("a file") else odd.mkdir()
    if "closed" in what:
        odd.chmod(0)
    assert [entry.name for entry in look(TrackedRun()).entries if entry.state != DAMAGED] == ["good"]
    assert look(TrackedRun()).chosen == good.run_log.id
    RecordWriter("another")
    shutil.rmtree(odd, ignore_errors=True)


@pytest.mark.parametrize(
    "rest", [b"", b"DLf2rubbish that is longer than a head", record(run_log.EPOCHS, b"none of it")]
)
def test_what_was_read_before_the_damage_stays(rest):
    writer = RecordWriter().write(*range(7), loss=1.0)
    size = writer.run_log.records.stat().st_size
    with writer.run_log.records.open("ab") as file:
        file.write(rest)
    reader = seen(writer)
    assert list(of(reader, "loss")) == list(range(7))
    assert [f"after byte {size:,}" in said for said in reader.problems] == [True] * bool(rest)


def test_a_record_that_is_cut_off_is_reported_once_the_run_is_over():
    writer = RecordWriter().write(*range(7), loss=1.0)
    with writer.run_log.records.open("ab") as file:
        file.write(record(run_log.MESSAGE, run_log.packed_words("a sentence"))[:-5])
    assert seen(writer).problems == []
    writer.end()
    assert "breaks off" in seen(writer).problems[0]
    assert list(of(seen(writer), "loss")) == list(range(7))


@pytest.fixture(autouse=True)
def _no_tails() -> Iterator[None]:
    yield
    LogReader._all.clear()
