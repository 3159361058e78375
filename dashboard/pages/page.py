"""A page: one question, and the pictures that answer it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import panel as pn
from markupsafe import Markup

from dashboard.instruments.instrument import Instrument
from dashboard.pages.card import Card
from dashboard.pages.compared_card import ComparedPicture
from dashboard.pages.short_link import completed, shortened
from dashboard.server.work_queue import Worker
from dashboard.state.choices import Choices
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.store import Companion, ComparedRun, Frame, Shown
from dashboard.state.study import Plan, Study
from dashboard.state.view import View
from dashboard.widgets.beside import beside
from dashboard.widgets.intro import Intro
from dashboard.widgets.plain_text import HTML, element, formula
from dashboard.widgets.story import Story
from dashboard.widgets.study_bar import StudyBar
from engine.recording import Recording

STYLE = beside(__file__, "page.css")


@dataclass(frozen=True)
class Preset:
    """A step of the page's story: settings that show an effect, set by one click.

    Attributes:
        changes: Settings that differ from the page's own; its speed is among them or the page's.
        view: The same for what is looked at.
        study: The same for what is computed beside the run.
        doc: What there will be to see.
        plays: Whether the run starts at once; without it, the effect is there at epoch 0.
        about: The picture that shows it; its card is outlined.
        compares: Whether it is about other runs, which are trained at once.
    """

    label: str
    doc: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    view: Mapping[str, Any] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    plays: bool = True
    about: type[Instrument] | None = None
    compares: bool = False


class Page(pn.viewable.Viewer):
    """A question, what to look for, and a grid of instruments. Subclasses name theirs; a new file here is a new page.

    Attributes:
        place: Its place among the pages.
        formulas: In LaTeX.
        trap: Where the textbook's sentence is wrong, as HTML; the page shows what happens instead.
        defaults: Settings that differ from the usual ones.
        presets: The steps of its story; each starts from the page's defaults.
        kept: Names of choices in `view` that no preset changes.
        controls: Names of settings, of choices in `view`, and of the study's, for the side bar; without any, all
            settings.
        main_controls: The two that a phone shows below the pictures.
        instruments: The cards of the grid: each shows the first of its classes that suits the run.
        shares: Each card's share of the width, "third", "half" or "whole"; without any, rows of three.
        plan: Variants to be trained for comparison, from many seeds each.
        bar: Shows how far the study is, and starts and stops it.
        settings: The class of the settings; `store` and `view` are those of the store and the view.
        timeless: Whether nothing is trained on it: no time, no settings, no keys.
        plays: Whether its run starts when the page is opened by a link that asks for nothing more.
    """

    slug: ClassVar[str] = ""
    title: ClassVar[str] = ""
    place: ClassVar[int] = 100
    question: ClassVar[str] = ""
    look_for: ClassVar[str] = ""
    formulas: ClassVar[Sequence[str]] = ()
    trap: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    presets: ClassVar[Sequence[Preset]] = ()
    kept: ClassVar[Sequence[str]] = ()
    controls: ClassVar[Sequence[str]] = ()
    main_controls: ClassVar[Sequence[str]] = ("activation", "learning_rate")
    instruments: ClassVar[Sequence[Sequence[type[Instrument]]]] = ()
    shares: ClassVar[Sequence[str]] = ()
    plan: ClassVar[Plan | None] = None
    bar: ClassVar[type[StudyBar]] = StudyBar
    settings: ClassVar[type[Choices]] = Settings
    store: ClassVar[type[Shown]] = Run
    view: ClassVar[type[View]] = View
    timeless: ClassVar[bool] = False
    plays: ClassVar[bool] = False

    def __init__(self, run: Shown) -> None:
        super().__init__()
        self.run = run
        self.play: Callable[[], None] = lambda: None
        self.open: Callable[[str], None] = lambda slug: None
        self.open_run: Callable[[str], None] = lambda key: None
        self._cards = [Card(run, choices) for choices in self.instruments]
        self._story = self._steps() if self.presets else None
        self._share_out()
        self._study_bar = self.bar(run) if run.study else None
        self._led: dict[ComparedRun, int] = {}
        self.intro = self._intro()
        if self._story:
            self.intro.link(self._story, is_open="is_open")
        self.heading = self._heading()
        self._layout = pn.Column(
            *(card.view for card in self._cards),
            stylesheets=[STYLE],
            css_classes=["cards"],
            margin=0,
            sizing_mode="stretch_width",
        )

    @classmethod
    def opened(cls, query: Mapping[str, str] | None = None) -> tuple[Shown, list[str]]:
        """What the page shows when it is opened by a link, and a sentence on each part that could not be followed."""
        query, problems = completed(cls.slug, query or {})
        step = cls.step_of(query)
        defaults = {**cls.defaults, **(step.changes if step else {})}
        settings, more = cls.settings.from_query(query, defaults)
        view, still_more = cls.view.from_query(query, step.view if step else None)
        study, most = cls.companion(query, step.study if step else None)
        problems += more + still_more + most
        try:
            return cls.store(settings, view, study), problems
        except ValueError as error:
            return cls.store(cls.settings(**cls.defaults), view, study), [*problems, str(error)]

    @classmethod
    def companion(
        cls, query: Mapping[str, str], defaults: Mapping[str, Any] | None = None
    ) -> tuple[Companion | None, list[str]]:
        """What is computed beside the run, as a link asks for it, and a sentence on each part not to be followed."""
        return Study.from_query(query, {**(defaults or {}), "plan": cls.plan}) if cls.plan else (None, [])

    @classmethod
    def step_of(cls, query: Mapping[str, str]) -> Preset | None:
        """The step of the story that a link leads to; what else it says is said on top of that."""
        number = query.get("step", "")
        return cls.presets[int(number) - 1] if number in map(str, range(1, len(cls.presets) + 1)) else None

    @classmethod
    def reopened(cls, recording: Recording) -> Shown:
        """What the page showed when this was recorded.

        Raises:
            ValueError: If the page cannot show what was recorded, or its parts do not fit together.
        """
        view, _ = cls.view.from_query(_texts(recording.notes.get("view")))
        study, _ = cls.companion(_texts(recording.notes.get("study")))
        return cls.store.reopened(recording, view, study)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def query(self) -> dict[str, str]:
        """The query of a link to the page as it is now."""
        return shortened(self.slug, self.texts())

    def texts(self) -> dict[str, str]:
        """Everything that can be chosen on the page, as text."""
        study = self.run.study.texts() if self.run.study else {}
        return {**self.run.settings.texts(), **self.run.view.texts(), **study}

    def recording(self, name: str = "") -> Recording:
        """The run as it is now, with all that belongs to the page: to be opened there again."""
        run = self.run
        beside = {"study": run.study.query()} if run.study else {}
        return run.recording(name, page=self.slug, view=run.view.query(), **beside)

    def choose(self, preset: Preset) -> None:
        """Take a step of the story: set everything as in a preset, and start again."""
        run = self.run
        run.settings.restore(self.settings(**{**self.defaults, **preset.changes}).values())
        kept = {name: getattr(run.view, name) for name in self.kept}
        run.view.restore({**self.view().values(), **kept, **preset.view, "step": self.presets.index(preset) + 1})
        if preset.study and run.study:
            run.study.restore({**self.companion({})[0].values(), **preset.study})
        if not run.is_read_only:
            run.reset()
        if preset.plays:
            self.play()
        if preset.compares and run.study:
            run.study.start(run.settings)

    def _share_out(self) -> None:
        """Set every card's share of the width, and the page's name for its files."""
        self._shared_out = self.shares or shares_of(len(self._cards))
        for card in self._cards:
            card.page, card.title = self.slug, self.title
        self._outline()

    def _outline(self) -> None:
        """Show which step of the story is chosen, and outline the card that it is about."""
        self._outlined = step = self.run.view.step
        about = self.presets[step - 1].about if 1 <= step <= len(self.presets) else None
        for card, share in zip(self._cards, self._shared_out, strict=True):
            card.view.css_classes = [share, "about"] if card.shows(about) else [share]
        if self._story:
            self._story.step = min(step, len(self.presets))

    def _steps(self) -> Story:
        """The story of the page: its presets, one after the other."""
        steps = [
            {"label": preset.label, "doc": preset.doc, "link": f"?page={self.slug}&step={step}"}
            for step, preset in enumerate(self.presets, 1)
        ]
        return Story(
            steps,
            lambda step: self.choose(self.presets[step - 1]),
            opening=f"A story in {len(steps)} steps. Begin with the first, or change any setting and press Play."
            if not self.run.is_read_only
            else "",
            locked=self.run.is_read_only,
            css_classes=["story"],
            margin=0,
            sizing_mode="stretch_width",
        )

    def _intro(self) -> Intro:
        """The question, and below it what to look for; formulas and the trap open on demand."""
        trap = _folded("What textbooks get wrong", element("p", Markup(self.trap)), kind="trap") if self.trap else ""
        formulas = element("div", *map(formula, self.formulas)) if self.formulas else ""
        more = element("div", formulas and _folded("Formulas", formulas, kind="formulas"), trap, kind="more")
        words = HTML(
            element("p", self.look_for) + (more if formulas or trap else ""),
            stylesheets=[STYLE],
            css_classes=["about"],
            margin=0,
            sizing_mode="stretch_width",
        )
        return Intro(
            question=self.question, content=words, css_classes=["intro"], margin=0, sizing_mode="stretch_width"
        )

    def _heading(self) -> pn.viewable.Viewable:
        parts = [self.intro, *([self._story] if self._story else []), *([self._study_bar] if self._study_bar else [])]
        return pn.Column(
            *parts, stylesheets=[STYLE], css_classes=["heading"], margin=(0, 4, 8, 4), sizing_mode="stretch_width"
        )

    @property
    def cards(self) -> Sequence[Card]:
        """The cards of the page, in order."""
        return self._cards

    @property
    def shown(self) -> list[Instrument]:
        """The instruments that suit the run at present."""
        return [card.instrument for card in self._cards if card.instrument]

    @property
    def in_view(self) -> list[Instrument | ComparedPicture]:
        """Those of them that are on the user's screen, and the compared runs' pictures in the same cards."""
        near = [card for card in self._cards if card.instrument and card.view.near]
        compared_runs = [one for card in near for one in card.compared if one.instrument]
        return [*(card.instrument for card in near), *compared_runs]

    @property
    def companions(self) -> list[Worker]:
        """What computes beside the pictures that are in view."""
        return [one.companion for one in self.in_view if one.companion]

    def draw(self, frame: Frame, version: int) -> None:
        """Draw every picture in view at a frame, which is that of the run's `version`.

        Pictures not seen before are made one at a time, so that no user waits long for another's page.
        """
        self._lead_compared(frame)
        if self.run.view.step != self._outlined:
            self._outline()
        in_view = [card for card in self._cards if card.view.near]
        unmade = [card for card in in_view if card.unmade]
        for card in in_view:
            if card.made or card in unmade[:1]:
                card.draw(frame, version, make=card in unmade[:1])
        if self._study_bar:
            self._study_bar.draw()

    def forget(self) -> None:
        """Redraws all of every picture at the next frame: what the browser shows is no longer known."""
        for card in self._cards:
            card.forget()

    def poll(self) -> None:
        """Look at what others have changed: called once a beat."""

    def behind(self, version: int) -> bool:
        """Whether a picture in view does not show that version of the run yet, or a click in a compared run's waits."""
        return any(card.view.near and card.behind(version) for card in self._cards) or any(map(self._asks, self._led))

    def _lead_compared(self, frame: Frame) -> None:
        """Move the compared runs to the frame's epoch, with what is picked on the page.

        A click in a compared run's picture counts as one in the page's own: what it picks is picked for all, and all go
        to the epoch that it asks for.
        """
        for compared in filter(self._asks, list(self._led)):
            wanted, newest = compared.store.looked_at, self.run.history[-1].index
            self.run.look_at(None if wanted is None or wanted >= newest else wanted)
        self._led = dict.fromkeys(self.run.compared_runs, frame.epoch.index)
        for compared in self.run.compared_runs:
            compared.store.view = self.run.view
            compared.store.look_at(frame.epoch.index)

    def _asks(self, compared: ComparedRun) -> bool:
        """Whether a click in one of its pictures has moved a compared run to another epoch."""
        return compared.store.looked_at != self._led[compared]


def stacked(*parts: pn.viewable.Viewable) -> pn.Column:
    """Parts of a page, one below the other, each as high as it is."""
    return pn.Column(*parts, stylesheets=[STYLE], css_classes=["stack"], margin=0, sizing_mode="stretch_width")


def _folded(summary: str, content: Markup, kind: str) -> Markup:
    """What opens on demand."""
    return element("details", element("summary", summary), content, kind=kind)


def _texts(query: Any) -> dict[str, str]:
    """The part of a query that is one."""
    return {name: text for name, text in query.items() if isinstance(text, str)} if isinstance(query, dict) else {}


def pages() -> dict[str, type[Page]]:
    """Every page by its slug, in the order of their places."""
    return {page.slug: page for page in sorted(Page.__subclasses__(), key=lambda page: (page.place, page.slug))}


def shares_of(cards: int) -> list[str]:
    """Each card's share of the width: rows of three, and a last row that fills it."""
    rest = cards % 3
    return ["third"] * (cards - rest) + {0: [], 1: ["whole"], 2: ["half", "half"]}[rest]
