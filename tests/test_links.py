"""A link is short, leads to the same run when defaults have changed, and old full links open as before."""

import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode

import pytest
from bokeh.document import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.pages import PAGES, short_link
from dashboard.pages.short_link import completed, shortened, versions
from dashboard.server.stepped_slider import on_step
from dashboard.state.settings import Settings
from dashboard.widgets.controls import control
from tests.oracle_links import is_present

LINKED = [slug for slug, page in PAGES.items() if "query" not in vars(page)]
FULL = (
    "page=depth&dataset=moons&own=&n=200&noise=0.24000000000000005&validation=0.25&standardize=false"
    "&hidden=%5B8%2C+8%5D&activation=tanh&skip=false&initializer=he&bias=0.0&loss=binary+cross-entropy&optimizer=adam"
    "&schedule=constant&batch_size=0&l1=0.0&l2=0.0&seed=3&data_seed=-1&format=1&speed=100&stop_epoch=0&stop_loss=0.0"
    "&stop_plateau=0&learning_rate=0.02"
)
"""A link of an earlier release, which said everything."""


def opened(link: str):
    """What a link leads to, and the page that shows it."""
    query = dict(parse_qsl(link.lstrip("?"), keep_blank_values=True))
    run, problems = PAGES[query["page"]].opened(query)
    assert problems == []
    return PAGES[query["page"]](run)


def link(page) -> str:
    return f"?{urlencode(page.query())}"


@pytest.mark.parametrize("slug", LINKED)
def test_the_link_to_a_page_as_it_opens_says_which_page_it_is_and_no_more(slug):
    page = PAGES[slug](PAGES[slug].opened()[0])
    assert link(page) == f"?page={slug}&v={max(versions(), key=int)}", (
        "a default has changed: `python -m tests.oracle_links` keeps the old ones for the links that count on them"
    )


def test_the_newest_version_has_the_present_defaults():
    assert is_present(max(versions(), key=int))


@pytest.mark.parametrize("slug", LINKED)
def test_every_preset_of_a_page_comes_back_from_its_link_exactly(slug):
    kind = PAGES[slug]
    for preset in kind.presets:
        chosen, view = kind.settings(**{**kind.defaults, **preset.changes}), kind.view(**preset.view)
        query, _ = completed(slug, shortened(slug, {**chosen.texts(), **view.texts()}))
        assert kind.settings.from_query(query, kind.defaults)[0].values() == chosen.values()
        assert kind.view.from_query(query)[0].values() == view.values()


@settings(max_examples=30)
@given(st.data())
def test_whatever_is_set_comes_back_from_the_link_exactly(data):
    changes = {
        "dataset": data.draw(st.sampled_from(["moons", "circles", "sine", "xor"])),
        "optimizer": data.draw(st.sampled_from(["sgd", "adam", "momentum"])),
        "noise": data.draw(st.floats(0, 1)),
        "seed": data.draw(st.integers(0, 99)),
        "format": data.draw(st.sampled_from([1, 2])),
    }
    slug = data.draw(st.sampled_from(["playground", "depth", "home"]))
    chosen = Settings(**{**PAGES[slug].defaults, **changes})
    query, _ = completed(slug, shortened(slug, chosen.texts()))
    assert Settings.from_query(query)[0].values() == chosen.values()


def test_a_full_link_of_an_earlier_release_opens_exactly():
    page = opened(FULL)
    values = page.run.settings.values()
    assert (values["noise"], values["seed"], values["format"]) == (0.24000000000000005, 3, 1)
    assert (values["learning_rate"], values["hidden"], values["activation"]) == (0.02, [8, 8], "tanh")
    assert len(link(page)) < len(FULL)
    assert opened(link(page)).run.settings.values() == values


def test_a_link_with_a_seed_but_no_format_is_of_format_1_as_before_and_one_with_a_version_of_its_own():
    assert opened("page=playground&seed=3").run.settings.format == 1
    assert opened("page=playground&seed=3&v=1").run.settings.format == 2


def test_a_link_opens_what_it_was_when_defaults_have_changed(monkeypatch, tmp_path):
    newest = max(versions(), key=int)
    next_one = str(int(newest) + 1)
    page = opened(f"page=depth&v={newest}&seed=5")
    before, short = page.run.settings.values(), link(page)
    later = json.loads(json.dumps(versions()))
    later[next_one] = json.loads(json.dumps(later[newest]))
    later[next_one]["depth"] |= {"n": "400", "activation": "tanh"}
    file = tmp_path / "later.json"
    file.write_text(json.dumps(later))
    monkeypatch.setattr(short_link, "FILE", file)
    monkeypatch.setattr(PAGES["depth"], "defaults", {**PAGES["depth"].defaults, "n": 400, "activation": "tanh"})
    versions.cache_clear()
    try:
        again = opened(short)
        assert again.run.settings.values() == before
        assert dict(parse_qsl(link(again)[1:]))["v"] == next_one
        assert opened(link(again)).run.settings.values() == before
        assert PAGES["depth"](PAGES["depth"].opened()[0]).query() == {"page": "depth", "v": next_one}
    finally:
        monkeypatch.undo()
        versions.cache_clear()


def test_a_version_that_is_not_known_is_named_and_the_rest_is_read():
    for version in ("99", "", "<b>" * 40):
        query, problems = completed("playground", {"v": version, "noise": "0.3"})
        assert query["noise"] == "0.3"
        (problem,) = problems
        assert problem.startswith(f"v={version[:20]} is not a version")
        run, problems = PAGES["playground"].opened({"v": version, "noise": "0.3"})
        assert run.settings.noise == 0.3
        assert problem in problems


def test_shortening_leaves_out_nothing_that_completing_does_not_put_back():
    texts = {**Settings(dataset="circles", seed=4).texts(), "threshold": "0.25"}
    query, problems = completed("playground", shortened("playground", texts))
    assert problems == []
    assert query.items() >= texts.items()


@given(st.integers(0, 100), st.sampled_from([0.0, 0.1, -10.0]), st.sampled_from([0.01, 0.05, 0.1, 0.2]))
def test_a_slider_gives_the_shortest_decimal_of_its_step(steps, start, step):
    exact = float(Decimal(str(start)) + steps * Decimal(str(step)))
    assert on_step(start + steps * step, start, step) == exact
    assert on_step(sum([step] * steps, start), start, step) == exact


def test_a_value_between_two_steps_stays_as_it_is():
    assert on_step(0.2437, 0.0, 0.01) == 0.2437


def test_what_a_slider_rounds_is_written_short_and_what_a_link_says_stays():
    chosen = Settings(noise=0.24000000000000005)
    slider, document = control(chosen, "noise"), Document()
    root = slider.get_root(document)
    assert chosen.noise == 0.24000000000000005
    slider._process_events({"value": 0.29000000000000004})
    assert chosen.texts()["noise"] == "0.29"
    assert root.data.value == 0.29
