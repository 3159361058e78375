"""Laws of every picture, read off its sources: it moves with the run, and streaming draws what drawing anew would."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, GlyphRenderer

from dashboard import instruments
from dashboard.instruments.activation_map import COLUMNS, ActivationMap
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.pages import PAGES
from dashboard.run import Run
from dashboard.settings import Settings

for _module in iter_modules(instruments.__path__):
    import_module(f"{instruments.__name__}.{_module.name}")

KINDS = {kind.__name__: kind for kind in Instrument.__subclasses__()}
RUNS: dict[str, dict[str, Any]] = {
    "binary": {},
    "four points": {"dataset": "xor4"},
    "classes": {"dataset": "blobs", "activation": "tanh"},
    "regression": {"dataset": "sine", "learning_rate": 0.01},
    "no hidden layer": {"dataset": "linear", "hidden": []},
    "deep": {"hidden": [4] * 12, "activation": "sigmoid"},
}
Sources = list[dict[str, list[np.ndarray]]]


def run_of(name: str) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [5, 4], **RUNS[name]}))


PAIRS = [(kind, name) for name in RUNS for kind in KINDS if KINDS[kind].suits(run_of(name).frame())]
every_pair = pytest.mark.parametrize(("kind", "name"), PAIRS)


def sources(instrument: Instrument) -> Sources:
    """A copy of everything in the figure's sources, layer by layer."""
    layers = [part.data_source for part in instrument.figure.renderers if isinstance(part, GlyphRenderer)]
    return [{name: [np.array(one) for one in column] for name, column in source.data.items()} for source in layers]


def same(a: Sources, b: Sources) -> bool:
    return len(a) == len(b) and all(
        one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
        for one, other in zip(a, b, strict=True)
    )


def _equal(column: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Numbers to 1e-9, for sums that are taken in another order where the rows are others; texts exactly."""
    if [one.shape for one in column] != [one.shape for one in other]:
        return False
    pairs = zip(column, other, strict=True)
    return all(
        bool((x == y).all()) if x.dtype.kind == "U" else np.allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)
        for x, y in pairs
    )


def survey(instrument: Instrument) -> None:
    """Do all the heavy work that waits, and draw what it gave."""
    frame = instrument.run.frame()
    for _ in instrument.work(frame) or ():
        pass
    instrument.draw(frame)


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every patch that is sent from here on."""
    sent: list[Any] = []
    patch = ColumnDataSource.patch
    monkeypatch.setattr(ColumnDataSource, "patch", lambda self, new, *more: (sent.append(new), patch(self, new, *more)))
    return sent


def test_every_kind_of_picture_suits_some_run_or_what_a_page_shows_instead_of_one():
    running = {kind for kind, _ in PAIRS}
    shown = {slot for page in PAGES.values() if page.store is not Run for slot in page.instruments}
    others = {kind.__name__ for slot in shown for kind in slot}
    assert running | others >= set(KINDS)
    assert len(PAIRS) >= 6 * len(RUNS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_picture_asks_a_question_and_says_how_to_read_it(kind):
    assert kind.title
    assert kind.question.endswith("?")
    assert kind.reading.endswith(".")
    assert set(kind.controls) <= set(kind.param)


@every_pair
def test_every_picture_moves_when_the_run_advances(kind, name):
    run = run_of(name)
    instrument = KINDS[kind](run)
    survey(instrument)
    before, caption = sources(instrument), instrument.caption
    run.advance(30)
    survey(instrument)
    assert not same(before, sources(instrument))
    assert instrument.caption
    assert instrument.caption != caption or kind in ("ActivationMap", "DecisionMap")


@every_pair
def test_drawing_the_same_frame_again_changes_nothing(kind, name):
    run = run_of(name)
    run.advance(10)
    instrument = KINDS[kind](run)
    survey(instrument)
    before = sources(instrument)
    for _ in range(3):
        instrument.draw(run.frame())
    assert same(before, sources(instrument))


@every_pair
@pytest.mark.parametrize("steps", [[1] * 25, [7, 300, 1, 240, 500, 30]])
def test_a_streamed_picture_is_the_one_drawn_anew(kind, name, steps):
    """Also beyond 200 and 512 epochs, where pictures are thinned, and with heavy work done on the way."""
    run = run_of(name)
    streamed = KINDS[kind](run)
    for i, step in enumerate(steps):
        run.advance(step)
        streamed.draw(run.frame())
        if i % 3 == 1:
            survey(streamed)
    fresh = KINDS[kind](run)
    for instrument in (streamed, fresh):
        survey(instrument)
    assert same(sources(streamed), sources(fresh))


@every_pair
def test_a_fresh_start_draws_what_a_new_picture_would(kind, name):
    run = run_of(name)
    instrument = KINDS[kind](run)
    run.advance(40)
    survey(instrument)
    run.reset()
    instrument.draw(run.frame())
    assert same(sources(instrument), sources(KINDS[kind](run)))
    survey(instrument)
    run.advance(1)
    instrument.draw(run.frame())
    assert instrument.figure is instrument.pane.object


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _ in PAIRS))
def test_every_run_can_follow_every_other_in_the_same_picture(kind):
    run = run_of(next(name for other, name in PAIRS if other == kind))
    instrument = KINDS[kind](run)
    for other in RUNS:
        settings = {"n": 40, "hidden": [5, 4], "validation": 0.25, "learning_rate": 0.1, "activation": "relu"}
        run.settings.param.update(**{**settings, "dataset": "moons", **RUNS[other]})
        run.advance(3)
        frame = run.frame()
        if instrument.suits(frame):
            instrument.draw(frame)
            fresh = KINDS[kind](run)
            for one in (instrument, fresh):
                survey(one)
            assert same(sources(instrument), sources(fresh))


