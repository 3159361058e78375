"""Runs that end by themselves, by a divergence or a stop rule."""

import re

import pytest

pytestmark = pytest.mark.ui


@pytest.mark.parametrize("speed", ["20", "0"])
def test_a_divergence_is_reported_and_the_page_goes_on_working(visit, speed):
    page = visit(f"?dataset=sine&loss=mse&learning_rate=10&speed={speed}")
    page.press("Play")
    said = page.alert()
    assert re.search(r"Diverged at epoch \d+", said), said
    page.until(lambda: not page.playing(), "Play is offered")
    page.until(lambda: page.ask("lab.drawn()") == page.epoch(), "pictures and bar agree")
    assert 0 < page.epoch() < int(re.search(r"epoch (\d+)", said)[1])
    assert all(value == value for value in page.ask("lab.column('fitted', 'network', 'y')"))
    assert page.window.locator("canvas").count() >= 5
    page.press("Reset")
    page.reach(0)
    page.until(lambda: not page.alerts(), "the alert to go")
    page.press("Step")
    page.reach(1)


@pytest.mark.parametrize("speed", ["100", "0"])
def test_a_stop_rule_stops_at_exactly_its_epoch_and_says_so(visit, speed):
    page = visit(f"?stop_epoch=50&speed={speed}")
    page.press("Play")
    assert "Stopped at epoch 50" in page.alert()
    page.until(lambda: not page.playing(), "Play is offered")
    page.reach(50)
    page.press("Step")
    page.reach(51)
    page.until(lambda: not page.alerts(), "the alert to go")


def test_a_button_whose_words_the_page_has_mixed_up_is_put_right(page):
    """As React does it: of two changes that come fast one after the other, it may go back to the first."""
    page.window.evaluate(
        """() => {
          const models = Bokeh.documents.flatMap((document) => [...document._all_models.values()])
          window.mixedUp = models.find((model) => model.attributes.label == "Play")
          window.mixedUp.setv({label: "Pause"})
        }"""
    )
    page.wait('window.mixedUp.label == "Play"')
    page.until(lambda: not page.playing(), "Play to be offered")
    page.press("Step")
    page.reach(1)
