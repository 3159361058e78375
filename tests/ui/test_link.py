"""The link: everything a run needs, and what is wrong with a bad one."""

import re

import pytest

from dashboard.pages.short_link import versions
from dashboard.state.settings import MAX_PARAMETERS, Settings

pytestmark = pytest.mark.ui


def test_the_link_says_what_was_changed_and_means_every_setting(page):
    newest = max(versions(), key=int)
    page.until(lambda: page.address() == {"page": "playground", "v": newest}, lambda: f"a short link: {page.address()}")
    page.choose("Dataset", "circles")
    page.until(lambda: page.link().get("dataset") == "circles", "the dataset in the link")
    link = page.link()
    assert set(link) >= {*Settings.names(), "page"}
    assert len(page.ask("location.search")) < 60
    settings, problems = Settings.from_query(link)
    assert problems == []
    assert settings.values() == {**Settings(dataset="circles").values()}


def test_the_same_link_gives_the_same_run_bit_for_bit(page, visit):
    page.choose("Dataset", "spirals")
    page.slider("Examples").press("ArrowRight")
    page.press("Add a hidden layer")
    page.choose("Activation", "tanh")
    page.choose("Optimizer", "adam")
    page.slider("Batch size").press("ArrowRight")
    page.slider("Batch size").press("ArrowRight")
    page.slider("Batch size").press("ArrowRight")
    page.until(
        lambda: (
            page.link().get("optimizer") == "adam"
            and page.link()["batch_size"] == "4"
            and len(page.link()["hidden"]) > 8
        ),
        lambda: f"all changes in the link: {page.link()}",
    )
    page.reach(0)
    other = visit(page.ask("location.search"))
    assert other.alerts() == []
    for one in (page, other):
        assert one.epoch() == 0
        for epoch in range(1, 6):
            one.press("Step")
            one.reach(epoch)
    assert other.loss() == page.loss()
    for name in ("decision", "loss", "gradients", "activations"):
        assert other.digests()[name] == page.digests()[name], name
    assert other.ask("lab.column('decision', 'Image', 'image')") == page.ask("lab.column('decision', 'Image', 'image')")


def test_a_reloaded_page_has_the_settings_that_were_chosen(page):
    page.choose("Dataset", "xor")
    page.until(lambda: page.link().get("dataset") == "xor", "the dataset in the link")
    page.reach(0)
    loss = page.loss()
    page.window.reload(wait_until="commit")
    page.ready()
    assert page.loss() == loss
    assert page.link()["dataset"] == "xor"


def test_a_bad_link_is_followed_where_it_can_be_and_says_what_was_wrong(visit):
    page = visit("?hidden=[1e9]&learning_rate=NaN&dataset=nonsense&batch_size=100000&page=nowhere&n=60")
    said = page.alert()
    wrong = {
        "hidden": "1 to 128",
        "learning_rate": "0.0001 to 10",
        "dataset": "moons, circles",
        "batch_size": "0 to 2000",
        "page": "playground",
    }
    for name, right in wrong.items():
        assert re.search(rf"{name}=.*{re.escape(right)}", said), f"{name} and {right} in {said!r}"
    shown = page.ask(
        "lab.column('decision', 'training', 'class').length + lab.column('decision', 'validation', 'class').length"
    )
    assert shown == 60
    page.press("Step")
    page.reach(1)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?hidden=[128,128,128,128,128,128]", f"{MAX_PARAMETERS:,}"),
        ("?hidden=not%20json", "hidden"),
        ("?dataset=sine&loss=hinge", "mse"),
    ],
)
def test_what_cannot_be_is_reported_with_what_could(visit, query, told):
    page = visit(query)
    assert told in page.alert()
    page.press("Step")
    page.reach(1)
