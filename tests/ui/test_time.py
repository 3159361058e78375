"""Play, pause, step, reset: what moves and what stands."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.ui

PICTURES = {"decision", "loss", "landscape", "gradients", "activations"}


def test_play_moves_five_pictures_and_pause_stops_them(page):
    before = page.digests()
    assert set(before) == PICTURES
    page.press("Play")
    page.pass_by(page.pass_by(0))
    page.wait("Object.entries(x).every(([name, digest]) => lab.digest(name) != digest)", before)
    standing = page.stand()
    page.press("Step")
    page.reach(standing + 1)


def test_a_step_is_exactly_one_epoch(page):
    page.press("Step")
    page.reach(1)
    page.press("Step")
    page.reach(2)
    assert page.ask("lab.column('loss', 'training', 'epoch')") == [0, 1, 2]
    assert not page.playing()


def test_a_step_while_playing_stands_still_after_it(page):
    page.press("Play")
    page.pass_by(5)
    page.press("Step")
    page.until(lambda: not page.playing(), "Play is offered")
    standing = page.epoch()
    page.press("Step")
    page.reach(standing + 1)


def test_reset_returns_to_epoch_0_with_the_same_loss(page):
    loss, digests = page.loss(), page.digests()
    page.press("Play")
    page.pass_by(10)
    assert page.loss() != loss
    page.press("Reset")
    page.reach(0)
    assert page.loss() == loss
    assert not page.playing()
    fixed = ("decision", "loss", "gradients", "activations")
    page.until(
        lambda: all(page.digests()[name] == digests[name] for name in fixed), "the pictures are those of the start"
    )


def test_keys_do_what_the_buttons_do(page):
    loss = page.loss()
    page.key("Space")
    page.until(page.playing, "Pause is offered")
    page.pass_by(0)
    page.key("Space")
    page.until(lambda: not page.playing(), "Play is offered")
    page.until(lambda: page.ask("lab.drawn()") == page.epoch(), "pictures and bar agree")
    standing = page.epoch()
    page.key("ArrowRight")
    page.reach(standing + 1)
    page.key("r")
    page.reach(0)
    assert page.loss() == loss


@pytest.mark.parametrize("typed", [[" ", "ArrowRight", "r"], ["R"]])
def test_keys_do_nothing_while_typing(page, typed):
    page.key("ArrowRight")
    page.reach(1)
    page.key("ArrowRight")
    page.reach(2)
    page.press("Stop$")
    field = page.window.get_by_label("Stop at epoch").first
    field.click()
    for key in typed:
        page.window.keyboard.press(key)
    page.key("ArrowRight")
    page.reach(3)
    assert not page.playing()


@pytest.mark.parametrize("wait", [True, False], ids=["after the page is complete", "as early as possible"])
def test_every_epoch_is_on_the_curve_in_the_browser(visit: Callable, wait):
    page = visit("?speed=20", wait=wait)
    page.press("Play")
    page.pass_by(60)
    standing = page.stand()
    assert page.ask("lab.column('loss', 'training', 'epoch')") == list(range(standing + 1))
    assert page.ask("lab.column('loss', 'validation', 'epoch')") == list(range(standing + 1))
    drawn = page.ask("lab.column('activations', 'Image', 'image')")
    assert sum(value == value for value in drawn[:200]) == standing + 1, (
        "columns of the activation map that are not NaN"
    )


def test_any_epoch_can_be_gone_back_to_and_on_from(visit: Callable):
    page = visit("?page=playground&speed=20&dataset=moons&bias=-2&hidden=[8,8]&seed=1")
    page.press("Play")
    page.pass_by(40)
    newest = page.stand()
    digests, loss = page.digests(), page.loss()
    page.key("ArrowLeft")
    page.reach(newest - 1)
    page.key("Home")
    page.reach(0)
    assert all(page.digests()[name] != digests[name] for name in PICTURES - {"landscape"})
    page.key("End")
    page.reach(newest)
    assert page.loss() == loss

    page.window.get_by_role("button", name="0 first dead unit", exact=False).click()
    page.reach(0)
    page.slider("Epoch").press("ArrowRight")
    page.reach(1)

    page.press("Play from here")
    page.pass_by(1)
    forked = page.stand()
    assert page.ask("lab.column('loss', 'training', 'epoch')") == list(range(forked + 1))
    page.button(f"Have back the run that had come to epoch {newest}").click()
    page.reach(newest)
    assert page.loss() == loss
    page.key("ArrowRight")
    page.reach(newest + 1)


def test_a_reset_and_a_changed_setting_can_be_undone(visit: Callable):
    page = visit("?page=playground&speed=100")
    page.press("Play")
    page.pass_by(20)
    newest = page.stand()
    loss = page.loss()
    page.press("Reset")
    page.reach(0)
    page.choose("Activation", "tanh")
    page.until(lambda: page.link()["activation"] == "tanh", "the link to tell")
    page.key("Control+z")
    page.reach(newest)
    assert page.loss() == loss
    page.until(lambda: page.link()["activation"] == "relu", "the link to tell of the old run")


def test_a_link_with_an_epoch_trains_up_to_it(visit: Callable):
    page = visit("?page=playground&seed=5&epoch=137")
    page.reach(137)
    assert not page.playing()


def test_a_link_with_an_impossible_epoch_says_so(visit: Callable):
    page = visit("?page=playground&epoch=-3")
    assert "epoch=-3 is not possible" in page.alert()
