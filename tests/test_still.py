"""Stills: what a notebook keeps of a picture shows what the picture shows, with nothing but an image and words."""

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from bokeh.models import Plot
from bokeh.plotting import figure

from dashboard.jupyter_ui import still, still_page
from dashboard.jupyter_ui.page_assets import kept
from dashboard.pages import PAGES
from dashboard.shell.app import App
from dashboard.state.store import Trainable
from dashboard.widgets.plain_text import as_written

SHAPES = "{http://www.w3.org/2000/svg}"


def shapes(plot: Plot, kind: str) -> list[ElementTree.Element]:
    """The shapes of a kind that a figure's SVG draws inside its axes."""
    return ElementTree.fromstring(still.svg(plot)).findall(f"{SHAPES}g//{SHAPES}{kind}")


@pytest.mark.parametrize("slug", [slug for slug, page in PAGES.items() if not page.timeless])
def test_every_picture_of_every_page_can_be_drawn_with_all_it_is_made_of(slug):
    app = App(page=slug)
    if isinstance(app.run, Trainable):
        app.run.advance(5)
    for _ in range(5):
        app.draw()
    plots = [one.figure for one in app.shown.shown if isinstance(getattr(one, "figure", None), Plot)]
    for plot in plots:
        made = {type(one.glyph).__name__ for one in plot.renderers if hasattr(one, "glyph")}
        assert made <= still.DRAWN.keys()
        drawn = still.svg(plot)
        ElementTree.fromstring(drawn)
        assert not re.search(r"\bnan\b|\binf\b", drawn)
        assert len(drawn) < 120_000
    app.end()


def test_points_lie_where_their_numbers_are():
    plot = figure(x_range=(0, 10), y_range=(1, 100), y_axis_type="log", width=460, height=290)
    plot.scatter([0, 5, 10], [1, 10, 100], size=6, color=["#ff0000", "#00ff00", "#0000ff"])
    across = [float(one.get("cx")) for one in shapes(plot, "circle")]
    down = [float(one.get("cy")) for one in shapes(plot, "circle")]
    left, right, top, bottom = still.LEFT, still.WIDTH - still.RIGHT, still.TOP, 290 - still.BOTTOM
    assert across == pytest.approx([left, (left + right) / 2, right])
    assert down == pytest.approx([bottom, (top + bottom) / 2, top])
    assert [one.get("fill") for one in shapes(plot, "circle")] == ["#ff0000", "#00ff00", "#0000ff"]


def test_a_line_breaks_where_there_is_no_number():
    plot = figure(x_range=(0, 4), y_range=(0, 1))
    plot.line([0, 1, 2, 3, 4], [0, 1, float("nan"), 1, 0])
    (line,) = shapes(plot, "path")
    assert line.get("d").count("M") == 2


@pytest.mark.parametrize("text", ["$$x^2$$", "a \\(b\\)", "\\[c\\]"])
def test_what_looks_like_a_formula_of_latex_is_written_as_it_is(text):
    plot = figure(x_range=(0, 1), y_range=(0, 1))
    plot.xaxis.axis_label = plot.yaxis.axis_label = as_written(text)
    plot.xaxis.ticker, plot.xaxis.major_label_overrides = [0.5], {0.5: as_written(text)}
    words = [one.text for one in ElementTree.fromstring(still.svg(plot)).iter(f"{SHAPES}text")]
    assert words.count(text) == 3


def test_what_a_notebook_keeps_has_only_our_tags_whatever_a_picture_is_called():
    hostile = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    app = App(page="home")
    one = app.shown.shown[0]
    one.title = hostile
    one.caption = hostile
    told = kept("key", "ref", still_page.of(app.run, [one], title=hostile) + hostile)["text/html"]
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, {name for name, _ in attributes}))
    parser.feed(told)
    app.end()
    assert [tag for tag, _ in tags].count("script") == 1
    assert {name for _, names in tags for name in names} == {"data-descent-lab", "class", "style", "alt", "src"}
    assert "<img src=x" not in told


def test_words_in_a_picture_and_about_it_are_text():
    plot = figure(x_range=(0, 1), y_range=(0, 1), y_axis_label="<script>alert(1)</script>")
    plot.text([0.5], [0.5], text=["<img src=x onerror=alert(1)>"])
    kept = still.image(plot, '"><script>alert(1)</script>')
    assert "<script" not in kept
    drawn = base64.b64decode(re.search('base64,([^"]+)', kept)[1]).decode()
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "&lt;img src=x" in drawn
