"""Charts: the values under the pointer are read, and a part that is looked at closer stays until it is left."""

import pytest
from bokeh.document import Document
from bokeh.events import DoubleTap, RangesUpdate, Tap
from bokeh.models import BoxAnnotation, BoxZoomTool, HoverTool, Line

from dashboard import Run, Settings
from dashboard.instruments import DecisionMap, GradientBars, LayerCurves, LossCurve, RaceMap
from dashboard.state.race import Race


@pytest.fixture
def run():
    run = Run(Settings(validation=0.2))
    run.advance(50)
    yield run
    run.close()


def happens(event):
    """What a figure's document does when the browser reports an event."""
    document = event.model.document or Document()
    if event.model not in document.roots:
        document.add_root(event.model)
    document.callbacks.trigger_event(event)


def zoomed(picture, x, y):
    """What the browser does when a user drags over a part."""
    figure = picture.figure
    figure.x_range.update(start=x[0], end=x[1])
    figure.y_range.update(start=y[0], end=y[1])
    happens(RangesUpdate(figure, x0=x[0], x1=x[1], y0=y[0], y1=y[1]))


def shown(picture):
    return picture.figure.x_range.start, picture.figure.x_range.end


def test_every_curve_is_read_by_one_tool(run):
    figure = LossCurve(run).figure
    lines = [renderer for renderer in figure.renderers if isinstance(renderer.glyph, Line)]
    read = [tool.renderers[0] for tool in figure.select(HoverTool)]
    assert sorted(line.id for line in lines) == sorted(line.id for line in read)
    assert {tool.tooltips[0][0] for tool in figure.select(HoverTool)} == {"training", "validation"}
    assert {text for tool in figure.select(HoverTool) for _, text in tool.tooltips} == {
        "@loss{custom}",
        "@epoch{custom}",
    }
    assert {tool.mode for tool in figure.select(HoverTool)} == {"vline"}


def test_a_part_that_is_looked_at_stays_while_the_run_goes_on(run):
    picture = LossCurve(run)
    zoomed(picture, (10, 20), (0.3, 0.4))
    run.advance(100)
    picture.draw(run.frame())
    assert shown(picture) == (10, 20)
    figure = picture.figure
    happens(DoubleTap(figure, x=15, y=0.3))
    picture.draw(run.frame())
    assert shown(picture) == (0, 150)


def test_the_click_before_a_double_click_that_leaves_the_zoom_picks_no_epoch(run):
    picture = LossCurve(run)
    zoomed(picture, (10, 20), (0.3, 0.4))
    figure = picture.figure
    happens(Tap(figure, x=15, y=0.3))
    assert run.looked_at == 15
    happens(DoubleTap(figure, x=15, y=0.3))
    assert run.looked_at is None


def test_a_double_click_that_leaves_nothing_is_a_click(run):
    picture = LossCurve(run)
    figure = picture.figure
    happens(Tap(figure, x=15, y=0.3))
    happens(DoubleTap(figure, x=15, y=0.3))
    assert run.looked_at == 15


def test_a_fresh_start_shows_everything(run):
    picture = LossCurve(run)
    zoomed(picture, (10, 20), (0.3, 0.4))
    run.reset()
    run.advance(30)
    picture.draw(run.frame())
    assert shown(picture) == (0, 30)


def test_a_drag_draws_or_looks_closer(run):
    picture = DecisionMap(run)
    (box,) = picture.figure.select(BoxZoomTool)
    assert picture.figure.toolbar.active_drag is box
    picture.pen = "add class 0"
    picture.draw(run.frame())
    assert picture.figure.toolbar.active_drag is None
    picture.pen = "pick"
    picture.draw(run.frame())
    assert picture.figure.toolbar.active_drag is box


def test_a_part_of_a_plane_keeps_right_angles():
    race = Race()
    (box,) = RaceMap(race).figure.select(BoxZoomTool)
    assert box.match_aspect
    race.close()


def test_an_axis_of_names_has_no_zoom(run):
    picture = GradientBars(run)
    assert bool(picture.figure.select(BoxZoomTool)) == (picture.zoom is not None)


def _loss_rows(picture: LossCurve) -> list[int]:
    return list(picture.sources["training"].data["epoch"])


def _veil(picture: LossCurve) -> BoxAnnotation:
    return next(box for box in picture.figure.select(BoxAnnotation) if "future" in box.css_classes)


def test_the_future_of_an_epoch_that_is_looked_at_stays_in_the_chart_behind_a_veil():
    run = Run(Settings(n=40, hidden=[3]))
    picture = LossCurve(run)
    run.advance(60)
    picture.draw(run.frame())
    assert not _veil(picture).visible
    for epoch in (20, 35, 10):
        run.look_at(epoch)
        picture.draw(run.frame())
        assert _loss_rows(picture) == list(range(61))
        assert picture.sources["now"].data["epoch"][0] == epoch
        assert (_veil(picture).visible, _veil(picture).left) == (True, epoch)
        assert picture.figure.x_range.end == 60
    run.look_at(None)
    picture.draw(run.frame())
    assert not _veil(picture).visible
    run.advance(3)
    picture.draw(run.frame())
    assert _loss_rows(picture) == list(range(64))


def test_a_fork_has_no_future():
    run = Run(Settings(n=40, hidden=[3]))
    picture = LossCurve(run)
    run.advance(60)
    run.look_at(20)
    picture.draw(run.frame())
    run.fork()
    run.advance(5)
    picture.draw(run.frame())
    assert _loss_rows(picture) == list(range(26))
    assert not _veil(picture).visible


def test_the_veil_begins_within_a_logarithmic_axis():
    run = Run(Settings(n=40, hidden=[3]))
    picture = LayerCurves(run)
    run.advance(30)
    run.look_at(0)
    picture.draw(run.frame())
    assert _veil(picture).left > 0
    assert max(picture.sources["line 0"].data["epoch"]) == 30


def test_a_picture_without_an_epoch_axis_has_no_veil():
    picture = GradientBars(Run(Settings(n=40, hidden=[3])))
    assert not any("future" in box.css_classes for box in picture.figure.select(BoxAnnotation))
