"""Laws of the settings: links come back as they went, impossible requests are explained, defaults follow a choice."""

import json
import math
from typing import Any

import numpy as np
import param
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.state.choices import bounds_in_words
from dashboard.state.run import Run
from dashboard.state.settings import (
    FAMILIES,
    LIVE,
    MAX_HIDDEN_LAYERS,
    MAX_MULTIPLIER,
    MAX_UNITS_PER_LAYER,
    OPTIONS,
    Digest,
    Features,
    Multipliers,
    Settings,
    Widths,
)
from dashboard.storage.tables import OWN, TABLES, Table
from dashboard.widgets.controls import LayerEditor, RatesEditor
from engine.datasets import DATASETS
from engine.features import FEATURES
from engine.losses import LOSSES
from engine.optimizers import OPTIMIZERS
from engine.options import options
from engine.schedules import SCHEDULES

every_setting = pytest.mark.parametrize("name", Settings.names())
every_member = pytest.mark.parametrize(
    ("choice", "member"), [(choice, member) for choice, family in FAMILIES.items() for member in family]
)
every_option = pytest.mark.parametrize(
    ("choice", "member", "name"),
    [(c, m, name) for c, family in FAMILIES.items() for m, thing in family.items() for name in options(thing)],
)


NAMED = Table.labeled(["a", "b"], DATASETS["blobs"](n=12).x, DATASETS["blobs"](n=12).y, ["x", "y", "z"], "kind")
"""Data of one's own, of three classes."""

PAIR = Table.of(DATASETS["xor4"]())
LINE = Table.of(DATASETS["sine"](n=10))


@pytest.fixture(scope="module", autouse=True)
def known():
    """Data of one's own that links may speak of."""
    return [TABLES.hold(table) for table in (NAMED, PAIR, LINE)]


def valid(name: str) -> st.SearchStrategy:
    """Any value that a setting may have."""
    parameter = Settings.param[name]
    if isinstance(parameter, Digest):
        return st.sampled_from([table.digest for table in (NAMED, PAIR, LINE)])
    if isinstance(parameter, param.Selector):
        return st.sampled_from(list(parameter.objects))
    if isinstance(parameter, param.Boolean):
        return st.booleans()
    if isinstance(parameter, Widths):
        return st.lists(st.integers(1, MAX_UNITS_PER_LAYER), max_size=MAX_HIDDEN_LAYERS)
    if isinstance(parameter, Multipliers):
        return st.lists(st.integers(0, 9) | st.floats(0, MAX_MULTIPLIER), max_size=MAX_HIDDEN_LAYERS + 1)
    if isinstance(parameter, Features):
        return st.lists(st.sampled_from(list(FEATURES)), min_size=1, unique=True)
    low, high = parameter.bounds
    if isinstance(parameter, param.Integer):
        return st.integers(low, high)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


any_choices = st.fixed_dictionaries(
    {"own": valid("own")}, optional={name: valid(name) for name in Settings.names() if name != "own"}
)


def bad_texts(name: str) -> list[str]:
    """What may stand in a link that somebody typed."""
    parameter = Settings.param[name]
    texts = ["NaN", "Infinity", "-Infinity", "1e999", "null", "{}", '"quoted"', "nonsense", "", "[[" * 50_000, "é\0"]
    if isinstance(parameter, Digest):
        return [text for text in texts if text] + ["0123456789abcde", "0123456789ABCDEF", "../../etc/passwd", "0" * 17]
    if isinstance(parameter, Widths):
        wrong = (
            f"[{MAX_UNITS_PER_LAYER + 1}]",
            "[0]",
            "[-3]",
            "[2.5]",
            "[true]",
            "[NaN]",
            "[null]",
            "16",
            "true",
            '["16"]',
        )
        return [*texts, *wrong, json.dumps([2] * (MAX_HIDDEN_LAYERS + 1)), json.dumps([10**12])]
    if isinstance(parameter, Multipliers):
        wrong = ("[-1]", "[1e10]", "[true]", "[NaN]", "[Infinity]", "[null]", "1", '["1"]', "[[1]]")
        return [*texts, *wrong, json.dumps([1] * (MAX_HIDDEN_LAYERS + 2))]
    if isinstance(parameter, Features):
        return [*texts, "[]", "x1", '["x3"]', '["x1", "x1"]', "[1]", '["x1", null]', '[["x1"]]', '{"x1": 1}']
    if isinstance(parameter, param.Boolean):
        return [*texts, "1", "0", "True", "[]"]
    if isinstance(parameter, param.Selector):
        return [*texts, "true", "7.5", "-1", "[]"]
    low, high = parameter.bounds
    texts = [*texts, "true", "[]", repr(low - 1), repr(high * 2 + 1), "-1e300", "1" + "0" * 400, "9" * 5000]
    return [*texts, f"{low}.5"] if isinstance(parameter, param.Integer) else texts


