"""What the screen says, read off every page: no number that was not measured, and no two answers to one question."""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from bokeh.models import Axis, Div

from dashboard import instruments
from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.fates_by_start import FatesByStart
from dashboard.instruments.instrument import Instrument
from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study
from dashboard.state.view import StudyView

for _module in iter_modules(instruments.__path__):
    import_module(f"{instruments.__name__}.{_module.name}")

PAGES_WITH_TIME = {slug: page for slug, page in PAGES.items() if not page.timeless and page.presets}
UNSPEAKABLE = re.compile(r"\bnan\b|\binf\b|\bNone\b|\bInfinity\b|(?<![\d.])0\.0*e[+-]?0+\b", re.IGNORECASE)
"""What no caption, label or reading says: words of a program for what is no number, and 0 as a power of ten."""

STATES: dict[str, tuple[dict[str, Any], int]] = {
    "fresh": ({}, 0),
    "trained": ({}, 60),
    "zero weights": ({"initializer": "zeros", "hidden": [4, 3]}, 40),
    "zero weights, no bias left": ({"initializer": "zeros", "hidden": [3], "dataset": "xor4", "noise": 0.0}, 3),
    "diverged": ({"dataset": "sine", "activation": "tanh", "learning_rate": 10.0}, 60),
    "exploding": ({"hidden": [8] * 8, "initializer": "large", "std": 1.0}, 20),
    "all dead": ({"bias": -10.0}, 5),
    "a line": ({"dataset": "linear", "hidden": []}, 30),
    "XOR stuck": ({"dataset": "xor4", "noise": 0.0, "hidden": [], "learning_rate": 1.0, "validation": 0.0}, 900),
    "classes": ({"dataset": "blobs", "classes": 4}, 10),
    "fits exactly": ({"dataset": "chebyshev", "degree": 1, "noise": 0.0, "hidden": [], "learning_rate": 0.5}, 400),
    "adam": ({"optimizer": "adam"}, 10),
}
PLAN = Plan(
    {
        "zeros": {"initializer": "zeros"},
        "too fast": {"learning_rate": 10.0, "initializer": "large", "activation": "linear"},
        "another loss": {"loss": "mse"},
    },
    seeds=2,
    epochs=20,
)


def kinds_of(kind: type[Instrument]) -> Iterator[type[Instrument]]:
    """Every picture there is."""
    for other in kind.__subclasses__():
        if "title" in vars(other) or not other.__subclasses__():
            yield other
        yield from kinds_of(other)


KINDS = {kind.__name__: kind for kind in kinds_of(Instrument) if kind.__module__.startswith("dashboard.")}


@cache
def state(name: str) -> Run:
    """A run in some state, with a comparison that has diverged, stuck and other runs in it."""
    values, epochs = STATES[name]
    run = Run(Settings(**{"n": 30, "hidden": [4, 3], **values}), StudyView(), Study(PLAN))
    if run.setup.task == "binary":
        for _ in run.study.pieces(run.settings):
            pass
    run.advance(epochs)
    return run


def texts_of(instrument: Instrument) -> Iterator[str]:
    """All that a picture says in words and numbers."""
    yield instrument.caption
    if isinstance(instrument.figure, Div):
        yield instrument.figure.text
    for item in getattr(getattr(instrument, "_chips", None), "items", None) or ():
        yield f"{item['label']} {item['value']}"
    for source in instrument.sources.values():
        for column in source.data.values():
            yield from (one for one in _flat(column) if isinstance(one, str))
    for axis in instrument.figure.select({"type": Axis}) if hasattr(instrument.figure, "select") else ():
        yield str(axis.axis_label or "")
        yield from axis.major_label_overrides.values()


def _flat(column: Any) -> Iterator[Any]:
    for one in column:
        yield from _flat(one) if isinstance(one, list | tuple) else (one,)


