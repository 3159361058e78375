"""Back and Forward: the page follows the address, and every step of the history is one thing that was done."""

import pytest

pytestmark = pytest.mark.ui


def steps(page):
    return page.ask("history.length")


def set_is(page, name, value):
    page.until(lambda: page.link().get(name) == value, lambda: f"{name}={value} in the address: {page.link()}")


def drag(page, name, shares):
    """Drag a slider's thumb to several shares of its track, from 0 to 1, with a rest at each."""
    thumb = page.slider(name).first
    track = thumb.locator("xpath=ancestor::*[contains(@class, 'MuiSlider-root')]").bounding_box()
    dot = thumb.bounding_box()
    y = dot["y"] + dot["height"] / 2
    page.window.mouse.move(dot["x"] + dot["width"] / 2, y)
    page.window.mouse.down()
    for share in shares:
        page.window.mouse.move(track["x"] + share * track["width"], y, steps=3)
        page.window.wait_for_timeout(700)
    page.window.mouse.up()
    field = name.lower()
    page.until(
        lambda: abs(float(page.link()[field]) - shares[-1]) < 0.06 and stands_at(thumb, page.link()[field]),
        lambda: f"the end of the drag in the address: {page.link()[field]}, the slider at {thumb.input_value()}",
    )


def stands_at(slider, value):
    """Whether a slider stands at a value of the address, which has more digits."""
    return abs(float(slider.input_value()) - float(value)) < 1e-6


def title(page, words):
    page.window.get_by_role("heading", name=words).first.wait_for()


def test_a_drag_is_one_step_and_back_and_forward_show_what_the_address_says(visit):
    page = visit()
    page.wait("location.search.includes('v=')")
    first, before = page.link(), steps(page)
    drag(page, "Noise", (0.5, 0.6, 0.7, 0.8))
    dragged = page.link()
    assert steps(page) == before + 1

    page.choose("Dataset", "circles")
    set_is(page, "dataset", "circles")
    assert steps(page) == before + 2
    page.window.wait_for_timeout(1100)
    for _ in range(4):
        page.press("Step")
    page.reach(4)
    page.press("Step")
    page.reach(5)

    page.press("Experiments")
    page.window.locator("a[data-slug=dead]").click()
    set_is(page, "page", "dead")
    title(page, "Which units ")
    assert steps(page) == before + 3

    page.window.go_back()
    set_is(page, "page", "playground")
    page.ready()
    page.reach(5)
    page.window.go_back()
    page.reach(0)
    assert page.link() == dragged
    page.window.go_back()
    set_is(page, "noise", first["noise"])
    page.until(lambda: stands_at(page.slider("Noise").first, first["noise"]), "the slider to be back")
    assert page.link() == first
    page.window.go_forward()
    set_is(page, "noise", dragged["noise"])
    page.window.go_forward()
    set_is(page, "dataset", "circles")
    page.reach(5)
    assert steps(page) == before + 3
    loss = page.loss()

    page.window.reload(wait_until="commit")
    page.ready()
    page.reach(0)
    for _ in range(5):
        page.press("Step")
    page.reach(5)
    assert page.loss() == loss
    page.window.go_back()
    set_is(page, "noise", dragged["noise"])
    page.until(lambda: page.link()["dataset"] == "moons", "the dataset of that address")


def test_keys_and_quick_ways_there_and_back_end_where_the_address_is(visit):
    page = visit()
    page.wait("location.search.includes('v=')")
    before = steps(page)
    rate = page.slider("Learning rate").first
    first = page.link()["learning_rate"]
    for _ in range(5):
        rate.press("ArrowRight")
        page.window.wait_for_timeout(150)
    page.until(lambda: page.link()["learning_rate"] != first, "another learning rate")
    page.window.wait_for_timeout(600)
    last = page.link()["learning_rate"]
    assert steps(page) == before + 1
    page.window.wait_for_timeout(1100)
    noise = page.slider("Noise").first
    noise.press("ArrowRight")
    page.until(lambda: page.link()["noise"] != "0.2", "another noise")
    assert steps(page) == before + 2

    page.ask("(history.back(), history.back())")
    set_is(page, "learning_rate", first)
    for _ in range(3):
        page.ask("history.forward()")
        page.window.wait_for_timeout(60)
        page.ask("history.back()")
        page.window.wait_for_timeout(60)
    page.ask("(history.forward(), history.forward())")
    set_is(page, "learning_rate", last)
    page.window.wait_for_timeout(1500)
    assert page.link()["noise"] != "0.2"
    assert float(page.slider("Learning rate").first.get_attribute("aria-valuenow") or "nan") >= 0
    assert steps(page) == before + 2


def test_what_cannot_be_followed_in_an_address_of_the_history_is_said(visit):
    page = visit()
    page.wait("location.search.includes('v=')")
    page.ask("history.pushState({}, '', '?page=playground&noise=nonsense&dataset=xor')")
    page.ask("history.pushState({}, '', '?page=nowhere')")
    page.ask("history.back()")
    assert "noise=nonsense" in page.alert()
    set_is(page, "dataset", "xor")
    page.ask("history.forward()")
    page.until(lambda: any("page=nowhere" in said for said in page.alerts()), lambda: f"what is wrong: {page.alerts()}")
    page.ready()
    page.press("Step")
    page.reach(1)


def test_back_and_forward_as_keys_are_no_arrows_of_a_slider_or_of_the_laboratory(visit):
    page = visit()
    page.wait("location.search.includes('v=')")
    page.ask("void addEventListener('keydown', (event) => { window.taken = event.defaultPrevented })")
    page.press("Step")
    page.reach(1)
    first = page.link()["noise"]
    page.slider("Noise").first.press("ArrowRight")
    page.until(lambda: page.link()["noise"] != first, "another noise")
    page.reach(0)
    second, steps_then = page.link()["noise"], steps(page)

    page.slider("Noise").first.press("Alt+ArrowLeft")
    set_is(page, "noise", first)
    page.until(lambda: stands_at(page.slider("Noise").first, first), "the slider to be back")
    page.slider("Noise").first.press("Alt+ArrowRight")
    set_is(page, "noise", second)
    page.until(lambda: stands_at(page.slider("Noise").first, second), "the slider to be where it was")
    assert steps(page) == steps_then

    page.ask("void (window.taken = null)")
    page.key("Alt+ArrowLeft")
    page.wait("window.taken === false")  # it is the browser's


def test_tabs_have_addresses_and_histories_of_their_own(visit):
    tabs = [visit(f"?page=playground&seed={seed}") for seed in (1, 2, 3)]
    for seed, tab in enumerate(tabs, 1):
        set_is(tab, "seed", str(seed))
        tab.choose("Dataset", ("circles", "xor", "spirals")[seed - 1])
    for seed, tab in enumerate(tabs, 1):
        set_is(tab, "dataset", ("circles", "xor", "spirals")[seed - 1])
    tabs[1].window.go_back()
    set_is(tabs[1], "dataset", "moons")
    assert [tab.link()["dataset"] for tab in tabs] == ["circles", "moons", "spirals"]
    tabs[1].window.go_forward()
    tabs[2].window.go_back()
    set_is(tabs[1], "dataset", "xor")
    set_is(tabs[2], "dataset", "moons")
    assert [(tab.link()["seed"], tab.link()["dataset"]) for tab in tabs] == [
        ("1", "circles"),
        ("2", "xor"),
        ("3", "moons"),
    ]
