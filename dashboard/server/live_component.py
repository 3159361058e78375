"""Components and panes that send and receive past Panel's watchers, and know where they are rendered."""

from typing import Any, ClassVar

import panel as pn
import param
from bokeh.document import Document
from bokeh.model import Model
from panel.custom import JSComponent
from panel.io.notebook import Comm


class Rendered:
    """A part of a page that is called when it is rendered."""

    def rendered(self, root: Model, comm: Comm | None) -> None:
        """Called when it is on a page.

        Args:
            root: The root of the page, which may be its own model.
            comm: The line to the page of a notebook; None on a served page.
        """

    def _get_model(
        self, doc: Document, root: Model | None = None, parent: Model | None = None, comm: Comm | None = None
    ) -> Model:
        model = super()._get_model(doc, root, parent, comm)
        self.rendered(root or model, comm)
        return model


class LiveComponent(Rendered, JSComponent):
    """A component that sends a page what changes often past Panel's watchers, and receives from it past its debouncing.

    A parameter's way through Panel costs 1.5 ms, and 50 ms on the way back.
    """

    received: ClassVar[tuple[str, ...]] = ()
    """The parameters that the page alone changes. `inbound.LISTENERS` passes them on to `receive`."""

    __abstract = True

    def send(self, **values: Any) -> None:
        """Set parameters here and on every page."""
        with param.parameterized.discard_events(self):
            self.param.update(**values)
        for model, _ in self._models.values():
            model.data.update(**values)

    @property
    def is_shown(self) -> bool:
        """Whether a page shows it."""
        return bool(self._models)

    @property
    def ids(self) -> list[str]:
        """The id of its model, on every page."""
        return [model.id for model, _ in self._models.values()]

    @property
    def model_ids(self) -> list[str]:
        """The id of what holds the component's values, on every page."""
        return [model.data.id for model, _ in self._models.values()]

    def receive(self, model_id: str, name: str, value: Any) -> bool:
        """Take a value from a page; whether it is one of `received` of this component."""
        mine = name in self.received and model_id in self.model_ids
        if mine:
            with param.parameterized.discard_events(self):
                setattr(self, name, value)
        return mine


class LivePane(Rendered, pn.pane.Bokeh):
    """A pane of a Bokeh figure."""

    priority = -1
    """For no figure that is not given to it by name."""

    @property
    def is_shown(self) -> bool:
        """Whether a page shows it."""
        return bool(self._models)
