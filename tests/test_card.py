"""A card of a page: its picture, the same picture of every compared run at the same epoch, and both as a file."""

import csv
import time
from io import StringIO
from typing import Any

import numpy as np
import pytest

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.backprop_stages import BackpropStages
from dashboard.instruments.confusion_matrix import ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.parameter_walk import ParameterWalk
from dashboard.instruments.race_table import RaceTable
from dashboard.instruments.roc_curve import RocCurve
from dashboard.pages import compared_card
from dashboard.pages.card import Card
from dashboard.pages.page import Page
from dashboard.pages.playground import Playground, PlaygroundView
from dashboard.state.race import Race
from dashboard.state.race_settings import RaceSettings
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.store import ComparedRun, Shown
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART

NAME = "<b>wide</b> & slow"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared_card, "REDRAW_INTERVAL_S", 0.0)


def run_of(
    epochs: int = 40, pictures: tuple[type, ...] = (DecisionMap, LossCurve, ActivationMap), **choices: Any
) -> Run:
    """A run of the playground with these pictures: each costs a tenth of a second."""
    view = PlaygroundView(pictures=[kind.title for kind in pictures])
    run = Run(Settings(**{"n": 60, "hidden": [4, 3], **choices}), view)
    run.advance(epochs)
    return run


def compared(store: Shown | None = None, name: str = NAME, color: str = "#8d62c9") -> ComparedRun:
    return ComparedRun(f"id of {name}", name, color, store or run_of(hidden=[5], learning_rate=0.03))


def settle(page: Page) -> Page:
    """Draw as the app does, until everything is up to date."""
    for _ in range(50):
        version = page.run.version
        page.draw(page.run.frame(), version)
        if version == page.run.version and not page.behind(version):
            return page
    raise AssertionError("the page never comes to rest")


def page_of(run: Run, *compared_runs: ComparedRun) -> Page:
    page = Playground(run)
    run.compare_with(compared_runs)
    return settle(page)


def card(page: Page, kind: type) -> Card:
    return next(card for card in page.cards if isinstance(card.instrument, kind))


def columns(instrument: Any) -> dict[str, dict[str, list]]:
    """All that is drawn, layer by layer; nan as None, which equals itself."""
    return {
        label: {name: [_plain(np.array(one).tolist()) for one in column] for name, column in source.data.items()}
        for label, source in instrument.sources.items()
    }


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list) else value if value == value else None


def test_every_picture_shows_every_compared_run_at_the_pages_epoch_wherever_that_is():
    run, names = run_of(pictures=(DecisionMap, LossCurve, LossLandscape, GradientBars)), ("one", "two")
    page = page_of(run, *(compared(name=name) for name in names))
    for epoch in (40, 10, 25, 0):
        run.look_at(epoch)
        settle(page)
        for card in page.cards:
            assert card.instrument.shown == epoch
            if card.instrument.overlays_compared:
                assert set(columns(card.instrument)["now"]["epoch"]) == {epoch}
                assert all(name in card.instrument.caption for name in names)
            else:
                assert [one.compared.name for one in card.compared] == list(names)
                assert [one.instrument.shown for one in card.compared] == [epoch] * 2
                assert all(type(one.instrument) is type(card.instrument) for one in card.compared)


def test_the_picture_of_a_compared_run_is_that_of_its_own_run():
    other = run_of(hidden=[5], learning_rate=0.03)
    page = page_of(run_of(30), compared(other))
    alone = run_of(30, hidden=[5], learning_rate=0.03)
    for kind in (DecisionMap, ActivationMap):
        assert columns(card(page, kind).compared[0].instrument) == columns(kind(alone))


def test_a_page_without_compared_runs_has_its_own_pictures_only():
    run = run_of(5)
    page = settle(Playground(run))
    for compared_runs in ((), (compared(),), ()):
        run.compare_with(compared_runs)
        settle(page)
        apart = [card for card in page.cards if not card.instrument.overlays_compared]
        assert [len(card.compared) for card in apart] == [len(compared_runs)] * 2
        assert [len(card._picture.objects) for card in page.cards] == [1 + len(card.compared) for card in page.cards]
        assert ["several" in card._picture.css_classes for card in apart] == [bool(compared_runs)] * 2
    assert page.in_view == page.shown


def test_a_compared_run_that_does_not_suit_a_picture_says_why_there():
    regression = run_of(dataset="sine", learning_rate=0.01)
    page = page_of(run_of(), compared(regression), compared(Race(RaceSettings()), name="race"))
    unsuited, race = card(page, DecisionMap).compared
    assert DecisionMap.missing in unsuited._name.text
    assert "another kind" in race._name.text
    assert unsuited.instrument is race.instrument is None
    assert card(page, ActivationMap).compared[0].instrument
    assert "race" not in card(page, LossCurve).instrument.caption


