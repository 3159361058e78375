"""Laws of every picture, read off its sources: it moves with the run, and streaming draws what drawing anew would.

To declare a picture takes most of a law's time. Each is declared once for each kind of run, and then begun again and
again on other runs of that kind: two laws below say that this is as good as a new picture.
"""

import csv
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from io import StringIO
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
from dashboard.instruments.study_curves import StudyCurves
from dashboard.instruments.theory_curves import TheoryCurves
from dashboard.pages import PAGES
from dashboard.pages.page import Page
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.widgets.save_menu import as_csv, rows_of

for _module in iter_modules(instruments.__path__):
    import_module(f"{instruments.__name__}.{_module.name}")


def kinds_of(kind: type[Instrument]) -> Iterator[type[Instrument]]:
    """Every picture that derives from a kind; what only others derive from has no title of its own."""
    for other in kind.__subclasses__():
        if other.__module__.startswith(instruments.__name__):
            if "title" in vars(other) or not other.__subclasses__():
                yield other
            yield from kinds_of(other)


KINDS = {kind.__name__: kind for kind in kinds_of(Instrument)}
RUNS: dict[str, dict[str, Any]] = {
    "binary": {},
    "four points": {"dataset": "xor4"},
    "classes": {"dataset": "blobs", "activation": "tanh"},
    "regression": {"dataset": "sine", "learning_rate": 0.01},
    "no hidden layer": {"dataset": "linear", "hidden": []},
    "deep": {"hidden": [4] * 12, "activation": "sigmoid"},
    "many features": {"dataset": "sparse parity"},
    "many features, a regression": {"dataset": "teacher"},
    "many classes": {"dataset": "modular addition", "modulus": 7, "validation": 0.6},
}
WORDLESS = {name for name, kind in KINDS.items() if issubclass(kind, StudyCurves) and kind is not StudyCurves}
"""They speak of a study, which these runs do not have, and of a number that not every run has."""

STEADY = {
    "ActivationMap",
    "DecisionMap",
    "GradientBars",
    "LinearInterpolation",
    "ActivationSwap",
    "UnitPlane",
    *WORDLESS,
}
"""What they say may stay the same for some epochs: a wall of 0, a ratio in two digits, how many units are silent."""

OF_A_MAP = {"BorderRoughness"}
"""It shows nothing of the run, but the border of a map, which these runs do not have."""

DEAD = {"UnitSizes", "UnitPlane"}
STILL = {
    "Ten sigmoid layers": {"ActivationCurve", "PreActivationMap"},
    **{
        preset.label: DEAD
        for preset in PAGES["dead"].presets
        if "bias −" in preset.label and "ReLU" not in preset.label
    },
}
"""Pictures that a preset leaves as they are: where no gradient arrives, and of what is dead."""

Sources = list[dict[str, list[np.ndarray]]]


def run_of(name: str) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [5, 4], **RUNS[name]}))


FRAMES = {name: run_of(name).frame() for name in RUNS}
PAIRS = [(kind, name) for kind in KINDS for name in RUNS if KINDS[kind].suits(FRAMES[name])]
every_pair = pytest.mark.parametrize(("kind", "name"), PAIRS, scope="module")
"""All laws of a pair come one after the other, so that one of several processes declares its picture, not each."""


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
    for worker in instrument.workers:
        for _ in worker.work(frame) or ():
            pass
    instrument.draw(frame)


class New:
    """A picture that has just been declared: what it draws at first, and three epochs later."""

    def __init__(self, kind: str, name: str) -> None:
        run = run_of(name)
        self.instrument = KINDS[kind](run)
        self.first = sources(self.instrument)
        run.advance(3)
        survey(self.instrument)
        self.later = sources(self.instrument)


new = cache(New)


def picture(kind: str, name: str, run: Run) -> Instrument:
    """A picture of a run, declared before for another one of its kind."""
    return begun(new(kind, name).instrument, run)


