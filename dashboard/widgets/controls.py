"""Controls: a widget for every setting, grouped by subject."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from dashboard.server.stepped_slider import SteppedSlider
from dashboard.state.choices import Choices, Magnitude
from dashboard.state.run_map import MARKS
from dashboard.state.settings import COMMON, FAMILIES, MAX_HIDDEN_LAYERS, OPTIONS, Settings, family_options
from dashboard.state.view import END
from dashboard.storage.tables import OWN
from dashboard.widgets import style
from dashboard.widgets.data_dialog import DataDialog, OwnData
from dashboard.widgets.plain_text import Words
from engine.datasets import DATASETS
from engine.features import FEATURES

PENALTIES = (0.0, *(round(digit * 10.0**power, 9) for power in range(-5, 0) for digit in (1, 2, 5)), 1.0)
BATCHES = (0, 1, 2, 4, 8, 10, 16, 32, 64, 128, 256, 512)
STEPS = {
    "batch_size": (BATCHES, {0: "all"}),
    "l2": (PENALTIES,),
    "l1": (PENALTIES,),
    "map_epoch": ((*MARKS, END), {END: "the end"}),
}
NO_ARROWS = {"& button": {"display": "none"}}
USUAL_UNITS = 64
MOST_SLIDERS = 24
"""Hidden layers that have a slider each."""

MARGIN = (3, 14)
BELOW_LABEL = (10, 14, 4, 14)
"""Margin of what has its label on its upper border."""

ACCORDION = {
    "sizing_mode": "stretch_width",
    "margin": 0,
    "disable_gutters": True,
    "sx": style.SECTIONS,
    "square": True,
}
PAIRS = """
:host { display: grid !important; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.scroll-button { display: none; }
"""
"""Panel's columns have a button of their own, without a size, which takes the first place once their parts change."""


SECTIONS = {
    "Data": ("dataset", "n", "noise", "validation", "standardize", "data_seed"),
    "Network": ("features", "embedding", "hidden", "activation", "skip"),
    "Training": ("optimizer", "batch_size", "schedule"),
    "Start": ("initializer", "bias", "seed"),
    "Loss and penalties": ("loss", "l2", "l1"),
    "Stop": ("stop_epoch", "stop_loss", "stop_plateau"),
    "Advanced": ("parametrization", "output_scale", "layer_rates", "biases", "bias_std", "batch_seed"),
}
NUMBERS = ("data_seed", "batch_seed", *SECTIONS["Stop"])
"""Settings that are typed in."""


class Controls(pn.viewable.Viewer):
    """The choices of a page as controls with their meaning as tooltips: the named ones first, all settings below them.

    Options of an optimizer, schedule, initializer or dataset appear while it is chosen.
    """

    def __init__(
        self,
        settings: Choices,
        others: Sequence[Choices] = (),
        names: Sequence[str] = (),
        watchers: "Watchers | None" = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Make the controls.

        Args:
            settings: The settings of the page's run.
            others: Choices of the page's own, besides the settings.
            names: The choices that come first.
            watchers: Collects the watchers that the controls set.
            say: Called with a sentence on what else a choice has changed.
        """
        super().__init__()
        self.settings, self._watchers, self._say = settings, watchers or Watchers(settings), say
        self._dialog: DataDialog | None = None
        owners = {name: _owner(name, settings, *others) for name in names}
        picked = [self._control(owner, name) for name, owner in owners.items() if owner]
        chosen = any(name in settings.names() for name in names)
        sections = [self._sections(active=[] if chosen else [0, 1, 2])] if isinstance(settings, Settings) else []
        if chosen and sections:
            sections = [pmui.Accordion(("All settings", sections[0]), active=[], dynamic=True, **ACCORDION)]
        self._layout = pn.Column(*picked, *sections, sizing_mode="stretch_width", margin=(14 if picked else 0, 0, 8, 0))

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def open_data(self) -> None:
        """Open the dialog for the user's own data, which is made when it is first needed."""
        if self._dialog is None:
            self._dialog = DataDialog(self.settings, self._say)
            self._layout.append(self._dialog)
        self._dialog.open()

    def _sections(self, active: list[int]) -> pmui.Accordion:
        groups = [(title, self._group(names)) for title, names in SECTIONS.items()]
        return pmui.Accordion(*groups, active=active, dynamic=True, **ACCORDION)

    def _group(self, names: Sequence[str]) -> pn.Column:
        controls = [self._control(self.settings, name) for name in names]
        return pn.Column(*controls, sizing_mode="stretch_width", margin=(0, 0, 8, 0))

    def _control(self, choices: Choices, name: str) -> pn.viewable.Viewable:
        """The control of one choice."""
        special = {"hidden": LayerEditor, "loss": LossMenu, "seed": SeedEditor}
        if name in FAMILIES and choices is self.settings:
            parts = [_menu(choices, name), Family(choices, name, self._watchers)]
            if name == "dataset":
                parts.insert(1, OwnData(choices, self.open_data))
            return pn.Column(*parts, sizing_mode="stretch_width", margin=0)
        if name == "layer_rates" and isinstance(choices, Settings):
            return RatesEditor(choices, self._say)
        if name == "features" and isinstance(choices, Settings):
            return FeatureTicks(choices, self._say)
        if name in special and isinstance(choices, Settings):
            return special[name](choices)
        if name in COMMON and isinstance(choices, Settings):
            return Drawn(choices, name)
        return control(choices, name)


class Drawn(pn.viewable.Viewer):
    """The control of a parameter with which data are drawn; there is none for a user's own data."""

    def __init__(self, settings: Settings, name: str) -> None:
        super().__init__()
        self._settings, self._widget = settings, control(settings, name)
        self._layout = pn.Column(self._widget, margin=0, sizing_mode="stretch_width")
        self._follow()
        settings.param.watch(self._follow, "dataset", precedence=1)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _follow(self, *_: object) -> None:
        self._layout.visible = self._settings.dataset != OWN


class Watchers:
    """Collects the watchers that are set on the settings within its contexts, and removes them together."""

    def __init__(self, settings: Choices) -> None:
        self._settings = settings
        self._noted: list[param.parameterized.Watcher] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Collects what is set within the context."""
        before = {id(watcher) for watcher in self._all()}
        yield
        self._noted += [watcher for watcher in self._all() if id(watcher) not in before]

    def close(self) -> None:
        """Remove what was collected."""
        for watcher in self._noted:
            self._settings.param.unwatch(watcher)
        self._noted = []

    def _all(self) -> list[param.parameterized.Watcher]:
        """Every watcher of the settings, once."""
        kinds = self._settings.param.watchers.values()
        return list({id(one): one for kind in kinds for watchers in kind.values() for one in watchers}.values())


class Family(pn.viewable.Viewer):
    """The controls of the chosen member of a family: an optimizer's momentum, a dataset's gap."""

    def __init__(self, settings: Settings, choice: str, watchers: Watchers) -> None:
        super().__init__()
        self._settings, self._choice, self._watchers = settings, choice, watchers
        self._sliders: dict[str, pn.viewable.Viewable] = {}
        self._layout = pn.Column(margin=0, sizing_mode="stretch_width")
        self._fill()
        settings.param.watch(self._fill, choice)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _fill(self, *_: object) -> None:
        names = list(self._settings.options(self._choice))
        with self._watchers.noted():
            self._sliders |= {name: control(self._settings, name) for name in names if name not in self._sliders}
        self._layout.param.update(objects=[self._sliders[name] for name in names], visible=bool(names))


class Steps(pn.viewable.Viewer):
    """A slider over chosen values, for what is chosen by magnitude; a value from a link is added to them."""

    def __init__(
        self, settings: Choices, name: str, values: tuple[float, ...], names: Mapping[float, str] | None = None
    ) -> None:
        super().__init__()
        self._settings, self._name, self._names = settings, name, names or {}
        self._values = values
        self._widget = pmui.DiscreteSlider(
            options=self._options(), value=getattr(settings, name), **_words(settings, name)
        )
        self._widget.param.watch(self._choose, "value")
        settings.param.watch(self._follow, name)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._widget

    def _options(self) -> dict[str, float]:
        values = sorted({*self._values, getattr(self._settings, self._name)})
        return {self._names.get(value, f"{value:g}"): value for value in values}

    def _choose(self, event: param.parameterized.Event) -> None:
        setattr(self._settings, self._name, event.new)

    def _follow(self, *_: object) -> None:
        value = getattr(self._settings, self._name)
        if value != self._widget.value:
            self._widget.param.update(options=self._options(), value=value)


class LossMenu(pn.viewable.Viewer):
    """The losses that suit the task."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._widget = pmui.Select.from_param(
            settings.param.loss, options=settings.losses(), **{**_words(settings, "loss"), "margin": BELOW_LABEL}
        )
        settings.param.watch(self._fit, ["dataset", "own", *family_options([DATASETS])], precedence=1)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._widget

    def _fit(self, *_: object) -> None:
        self._widget.param.update(options=self._settings.losses(), value=self._settings.loss)


class LayerEditor(pn.viewable.Viewer):
    """The hidden layers as a list: a width each, add one, remove one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._count = Words(variant="body2", margin=(8, 4, 4, 12), sizing_mode="stretch_width")
        self._remove = pmui.IconButton(
            icon="remove",
            description="Remove the last hidden layer",
            size="small",
            margin=2,
            on_click=self._drop,
            stylesheets=[style.HINT],
        )
        self._add = pmui.IconButton(
            icon="add",
            description="Add a hidden layer",
            size="small",
            margin=(2, 12, 2, 2),
            on_click=self._append,
            stylesheets=[style.HINT],
        )
        self._rows = pn.Column(stylesheets=[PAIRS], margin=0, sizing_mode="stretch_width")
        self._fill()
        settings.param.watch(self._fill, "hidden")

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(
            pn.Row(self._count, self._remove, self._add, sizing_mode="stretch_width"),
            self._rows,
            margin=0,
            sizing_mode="stretch_width",
        )

    def _fill(self, *_: object) -> None:
        layers = self._settings.hidden
        hidden = layers[:MOST_SLIDERS]
        units = ", units:" if hidden == layers else f", units of the first {MOST_SLIDERS}:"
        self._count.object = f"{len(layers) or 'No'} hidden layer{'s' * (len(layers) != 1)}{units * bool(hidden)}"
        self._remove.disabled, self._add.disabled = not hidden, len(layers) >= MAX_HIDDEN_LAYERS
        if len(self._rows) != len(hidden):
            self._rows.objects = [*self._rows.objects, *map(self._row, range(len(self._rows), len(hidden)))][
                : len(hidden)
            ]
        for row, width in zip(self._rows, hidden, strict=True):
            row.param.update(end=max(USUAL_UNITS, width), value=width)

    def _row(self, layer: int) -> pmui.IntSlider:
        row = pmui.IntSlider(
            label=f"Layer {layer + 1}",
            value=self._settings.hidden[layer],
            start=1,
            end=max(USUAL_UNITS, self._settings.hidden[layer]),
            sizing_mode="stretch_width",
            margin=MARGIN,
            size="small",
        )
        row.param.watch(lambda event: self._set(layer, event.new), "value")
        return row

    def _set(self, layer: int, width: int) -> None:
        hidden = list(self._settings.hidden)
        if layer < len(hidden) and hidden[layer] != width:
            self._settings.hidden = [*hidden[:layer], width, *hidden[layer + 1 :]]

    def _append(self, _: object) -> None:
        hidden = self._settings.hidden
        self._settings.hidden = [*hidden, hidden[-1] if hidden else 8]

    def _drop(self, _: object) -> None:
        self._settings.hidden = self._settings.hidden[:-1]


class FeatureTicks(pn.viewable.Viewer):
    """The input features as boxes to tick, where the examples are points of a plane. The last one stays on."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        super().__init__()
        self._settings, self._say = settings, say
        words = {**_words(settings, "features"), "margin": BELOW_LABEL}
        options = {feature.label: name for name, feature in FEATURES.items()}
        self._widget = pmui.CheckBoxGroup(options=options, value=list(settings.features), inline=True, **words)
        self._layout = pn.Column(self._widget, margin=0, sizing_mode="stretch_width")
        self._show()
        self._widget.param.watch(self._take, "value")
        settings.param.watch(self._follow, "features")
        settings.param.watch(self._show, ["dataset", "own", *family_options([DATASETS])], precedence=1)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _take(self, event: param.parameterized.Event) -> None:
        if not event.new:
            self._say("One input feature stays on: a network without inputs has nothing to learn from.")
        elif set(event.new) != set(self._settings.features):
            self._settings.features = [name for name in FEATURES if name in event.new]
        self._follow()

    def _follow(self, *_: object) -> None:
        self._widget.value = list(self._settings.features)

    def _show(self, *_: object) -> None:
        self._layout.visible = self._settings.is_plane


class RatesEditor(pn.viewable.Viewer):
    """What the learning rate is multiplied by in each layer, as numbers that are typed in."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        super().__init__()
        self._settings, self._say = settings, say
        words = {**_words(settings, "layer_rates"), "margin": BELOW_LABEL}
        self._widget = pmui.TextInput(value=self._text(), placeholder="1 in all layers", **words)
        self._widget.param.watch(self._take, "value")
        settings.param.watch(self._follow, "layer_rates")

    def __panel__(self) -> pn.viewable.Viewable:
        return self._widget

    def _text(self) -> str:
        return ", ".join(f"{factor:.12g}" for factor in self._settings.layer_rates)

    def _take(self, event: param.parameterized.Event) -> None:
        if event.new == self._text():
            return
        try:
            self._settings.layer_rates = Settings.read("layer_rates", f"[{event.new}]")
        except ValueError as error:
            self._say(str(error))
        self._follow()

    def _follow(self, *_: object) -> None:
        self._widget.value = self._text()


class SeedEditor(pn.viewable.Viewer):
    """The seed, and a die that rolls a new one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._number = _number(settings, "seed")
        self._roll = pmui.IconButton(
            icon="casino",
            description="New seed: other data, other starting weights",
            margin=(10, 8, 0, 0),
            on_click=self.roll,
            stylesheets=[style.HINT],
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Row(self._number, self._roll, sizing_mode="stretch_width")

    def roll(self, _: object = None) -> None:
        """Choose another seed."""
        self._settings.renew(random.randrange(1, 10_000))


def knobs_of(
    names: Sequence[str], settings: Choices, others: Sequence[Choices] = ()
) -> tuple[pn.viewable.Viewable, ...]:
    """Further controls of some choices, for where the side bar is out of sight."""
    owners = {name: _owner(name, settings, *others) for name in names}
    return tuple(control(owner, name) for name, owner in owners.items() if owner)


def control(choices: Choices, name: str) -> pn.viewable.Viewable:
    """The control that suits the kind of a choice: over magnitudes where its range is logarithmic."""
    option, parameter = OPTIONS.get(name), choices.param[name]
    if name in STEPS:
        return Steps(choices, name, *STEPS[name])
    if name in NUMBERS:
        return _number(choices, name)
    if (option and option.range.log and name not in COMMON) or isinstance(parameter, Magnitude):
        return Steps(choices, name, _magnitudes(*parameter.bounds))
    words = _words(choices, name)
    if isinstance(parameter, param.ListSelector):
        several = {name: word for name, word in words.items() if name != "size"}
        return pmui.MultiChoice.from_param(parameter, **{**several, "margin": BELOW_LABEL})
    if isinstance(parameter, param.Selector):
        return _menu(choices, name)
    if isinstance(parameter, param.Boolean):
        return pmui.Switch.from_param(parameter, **words)
    if isinstance(parameter, param.Integer):
        return pmui.IntSlider.from_param(parameter, step=parameter.step or 1, **words)
    low, high = parameter.bounds
    return SteppedSlider.from_param(parameter, step=parameter.step or (high - low) / 100, format="0.[0000]", **words)


def _menu(choices: Choices, name: str) -> pmui.Select:
    return pmui.Select.from_param(choices.param[name], **{**_words(choices, name), "margin": BELOW_LABEL})


def _owner(name: str, *all_choices: Choices) -> Choices | None:
    """Which of them has a choice of that name; None where a run was made without the page's own view."""
    return next((choices for choices in all_choices if name in choices.names()), None)


def _magnitudes(low: float, high: float) -> tuple[float, ...]:
    """About six values a decade between two bounds."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = np.array([float(f"{digit * 10.0**power:.3g}") for power in powers for digit in (1, 1.5, 2, 3, 5, 7)])
    return tuple(values[(values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))].tolist())


def _number(settings: Choices, name: str) -> pn.viewable.Viewable:
    parameter = settings.param[name]
    kind = pmui.IntInput if isinstance(parameter, param.Integer) else pmui.FloatInput
    return kind.from_param(parameter, sx=NO_ARROWS, **_words(settings, name))


def _words(settings: Choices, name: str) -> dict[str, object]:
    parameter = settings.param[name]
    return {
        "label": parameter.label,
        "description": parameter.doc,
        "sizing_mode": "stretch_width",
        "margin": MARGIN,
        "size": "small",
    }
