"""Settings changed on the page: what goes on, what starts afresh, what is refused."""

import pytest

pytestmark = pytest.mark.ui

WATCH = "(() => { window.seen = []; setInterval(() => seen.push(lab.drawn()), 20) })()"


def test_changing_the_learning_rate_while_it_trains_keeps_the_history_and_goes_on(page):
    page.press("Play")
    page.pass_by(20)
    page.ask(WATCH)
    before = page.epoch()
    page.slider("Learning rate").press("ArrowLeft")
    page.until(lambda: float(page.link().get("learning_rate", 0.1)) != 0.1, "another learning rate in the link")
    page.pass_by(page.pass_by(page.epoch()))
    seen = page.ask("seen")
    assert page.playing()
    assert min(seen) >= before > 0
    assert seen == sorted(seen)
    page.stand()
    assert page.ask("lab.column('loss', 'training', 'epoch')")[0] == 0


def add_layer(page):
    page.press("Add a hidden layer")
    page.wait("lab.column('gradients', 'bars', 'norm').length == 4")


def remove_layer(page):
    page.press("Remove the last hidden layer")
    page.wait("lab.column('gradients', 'bars', 'norm').length == 2")


def choose_circles(page):
    page.choose("Dataset", "circles")


@pytest.mark.parametrize("change", [choose_circles, add_layer, remove_layer])
def test_another_dataset_or_layer_starts_afresh(page, change):
    page.press("Play")
    page.pass_by(10)
    page.stand()
    loss = page.loss()
    change(page)
    page.reach(0)
    assert page.loss() != loss
    assert page.ask("lab.column('loss', 'training', 'epoch')") == [0]
    page.press("Step")
    page.reach(1)


def test_a_regression_swaps_the_decision_map_for_the_fitted_curve(page):
    page.choose("Dataset", "sine")
    page.window.get_by_role("heading", name="Fitted curve").wait_for()
    page.wait("'fitted' in lab.figures() && !('decision' in lab.figures())")
    assert not page.window.get_by_role("heading", name="Decision map").is_visible()
    before = page.ask("lab.digest('fitted')")
    page.press("Play")
    page.wait("lab.digest('fitted') != x", before)
    page.stand()
    page.choose("Dataset", "moons")
    page.window.get_by_role("heading", name="Decision map").wait_for()
    page.wait("'decision' in lab.figures() && !('fitted' in lab.figures())")


def test_blobs_of_four_classes_are_shown_and_learned(page):
    page.choose("Dataset", "blobs")
    page.wait("new Set(lab.column('decision', 'training', 'class')).size == 3")
    page.slider("Classes").press("ArrowRight")
    page.wait("new Set(lab.column('decision', 'training', 'class')).size == 4")
    page.reach(0)
    before, answers = page.loss(), page.ask("lab.column('decision', 'Image', 'image')")
    page.press("Play")
    page.pass_by(100)
    page.stand()
    assert page.loss() < before / 2
    assert page.ask("lab.column('decision', 'Image', 'image')") != answers


def test_without_hidden_layers_the_activation_map_is_empty_and_says_why(page):
    for _ in range(2):
        page.press("Remove the last hidden layer")
    page.window.get_by_text("Nothing to show: there are no hidden layers").wait_for()
    page.wait("!('activations' in lab.figures()) && lab.column('gradients', 'bars', 'norm').length == 1")
    assert page.button("Remove the last hidden layer").is_disabled()
    page.press("Play")
    page.pass_by(10)
    page.stand()
    page.press("Add a hidden layer")
    page.wait("'activations' in lab.figures()")
    page.reach(0)


def test_a_batch_larger_than_the_data_is_refused_and_the_run_goes_on(page):
    page.press("Play")
    page.pass_by(10)
    page.ask(WATCH)
    page.slider("Batch size").press("End")
    said = page.alert()
    assert "batch of 512" in said
    assert "150" in said
    page.pass_by(page.pass_by(page.epoch()))
    assert page.playing()
    seen = page.ask("seen")
    assert seen == sorted(seen)
    assert min(seen) > 0
    assert page.link().get("batch_size", "0") == "0"
    page.until(lambda: page.slider("Batch size").input_value() == "0", "the slider to go back to where it was")


def test_a_refused_number_of_examples_is_taken_back_on_the_slider_too(visit):
    page = visit("?batch_size=150")
    shown = page.slider("Examples").input_value()
    page.slider("Examples").press("ArrowLeft")
    assert "batch of 150" in page.alert()
    page.until(lambda: page.slider("Examples").input_value() == shown, "the slider to go back to where it was")


def test_a_refusal_is_shown_again_after_its_alert_was_closed(page):
    page.slider("Batch size").press("End")
    assert "batch of 512" in page.alert()
    page.press("Close$")
    page.until(lambda: not page.alerts(), "the alert to go")
    page.until(lambda: page.slider("Batch size").input_value() == "0", "the slider to go back to where it was")
    page.slider("Batch size").press("End")
    assert "batch of 512" in page.alert()


def test_a_refused_request_does_not_hide_that_the_run_diverged(visit):
    page = visit("?dataset=sine&learning_rate=10&n=100")
    page.slider("Batch size").press("End")
    assert "batch of 512" in page.alert()
    page.press("Play")
    page.until(
        lambda: "iverged at epoch" in " ".join(page.alerts()), lambda: f"the divergence to be told: {page.where()}"
    )
