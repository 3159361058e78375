"""Panes of text that a subclass encodes, where Panel's own would take it for Markdown."""

from typing import Any

import panel_material_ui as pmui


class EncodedTypography(pmui.Typography):
    """A line of text in the letters of the page."""

    def encoded(self, text: Any) -> str:
        """What is sent to the browser for a text. The browser takes away one escaping before it makes HTML of it."""
        raise NotImplementedError

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        return {"object": self.encoded(obj)}


class EncodedAlert(pmui.Alert):
    """A message of the page."""

    def encoded(self, text: Any) -> str:
        """What is sent to the browser for a text. The browser takes away one escaping before it makes HTML of it."""
        raise NotImplementedError

    def _process_param_change(self, params: dict[str, Any]) -> dict[str, Any]:
        text = params.pop("object", None)
        changed = super()._process_param_change(params)
        return changed if text is None else {**changed, "object": self.encoded(text)}