def test_a_compared_run_that_ends_before_is_shown_as_it_was_then_and_says_so():
    page = page_of(run_of(40), compared(run_of(15)))
    one = card(page, DecisionMap).compared[0]
    assert one.instrument.shown == 15
    assert "ends at epoch 15" in one._name.text
    page.run.look_at(15)
    settle(page)
    assert "ends at" not in one._name.text


def test_a_compared_runs_name_cannot_become_part_of_the_page():
    page = page_of(run_of(), compared())
    texts = [one._name.text for card in page.cards for one in card.compared] + [
        card._caption.text for card in page.cards
    ]
    assert all("<b>wide" not in text for text in texts)
    assert sum("&lt;b&gt;wide&lt;/b&gt; &amp; slow" in text for text in texts) == len(page.cards)


def test_what_is_picked_in_a_compared_picture_is_picked_for_all():
    run = run_of()
    page = page_of(run, compared())
    other = card(page, DecisionMap).compared[0].instrument
    x = other.run.frame().setup.train.x
    other.tapped(*x[7])
    assert run.view.example == 7
    settle(page)
    for instrument in (card(page, DecisionMap).instrument, other):
        np.testing.assert_allclose(columns(instrument)["picked"]["x1"], instrument.run.frame().setup.train.x[7, :1])


def test_a_click_on_an_epoch_in_a_compared_picture_takes_all_there():
    run = run_of()
    page = page_of(run, compared())
    card(page, ActivationMap).compared[0].instrument.tapped(12.4, 0.5)
    assert page.behind(run.version)
    settle(page)
    assert run.looked_at == 12
    assert {card.instrument.shown for card in page.cards} == {12}
    assert {one.instrument.shown for card in page.cards for one in card.compared} == {12}
    card(page, ActivationMap).compared[0].instrument.run.look_at(None)
    settle(page)
    assert run.looked_at is None
    assert {card.instrument.shown for card in page.cards} == {40}


def test_compared_runs_are_drawn_now_and_then_while_the_run_plays_and_to_its_end(monkeypatch):
    monkeypatch.setattr(compared_card, "REDRAW_INTERVAL_S", 0.2)
    run = run_of(0, [DecisionMap])
    page = page_of(run, compared(run_of(500)))
    one, drawn, began = card(page, DecisionMap).compared[0], set(), time.perf_counter()
    for _ in range(200):
        run.advance(1)
        page.draw(run.frame(), run.version)
        drawn.add(one.instrument.shown)
    assert len(drawn) <= 2 + (time.perf_counter() - began) / 0.2
    assert page.behind(run.version) or one.instrument.shown == 200
    until = time.perf_counter() + 10
    while page.behind(run.version) and time.perf_counter() < until:
        page.draw(run.frame(), run.version)
    assert one.instrument.shown == 200


def test_pictures_are_made_one_at_a_time():
    run = run_of()
    page = Playground(run)
    run.compare_with([compared(), compared(name="other")])
    made = []
    while page.behind(run.version):
        page.draw(run.frame(), run.version)
        made.append(len(page.shown) + sum(one.made for card in page.cards for one in card.compared))
    # A card's own picture and the first compared one may come together.
    assert max(np.diff([0, *made])) <= 2
    assert made[-1] == 3 + 2 * 2


def test_choices_in_a_cards_head_hold_for_compared_runs_and_end_with_them():
    page = page_of(run_of(pictures=[LossLandscape]), compared())
    landscape = card(page, LossLandscape)
    one = landscape.compared[0]
    landscape.instrument.reach = 1.0
    assert one.instrument.reach == 1.0
    page.run.compare_with([])
    settle(page)
    landscape.instrument.reach = 0.3
    assert one.instrument.reach == 1.0


def test_the_heavy_work_of_compared_runs_is_in_view_with_that_of_the_run():
    page = page_of(run_of(pictures=[LossLandscape, LossCurve]), compared())
    frame, surveyed = page.run.frame(), []
    for one in page.in_view:
        for _ in one.work(frame) or ():
            pass
    settle(page)
    landscape = card(page, LossLandscape)
    for instrument in (landscape.instrument, landscape.compared[0].instrument):
        surveyed.append(columns(instrument)["surface"]["image"][0])
        assert "surveying" not in instrument.caption
        assert instrument.work(instrument.run.frame()) is None
    assert surveyed[0] != surveyed[1]
    assert landscape.compared[0].heavy is landscape.instrument.heavy


def test_losses_of_compared_runs_are_drawn_into_the_same_figure_exactly_and_streamed_as_anew():
    run, other = run_of(0), run_of(900, learning_rate=0.03)
    run.compare_with([compared(other)])
    streamed = LossCurve(run)
    for epochs in (1, 1, 7, 300, 1, 240, 100):
        run.advance(epochs)
        streamed.draw(run.frame())
        assert columns(streamed) == columns(LossCurve(run))
    drawn = columns(streamed)["compared 1: training"]
    assert max(drawn["epoch"]) <= 650
    assert drawn["loss"] == [other.history.at(epoch).loss for epoch in drawn["epoch"]]
    assert f"{other.history.at(650).loss:.4g}" in streamed.caption
    assert f"compared 1: {NAME}, training" in streamed.table()