@every_pair
def test_the_columns_of_a_source_are_equally_long(kind, name):
    run = run_of(name)
    instrument = KINDS[kind](run)
    for _ in range(3):
        run.advance(5)
        instrument.draw(run.frame())
        survey(instrument)
        for source in sources(instrument):
            assert len({len(column) for column in source.values()}) == 1


@every_pair
def test_ranges_hold_what_is_drawn(kind, name):
    run = run_of(name)
    instrument = KINDS[kind](run)
    for _ in range(5):
        run.advance(100)
        instrument.draw(run.frame())
        for axis in (instrument.figure.x_range, instrument.figure.y_range):
            assert np.isfinite([axis.start, axis.end]).all()
            assert axis.start < axis.end


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("diverging", ["regression", "classification"])
@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_run_that_diverges_can_be_shown(kind, diverging, pieces):
    fate = {"dataset": "sine", "activation": "linear"} if diverging == "regression" else {"activation": "relu"}
    settings = Settings(n=40, hidden=[8, 8, 8], initializer="large", learning_rate=10.0, loss="mse", **fate)
    run = Run(settings)
    if not KINDS[kind].suits(run.frame()):
        return
    instrument = KINDS[kind](run)
    for _ in range(30):
        run.advance(pieces)
        instrument.draw(run.frame())
        survey(instrument)
    for axis in (instrument.figure.x_range, instrument.figure.y_range):
        assert np.isfinite([axis.start, axis.end]).all()
    assert instrument.caption


@pytest.mark.parametrize("layer", [0, 1])
def test_the_loss_curve_has_every_epoch_once(layer):
    run = run_of("binary")
    instrument = LossCurve(run)
    for _ in range(100):
        run.advance(3)
        instrument.draw(run.frame())
    curve = sources(instrument)[layer]
    history = run.history.kept()
    assert [int(epoch) for epoch in curve["epoch"]] == list(range(301))
    np.testing.assert_array_equal(curve["loss"], (history.loss, history.validation_loss)[layer])


def test_a_logarithmic_loss_curve_shows_the_same_losses():
    run = run_of("binary")
    run.advance(20)
    instrument = LossCurve(run)
    before = sources(instrument)
    instrument.log = True
    assert same(before, sources(instrument))
    assert instrument.figure.y_range.start > 0


def test_gradient_bars_are_as_high_as_the_norms():
    run = run_of("deep")
    instrument = GradientBars(run)
    run.advance(20)
    instrument.draw(run.frame())
    bars = next(source for source in sources(instrument) if "top" in source)
    np.testing.assert_array_equal(bars["top"], run.history[-1].gradient_norms)


def test_the_activation_map_has_a_row_for_every_unit_and_a_column_for_every_epoch():
    run = run_of("binary")
    instrument = ActivationMap(run)
    run.advance(50)
    instrument.draw(run.frame())
    image = sources(instrument)[0]["image"][0]
    means = run.history.kept().mean_activations
    assert image.shape == (9, COLUMNS)
    np.testing.assert_allclose(image[::-1, :51], means.T, rtol=1e-6)
    assert np.isnan(image[:, 51:]).all()


def test_a_few_new_columns_are_sent_alone_and_give_the_whole_image(patches):
    run = run_of("binary")
    patched = ActivationMap(run)
    for _ in range(40):
        run.advance(4)
        patched.draw(run.frame())
    assert len(patches) == 40
    assert all(patch["image"][0][0][2].stop - patch["image"][0][0][2].start <= 5 for patch in patches)
    assert same(sources(patched), sources(ActivationMap(run)))


def test_an_image_that_stays_the_same_is_not_sent(patches, monkeypatch):
    run = run_of("binary")
    instrument = ActivationMap(run)
    image = instrument.figure.renderers[0].data_source
    before = image.data["image"][0]
    instrument.draw(run.frame())
    assert patches == []
    assert image.data["image"][0] is before


def test_a_path_on_the_landscape_has_every_epoch_once_after_a_new_surface():
    run = run_of("binary")
    instrument = LossLandscape(run)
    for _ in range(4):
        run.advance(10)
        instrument.draw(run.frame())
        survey(instrument)
    path = next(source for source in sources(instrument) if "nearness" in source or "distance" in source)
    assert [int(epoch) for epoch in path["epoch"]] == list(range(41))


def test_a_surface_that_was_begun_for_another_run_is_not_shown():
    run = run_of("binary")
    instrument = LossLandscape(run)
    work = instrument.work(run.frame())
    next(work)
    run.settings.seed = 3
    instrument.draw(run.frame())
    for _ in work:
        pass
    instrument.draw(run.frame())
    assert instrument.work(run.frame()) is not None
    assert "surveying" in instrument.caption