@given(any_choices)
def test_settings_come_back_from_their_own_link(choices):
    settings = Settings(**choices)
    again, problems = Settings.from_query(settings.query())
    assert problems == []
    assert again.values() == settings.values()


@given(any_choices)
def test_what_is_asked_for_is_what_is_set(choices):
    settings = Settings(**choices)
    for name, value in choices.items():
        assert getattr(settings, name) == value or name == "loss"


@given(any_choices)
def test_the_loss_always_goes_with_the_output(choices):
    settings = Settings(**choices)
    assert settings.loss in settings.losses()
    assert settings.output in LOSSES[settings.loss].outputs


@given(any_choices, any_choices)
def test_restoring_brings_everything_back(before, after):
    settings = Settings(**before)
    values = settings.values()
    settings.param.update(**after)
    settings.restore(values)
    assert settings.values() == values


@every_setting
def test_an_impossible_request_is_answered_with_what_would_be_right(name):
    for text in bad_texts(name):
        settings, problems = Settings.from_query({name: text})
        assert len(problems) == 1, f"{name}={text[:40]} was taken for {getattr(settings, name)!r}"
        assert problems[0].startswith(f"{name}=")
        assert problems[0].endswith(f"choose {bounds_in_words(Settings.param[name])}")
        assert len(problems[0]) < 500
        assert settings.values() == Settings().values()


@every_setting
def test_a_bad_value_cannot_be_set_in_python_either(name):
    parameter, settings = Settings.param[name], Settings()
    numbers = [math.nan, math.inf, -math.inf] if isinstance(parameter, param.Number) else ["nonsense", 7.5]
    wrong = [None, {}, [[3]], [True], [math.nan], *numbers]
    for value in wrong:
        with pytest.raises(ValueError, match=rf"{name}|hidden layer"):
            setattr(settings, name, value)
    assert settings.values() == Settings().values()


def test_one_bad_part_does_not_spoil_the_rest_of_a_link():
    settings, problems = Settings.from_query({"n": "NaN", "dataset": "circles", "noise": "0.3", "l2": "-1"})
    assert (settings.n, settings.dataset, settings.noise, settings.l2) == (Settings().n, "circles", 0.3, 0)
    assert [problem.split("=")[0] for problem in problems] == ["n", "l2"]


def test_what_is_not_a_setting_is_none_of_its_business():
    settings, problems = Settings.from_query({"page": "playground", "name": "x", "utm_source": "mail"})
    assert problems == []
    assert settings.values() == Settings().values()


@every_setting
def test_every_setting_says_what_it_means_and_what_it_accepts(name):
    parameter = Settings.param[name]
    assert parameter.doc.rstrip().endswith((".", ")"))
    assert bounds_in_words(parameter)
    assert "None" not in bounds_in_words(parameter)


@every_option
def test_every_option_of_every_family_has_a_setting_with_its_bounds(choice, member, name):
    option = options(FAMILIES[choice][member])[name]
    parameter = Settings.param[name]
    assert isinstance(parameter, param.Integer) == (option.kind is int)
    if name not in ("n", "noise"):
        assert parameter.bounds == (option.range.low, option.range.high)
        assert option.range.doc in parameter.doc


