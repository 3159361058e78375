"""What a program logs under names of its own arrives as it was logged, and is shown as that."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.export.static_page import static_page
from dashboard.instruments.layer_bands import LayerBands
from dashboard.instruments.layer_statistics import ROWS, LayerStatistics
from dashboard.instruments.logged_metrics import LoggedMetrics
from dashboard.pages import PAGES
from dashboard.shell.app import App
from dashboard.storage.run_archive import RunArchive
from dashboard.tracking import log_writer, logbook, named_records, run_log
from dashboard.tracking.layer_rows import in_order, scores, unusual_first
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.logbook import Logbook, Series
from dashboard.tracking.logger import Logger, watch
from dashboard.tracking.metric_lines import Logged, split, time_unit
from dashboard.tracking.run_log import RunLog
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings, WatchView

HOSTILE = "<img src=x onerror=alert(1)> $$x$$ :material/home:"
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    return tmp_path / "home"


def seen(lab: Logger) -> LogReader:
    """A reader that has read all of a run."""
    if lab._writer.is_mine:
        lab._writer.flush()
    reader = LogReader(RunLog.found(lab.id))
    assert not reader.damage
    return reader


def shown(lab: Logger) -> TrackedRun:
    """The store that shows a run."""
    if lab._writer.is_mine:
        lab._writer.flush()
    return TrackedRun(WatchSettings(feed=lab.id), WatchView())


def test_any_metric_arrives_at_its_epoch_as_it_was_logged():
    with watch("mine") as lab:
        for epoch in range(6):
            lab.log(epoch, loss=1.0, f1=epoch / 10, inner={"a": -epoch})
        lab.log(3, f1=0.9)
        lab.log(9, f1=float("nan"), other=np.float32(0.5))
    book = seen(lab).logbook
    assert set(book.metrics) == {"f1", "inner.a", "other"}
    assert book.metrics["f1"].index.tolist() == [0, 1, 2, 3, 4, 5, 9]
    assert book.metrics["f1"].values[:-1].tolist() == [0, 0.1, 0.2, 0.9, 0.4, 0.5]
    assert np.isnan(book.metrics["f1"].values[-1])
    assert book.metrics["inner.a"].values.tolist() == [0, -1, -2, -3, -4, -5]
    assert (book.metrics["other"].index.tolist(), book.metrics["other"].values.tolist()) == ([9], [0.5])


def test_usual_names_mean_the_numbers_that_every_run_has():
    with watch("mine") as lab:
        lab.log(0, train_loss=4.0, val_loss=3.0, acc=0.25, val_acc=0.5, lr=0.1)
        lab.log(1, 2.0, train_loss=7.0)
    epochs = seen(lab).history.epochs()
    assert epochs.loss.tolist() == [4, 2]
    assert [getattr(epochs, name)[0] for name in ("validation_loss", "accuracy", "validation_accuracy")] == [
        3,
        0.25,
        0.5,
    ]
    assert epochs.learning_rate[0] == 0.1
    assert list(seen(lab).logbook.metrics) == ["train_loss"], "given beside the loss itself it is a number of its own"


def test_a_metric_alone_is_an_epoch_and_a_step_counts_as_one():
    with watch("mine") as lab:
        lab.log(step=10, f1=1.0)
        lab.log(step=20, f1=2.0)
    reader = seen(lab)
    assert reader.history.epochs().index.tolist() == [10, 20]
    own = Logged(reader.logged, reader.logbook)
    assert own.is_by_step
    assert own.names == ["f1"]


NO_NUMBERS = {"text": "low", "object": object(), "list": [1, 2], "none": None, "empty": {}, "nested": {"a": object()}}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_said_and_raises_nothing(value, caplog):
    with watch("mine") as lab:
        lab.log(0, loss=1.0, odd=value)
        lab.log(1, loss=0.5)
    reader = seen(lab)
    assert reader.history.epochs().loss.tolist() == [1, 0.5]
    assert not reader.logbook.metrics
    assert bool(reader.problems) == (value not in (None, {}))
    assert not caplog.records


def test_of_too_many_names_the_first_are_kept_and_it_is_said():
    with watch("mine") as lab:
        lab.log(0, **{f"m{i}": i for i in range(named_records.MAX_METRICS + 5)})
    reader = seen(lab)
    assert list(reader.logbook.metrics) == [f"m{i}" for i in range(named_records.MAX_METRICS)]
    assert "names of metrics" in reader.problems[0]


def test_notes_config_and_tags_are_kept_as_plain_text():
    with watch(
        "mine", config={"lr": 0.1, "deep": {"name": HOSTILE, "on": True}, "f": len}, tags=["a", HOSTILE, "a"]
    ) as lab:
        lab.log(4, loss=1.0)
        lab.note("rate dropped")
        lab.note(HOSTILE * 20, epoch=2)
    reader = seen(lab)
    assert [(note.epoch, note.kind) for note in reader.logbook.notes] == [(4, "note"), (2, "note")]
    assert reader.logbook.notes[0].words == "rate dropped"
    assert len(reader.logbook.notes[1].words) <= named_records.MAX_NOTE
    found = reader.run_log
    assert found.tags == ("a", HOSTILE[: len(found.tags[1])])
    assert (found.config["lr"], found.config["deep.on"], found.config["deep.name"]) == (0.1, True, HOSTILE)


def test_a_config_that_cannot_be_read_stops_nothing():
    class Odd:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError("no")

    with watch("mine", config=Odd(), tags=3) as lab:
        lab.log(0, loss=1.0)
    reader = seen(lab)
    assert len(reader.history) == 1
    assert "config cannot be shown" in reader.problems[0]


def test_a_run_log_of_format_2_has_no_names_and_is_read_as_before():
    with watch("old") as lab:
        lab.log(0, loss=1.0)
    about = RunLog.found(lab.id).folder / "about.json"
    stored = json.loads(about.read_bytes())
    about.write_text(
        json.dumps({name: stored[name] for name in stored if name not in ("config", "tags")} | {"format": 2})
    )
    found = RunLog.found(lab.id)
    assert (found.config, found.tags, seen(lab).history[0].loss) == ({}, (), 1.0)


def test_an_epoch_lies_in_time_between_the_moments_at_which_it_was_known(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(log_writer.time, "monotonic", lambda: now[0])
    with watch("mine") as lab:
        monkeypatch.setattr(lab._writer, "_began", 100.0)
        for epoch in range(1, 4):
            now[0] = 100.0 + 10 * epoch
            lab.log(10 * epoch, loss=1.0)
            lab._writer.flush()
        reader = seen(lab)
    assert reader.logbook.seconds(np.array([10, 15, 30])).tolist() == [10, 15, 30]
    assert np.isnan(reader.logbook.seconds(np.array([9, 31]))).all()


@given(st.lists(st.tuples(st.integers(0, 50), numbers), min_size=1, max_size=60))
def test_a_series_is_in_order_and_keeps_the_last_word(entries):
    series, known = Series(), {}
    for start in range(0, len(entries), 7):
        some = entries[start : start + 7]
        series.add(np.array([index for index, _ in some]), np.array([value for _, value in some]))
        known |= dict(some)
    assert dict(zip(series.index.tolist(), series.values.tolist(), strict=True)) == known
    assert series.index.tolist() == sorted(known)


def test_a_long_series_keeps_its_ends_and_counts_what_it_drops():
    series = Series(100)
    for start in range(0, 1000, 10):
        series.add(np.arange(start, start + 10), np.arange(start, start + 10) * 1.0)
    assert len(series) <= 100
    assert (series.index[0], series.index[-1]) == (0, 999)
    assert (series.index == series.values).all()
    assert series.dropped + len(series) == 1000


@given(st.binary(max_size=80), st.sampled_from(named_records.KINDS))
def test_rubbish_in_a_record_of_names_is_damage_and_nothing_else(rubbish, kind):
    book = Logbook()
    with suppress(ValueError, KeyError, TypeError, IndexError, named_records.struct.error):
        book.take(kind, rubbish)
    assert not book


def test_names_that_are_cut_alike_are_not_mixed():
    names = [f"start.{'x' * 40}.{i}.{'y' * 60}" for i in range(2)]
    with watch("mine") as lab:
        lab.log(0, gradients={names[0]: 1.0, names[1]: 2.0})
    reader = seen(lab)
    assert reader.logbook.measured("gradient", 0)[0].tolist() == [1.0]
    assert "too long" in " ".join(reader.problems)


@pytest.mark.parametrize(
    ("name", "group", "part"),
    [
        ("f1", "f1", "training"),
        ("train_f1", "f1", "training"),
        ("val/f1", "f1", "validation"),
        ("eval.loss_a", "loss_a", "validation"),
        ("test_f1", "f1", "test"),
        ("value", "value", "training"),
        ("val_", "val_", "training"),
    ],
)
def test_a_metric_belongs_to_a_part_of_the_data(name, group, part):
    assert split(name) == (group, part)


@pytest.mark.parametrize(
    ("seconds", "unit"), [(3, "seconds"), (600, "minutes"), (9000, "hours"), (float("nan"), "hours")]
)
def test_times_are_read_in_a_unit_that_suits_them(seconds, unit):
    assert time_unit(seconds)[0] == unit


def test_unusual_layers_come_first_and_unknown_ones_not_at_all():
    values = np.array([1.0, 1.1, np.nan, 1e-9, 0.9, 0.0])
    names = list("abcdef")
    assert [row.name for row in unusual_first(names, values, True, 3)] == ["f", "d", "b"]
    assert {row.name for row in unusual_first(names, values, True, 99)} == set("abdef")
    assert scores(np.array([5.0, 5.0, 5.0, 6.0]), False).argmax() == 3


@given(st.integers(1, 400))
def test_groups_of_the_module_tree_fit_and_leave_nothing_out(blocks):
    names = ["embed", *(f"blocks.{i}.{part}" for i in range(blocks) for part in ("norm", "mlp.0", "mlp.2"))]
    values = np.arange(len(names), dtype=float)
    rows = in_order(names, values, 24)
    assert len(rows) <= 24
    assert sorted(place for row in rows for place in row.places) == list(range(len(names)))
    assert all(row.low <= row.middle <= row.high for row in rows)


def trained(lab: Logger, epochs: int = 30) -> None:
    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        lab._sampler.rest_until = 0.0
        lab.log(
            epoch,
            loss=1 / (epoch + 1),
            f1=epoch / 30,
            val_f1=epoch / 60,
            step=epoch * 8,
            gradients={"body.0": [1.0, epoch], HOSTILE: [0.0]},
            activations={"body.1": np.maximum(rng.normal(size=(20, 4)), 0) * [0, 1, 1, 1]},
        )


def test_a_metric_is_drawn_with_its_validation_over_any_axis_and_smoothed_over_what_was_logged():
    with watch("mine") as lab:
        trained(lab)
        lab.note(HOSTILE, epoch=7)
        picture = LoggedMetrics(shown(lab))
        assert picture.metric == "f1"
        data = picture.sources["training"].data
        assert list(data["value"]) == [epoch / 30 for epoch in range(30)]
        assert list(picture.sources["validation"].data["value"]) == [epoch / 60 for epoch in range(30)]
        picture.axis = "step"
        assert list(picture.sources["training"].data["epoch"]) == [epoch * 8 for epoch in range(30)]
        assert list(picture.sources["notes"].data["x0"]) == [56]
        assert list(picture.sources["notes"].data["words"]) == [HOSTILE]
        picture.smoothing = 5
        raw = picture.sources["training, as logged"].data["value"]
        assert list(raw) == [epoch / 30 for epoch in range(30)]
        smooth = np.array(picture.sources["training"].data["value"])
        weights = 0.5 ** (np.arange(30)[::-1] / 5)
        assert smooth[-1] == pytest.approx((weights * raw).sum() / weights.sum(), rel=1e-9)
        picture.run.look_at(10)
        picture.draw(picture.run.frame())
        assert len(picture.sources["training"].data["value"]) == 11


def test_a_metric_that_comes_later_joins_the_menu():
    with watch("mine") as lab:
        trained(lab, 3)
        store = shown(lab)
        picture = LoggedMetrics(store)
        lab.log(3, recall=0.5)
        lab._writer.flush()
        store._reader._looked = -1
        store.poll()
        picture.draw(store.frame())
        assert list(picture.param["metric"].objects)[-1] == "recall"


def test_layers_are_drawn_under_their_names_and_picked_with_a_click():
    with watch("mine") as lab:
        trained(lab)
        store = shown(lab)
        rows, bands = LayerStatistics(store), LayerBands(store)
        assert list(rows.sources["layers"].data["layer"]) == [HOSTILE, "body.0"], "the one without a gradient first"
        assert rows.figure.yaxis[0].major_label_overrides[0].text.endswith(HOSTILE[-20:])
        rows.quantity = "dead share"
        assert list(rows.sources["layers"].data["value"]) == [0.25]
        assert bands.layer == "body.1"
        assert list(bands.sources["median"].data["epoch"]) == list(range(30))
        low, high = (np.array(bands.run.logbook.statistics[name].values)[:, 2] for name in ("low", "high"))
        outline = np.array(bands.sources["nine tenths"].data["y"])
        assert outline == pytest.approx(np.concatenate([low, high[::-1]]))
        rows.tapped(0.5, 0)
        assert store.view.layer == "body.1"
        for picture in (rows, bands):
            assert "<img" not in str(picture.caption)


def test_of_thousands_of_layers_the_unusual_ones_are_readable_and_the_rest_is_counted():
    with watch("deep") as lab:
        norms = {f"stage.{i // 50}.block.{i % 50}": 1.0 + 0.001 * (i % 7) for i in range(900)}
        lab.log(0, gradients=norms | {"stage.3.block.7": 1e-8})
        picture = LayerStatistics(shown(lab))
    assert len(picture.sources["layers"].data["layer"]) == ROWS
    assert picture.sources["layers"].data["layer"][0] == "stage.3.block.7"
    assert f"{900 - ROWS:,} left out" in picture.caption
    picture.order = "module tree"
    assert list(picture.sources["layers"].data["layer"])[3] == "stage.3.block (50 layers)"
    assert "left out" not in picture.caption


def test_runs_lie_over_one_another_and_one_that_is_gone_is_left_out():
    with watch("first") as first, watch("second") as second:
        trained(first, 5)
        trained(second, 9)
        second._writer.flush()
        store = shown(first)
        store.view.over = [second.id, "20200101-000000-abcdef", first.id]
        store.poll()
        picture = LoggedMetrics(store)
        assert list(picture.sources["run 1: training"].data["value"]) == [epoch / 30 for epoch in range(9)]
        assert len(picture.sources["training"].data["value"]) == 5
        assert "run 2: training" not in picture.sources
        assert "second training" in picture.caption


def test_the_page_shows_what_was_logged_under_names():
    with watch("mine") as lab:
        trained(lab)
    app = App(page="watch")
    while app.is_behind():
        app.draw()
    kinds = {type(one).__name__ for one in app.shown.shown}
    assert {"LoggedMetrics", "LayerStatistics", "LayerBands"} <= kinds
    app.workspace.leave()


def test_a_run_log_stays_below_its_limit_with_many_metrics(place):
    writer = log_writer.LogWriter(RunLog.begun("many"), limit=200_000)
    for epoch in range(4000):
        writer.take((epoch, 1, 1.0, *[np.nan] * 4))
        writer.take_metrics(epoch, {f"m{i}": float(i) for i in range(20)})
        if epoch % 50 == 0:
            writer.flush()
    writer.close()
    assert writer.run_log.records.stat().st_size < 400_000
    reader = LogReader(writer.run_log)
    assert any("only some epochs were written" in said for said in reader.said)
    assert set(run_log.READABLE) == {1, 2, 3}


def test_the_table_of_runs_says_what_each_is_and_lays_others_over_the_chosen_one():
    labs = []
    for place in range(3):
        with watch(f"run {place}", config={"width": place, "bad": HOSTILE}, tags=["try", f"t{place}"]) as lab:
            trained(lab, 4 + place)
        labs.append(lab)
    app = App(page="watch")
    page, store = app.shown, app.run
    newest = store.chosen
    others = [item["id"] for item in page._list.items if item["id"] != newest]
    item = next(item for item in page._list.items if item["title"] == "run 1")
    assert (item["tags"], item["epoch"]) == (["try", "t1"], 4)
    assert item["config"] == ["width = 1", f"bad = {HOSTILE}"]
    for key in others:
        page._list._handle_msg({"over": key})
    store.poll()
    while app.is_behind():
        app.draw()
    app.draw()
    assert set(page._list.over) == set(others)
    assert len(set(page._list.over.values())) == 2
    picture = next(one for one in page.shown if isinstance(one, LoggedMetrics))
    assert {"run 1: training", "run 2: validation"} <= set(picture.sources)
    page._list._handle_msg({"over": others[0]})
    page._list._handle_msg({"over": "<b>"})
    store.poll()
    assert [key for _, key, _ in store.overlaid] == others[1:]
    app.workspace.leave()


def test_many_runs_are_kept_until_a_user_has_them_deleted(monkeypatch):
    monkeypatch.setattr(run_log, "USUAL_ENDED_RUNS", 2)
    for place in range(5):
        with watch(f"run {place}") as lab:
            lab.log(0, loss=1.0)
    app = App(page="watch")
    assert (len(app.shown._list.items), app.shown._list.many) == (5, 3)
    monkeypatch.setattr("dashboard.pages.watch.threading.Thread", Now)
    app.shown._list._handle_msg({"delete": "old"})
    assert len([*run_log.run_logs()]) == 2
    app.workspace.leave()


class Now:
    """A thread that runs at once."""

    def __init__(self, target, args, daemon):
        self.start = lambda: target(*args)


def test_alerts_come_once_with_the_epoch_on_the_page_and_to_the_program(monkeypatch):
    heard = []
    with watch("mine", on_alert=lambda words, epoch: heard.append((epoch, words))) as lab:
        for epoch in range(12):
            lab._sampler.rest_until = 0.0
            alive = np.ones((4, 3)) * (epoch < 8)
            lab.log(
                epoch, loss=1.0 if epoch < 9 else 50.0, f1=np.nan if epoch > 5 else 0.1, activations={"body": alive}
            )
        lab.log(12, loss=float("nan"))
        lab.log(13, loss=float("nan"))
    epochs, words = zip(*heard, strict=True)
    assert epochs == (6, 8, 9, 12)
    assert "f1 is nan" in words[0] and "layer body has died" in words[1]
    assert "from about 1 to 50" in words[2] and "loss is nan" in words[3]
    notes = seen(lab).logbook.notes
    assert [(note.epoch, note.words, note.kind) for note in notes] == [(*one, "alert") for one in heard]
    app = App(page="watch")
    assert app.shown._list.alerts == 4
    assert "Alert at epoch 9: the loss jumped" in app.shown._list.said
    app.workspace.leave()


def test_what_the_program_raises_at_an_alert_is_said_and_not_passed_on():
    def fails(words: str, epoch: int) -> None:
        raise ValueError(HOSTILE)

    with watch("mine", on_alert=fails) as lab:
        lab.log(0, loss=float("inf"))
        lab.log(1, loss=2.0)
    reader = seen(lab)
    assert reader.history.epochs().loss[-1] == 2.0
    assert any("on_alert failed" in said for said in reader.problems)


def test_arrays_are_measured_at_every_so_many_epochs_and_numbers_at_all():
    with watch("mine", every=4) as lab:
        for epoch in range(10):
            lab.log(epoch, loss=1.0, f1=epoch, gradients={"a": [1.0]})
    reader = seen(lab)
    assert reader.logged.of("gradient_norms").epochs().index.tolist() == [0, 4, 8]
    assert reader.logbook.metrics["f1"].index.tolist() == list(range(10))
    assert len(reader.history) == 10


@pytest.mark.parametrize("wrong", [{"every": "often"}, {"share": 5}, {"share": None}, {"every": -3}], ids=str)
def test_a_density_that_is_none_is_the_usual_one(wrong):
    with watch("mine", **wrong) as lab:
        lab.log(0, loss=1.0, gradients={"a": [1.0]})
    assert seen(lab).logbook.layers == ("a",)


def logged_by_name() -> Logger:
    """A run that logged something of every kind."""
    with watch("mine", config={"width": 3, "rate": float("inf")}, tags=["try", HOSTILE]) as lab:
        for epoch in range(30):
            outputs = {"a.b": np.arange(6.0).reshape(3, 2) * epoch}
            lab.log(epoch, loss=1.0, f1=epoch / 7, activations=outputs, gradients={"a.b": 1.0, "c": 2.0})
            if epoch % 10 == 3:
                lab.log(epoch, val_f1=float("nan"))
                lab._writer.flush()
        lab.note(HOSTILE, epoch=4)
        lab.log(30, loss=float("inf"))
    return lab


def same_book(one: Logbook, other: Logbook) -> None:
    for name in ("metrics", "statistics"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert list(ours) == list(theirs) and ours
        for key, series in ours.items():
            np.testing.assert_array_equal(series.index, theirs[key].index)
            np.testing.assert_array_equal(series.values, theirs[key].values)
    assert (one.layers, one.notes) == (other.layers, other.notes)
    np.testing.assert_array_equal(one.moments.values, other.moments.values)


def test_a_kept_run_has_what_was_logged_by_name_and_what_the_program_said_of_it():
    store = shown(logged_by_name())
    assert {note.kind for note in store.logbook.notes} == {"note", "alert"}
    assert len(store.logbook.moments) > 0
    kept = RunArchive().keep(store.recording())
    RunArchive().rename(kept.id, "renamed")
    again = TrackedRun.reopened(RunArchive().load(kept.id), WatchView())
    same_book(store.logbook, again.logbook)
    assert again.about == store.about == (("try", run_log.text(HOSTILE, 50)), {"width": 3, "rate": "inf"})
    assert again.condition.startswith("kept recording of renamed; tagged try, ")
    assert again.condition.endswith("; width = 3; rate = inf")
    twice = TrackedRun.reopened(again.recording(), WatchView())
    same_book(again.logbook, twice.logbook)
    assert twice.about == again.about
    page = App(again, "watch").shown
    shows = {type(card.instrument) for card in page.cards if card.instrument}
    assert {LoggedMetrics, LayerStatistics, LayerBands} <= shows


def test_a_kept_run_of_an_older_version_opens_without_what_it_lacks():
    recording = shown(logged_by_name()).recording()
    older = {key: recording.notes["watched"][key] for key in ("layout", "validates")}
    again = TrackedRun.reopened(replace(recording, extras={}, notes={"kind": "watched", "watched": older}))
    assert not again.logbook and again.about == ((), {})
    np.testing.assert_array_equal(again.history.epochs().loss, recording.epochs.loss)
    assert again.condition == "kept recording of mine"


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-1], lambda packed: b"?" * len(packed)], ids=["cut", "other"]
)
def test_a_kept_run_whose_logbook_is_damaged_is_refused(damage):
    recording = shown(logged_by_name()).recording()
    packed = np.frombuffer(damage(recording.extras["logbook"].tobytes()), np.uint8)
    with pytest.raises(ValueError, match="logged by name cannot be read"):
        TrackedRun.reopened(replace(recording, extras={"logbook": packed}))


def test_of_a_long_logbook_every_so_many_values_are_kept_and_the_newest(monkeypatch):
    book = shown(logged_by_name()).logbook
    monkeypatch.setattr(logbook, "MAX_PACKED_BYTES", 2 * 16 * 10 * len(book.metrics))
    again = Logbook.unpacked(book.packed())
    assert again.metrics["f1"].index.tolist() == list(range(2, 30, 3))
    assert again.notes == book.notes
    series = again.statistics["gradient"]
    assert 0 < len(series) < len(book.statistics["gradient"])
    assert series.index[-1] == book.statistics["gradient"].index[-1]


def test_a_page_that_plays_by_itself_shows_what_a_kept_run_logged_by_name():
    file = static_page(PAGES["watch"], shown(logged_by_name()).recording(), 4).decode()
    for picture in (LoggedMetrics, LayerStatistics, LayerBands):
        assert f"<h2>{picture.title}</h2>" in file
    assert HOSTILE not in file
