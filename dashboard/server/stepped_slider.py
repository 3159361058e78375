"""A slider whose values are the decimals of its steps."""

from decimal import Decimal
from typing import Any

import panel_material_ui as pmui

ROUNDING = 1e-9
"""Of a step: less than that is the browser's rounding, as 24 steps of 0.01 are 0.24000000000000005 there."""


def on_step(value: float, start: float, step: float) -> float:
    """The shortest decimal of a slider's step, where a value is one but for rounding; any other value unchanged."""
    steps = (value - start) / step
    if abs(steps - round(steps)) > ROUNDING:
        return value
    return float(Decimal(repr(start)) + round(steps) * Decimal(repr(step)))


class SteppedSlider(pmui.FloatSlider):
    """A slider over numbers. What a page sends is taken as the decimal that it stands for."""

    def _process_property_change(self, props: dict[str, Any]) -> dict[str, Any]:
        found = super()._process_property_change(props)
        sent = {name: found[name] for name in ("value", "value_throttled") if isinstance(found.get(name), int | float)}
        return found | {name: on_step(value, self.start, self.step) for name, value in sent.items()}
