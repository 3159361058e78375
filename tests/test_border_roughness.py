"""The border of a map: its dimension is that of the boxes, with borders without a network and rounding beside it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from markupsafe import Markup

from dashboard.instruments.border_roughness import COLORS, BorderRoughness
from dashboard.pages.maps import Maps
from dashboard.state import run_map
from dashboard.state.analyses import border_checks
from dashboard.state.analyses.border_checks import reference
from dashboard.state.run import Run
from dashboard.state.workers import Workers
from engine.sweep.boundary import boundary, box_dimension, flips_by_one_ulp

FRACTAL = next(preset for preset in Maps.presets if preset.label == "A fractal border")
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of this process, and few runs that are trained once more."""
    monkeypatch.setattr(run_map, "workers", lambda: Workers(ThreadPoolExecutor(1)))
    monkeypatch.setattr(border_checks, "TRIED", 5)


def mapped(**choices: object) -> tuple[Run, BorderRoughness]:
    """The page's run with the fractal preset's map, computed; and the picture of its border, drawn."""
    run, _ = Maps.opened()
    page = Maps(run)
    page.choose(FRACTAL)
    run.study.cancel()
    run.study.param.update(**{"side": 64, "epochs": 30, **choices})
    run.study.start(run.settings)
    run.study._job.wait(PATIENCE_S)
    assert run.study.is_done, run.study.message
    picture = BorderRoughness(run)
    picture.draw(run.frame())
    return run, picture


def worked(picture: BorderRoughness) -> str:
    """The caption after the heavy work."""
    frame = picture.run.frame()
    for _ in picture.work(frame) or ():
        picture.draw(frame)
    picture.draw(frame)
    return Markup(picture.caption).striptags()


def test_the_slope_is_the_box_dimension_of_the_border_that_is_shown():
    run, picture = mapped()
    caption = worked(picture)
    labels = run.study.sweep.values("trained")
    dimension = box_dimension(boundary(labels))
    assert f"this border {dimension}" in caption
    data = picture.sources["border"].data
    np.testing.assert_array_equal(data["size"], dimension.sizes)
    np.testing.assert_array_equal(data["count"], dimension.counts)
    slope = np.polyfit(np.log(data["size"]), np.log(data["count"]), 1)[0]
    assert -slope == pytest.approx(dimension.value, rel=1e-9)
    assert f"one rounding further {flips_by_one_ulp(run.study.sweep, most=5):.1%} of 5 runs flip" in caption
    dots = picture.sources["dots"]
    (drawn,) = [one for one in picture.figure.renderers if one.data_source is dots]
    assert drawn.glyph.fill_color.field == "color"
    assert set(dots.data["color"]) == {*COLORS.values()}
    assert picture.work(run.frame()) is None, "nothing is found out twice"
    run.close()


def test_an_earlier_epoch_of_the_map_has_its_own_border():
    run, picture = mapped()
    run.view.map_epoch = 10
    caption = worked(picture)
    assert f"this border {box_dimension(boundary(run.study.sweep.values('trained', 10)))}" in caption
    run.close()


def test_runs_that_take_long_are_not_all_trained_once_more(monkeypatch):
    monkeypatch.setattr(border_checks, "TRIAL_S", 0)
    run, picture = mapped()
    assert "of 1 run flip" in worked(picture)
    run.close()


def test_what_the_picture_says_of_borders_without_a_network_is_so():
    """Published: 1.68 with the cosine. The quadratic's is a hyperbola; the bands are those of fits on 256 pixels."""
    assert reference("cosine").value == pytest.approx(1.68, abs=0.1)
    assert reference("quadratic").value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"side": 32}, "from 64 pixels a side on"),
        ({"windows": [[0.01, 0.02, 0.01, 0.02]]}, "all pixels are alike, so there is no boundary"),
    ],
)
def test_what_has_no_border_says_what_would(choices, words):
    run, picture = mapped(**choices)
    assert words in worked(picture)
    run.close()


def test_before_there_is_a_map_the_picture_asks_for_one():
    run, _ = Maps.opened()
    picture = BorderRoughness(run)
    picture.draw(run.frame())
    assert "Compute a map" in Markup(picture.caption).striptags()
    assert picture.work(run.frame()) is None
    run.close()