@every_member
def test_options_adopt_the_default_of_what_is_newly_chosen(choice, member):
    family = FAMILIES[choice]
    settings = Settings(**{choice: next(other for other in family if other != member)})
    mine = {name: option for name, option in options(family[member]).items() if name not in ("n", "noise")}
    for name in mine:
        low, high = Settings.param[name].bounds
        setattr(settings, name, low if getattr(settings, name) != low else high)
    setattr(settings, choice, member)
    assert settings.options(choice) == {name: option.default for name, option in mine.items()}
    assert Settings(**{choice: member}).options(choice) == settings.options(choice)


@every_member
def test_what_is_given_together_with_a_choice_is_not_overwritten_by_its_defaults(choice, member):
    names = [name for name in options(FAMILIES[choice][member]) if name not in ("n", "noise")]
    given = {name: Settings.param[name].bounds[0] for name in names}
    assert Settings(**{choice: member}, **given).options(choice) == given
    settings = Settings(**{choice: next(other for other in FAMILIES[choice] if other != member)})
    settings.param.update(**{choice: member}, **given)
    assert settings.options(choice) == given


def test_the_number_of_examples_and_the_noise_follow_the_dataset_unless_they_are_given():
    settings = Settings(n=321, noise=0.07)
    assert (settings.n, settings.noise) == (321, 0.07)
    settings.dataset = "spirals"
    spirals = options(FAMILIES["dataset"]["spirals"])
    assert (settings.n, settings.noise) == (spirals["n"].default, spirals["noise"].default)
    settings.param.update(dataset="moons", n=123)
    assert settings.n == 123


@every_member
def test_every_member_can_be_built_with_its_settings(choice, member):
    arguments = {"n": 20, "noise": 0.1, "seed": 0} if choice == "dataset" else {}
    assert Settings(**{choice: member}).build(choice, **arguments) is not None


@pytest.mark.parametrize("dataset", FAMILIES["dataset"])
def test_the_task_is_that_of_the_data(dataset):
    has_classes = "classes" in options(FAMILIES["dataset"][dataset])
    for extra in [{"classes": 2}, {"classes": 3}, {"classes": 5}] if has_classes else [{}]:
        settings = Settings(dataset=dataset, **extra)
        data = settings.build("dataset", n=20, noise=0.0, seed=0)
        assert settings.task == data.task
        assert settings.loss in settings.losses()


def test_the_loss_follows_the_dataset_and_its_classes():
    settings = Settings()
    path: list[tuple[dict[str, Any], str]] = [
        ({"dataset": "blobs"}, "cross-entropy"),
        ({"classes": 2}, "binary cross-entropy"),
        ({"dataset": "sine"}, "mse"),
        ({"dataset": "spirals"}, "mse"),
        ({"loss": "binary cross-entropy"}, "binary cross-entropy"),
        ({"classes": 4}, "cross-entropy"),
        ({"dataset": "moons"}, "binary cross-entropy"),
    ]
    for change, loss in path:
        settings.param.update(**change)
        assert settings.loss == loss


def test_a_loss_that_does_not_fit_the_data_is_explained():
    settings, problems = Settings.from_query({"dataset": "sine", "loss": "cross-entropy"})
    assert settings.loss == "mse"
    assert len(problems) == 1
    assert all(word in problems[0] for word in ("cross-entropy", "sine", "mse", "huber"))


def test_nothing_of_data_or_weights_is_live():
    def names(*families: Any) -> set[str]:
        return {name for family in families for thing in family.values() for name in options(thing)}

    of_start, of_updates = names(FAMILIES["dataset"], FAMILIES["initializer"]), names(OPTIMIZERS, SCHEDULES)
    assert set(Settings.names()) >= LIVE
    assert not LIVE & of_start
    assert of_updates <= LIVE
    assert set(OPTIONS) == of_start | of_updates


