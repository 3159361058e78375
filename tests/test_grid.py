"""Images show what was measured, where it was measured: a pixel's center is its point, and nothing lies between."""

from pathlib import Path

import numpy as np
import pytest
from bokeh.models import CustomJSHover, HoverTool, Image

from dashboard import instruments
from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.hessian_landscape import HessianLandscape
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.pca_landscape import PcaLandscape
from dashboard.instruments.race_map import LEVELS, RaceMap
from dashboard.instruments.sample_grid import EPOCH, by_epoch, epoch_at, measured_at
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.instruments.weight_slice import WeightSlice
from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.widgets import style
from engine.measures import FATES

SMALL = {"n": 30, "hidden": [3, 2]}


def run_of(epochs: int = 12, **settings: object) -> Run:
    run = Run(Settings(**{**SMALL, **settings}))
    run.advance(epochs)
    return run


def image_of(instrument: Instrument, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image as it was sent, with the centers of its columns and of its rows."""
    sent = {name: np.asarray(column[0]) for name, column in instrument.sources[label].data.items()}
    rows, columns = sent["image"].shape
    x = sent["x"] + (np.arange(columns) + 0.5) * sent["dw"] / columns
    y = sent["y"] + (np.arange(rows) + 0.5) * sent["dh"] / rows
    return sent["image"], x, y


def points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def test_pixels_have_their_centers_where_they_were_measured():
    x, y = np.linspace(-1, 4, 6), np.linspace(2, 3, 3)
    sent = measured_at(np.zeros((3, 6)), x, y)
    assert (sent["x"], sent["dw"], sent["y"], sent["dh"]) == (-1.5, 6.0, 1.75, 1.5)
    with pytest.raises(ValueError, match="6 x 3"):
        measured_at(np.zeros((3, 6)), y, x)


def test_every_image_of_measured_points_is_placed_by_the_grid():
    """Bins of a histogram have ends and no points; they are the exception."""
    folder = Path(instruments.__path__[0])
    placed = {path.stem for path in folder.glob("*.py") if '"dw"' in path.read_text(encoding="utf-8")}
    assert placed == {"sample_grid", "pre_activation_map"}


@pytest.mark.parametrize("settings", [{}, {"dataset": "blobs", "classes": 4}, {"standardize": True}])
def test_the_decision_map_s_pixels_are_the_answers_at_their_centers(settings):
    run = run_of(**settings)
    shades, x, y = image_of(plane := DecisionMap(run), "regions")
    answers = run.network.predict(points(x, y))
    classes = max(2, answers.shape[1])
    shades = shades.ravel().astype(int)
    lead = 1 / classes + (shades % style.LEVELS) / (style.LEVELS - 1) * (1 - 1 / classes)
    p = np.hstack([1 - answers, answers]) if answers.shape[1] == 1 else answers
    step = (1 - 1 / classes) / (style.LEVELS - 1)
    np.testing.assert_allclose(lead, p[np.arange(len(p)), shades // style.LEVELS], atol=step / 2 + 1e-9)
    assert step <= 0.01 + 1e-12 or all("≈" in hover.code for hover in plane.figure.select({"type": CustomJSHover}))


def test_the_unit_plane_s_pixels_are_the_unit_s_activations_at_their_centers():
    run = run_of(activation="tanh")
    image, x, y = image_of(UnitPlane(run), "activation")
    expected = run.network.trace(points(x, y)).activations[0][:, 0]
    np.testing.assert_allclose(image.ravel(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [LossLandscape, WeightSlice, PcaLandscape, HessianLandscape])
def test_the_landscape_s_pixels_are_the_losses_at_their_centers(kind):
    run = run_of(validation=0.0)
    landscape, frame = kind(run), run.frame()
    for _ in landscape.work(frame):
        pass
    landscape.draw(frame)
    image, x, y = image_of(landscape, "surface")
    network, plane = run.network, landscape.relief.plane
    for row, column in [(0, 0), (5, 31), (20, 20), (40, 7), (40, 40)]:
        network.parameters[:] = plane.point(x[column], y[row])
        assert image[row, column] == pytest.approx(network.loss(run.setup.train, run.setup.loss), rel=1e-6)


@pytest.mark.parametrize("surface", ["logistic", "rosenbrock", "quadratic"])
def test_the_relief_s_steps_of_gray_follow_its_contours(surface):
    page = PAGES["geometry"]
    race = page.store(page.settings(surface=surface))
    image, x, y = image_of(RaceMap(race), "relief")
    setup = race.setup
    heights = setup.surface.values_on(x, y) - setup.lowest
    levels = np.log10(np.clip(heights, heights.max() * 1e-5, None))
    steps = np.linspace(levels.min(), levels.max(), LEVELS + 1)
    assert np.mean(image != np.digitize(levels, steps[1:-1])) < 1e-3


@pytest.mark.parametrize("epochs", [12, 700])
@pytest.mark.parametrize("kind", [ActivationMap, FateCounts])
def test_a_column_over_epochs_is_that_of_the_epoch_at_its_center(kind, epochs):
    run = run_of(epochs)
    picture = kind(run, **({"by_unit": True} if kind is FateCounts else {}))
    image, x, _ = image_of(picture, "means" if kind is ActivationMap else "fates")
    stride = picture.stride(run.frame())
    for column in (0, 1, epochs // stride):
        epoch = run.history.at(int(x[column]))
        assert x[column] == epoch.index == column * stride
        if kind is ActivationMap:
            np.testing.assert_allclose(image[::-1, column], np.concatenate(epoch.mean_activations), rtol=1e-6)
        else:
            assert (image[:, column] < len(FATES)).all()
        assert epoch_at(x[column] + 0.49 * stride, stride) == epoch_at(x[column] - 0.49 * stride, stride) == epoch.index


@pytest.mark.parametrize("kind", [ActivationMap, FateCounts])
def test_the_pointer_reads_the_epoch_whose_column_it_is_on_and_a_click_goes_there(kind):
    run = run_of(700)
    picture = kind(run)
    stride = picture.stride(run.frame())
    (reader,) = picture.figure.select({"name": EPOCH})
    assert stride > 1 and reader.code == f"return String({stride} * Math.floor(value / {stride} + 0.5))"
    picture.tapped(10 * stride + 0.4 * stride, 0.5)
    assert run.looked_at == 10 * stride
    picture.tapped(10 * stride - 0.4 * stride, 0.5)
    assert run.looked_at == 10 * stride


def test_columns_over_epochs_begin_half_a_column_before_epoch_0():
    sent = by_epoch(np.zeros((5, 10)), stride=4)
    assert (sent["x"], sent["dw"], sent["y"], sent["dh"]) == (-2.0, 40, 0.0, 5)


@pytest.mark.parametrize("kind", [ActivationMap, LossLandscape])
def test_what_the_pointer_reads_has_four_digits_however_small_it_is(kind):
    picture = kind(run_of())
    images = [part for part in picture.figure.renderers if isinstance(part.glyph, Image)]
    assert images
    for tool in picture.figure.select({"type": HoverTool}):
        for _, text in tool.tooltips:
            assert "@image{0" not in text
