"""Equal scales: right angles of a plane look right, whatever the size of the card."""

from typing import Any, ClassVar

Bounds = tuple[tuple[float, float], tuple[float, float]]


class EqualAspect:
    """Mixed into an instrument whose two axes have one scale. The browser reports the size of its picture."""

    aspect: float = 1.7
    keeps_aspect: ClassVar[bool] = True

    def fitted(self, bounds: Bounds) -> Bounds:
        """The bounds, widened in one direction so that they have the picture's proportions."""
        (left, right), (bottom, top) = bounds
        width, height = right - left, top - bottom
        wider, higher = max(0.0, height * self.aspect - width) / 2, max(0.0, width / self.aspect - height) / 2
        return (left - wider, right + wider), (bottom - higher, top + higher)

    def declared(self) -> None:
        """Have the browser report the size of the picture."""
        super().declared()
        self._inner: dict[str, int] = {}
        for name in ("inner_width", "inner_height"):
            self.figure.on_change(name, self._measure)

    def _measure(self, name: str, _: Any, size: int) -> None:
        """Redraw if the picture's proportions have changed by more than a fiftieth."""
        self._inner[name] = size
        if len(self._inner) < 2 or not all(self._inner.values()):
            return
        aspect = self._inner["inner_width"] / self._inner["inner_height"]
        if abs(aspect / self.aspect - 1) > 0.02:
            self.aspect = aspect
            self.redraw()