def test_the_loss_curve_follows_when_compared_runs_come_and_go():
    run = run_of()
    curve = LossCurve(run)
    before = columns(curve)
    highest = compared(run_of(loss="mse", initializer="large"), name="high")
    for compared_runs in ([compared()], [compared(), highest]):
        run.compare_with(compared_runs)
        curve.draw(run.frame())
        assert sum("compared" in label for label in columns(curve)) == 2 * len(compared_runs)
    curve.log = True
    top = max(highest.store.history.kept(-1, 40).loss)
    assert curve.figure.y_range.end >= top
    run.compare_with([])
    curve.log = False
    curve.draw(run.frame())
    assert columns(curve) == before


def test_the_roc_curve_of_a_compared_run_is_the_one_of_its_own_run():
    run, other = run_of(), run_of(learning_rate=0.01)
    run.compare_with([compared(other)])
    curve = RocCurve(run)
    alone = run_of(learning_rate=0.01)
    assert columns(curve)["compared 1: training"] == columns(RocCurve(alone))["training"]


def test_a_card_with_compared_runs_is_saved_with_all_of_them():
    page = page_of(run_of(pictures=[ActivationMap]), compared(name="this run"), compared(name="=1+1"))
    drawn = card(page, ActivationMap)
    file = drawn._file("csv")
    assert file["name"] == "playground-activations-epoch-40.csv"
    runs = {row["run"] for row in csv.DictReader(StringIO(file["text"]))}
    assert runs == {"this run", "compared 1: this run", "compared 2: =1+1"}
    figures = drawn._file("png")["figures"]
    assert [figure["name"] for figure in figures] == ["this run", "this run", "=1+1"]
    assert len({figure["id"] for figure in figures}) == 3
    assert figures[0]["id"] == drawn.instrument.figure.id


def test_a_saved_picture_says_what_it_shows_and_of_which_run():
    page = page_of(run_of(pictures=[LossCurve], learning_rate=0.03), compared(name=NAME))
    words = card(page, LossCurve)._file("svg")
    assert words["title"] == "Loss"
    assert {"Playground", "epoch 40", "learning rate 0.03", "seed 0"} <= set(
        words["about"].replace("\N{NO-BREAK SPACE}", " ").split(APART)
    )
    own, other = words["lines"]
    assert [part for part in own if part[0] == "●"] == [("●", style.TRAIN), ("●", style.VALIDATION)]
    assert any(NAME in words for words, _ in other), "the name is text, with its tags"


def test_a_table_has_the_numbers_that_a_picture_shows_by_colors():
    run = run_of(pictures=[DecisionMap])
    picture = DecisionMap(run)
    table = picture.table()["regions"]
    points = np.stack([table["x1"], table["x2"]], axis=1)
    expected = run.network.predict(points)[:, 0]
    np.testing.assert_allclose(table["probability of class 1"], expected, rtol=1e-12)
    cells = ConfusionMatrix(run).table()["cells"]
    assert sum(cells["examples"]) == len(run.setup.train)


def test_a_decision_map_says_what_its_rings_are_where_it_has_some():
    captions = [DecisionMap(run_of(validation=share)).caption for share in (0.25, 0.0)]
    assert ["○ held out" in caption for caption in captions] == [True, False]


def test_the_menu_offers_what_there_is_to_save():
    page = settle(Playground(run_of(5)))
    assert all(card._save.kinds == ["png", "svg", "csv"] for card in page.cards)
    nothing = Card(run_of(), [RocCurve])
    nothing._run.settings.param.update(dataset="blobs", classes=3)
    nothing.draw(nothing._run.frame(), 0)
    assert nothing._save.kinds == []


def test_sheets_and_tables_are_saved_with_all_their_digits():
    race = Race(RaceSettings())
    race.advance(5)
    table = Card(race, [RaceTable], page="geometry")
    table.draw(race.frame(), race.version)
    assert table._save.kinds == ["csv"]
    rows = list(csv.DictReader(StringIO(table._file("csv")["text"])))
    assert [float(row["above"]) for row in rows] == race.frame().heights.tolist()
    run = run_of(3)
    passes = BackpropStages(run).table()
    weights = run.network.weights[0]
    np.testing.assert_array_equal(passes["W1"]["value"], weights.ravel())
    np.testing.assert_array_equal(passes["W1"]["row"], np.repeat(range(2), 4))
    walk = ParameterWalk(run).table()
    assert len(next(columns["loss"] for columns in walk.values() if "step" in columns)) == 4