def plain(text: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", text))


def said(instrument: Instrument) -> list[str]:
    return [plain(text) for text in texts_of(instrument) if text]


def brought_to(kind: type[Instrument], run: Run, **controls: Any) -> Instrument:
    """A picture at the run's frame, with its work done where that takes no time."""
    picture = _declared(kind) if not controls else kind(run, **controls)
    picture.run = run
    _work_out(picture, run)
    return picture


def _work_out(picture: Instrument, run: Run) -> None:
    picture.draw(run.frame())
    for _, _ in zip(range(400), picture.work(run.frame()) or (), strict=False):
        pass
    picture.draw(run.frame())


@cache
def _declared(kind: type[Instrument]) -> Instrument:
    """A picture of a kind, to be begun again with other runs: to declare one takes most of a test's time."""
    return kind(next(run for run in map(state, STATES) if kind.suits(run.frame())))


def unspeakable(texts: Iterator[str] | list[str]) -> list[str]:
    return [text for text in texts if UNSPEAKABLE.search(text)]


@pytest.mark.parametrize("name", STATES)
def test_no_picture_says_what_is_no_number_or_zero_as_a_power_of_ten(name):
    run, frame = state(name), state(name).frame()
    found = {}
    for label, kind in KINDS.items():
        if kind.suits(frame) and (bad := unspeakable(said(brought_to(kind, run)))):
            found[label] = bad
    assert not found
    assert not unspeakable(list(run.readings(frame).values()))
    assert not unspeakable([mark.title for mark in run.bookmarks])


@pytest.mark.parametrize("slug", PAGES_WITH_TIME)
def test_no_page_says_so_with_any_of_its_presets(slug):
    kind = PAGES_WITH_TIME[slug]
    run, _ = kind.opened()
    page, made, found = kind(run), {}, {}
    for preset in kind.presets:
        page.choose(preset)
        for epochs in (0, 11):
            run.advance(epochs)
            frame = run.frame()
            for card in kind.instruments:
                for picture in card:
                    if picture.suits(frame):
                        if picture not in made:
                            made[picture] = picture(run)
                        made[picture].draw(frame)
                        if bad := unspeakable(said(made[picture])):
                            found[preset.label, frame.epoch.index, picture.__name__] = bad
            if bad := unspeakable(list(run.readings(frame).values())):
                found[preset.label, frame.epoch.index, "readings"] = bad
        if bad := unspeakable([preset.label, preset.doc]):
            found[preset.label] = bad
    assert not found


CHECKS = {"CheckMap", "EpsilonErrors", "ParameterWalk"}
"""They show steps and rounding errors, which are that small."""


def test_where_all_is_zero_no_picture_says_a_tiny_number():
    """A drawing has a lowest number on a logarithmic axis; what is printed is 0."""
    run = state("zero weights, no bias left")
    frame = run.frame()
    assert not frame.epoch.gradient_norms[:-1].any()
    tiny = {}
    for label, kind in KINDS.items():
        if kind.suits(frame):
            caption = plain(brought_to(kind, run).caption)
            if label not in CHECKS and re.search(r"\de-(0[4-9]|[1-9]\d)", caption):
                tiny[label] = caption
    assert tiny == {}


@pytest.mark.parametrize("name", [name for name in STATES if name not in ("a line", "XOR stuck", "fits exactly")])
def test_every_picture_counts_the_same_dead_and_dim_units(name):
    run = state(name)
    words = {kind: plain(brought_to(kind, run).caption) for kind in (ActivationMap, FateCounts, FatesByStart)}
    counts = {
        kind: tuple(int(re.search(rf"(\d+) {fate}", text)[1]) for fate in ("dead", "dim"))
        for kind, text in words.items()
    }
    assert len(set(counts.values())) == 1, words
    drawn = brought_to(ActivationMap, run)
    marks = tuple(len(drawn.sources[fate].data["y"]) for fate in ("dead", "dim"))
    assert marks == counts[ActivationMap]


@pytest.mark.parametrize("name", [name for name in STATES if name not in ("diverged", "fits exactly")])
def test_every_picture_shows_the_accuracy_of_the_playback_bar(name):
    run = state(name)
    if DecisionMap.suits(run.frame()):
        assert plain(brought_to(DecisionMap, run).caption).startswith(run.readings(run.frame())["accuracy"])


OWN_LOSS = re.compile(r"(?:this run|no bug|now|loss|true)[: ]+(?:loss )?([0-9.]+(?:e[+-]?\d+)?)(?![\d%])")
QUANTITIES = {"StudyCurves", "StudyOutcomes", "FittedCurve", "BugDescent", "LossLandscape", "SurfaceErrors"}
"""Pictures whose captions give the run's own loss."""


@pytest.mark.parametrize("name", ["fresh", "trained", "zero weights", "classes", "adam"])
def test_every_picture_that_shows_the_loss_shows_the_same(name):
    run = state(name)
    loss, told = run.frame().epoch.loss, {}
    for label in QUANTITIES:
        if KINDS[label].suits(run.frame()) and (found := OWN_LOSS.search(plain(brought_to(KINDS[label], run).caption))):
            told[label] = float(found[1])
    assert len(told) >= 3
    assert told == {label: pytest.approx(loss, rel=6e-2) for label in told}


def switches(kind: type[Instrument]) -> Iterator[tuple[str, Any]]:
    """Every choice of a picture's own controls that is not the usual one, but for those that change the data."""
    for name in sorted(set(kind.controls) - set(kind.tools)):
        parameter = kind.param[name]
        objects = getattr(parameter, "objects", None)
        values = list(objects.values() if isinstance(objects, dict) else objects) if objects else [True, False]
        yield from ((name, value) for value in values if value != parameter.default)


SWITCHED = [(label, *switch) for label, kind in KINDS.items() for switch in switches(kind)]


def looks(instrument: Instrument) -> dict[str, Any]:
    """What a picture is called by: its axes' titles, its caption and whether its axes are logarithmic."""
    axes = instrument.figure.select({"type": Axis})
    return {
        "axes": sorted((str(axis.axis_label), type(axis).__name__) for axis in axes),
        "caption": instrument.caption,
        "ends": [(one.start, one.end) for one in (instrument.figure.x_range, instrument.figure.y_range)],
    }


@pytest.mark.parametrize(("label", "name", "value"), SWITCHED)
def test_a_picture_that_was_switched_says_what_one_that_was_declared_so_says(label, name, value):
    kind = KINDS[label]
    fitting = [state(one) for one in ("trained", "a line", "diverged") if kind.suits(state(one).frame())]
    if not fitting:
        return
    run = fitting[0]
    switched = brought_to(kind, run)
    setattr(switched, name, value)
    _work_out(switched, run)
    seen, anew = looks(switched), looks(brought_to(kind, run, **{name: value}))
    setattr(switched, name, kind.param[name].default)
    assert seen == anew


def test_the_axis_of_update_ratios_is_called_what_is_drawn():
    run = state("trained")
    picture = KINDS["UpdateRatios"](run)
    titles = [picture.figure.yaxis[0].axis_label]
    before = picture.caption
    picture.pull = True
    assert [*titles, picture.figure.yaxis[0].axis_label] == ["update / weight", "gradient / weight"]
    assert picture.caption != before
    network, epoch = run.network, run.frame().epoch
    weights = [float(np.linalg.norm(one)) for one in network.weights]
    told = [float(one) for one in re.findall(r"layer \d+ ([\d.e+-]+)", plain(picture.caption))]
    assert told[-1] == pytest.approx(epoch.gradient_norms[-1] / weights[-1], rel=0.5)
