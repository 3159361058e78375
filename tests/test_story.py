"""The story of a page: its steps have speeds and ends of their own, a link each, and outline what they are about."""

import pytest

from dashboard.pages import PAGES

PAGES_WITH_STEPS = {slug: page for slug, page in PAGES.items() if page.presets}
each_page = pytest.mark.parametrize("slug", PAGES_WITH_STEPS)


def opened(slug, **query):
    """A page as a link opens it."""
    run, problems = PAGES[slug].opened({name: str(value) for name, value in query.items()})
    assert not problems
    return PAGES[slug](run)


def outlined(page):
    """The instruments of the cards that are outlined, of which a card shows the first that suits; none is drawn."""
    for card in page.cards:
        card.view.near = False
    page.draw(page.run.frame(), page.run.version)
    return [kinds for card, kinds in zip(page.cards, page.instruments, strict=True) if "about" in card.view.css_classes]


@each_page
def test_a_page_has_three_to_eight_steps_each_with_a_sentence_of_its_own(slug):
    presets = PAGES[slug].presets
    assert 3 <= len(presets) <= 8
    assert len({preset.doc for preset in presets}) == len({preset.label for preset in presets}) == len(presets)


@each_page
def test_a_link_to_a_step_opens_what_choosing_it_sets(slug):
    by_choice = opened(slug)
    for step, preset in enumerate(PAGES[slug].presets, 1):
        by_choice.choose(preset)
        by_link, problems = PAGES[slug].opened({"page": slug, "step": str(step)})
        assert not problems
        assert by_link.settings.values() == by_choice.run.settings.values()
        assert by_link.view.values() == by_choice.run.view.values()
        by_link.close()
    by_choice.run.close()


@each_page
def test_a_step_plays_unless_its_effect_is_there_at_epoch_0(slug):
    page, played = opened(slug), []
    page.play = lambda: played.append(page.run.view.step)
    for preset in page.presets:
        page.choose(preset)
    assert played == [step for step, preset in enumerate(page.presets, 1) if preset.plays]
    page.run.close()


@each_page
def test_other_runs_are_trained_for_the_steps_that_are_about_them_and_for_no_other(slug, monkeypatch):
    page, trained = opened(slug), []
    if page.run.study:
        monkeypatch.setattr(page.run.study, "start", lambda settings: trained.append(page.run.view.step))
    for preset in page.presets:
        page.choose(preset)
    assert trained == [step for step, preset in enumerate(page.presets, 1) if preset.compares]
    page.run.close()


@each_page
def test_no_step_leaks_into_the_next(slug):
    """Speed and end are the step's or the page's, whatever was chosen before."""
    page = opened(slug)
    for preset in page.presets:
        for name in {"speed", "stop_epoch"} & set(page.run.settings.names()):
            setattr(page.run.settings, name, 5)
        page.choose(preset)
        expected = page.settings(**{**page.defaults, **preset.changes})
        assert page.run.settings.values() == expected.values()
    page.run.close()


@each_page
def test_the_card_that_a_step_is_about_is_outlined_and_no_other(slug):
    page = opened(slug)
    for step, preset in enumerate(page.presets, 1):
        page.run.view.step = step
        (kinds,) = outlined(page)
        assert preset.about in kinds
    page.run.view.step = 0
    assert not outlined(page)
    page.run.close()


@pytest.mark.parametrize("step", ["0", "99", "-1", "one", "1.0", "²"])
def test_a_step_that_does_not_exist_is_no_step(step):
    run, _ = PAGES["dead"].opened({"page": "dead", "step": step})
    usual, _ = PAGES["dead"].opened()
    assert run.settings.values() == usual.settings.values()
    run.close(), usual.close()


def test_a_link_may_say_more_than_the_step():
    run, problems = PAGES["dead"].opened({"step": "7", "bias": "-2.0", "unit": "[0, 3]"})
    assert not problems
    assert (run.settings.bias, run.settings.activation, run.view.unit) == (-2.0, "leaky relu", [0, 3])
    run.close()