def begun(instrument: Instrument, run: Run) -> Instrument:
    """The picture, begun anew on a run."""
    instrument.run = run
    instrument.redraw()
    return instrument


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every patch that is sent from here on."""
    sent: list[Any] = []
    patch = ColumnDataSource.patch
    monkeypatch.setattr(ColumnDataSource, "patch", lambda self, new, *more: (sent.append(new), patch(self, new, *more)))
    return sent


def test_every_kind_of_picture_suits_some_run_or_what_a_page_shows_instead_of_one():
    running = {kind for kind, _ in PAIRS}
    pages = [page for page in PAGES.values() if page.store is not Run or page.bar is not Page.bar]
    shown = {card for page in pages for card in page.instruments}
    others = {kind.__name__ for card in shown for kind in card}
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
    instrument = picture(kind, name, run)
    survey(instrument)
    before, caption = sources(instrument), instrument.caption
    run.advance(30)
    survey(instrument)
    assert same(before, sources(instrument)) == (kind in OF_A_MAP)
    assert instrument.caption or kind in WORDLESS
    assert instrument.caption != caption or kind in STEADY | OF_A_MAP


@every_pair
def test_drawing_the_same_frame_again_changes_nothing(kind, name):
    run = run_of(name)
    run.advance(10)
    instrument = picture(kind, name, run)
    survey(instrument)
    before = sources(instrument)
    for _ in range(3):
        instrument.draw(run.frame())
    assert same(before, sources(instrument))


@every_pair
@pytest.mark.parametrize("steps", [[1] * 25, [7, 300, 1, 240, 500, 30]])
def test_a_streamed_picture_is_the_one_drawn_anew_and_a_fresh_start_is_a_new_one(kind, name, steps):
    """Also beyond 200 and 512 epochs, where pictures are thinned, and with heavy work done on the way.

    A forecast keeps the first epochs that it has seen; a long history no longer has them for one that is drawn anew.
    """
    run = run_of(name)
    instrument = picture(kind, name, run)
    for i, step in enumerate(steps):
        run.advance(step)
        instrument.draw(run.frame())
        if i % 3 == 1:
            survey(instrument)
    survey(instrument)
    streamed = sources(instrument)
    survey(begun(instrument, run))
    if not (isinstance(instrument, TheoryCurves) and run.history.stride > 1):
        assert same(streamed, sources(instrument))
    run.reset()
    instrument.draw(run.frame())
    assert same(sources(instrument), new(kind, name).first)
    survey(instrument)
    run.advance(1)
    instrument.draw(run.frame())
    assert instrument.figure is instrument.pane.object


@every_pair
def test_every_run_can_follow_every_other_in_the_same_picture(kind, name):
    """In a circle: each run follows the one before it, the first follows the last."""
    names = [other for one, other in PAIRS if one == kind]
    before = names[names.index(name) - 1]
    run = run_of(before)
    run.advance(3)
    instrument = picture(kind, before, run)
    survey(instrument)
    run.settings.restore(run_of(name).settings.values())
    run.reset()
    run.advance(3)
    instrument.draw(run.frame())
    survey(instrument)
    assert same(sources(instrument), new(kind, name).later)


@every_pair
def test_every_number_that_is_drawn_is_in_the_file_of_the_picture(kind, name):
    """Without those of overridden tables, which say more than what is drawn."""
    run = run_of(name)
    run.advance(7)
    instrument = picture(kind, name, run)
    survey(instrument)
    table = instrument.table()
    rows = list(csv.DictReader(StringIO(as_csv({"this run": table}))))
    for label, source in instrument.sources.items():
        if table.get(label) is source.data:
            mine = [row for row in rows if row["layer"] == label]
            for column, drawn in numbers(source).items():
                written = np.array([float(row[column]) for row in mine])
                np.testing.assert_array_equal(written, drawn)
    assert len(rows) == sum(len(list(rows_of(columns))) for columns in table.values())
    assert bool(rows) == (kind not in OF_A_MAP)


def numbers(source: ColumnDataSource) -> dict[str, list[float]]:
    """The numbers of a source, column by column as a file calls them."""
    if "image" in source.data:
        values = np.concatenate([np.ravel(image) for image in source.data["image"]]).astype(float)
        return {"value": values[~np.isnan(values)].tolist()}
    names = {"xs": "x", "ys": "y", "layer": "layer_"}
    flat = {names.get(name, name): list(_flat(column)) for name, column in source.data.items()}
    return {name: column for name, column in flat.items() if not any(isinstance(value, str) for value in column)}


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, list | np.ndarray) else [value]


@every_pair
def test_the_columns_of_a_source_are_equally_long(kind, name):
    run = run_of(name)
    instrument = picture(kind, name, run)
    for _ in range(3):
        run.advance(5)
        instrument.draw(run.frame())
        survey(instrument)
        for source in sources(instrument):
            assert len({len(column) for column in source.values()}) == 1


@every_pair
def test_ranges_hold_what_is_drawn(kind, name):
    run = run_of(name)
    instrument = picture(kind, name, run)
    for _ in range(5):
        run.advance(100)
        instrument.draw(run.frame())
        for axis in (instrument.figure.x_range, instrument.figure.y_range):
            assert np.isfinite([axis.start, axis.end]).all()
            assert axis.start < axis.end


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize("diverging", ["regression", "classification"])
def test_a_run_that_diverges_can_be_shown(diverging, pieces):
    """All pictures look at one run: its 31,000 epochs take longer than to draw them."""
    fate = {"dataset": "sine", "activation": "linear"} if diverging == "regression" else {"activation": "relu"}
    settings = Settings(n=40, hidden=[8, 8, 8], initializer="large", learning_rate=10.0, loss="mse", **fate)
    run = Run(settings)
    declared = "regression" if diverging == "regression" else "binary"
    shown = [picture(name, declared, run) for name, kind in KINDS.items() if kind.suits(run.frame())]
    for i in range(31):
        run.advance(pieces)
        for instrument in shown:
            instrument.draw(run.frame())
            if i % 10 == 0:
                survey(instrument)
    for instrument in shown:
        kind = type(instrument).__name__
        for axis in (instrument.figure.x_range, instrument.figure.y_range):
            assert np.isfinite([axis.start, axis.end]).all(), kind
        assert instrument.caption or kind in WORDLESS, kind


@pytest.mark.parametrize("slug", ["activations", "dead"])
def test_every_preset_of_a_page_moves_every_picture(slug):
    page = PAGES[slug](PAGES[slug].opened()[0])
    for preset in page.presets:
        page.choose(preset)
        assert not page.run.message
        assert {name: getattr(page.run.settings, name) for name in preset.changes} == dict(preset.changes)
        before = drawn(page)
        page.run.advance(20)
        after = drawn(page)
        assert len(after) == len(page.instruments)
        assert {name for name in after if after[name] == before[name]} <= STILL.get(preset.label, set())
    page.run.close()


def drawn(page: Page) -> dict[str, str]:
    """All that the pictures of a page show now, to the last digit."""
    while page.behind(page.run.version):
        page.draw(page.run.frame(), page.run.version)
    with np.printoptions(threshold=np.inf, floatmode="unique"):
        return {type(one).__name__: repr(sources(one)) for one in page.shown}


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


def test_a_picture_is_drawn_once_all_its_constructors_have_run():
    class Late(LossCurve):
        def __init__(self, run: Run, **params: Any) -> None:
            super().__init__(run, **params)
            assert self.figure is None
            self.words = "set after the base"

        def describe(self, frame: Any) -> str:
            return self.words

    late = Late(run_of("binary"))
    assert (late.caption, late.shown) == ("set after the base", 0)
    assert late.figure is not None
