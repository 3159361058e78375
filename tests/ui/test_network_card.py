"""The network picture in Chromium: its forward pass is the engine's, and it does what is clicked."""

import numpy as np
import pytest

from dashboard.widgets.network_canvas import FORWARD
from engine.activations import ACTIVATIONS
from engine.features import FEATURES
from engine.losses import OUTPUTS
from engine.network import Network

pytestmark = pytest.mark.ui

MODULE = """
async (source) => {
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}))
  window.forward = await import(url)
  return [forward.ACTIVATIONS, forward.OUTPUTS, forward.FEATURES].map(Object.keys)
}"""
ANSWERS = """
({network, inputs, parameters}) =>
  new forward.Answers(network, inputs.map((column) => Float64Array.from(column))).compute(parameters).units
    .map((units) => units.map((unit) => Array.from(unit)))"""


@pytest.fixture(scope="module")
def module(browser):
    page = browser.new_page()
    page.goto("about:blank")
    yield page, page.evaluate(MODULE, FORWARD)
    page.close()


def computed(page, network: Network, x: np.ndarray) -> list[np.ndarray]:
    """What every unit answers at these points, (units, points) for each layer, as the browser computes it."""
    shape = {
        "sizes": list(network.sizes),
        "activations": list(network.activations),
        "skips": list(network.skips),
        "output": network.output,
    }
    asked = {"network": shape, "inputs": x.T.tolist(), "parameters": network.parameters.tolist()}
    return [np.array(units, float) for units in page.evaluate(ANSWERS, asked)]


def test_the_browser_knows_every_activation_output_and_input_feature_of_the_engine(module):
    _, (activations, outputs, features) = module
    assert activations == list(ACTIVATIONS)
    assert outputs == list(OUTPUTS)
    assert features == list(FEATURES)


@pytest.mark.parametrize("name", FEATURES)
def test_every_input_feature_is_the_engines(module, name):
    page, _ = module
    x1, x2 = np.random.default_rng(2).normal(scale=2.0, size=(2, 40))
    asked = "([name, x1, x2]) => x1.map((value, p) => forward.FEATURES[name](value, x2[p]))"
    answers = page.evaluate(asked, [name, x1.tolist(), x2.tolist()])
    np.testing.assert_allclose(answers, FEATURES[name].function(x1, x2), rtol=1e-14)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 3, 12])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_browsers_forward_pass_is_the_engines(module, activation, depth, skip):
    """To 1e-9 of the largest answer of a layer: both compute in double precision, and add up in another order.

    Points whose answers are beyond 1e100, as those of twelve layers of squares, are left out: rounding decides there
    what overflows.
    """
    page, _ = module
    output, outputs = {0: ("sigmoid", 1), 1: ("softmax", 4), 3: ("linear", 2), 12: ("sigmoid", 1)}[depth]
    network = Network([2, *[6] * depth, outputs], activation, output, "xavier", seed=depth, skip=skip, bias=0.3)
    x = np.random.default_rng(1).normal(scale=3.0, size=(50, 2))
    trace = network.trace(x)
    expected = [x.T, *(layer.T for layer in trace.activations), trace.outputs.T]
    near = np.all([(np.abs(answers) < 1e100).all(axis=0) for answers in expected], axis=0)
    assert near.any()
    for mine, theirs in zip(computed(page, network, x), expected, strict=True):
        largest = max(1.0, np.abs(theirs[:, near]).max())
        np.testing.assert_allclose(mine[:, near], theirs[:, near], rtol=1e-9, atol=1e-9 * largest)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_the_engines_far_from_zero_too(module, activation):
    page, _ = module
    network = Network([1, 1, 1], activation, "linear")
    network.parameters = [1.0, 0.0, 1.0, 0.0]
    z = np.concatenate([np.linspace(-12, 12, 401), [-1e3, -200.0, -40.0, 40.0, 200.0, 1e3]])
    _, answers, _ = computed(page, network, z[:, None])
    np.testing.assert_allclose(answers[0], ACTIVATIONS[activation].function(z), rtol=1e-12, atol=1e-15)


FIND = """
([canvas, words]) => {
  const {left, top, width, height} = canvas.getBoundingClientRect(), tip = canvas.parentElement.querySelector(".tip")
  for (let x = 4; x < width; x += 6) {
    for (let y = 4; y < height; y += 6) {
      canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: left + x, clientY: top + y}))
      if (!tip.hidden && tip.textContent.startsWith(words)) { return [x, y] }
    }
  }
}"""


def network(page):
    """The canvas, once it is drawn."""
    canvas = page.window.locator("canvas[role=img][aria-label^=Network]").first
    canvas.wait_for()
    return canvas


