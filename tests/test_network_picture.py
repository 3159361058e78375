"""The network picture: what the browser is sent of a frame, and what comes of a click in it."""

import numpy as np
import pytest

from dashboard.instruments.network_picture import GRADIENT, NetworkPicture, ends_of_weight, place_of_weight
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.widgets.network_canvas import NetworkCanvas


def run_of(**settings: object) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [5, 4], **settings}))


def told(picture: NetworkPicture) -> NetworkCanvas:
    """The component, which holds what the browser was sent."""
    return picture.__panel__()


def test_a_frame_sends_the_parameters_of_its_epoch():
    run = run_of()
    picture = NetworkPicture(run)
    before = told(picture).parameters
    np.testing.assert_array_equal(before, run.history[0].parameters.astype(np.float32))
    run.advance(10)
    picture.draw(run.frame())
    np.testing.assert_array_equal(told(picture).parameters, run.history[-1].parameters.astype(np.float32))
    assert told(picture).live


def test_under_the_cursor_are_the_parameters_of_then():
    run = run_of()
    picture = NetworkPicture(run)
    run.advance(10)
    run.look_at(4)
    picture.draw(run.frame())
    np.testing.assert_array_equal(told(picture).parameters, run.history.at(4).parameters.astype(np.float32))
    assert not told(picture).live
    assert "Epoch 4:" in told(picture).sentence


def test_a_frame_sends_what_has_changed_and_nothing_else(monkeypatch):
    run = run_of()
    picture, sent = NetworkPicture(run), []
    monkeypatch.setattr(told(picture), "send", lambda **values: sent.append(set(values)))
    run.advance(1)
    picture.draw(run.frame())
    picture.draw(run.frame())
    run.settings.hidden = [3]
    picture.draw(run.frame())
    assert sent[:2] == [{"parameters", "sentence"}, set()]
    assert {"network", "parameters"} <= sent[2]
    picture.forget()
    picture.draw(run.frame())
    assert sent[3] >= {"network", "examples", "parameters", "gradient", "unit", "live", "editable"}


def test_weights_beyond_single_precision_are_infinite():
    run = run_of()
    frame = run.frame()
    frame.epoch.parameters[:2] = 1e300, -1e300
    picture = NetworkPicture(run)
    picture.draw(frame)
    assert told(picture).parameters[:2].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("settings", [{}, {"dataset": "blobs", "skip": True}, {"dataset": "sine"}, {"hidden": []}])
def test_the_browser_is_told_the_network_and_its_examples(settings):
    run = run_of(**settings)
    picture, setup = NetworkPicture(run), run.setup
    network = told(picture).network
    assert tuple(network["sizes"]) == setup.network.sizes
    assert network["skips"] == setup.network.skips
    assert (network["output"], network["task"]) == (setup.network.output, setup.task)
    examples = told(picture).examples.reshape(len(setup.train), -1)
    np.testing.assert_array_equal(examples[:, :-1], setup.train.x.astype(np.float32))
    np.testing.assert_array_equal(examples[:, -1], setup.train.y.astype(np.float32))
    for column, (low, high) in zip(setup.train.x.T, network["box"], strict=True):
        assert low <= column.min() <= column.max() <= high


def test_lines_may_show_the_gradient_of_the_objective():
    run = run_of(l2=0.1)
    picture = NetworkPicture(run)
    assert told(picture).gradient is None
    picture.lines = GRADIENT
    run.advance(3)
    picture.draw(run.frame())
    gradient = run.network.gradient(run.setup.train, run.setup.loss, l2=0.1).flat
    np.testing.assert_allclose(told(picture).gradient, gradient, rtol=1e-6)
    norms = run.history[-1].gradient_norms
    assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(norms))
    assert "largest gradient" in picture.caption


def test_a_click_on_a_unit_picks_it_and_on_no_unit_nothing():
    run = run_of()
    picture = NetworkPicture(run)
    for wrong in ([2, 0], [0, 5], [-1, 0], [0], "layer", [0.0, 1], {}):
        picture.receive({"unit": wrong})
        assert run.view.unit == []
    picture.receive({"unit": [1, 3]})
    picture.draw(run.frame())
    assert run.view.unit == told(picture).unit == [1, 3]
    picture.receive({"unit": []})
    assert run.view.unit == []


def test_layers_and_units_are_added_and_taken_away_as_by_the_sliders():
    run = run_of()
    picture = NetworkPicture(run)
    picture.receive({"hidden": [5, 4, 4]})
    assert run.setup.network.widths == (5, 4, 4)
    picture.draw(run.frame())
    assert told(picture).network["sizes"] == [2, 5, 4, 4, 1]
    for wrong in ([0], [200], "two", [2] * 65):
        picture.receive({"hidden": wrong})
        assert run.settings.hidden == [5, 4, 4]
        assert run.message
        run.message = ""


def test_a_weight_is_where_it_is_said_to_be():
    run = run_of(hidden=[5, 4])
    network = run.network
    sizes = network.sizes
    for place in range(network.n_parameters):
        network.parameters[:] = 0
        network.parameters[place] = 1
        found = [(layer, *np.argwhere(w)[0].tolist()) for layer, w in enumerate(network.weights, 1) if w.any()]
        if found:
            ((layer, source, unit),) = found
            assert ends_of_weight(sizes, place) == ((layer - 1, source), (layer, unit))
            assert place_of_weight(sizes, layer, unit, source) == place


def test_the_sentence_says_what_the_network_is():
    picture = NetworkPicture(run_of(hidden=[8] * 6, activation="tanh"))
    assert told(picture).sentence.startswith(
        "Network. 2 inputs, 6 layers of 8 units of tanh, and 1 output. Epoch 0: weights moved by 0% "
    )


def test_a_click_on_a_line_edits_its_weight_and_nonsense_is_refused():
    run = run_of()
    picture = NetworkPicture(run)
    run.advance(3)
    picture.receive({"edit": [[4, 1.5], [5, -2]], "gesture": 7.0})
    picture.draw(run.frame())
    assert told(picture).parameters[4:6].tolist() == [1.5, -2.0]
    before = run.history[-1].parameters.tobytes()
    for wrong in (
        [[4, "x"]],
        [[0.5, 1.0]],
        [["a", 1]],
        [4, 1],
        "all",
        [[4, float("nan")]],
        [[4, 1e7]],
        [[999, 1.0]],
        {},
    ):
        run.message = ""
        picture.receive({"edit": wrong})
        assert run.message
        assert run.history[-1].parameters.tobytes() == before


def test_a_follower_can_look_and_not_edit():
    run = run_of()
    followed = FollowedRun(SharedRun(run, page="home"))
    picture = NetworkPicture(followed)
    assert not told(picture).editable
    for asked in ({"edit": [[0, 1.0]]}, {"hidden": [3]}):
        picture.receive(asked)
        picture.draw(followed.frame())
    assert run.setup.network.widths == followed.frame().setup.network.widths == (5, 4)
    assert not run.left
