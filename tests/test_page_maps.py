"""The page of maps: every pixel is a run that opens bit for bit, from whichever axes, and can be looked at closer."""

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.models import HoverTool

from dashboard.instruments import map_picture
from dashboard.instruments.map_picture import MapPicture
from dashboard.instruments.numerals import SPARKS
from dashboard.pages.maps import Maps
from dashboard.shell.app import App
from dashboard.state import run_map
from dashboard.state.map_axes import AXES, DEPTH, WIDTH
from dashboard.state.map_theory import theory_lines
from dashboard.state.run import Run, Setup
from dashboard.state.run_map import RunMap, settings_of, training_of
from dashboard.state.settings import FAMILIES, Settings
from dashboard.state.workers import Workers
from dashboard.storage.tables import OWN, TABLES, Table
from dashboard.widgets.map_bar import MapBar
from engine.datasets import DATASETS
from engine.sweep import MEASURES, Sweep

PATIENCE_S = 60
SMALL = {"side": 16, "epochs": 20}


@cache
def one_thread() -> Executor:
    """A worker of this process: others would have to start first."""
    return ThreadPoolExecutor(1)


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_map, "workers", lambda: Workers(one_thread()))


def app_of(query: dict[str, object] | None = None) -> App:
    """The page as a link opens it, with a small map."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in (query or {}).items()}
    run, problems = Maps.opened({"side": "16", "epochs": "20", **texts})
    assert not problems
    return App(run, "maps")


def computed(app: App) -> MapPicture:
    """The map, when it is done and drawn."""
    app.run.study.start(app.run.settings)
    return waited(app)


def waited(app: App) -> MapPicture:
    wait_for(lambda: not app.run.study.busy)
    drawn(app)
    return next(one for one in app.shown.shown if isinstance(one, MapPicture))


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def drawn(app: App) -> None:
    while app.is_behind():
        app.draw()


def image(picture: MapPicture) -> np.ndarray:
    return np.asarray(picture.sources["map"].data["image"][0])


# Axes


def settings_for(name: str) -> Settings:
    """Settings of which a number is one: with the optimizer, dataset and so on that have it."""
    for choice, family in FAMILIES.items():
        for member in family:
            settings = Settings(n=40, **{choice: member})
            if not AXES[name].misfit(settings):
                return settings
    return Settings(n=40)


@pytest.mark.parametrize("name", AXES)
def test_a_run_has_the_value_of_its_axis_and_the_bounds_of_each_can_be_trained(name):
    axis, settings = AXES[name], settings_for(name)
    for value in axis.between(*axis.usual).values(5).tolist():
        values = {**settings.values(), name: int(value) if axis.is_whole else value}
        made = Settings(**settings_of(values))
        assert axis.value_of(made) == pytest.approx(value)
        training_of(values).advance(1)


@pytest.mark.parametrize("name", AXES)
def test_an_axis_lies_within_what_a_setting_may_be(name):
    axis = AXES[name]
    assert axis.bounds[0] <= axis.usual[0] < axis.usual[1] <= axis.bounds[1]
    assert axis.usual[0] > 0 or not axis.is_log
    assert axis.label


def test_depth_and_width_together_make_a_rectangle_of_layers():
    base = RunMap(x=WIDTH, y=DEPTH).base(Settings(hidden=[5, 9]))
    assert settings_of({**base, WIDTH: 3, DEPTH: 4})["hidden"] == [3, 3, 3, 3]
    assert settings_of({**base, WIDTH: 3, DEPTH: 0})["hidden"] == []
    assert RunMap(x=WIDTH).base(Settings(hidden=[5, 9]))["hidden"] == [1, 1]
    assert settings_of({**RunMap(x=DEPTH).base(Settings(hidden=[5, 9])), DEPTH: 3})["hidden"] == [9, 9, 9]


# The map


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dataset": "blobs", "batch_size": 7, "validation": 0.25, "optimizer": "momentum"},
        {"dataset": "sine", "learning_rate": 0.01, "standardize": True, "l2": 0.01},
        {"format": 1, "seed": 3, "data_seed": 5, "schedule": "step"},
        {"features": ["x1", "x1^2", "sin x2"]},
    ],
    ids=str,
)
def test_the_run_of_a_pixel_is_that_of_the_map_bit_for_bit(changes):
    settings = Settings(n=40, hidden=[5], initializer="normal", **changes)
    found = RunMap(side=16, epochs=12)
    sweep = found.new(settings, one_thread())
    for _ in sweep.run():
        pass
    found.sweep = sweep
    pixels = [(0, 0), (7, 11), (15, 15)]
    for column, row in pixels:
        training = Setup.of(Settings(**found.settings_at(column, row))).training(
            Settings(**found.settings_at(column, row))
        )
        measured = sweep.measured(training)
        for name in found.measures:
            expected = [sweep.values(name, mark)[row, column] for mark in found.marks]
            if sweep.computed[row, column]:
                np.testing.assert_array_equal(measured[name], expected)


def test_own_data_go_along_to_the_workers():
    data = DATASETS["moons"](n=40, noise=0.1, seed=3)
    table = Table.of(data)
    settings = Settings(n=40, hidden=[4], initializer="normal")
    settings.take(table)
    assert settings.dataset == OWN
    values = {**RunMap().base(settings), "learning_rate": 0.1, "std": 1.0}
    trained = training_of(values, table=table)
    assert len(trained.data.x) == 40 - round(settings.validation * 40)
    assert settings.own == TABLES.hold(table)


def test_what_trains_nothing_and_what_varies_makes_no_other_map():
    found, settings = RunMap(), Settings()
    same = [{"speed": 500}, {"stop_epoch": 7}, {"learning_rate": 3.0}, {"std": 0.2}]
    other = [{"seed": 5}, {"hidden": [4]}, {"data_seed": 3}, {"l2": 0.1}, {"optimizer": "adam"}]
    key = found.key(settings)
    for change in same:
        assert found.key(Settings(**change)) == key
    for change in other:
        assert found.key(Settings(**change)) != key


def test_a_finished_map_is_known_to_the_next_one_on_the_folder(monkeypatch):
    app = app_of()
    first = image(computed(app))
    app.close()

    def fails(*_: object) -> None:
        raise AssertionError("a pixel was computed again")

    monkeypatch.setattr(run_map, "training_of", training_of)
    monkeypatch.setattr(Sweep, "_send", lambda self: self._plan() if not self._tile() else fails())
    again = app_of()
    np.testing.assert_array_equal(image(computed(again)), first)
    again.close()


def test_other_axes_show_the_whole_of_their_map():
    found = RunMap(windows=[[0.001, 10, 0.01, 10], [0.1, 1, 0.1, 1]])
    assert found.window == [0.1, 1, 0.1, 1]
    found.x = "noise"
    assert found.windows == []
    found.param.update(x="learning_rate", windows=[[0.1, 1, 0.1, 1]])
    assert found.windows


def test_a_way_in_leads_out_again():
    found = RunMap()
    whole = list(found.window)
    found.look_closer([0.1, 1, 0.1, 1])
    found.look_closer([0.2, 0.5, 0.2, 0.5])
    assert found.windows == [whole, [0.1, 1, 0.1, 1], [0.2, 0.5, 0.2, 0.5]]
    found.go_out(1)
    assert found.window == [0.1, 1, 0.1, 1]
    found.go_out(0)
    assert (found.windows, list(found.window)) == ([], whole)


@pytest.mark.parametrize(
    ("choices", "settings", "words"),
    [
        ({"x": "std"}, {}, "two different ones"),
        ({"x": "momentum"}, {}, "Choose momentum, nesterov"),
        ({"x": "turns"}, {}, "“Turns” is not a number of moons"),
        ({"x": "width"}, {"hidden": []}, "no hidden layer"),
        ({"windows": [[0.1, 1, 5, 50]]}, {}, "cannot go from 5 to 50"),
        (
            {"x": "width", "y": "depth", "windows": [[1, 128, 1, 24]]},
            {},
            "cannot be computed: the map has no run at width = 1",
        ),
    ],
)
def test_an_impossible_map_says_why_and_what_would_do(choices, settings, words):
    found = RunMap(**{"y": "std", **choices})
    found.start(Settings(initializer="normal", **settings))
    wait_for(lambda: not found.busy)
    assert words in found.message
    assert not found.busy
    assert found.sweep is None


@pytest.mark.parametrize(
    "text", ["5", "[5]", "[[1, 2, 3]]", '[["a", 1, 0, 1]]', "[[2, 1, 0, 1]]", "[[true, 2, 0, 1]]", "[[NaN, 2, 0, 1]]"]
)
def test_a_link_with_impossible_windows_is_explained(text):
    run, problems = Maps.opened({"windows": text})
    assert len(problems) == 1
    assert "windows" in problems[0]
    assert run.study.windows == []


def test_a_map_that_takes_long_asks_first(monkeypatch):
    monkeypatch.setattr(run_map, "LONG_S", 0.0)
    app = app_of()
    study = app.run.study
    study.start(app.run.settings)
    waited(app)
    assert "would take" in study.message
    assert study.progress is None
    study.start(app.run.settings)
    waited(app)
    assert study.is_done
    app.close()


def test_a_map_that_is_stopped_goes_on_from_there():
    app = app_of({"side": 64, "epochs": 200})
    study = app.run.study
    study.start(app.run.settings)
    wait_for(lambda: bool(study.progress and study.progress.pixels))
    study.cancel()
    assert not study.busy
    sweep, known = study.sweep, study.progress.pixels
    study.start(app.run.settings)
    assert study.sweep is sweep
    assert study.busy
    wait_for(lambda: study.progress.pixels > known)
    app.close()
    study.cancel()


def test_a_folder_that_cannot_be_written_costs_nothing_but_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "maps").write_text("a file in the place of the folder")
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path))
    app = app_of()
    picture = computed(app)
    assert np.isfinite(image(picture)).any()
    assert "memory" in app.run.study.message
    app.close()


def test_an_error_of_a_worker_is_said_and_loses_nothing(monkeypatch):
    app = app_of()

    def broken(self: Sweep, timeout: float = 0.2) -> Iterator[object]:
        raise RuntimeError("workers died")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(Sweep, "run", broken)
        app.run.study.start(app.run.settings)
        waited(app)
    assert "stopped by an error: workers died" in app.run.study.message
    app.run.study.start(app.run.settings)
    waited(app)
    assert app.run.study.is_done
    app.close()


# The picture


def test_a_click_opens_the_run_of_the_pixel_which_ends_at_its_value():
    app = app_of()
    played = []
    app.shown.play = lambda: played.append(1)
    app.run.advance(10)
    picture = computed(app)
    rows, columns = np.nonzero(app.run.study.sweep.computed)
    row, column = rows[len(rows) // 2], columns[len(rows) // 2]
    picture.tapped(column + 0.2, row + 0.9)
    assert played == [1]
    assert app.run.settings.stop_epoch == 20
    assert app.run.history[-1].index == 0
    app.run.advance(50)
    drawn(app)
    assert app.run.history[-1].index == 20
    assert app.run.history[-1].loss == app.run.study.sweep.values("loss")[row, column]
    here = picture.sources["here"].data
    assert (int(here["x"][0]), int(here["y"][0])) == (column, row)
    assert here["color"][0] == app.run.history[-1].loss
    assert app.run.study.is_of(app.run.settings)
    assert len(app.run.left)  # what was left comes back by undo
    app.close()


def test_a_click_beside_the_map_or_before_there_is_one_opens_nothing():
    app = app_of()
    picture = next(one for one in app.shown.shown if isinstance(one, MapPicture))
    before = app.run.settings.values()
    picture.tapped(3, 3)
    computed(app)
    for x, y in ((-1, 3), (3, 16.5), (16, 3)):
        picture.tapped(x, y)
    assert app.run.settings.values() == before
    app.close()


def test_a_box_is_the_next_window_and_its_pixels_lie_within():
    app = app_of()
    picture = computed(app)
    edges = 10 ** np.linspace(-3, 1, 17)
    picture._look_closer(SimpleNamespace(x0=4, x1=8, y0=0, y1=16))
    x_low, x_high, y_low, y_high = app.run.study.window
    assert [x_low, x_high] == pytest.approx([edges[4], edges[8]], rel=0.02)
    assert [y_low, y_high] == pytest.approx([0.01, 10])
    picture = waited(app)
    drawn(app)
    assert app.run.study.sweep.x[0] >= x_low
    assert app.run.study.sweep.x[-1] <= x_high
    picture._look_closer(SimpleNamespace(x0=20, x1=30, y0=0, y1=16))
    assert len(app.run.study.windows) == 2
    app.close()


@pytest.mark.parametrize("name", ["learning_rate", "noise", "width", "depth", "seed"])
def test_places_along_a_side_are_those_of_the_values(name):
    axis = AXES[name]
    values = axis.between(*axis.usual).values(16)
    for place, value in enumerate(values):
        assert map_picture._position(axis, values, value) == pytest.approx(place + 0.5)
    assert math.isnan(map_picture._position(axis, values, axis.usual[1] * 1.5))
    for place, label in map_picture._ticks(axis, values):
        assert 0 <= place <= len(values)
        assert map_picture._position(axis, values, float(label)) == pytest.approx(place, abs=1e-6)
    assert 3 <= len(map_picture._ticks(axis, values)) <= 12


def test_narrow_windows_have_ticks_too():
    axis = AXES["learning_rate"]
    values = axis.between(0.3211, 0.3219).values(32)
    places = [place for place, _ in map_picture._ticks(axis, values)]
    assert len(places) >= 3
    assert all(0 <= place <= 32 for place in places)


def test_the_pointer_reads_the_values_of_its_pixel():
    app = app_of()
    picture = computed(app)
    (tool,) = picture.figure.select(HoverTool)
    listed = json.loads(tool.formatters["$x"].code.split("= ")[1].split("\n")[0])
    assert listed == pytest.approx(app.run.study.sweep.x, rel=1e-5)
    app.close()


def test_the_pointer_shows_what_a_run_came_to_at_every_mark():
    app = app_of({"epochs": 40})
    picture = computed(app)
    sweep, data = app.run.study.sweep, picture.sources["map"].data
    assert sweep.marks == (10, 30, 40)
    levels = np.stack([data[f"mark{place}"][0] for place in range(3)])
    losses = np.stack([sweep.values("loss", mark) for mark in sweep.marks])
    infinite = np.isposinf(losses)
    assert (levels[infinite] == len(SPARKS) - 1).all()
    order = np.argsort(losses[~infinite])
    assert (np.diff(levels[~infinite][order].astype(int)) >= 0).all(), "a higher loss has no lower bar"
    assert {levels[~infinite].min(), levels[~infinite].max()} == {1, len(SPARKS) - 2}
    (tool,) = picture.figure.select(HoverTool)
    assert tool.tooltips[-1] == ("at epochs 10, 30, 40", "@mark0{custom}@mark1{custom}@mark2{custom}")
    assert SPARKS in tool.formatters["@mark0"].code
    app.close()


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in run_map.COSTLY])
def test_every_measure_is_drawn_as_it_was_measured(name):
    app = app_of({"measure": name, "validation": 0.25})
    picture = computed(app)
    expected = app.run.study.sweep.values(name).astype(np.float32)
    np.testing.assert_array_equal(image(picture), expected)
    low, high = picture.ranges(app.run.frame())["color"]
    assert low < high
    app.run.view.map_epoch = 10
    drawn(app)
    np.testing.assert_array_equal(image(picture), app.run.study.sweep.values(name, 10).astype(np.float32))
    app.close()


def test_the_sharpness_is_measured_where_it_is_asked_for():
    assert "sharpness" not in RunMap().measures
    app = app_of({"measure": "sharpness", "epochs": 5, "n": 20, "hidden": [2]})
    assert np.isfinite(image(computed(app))).any()
    app.close()


def test_a_frame_of_the_run_sends_no_map():
    app = app_of()
    picture = computed(app)
    sent = []
    picture.sources["map"].on_change("data", lambda attr, old, new: sent.append(new))
    app.run.advance(5)
    drawn(app)
    assert picture.shown == 5
    assert not sent
    app.close()


# The bar


def test_the_bar_starts_stops_and_leads_out():
    app = app_of()
    bar = app.shown._study_bar
    assert isinstance(bar, MapBar)
    assert "not computed yet" in bar._words.object
    bar._press(None)
    waited(app)
    assert bar._words.object.endswith("done")
    assert bar._button.disabled
    app.run.study.look_closer([0.1, 1.0, 0.1, 1.0])
    waited(app)
    labels = [button.label for button in bar._way.objects]
    assert labels == ["The whole map", "0.1 to 1 × 0.1 to 1"]
    bar._way.objects[0].clicks += 1
    assert app.run.study.windows == []
    app.close()


def test_a_step_of_the_story_sets_its_map_and_nothing_leaks_into_the_next():
    app = app_of()
    for preset in Maps.presets:
        app.run.study.look_closer([0.2, 0.3, 0.2, 0.3])
        app.shown.choose(preset)
        app.run.study.cancel()
        expected = {**RunMap().values(), **preset.study}
        assert app.run.study.values() == expected
        opened, _ = Maps.opened({"step": str(Maps.presets.index(preset) + 1)})
        assert opened.study.values() == expected
        assert opened.settings.values() == {**app.run.settings.values()}
        assert not opened.study.misfit(opened.settings)
    app.close()


def test_a_link_leads_to_the_same_map():
    app = app_of({"x": "noise", "y": "l2", "measure": "accuracy"})
    app.run.study.look_closer([0.1, 0.2, 1e-4, 1e-2])
    opened, problems = Maps.opened(app.shown.query())
    assert not problems
    assert opened.study.values() == app.run.study.values()
    reopened = Maps.reopened(app.shown.recording("mine"))
    assert isinstance(reopened, Run)
    assert reopened.study.values() == app.run.study.values()
    app.close()


# What the page says


@cache
def values_of(label: str, side: int = 12, window: tuple[float, ...] = ()) -> tuple[Sweep, np.ndarray]:
    """The map of a step of the story, or a window of it, computed as a coarse one."""
    (preset,) = [preset for preset in Maps.presets if preset.label == label]
    found, settings = RunMap(**preset.study), Settings(**{**Maps.defaults, **preset.changes})
    across, up = found.axes
    x_low, x_high, y_low, y_high = window or found.window
    sweep = Sweep(
        (across.between(x_low, x_high), up.between(y_low, y_high)),
        found.base(settings),
        measures=(found.measure,),
        epochs=found.epochs,
        size=(side, side),
        marks=found.marks,
        make=partial(training_of, table=None),
        executor=one_thread(),
        tolerance=None,
    )
    for _ in sweep.run():
        pass
    return sweep, sweep.values(found.measure, preset.view.get("map_epoch"))


def says(label: str, sentence: str) -> None:
    (preset,) = [preset for preset in Maps.presets if preset.label == label]
    assert sentence in preset.doc


def test_larger_starts_want_smaller_rates():
    says("Rate against start", "the larger the first weights, the smaller the rate that still trains")
    says("Rate against start", "they end on the plateau at ln 2")
    sweep, losses = values_of("Rate against start")
    trains = [float(sweep.x[np.flatnonzero(row < 0.5)[-1]]) for row in losses if (row < 0.5).any()]
    assert np.corrcoef(np.arange(len(trains)), np.log(trains))[0, 1] < -0.5
    assert losses[-1, -3:] == pytest.approx([math.log(2)] * 3, abs=1e-3)
    assert (losses[4, :3] > losses[4, 6:8].max() + 0.2).all()


def test_the_border_is_no_line():
    says("Closer to the border", "Single pixels on the wrong side of the border show that it is no line")
    _, losses = values_of("Closer to the border", 16)
    trained = losses < 0.4
    changes = (trained[:, 1:] != trained[:, :-1]).sum(axis=1)
    assert (changes > 1).any()


def test_one_unit_learns_nothing_and_wider_layers_have_one_best_rate():
    says("Rate against width", "One unit a layer learns nothing at any rate")
    says("Rate against width", "near a rate of 1.5")
    sweep, losses = values_of("Rate against width")
    assert losses[0].min() > 0.69
    wide = losses[sweep.y >= 8]
    assert np.median(sweep.x[wide.argmin(axis=1)]) == pytest.approx(1.5, rel=0.1)
    assert wide.min(axis=1).max() < 0.11


def test_sigmoids_lose_the_gradient_layer_by_layer():
    says("Depth of sigmoids", "at small rates two thirds with one hidden layer, less than a thousandth with eight")
    sweep, ratios = values_of("Depth of sigmoids")
    small = ratios[0]
    assert small[sweep.x == 1] == pytest.approx([2 / 3], abs=0.05)
    assert (small[sweep.x >= 8] < 1e-3).all()


def test_small_batches_have_a_smaller_best_rate_and_come_further():
    says("Batches against rate", "their best rate is smaller, and they come further with it")
    sweep, losses = values_of("Batches against rate")
    best = sweep.x[losses.argmin(axis=1)]
    assert best[0] < best[-1]
    assert losses[0].min() < losses[-1].min()


def test_signals_reach_six_correlation_depths():
    says("How deep signals reach", "six correlation depths of mean-field theory, down to which they train")
    sweep, losses = values_of("How deep signals reach", 8)
    (line,) = [line for line in theory_lines(sweep) if line.label == "6 ξ"]
    reach = np.interp(sweep.x, line.x, line.y)
    ordered = sweep.x < 1.1
    expected = sweep.y[:, None] < reach[None, ordered]
    assert ((losses[:, ordered] < 0.5) == expected).mean() > 0.75
    deepest = [sweep.y[np.flatnonzero(column < 0.5)].max(initial=0) for column in losses.T]
    assert max(deepest[:2]) < max(deepest[3:6])


def test_within_the_fractal_border_there_are_more_borders():
    """Of n = 8 and 100 steps, about half of the square trains."""
    says("A fractal border", "there are more borders")
    sweep, trained = values_of("A fractal border", 24)
    assert 0.4 < trained.mean() < 0.65
    alone = np.abs(np.diff(trained, axis=1)).sum(axis=1)  # how often a row changes
    row = int(alone.argmax())
    column = int(np.flatnonzero(np.diff(trained[row]))[-1])
    x, y = (np.log10(values) for values in (sweep.x, sweep.y))
    pitch = x[1] - x[0]
    window = [float(10**end) for place in (x[column], y[row]) for end in (place - 2 * pitch, place + 2 * pitch)]
    _, closer = values_of("A fractal border", 24, tuple(window))
    changes = np.abs(np.diff(closer, axis=1)).sum(axis=1)
    assert changes.max() >= 3


def test_the_runs_of_the_fractal_border_are_those_of_its_formula():
    """y = W1 tanh(sqrt2 W0 x / sqrt n) / n with a rate for W0 and one for W1, descended by hand."""
    (preset,) = [preset for preset in Maps.presets if preset.label == "A fractal border"]
    settings = Settings(**{**Maps.defaults, **preset.changes})
    found, n, rates = RunMap(**preset.study), 8, (3.0, 40.0)
    training = training_of({**found.base(settings), "first_rate": rates[0], "last_rate": rates[1]})
    x, y = training.data.x, training.data.y
    w0 = training.network.weights[0] * math.sqrt(n / 2)
    w1 = training.network.weights[1][:, 0] * n
    losses = training.advance(40).loss
    for loss in losses:
        hidden = np.tanh(math.sqrt(2 / n) * x @ w0)
        missing = hidden @ w1 / n - y
        assert (missing**2).mean() == pytest.approx(loss, rel=1e-6)
        back = 2 * missing[:, None] / len(y) * w1 / n * (1 - hidden**2) * math.sqrt(2 / n)
        w0, w1 = w0 - rates[0] * x.T @ back, w1 - rates[1] * hidden.T @ (2 * missing / len(y)) / n


# Theory


def test_the_edge_at_epoch_0_is_where_the_first_steps_turn_round():
    """On a quadratic the loss falls below the line and grows above it: of linear regression, exactly."""
    settings = Settings(dataset="linear teacher", n=40, hidden=[], loss="mse", learning_rate=0.1, validation=0.0)
    found = RunMap(x="learning_rate", y="seed", side=16, epochs=200, windows=[[0.05, 2.0, 0, 15]])
    sweep = found.new(settings)
    (line,) = theory_lines(sweep)
    for rate, seed in zip(line.x, line.y, strict=True):
        for factor, falls in ((0.98, True), (1.02, False)):
            training = training_of({**found.base(settings), "learning_rate": rate * factor, "seed": int(seed)})
            late = training.advance(2000).loss
            assert (late[-1] < late[0]) == falls


@pytest.mark.parametrize("changes", [{"optimizer": "adam"}, {"batch_size": 5}])
def test_where_there_is_no_edge_no_line_is_drawn(changes):
    settings = Settings(n=40, initializer="normal", **changes)
    assert theory_lines(RunMap(side=16).new(settings)) == []


def test_lines_of_theory_are_drawn_where_their_values_are():
    app = app_of({"initializer": "gaussian", "x": "sigma_w", "y": "depth", "activation": "tanh", "hidden": [4, 4]})
    app.run.study.windows = [[0.7, 1.9, 1, 12]]
    picture = computed(app)
    (line,) = app.run.study.theory
    assert line.label == "6 ξ"
    drawn_x, drawn_y = (picture.sources["theory"].data[name][0] for name in ("xs", "ys"))
    seen = np.isfinite(drawn_y)
    assert seen.any()
    low, high = np.log10([0.7, 1.9])
    values = 10 ** (low + np.asarray(drawn_x)[seen] / 16 * (high - low))
    assert values == pytest.approx(line.x[seen], rel=1e-9)
    assert np.interp(line.y[seen], app.run.study.sweep.y, np.arange(len(app.run.study.sweep.y)) + 0.5) == pytest.approx(
        np.asarray(drawn_y)[seen]
    )
    assert picture.sources["names"].data["text"] == ["6 ξ"]
    app.close()