def test_two_settings_share_no_list():
    first, second = Settings(), Settings()
    first.hidden.append(3)
    assert second.hidden == Settings().hidden == [16, 16]


def test_own_data_are_what_they_were_brought_as_and_ask_for_their_own_loss():
    settings = Settings()
    path = [(NAMED, "cross-entropy"), (LINE, "mse"), (PAIR, "mse")]
    for table, loss in path:
        settings.take(table)
        data = settings.examples()
        assert (settings.dataset, settings.own, settings.task, settings.loss) == (OWN, table.digest, table.task, loss)
        assert (data.x == table.x).all()
        assert (data.y == table.y).all()
        assert settings.options("dataset") == {}
        assert settings.table() is TABLES.get(table.digest)
    settings.dataset = "moons"
    assert settings.own == PAIR.digest
    assert (settings.n, settings.noise) == (200, 0.2)
    settings.dataset = OWN
    assert len(settings.examples()) == 4


@pytest.mark.parametrize("own", ["", "0" * 16])
def test_a_link_to_unknown_data_says_so_and_shows_moons(own):
    settings, problems = Settings.from_query({"dataset": OWN, "own": own, "hidden": "[3]"})
    assert len(problems) == 1
    assert own in problems[0]
    assert "load their file" in problems[0]
    assert (settings.dataset, settings.own, settings.hidden) == ("moons", "", [3])
    assert (settings.n, settings.noise) == (200, 0.2)


def test_choosing_own_data_before_there_are_any_is_explained_and_taken_back():
    run = Run(Settings(n=40, hidden=[3]))
    run.settings.dataset = OWN
    assert "Your own data" in run.message
    assert run.settings.dataset == "moons"


def test_batches_larger_than_own_data_become_one():
    settings = Settings(batch_size=64)
    said = settings.take(NAMED)
    assert settings.batch_size == 0
    assert len(said) == 1
    assert "64" in said[0]
    settings.batch_size = 8
    assert settings.take(NAMED) == []
    assert settings.batch_size == 8


@pytest.mark.parametrize("table", [NAMED, PAIR, LINE], ids=["classes", "binary", "regression"])
def test_a_run_on_own_data_does_the_same_from_its_link(table):
    run = Run(Settings(hidden=[4], own=table.digest, dataset=OWN))
    again = Run(Settings.from_query(run.settings.query())[0])
    for one in (run, again):
        one.advance(20)
    assert run.history[-1].index == 20
    assert np.array_equal(run.history[-1].parameters, again.history[-1].parameters)


def test_deep_networks_have_sliders_for_their_first_layers_alone():
    settings = Settings(hidden=[3] * 30)
    editor = LayerEditor(settings)
    row, count, sliders = editor.__panel__(), editor._count, editor._rows
    assert row[1] is sliders and len(sliders) == 24
    assert count.object == "30 hidden layers, units of the first 24:"
    sliders[23].value = 7
    assert settings.hidden == [*[3] * 23, 7, *[3] * 6]
    settings.hidden = [4, 5]
    assert [slider.value for slider in sliders] == [4, 5] and count.object == "2 hidden layers, units:"


def test_rates_of_layers_are_typed_in_and_what_is_none_is_explained():
    run, said = Run(Settings(hidden=[4])), []
    box = RatesEditor(run.settings, said.append).__panel__()
    assert box.value == ""
    box.value = "1, 0.25"
    assert run.settings.layer_rates == [1, 0.25] and not said
    box.value = "1, x"
    assert box.value == "1, 0.25" and run.settings.layer_rates == [1, 0.25]
    assert said.pop().startswith("layer_rates=[1, x] is not possible; choose a list of at most 65 numbers")
    box.value = "1, 2, 3"
    assert box.value == "1, 0.25" and "3 layer_rates for 2 layers" in run.message
    run.settings.layer_rates = [1e-3, 1e6]
    assert box.value == "0.001, 1000000"
    box.value = ""
    assert run.settings.layer_rates == [] and run.frame().setup.rates is None