def hover(page, words: str) -> None:
    """Move the mouse to where the picture says this; lines are between units, so that all of it is looked at."""
    canvas = network(page)
    canvas.scroll_into_view_if_needed()
    x, y = page.window.evaluate(FIND, [canvas.element_handle(), words])
    canvas.hover(position={"x": x, "y": y})


def tip(page) -> str:
    return page.window.locator(".tip").first.inner_text()


def drawn(page) -> str:
    return network(page).evaluate("(canvas) => canvas.toDataURL()")


def test_the_network_plays_and_a_unit_is_hovered_over_and_picked(visit):
    page = visit("?page=home&epoch=0", pictures=3)
    before = drawn(page)
    page.press("Play")
    page.pass_by(3)
    page.stand()
    page.until(lambda: drawn(page) != before, "the network to be drawn anew")
    page.until(lambda: f"Epoch {page.epoch()}:" in network(page).get_attribute("aria-label"), "a text of this epoch")
    before = drawn(page)
    hover(page, "layer 2, unit 3")
    assert "bias" in tip(page)
    page.until(lambda: drawn(page) != before, "the unit's answers in the large map")
    page.window.mouse.down()
    page.window.mouse.up()
    page.until(lambda: page.link().get("unit") == "[1, 2]", lambda: f"the unit in the link: {page.link()}")
    network(page).press("ArrowUp")
    page.until(lambda: page.link().get("unit") == "[1, 1]", lambda: f"the unit above in the link: {page.link()}")
    page.until(lambda: "layer 2, unit 2" in network(page).get_attribute("aria-label"), "its name for a screen reader")


def test_a_weight_is_edited_and_had_back(visit):
    page = visit("?page=home&epoch=0", pictures=3)
    page.press("Play")
    page.pass_by(8)
    epoch = page.stand()
    loss = page.loss()
    hover(page, "input x₁ → layer 1, unit 1")
    weight = tip(page).splitlines()[1]
    page.window.mouse.down()
    page.window.mouse.up()
    number = page.window.get_by_role("spinbutton", name="Weight: input x₁ → layer 1, unit 1")
    number.fill("2.5")
    number.press("Enter")
    page.until(lambda: page.loss() != loss, "the loss with another weight")
    assert page.epoch() == epoch
    number.press("Escape")
    page.window.get_by_text("weights changed by hand").wait_for()
    hover(page, "input x₁ → layer 1, unit 1")
    assert tip(page).splitlines()[1] == "weight 2.5"
    page.key("Control+z")
    page.until(lambda: page.loss() == loss, "the loss of before")
    page.until(
        lambda: (hover(page, "input x₁ → layer 1, unit 1"), tip(page).splitlines()[1])[1] == weight, "the weight"
    )
    assert page.epoch() == epoch


def test_a_unit_is_muted_and_another_one_taken_away(visit):
    page = visit("?page=home&epoch=0&hidden=[4, 3]", pictures=3)
    hover(page, "layer 2, unit 1")
    for _ in range(2):
        page.window.mouse.down()
        page.window.mouse.up()
        page.until(lambda: page.link().get("unit") == "[1, 0]", "the unit in the link")
    page.press("Mute it")
    page.until(lambda: page.button("Have back").is_visible(), "an edit to undo")
    hover(page, "layer 2, unit 2")
    page.press("One unit fewer in layer 2")
    page.until(lambda: page.link().get("hidden") == "[4, 2]", lambda: f"two units: {page.link()}")
    page.press("Add a hidden layer")
    page.until(lambda: page.link().get("hidden") == "[4, 2, 2]", lambda: f"another layer: {page.link()}")


def test_input_features_are_ticked_and_the_last_one_stays(visit):
    page = visit("?page=home&epoch=0", pictures=3)
    before = drawn(page)
    box = {name: page.window.get_by_role("checkbox", name=name, exact=True) for name in ("x₁", "x₂", "x₁²")}
    box["x₁²"].focus()
    box["x₁²"].press("Space")
    page.until(lambda: page.link().get("features") == '["x1", "x2", "x1^2"]', lambda: f"three: {page.link()}")
    page.until(lambda: "3 inputs" in network(page).get_attribute("aria-label"), "a network of three inputs")
    page.until(lambda: drawn(page) != before, "the network to be drawn anew")
    hover(page, "input x₁²")
    assert "from 0" in tip(page)
    for name in ("x₁", "x₂"):
        box[name].click()
    page.until(lambda: page.link().get("features") == '["x1^2"]', lambda: f"one: {page.link()}")
    box["x₁²"].click()
    page.window.get_by_text("One input feature stays on").wait_for()
    page.until(box["x₁²"].is_checked, "the last one to be ticked again")
    assert page.link().get("features") == '["x1^2"]'
