"""Image grids: where the values of an image were measured, and how the browser reads them back.

An image is drawn by pixels. Bokeh places it by its outer edge, so one that begins at the first point and ends at the
last puts every pixel up to half its width beside the point at which it was measured.
"""

import numpy as np
from bokeh.models import CustomJSHover, Plot

from dashboard.instruments.instrument import Columns

EPOCH = "epoch of a column"


def measured_at(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> Columns:
    """An image (rows, columns) whose pixels have their centers at the points x (columns,) and y (rows,), evenly spaced.

    Raises:
        ValueError: If the image has another shape.
    """
    if image.shape != (len(y), len(x)):
        raise ValueError(f"an image of {image.shape} was not measured at {len(y)} x {len(x)} points")
    (left, width), (bottom, height) = _extent(x), _extent(y)
    return {"image": image, "x": left, "y": bottom, "dw": width, "dh": height}


def by_epoch(image: np.ndarray, stride: int) -> Columns:
    """An image with a row for every unit, from 0 up, and a column for every `stride`-th epoch, centered there."""
    rows, columns = image.shape
    return measured_at(image, np.arange(columns) * stride, np.arange(rows) + 0.5)


def epoch_at(x: float, stride: int) -> int:
    """The epoch whose column of such an image is at x."""
    return stride * int(np.floor(x / stride + 0.5))


def epoch_reader() -> CustomJSHover:
    """Reads a place on the axis of epochs back as the epoch that its column was measured at."""
    return CustomJSHover(name=EPOCH, code=_snapping(1))


def snap_readers(figure: Plot, stride: int) -> None:
    """Have the figure's readers of epochs know how far the columns are apart."""
    for reader in figure.select({"name": EPOCH}):
        if reader.code != (code := _snapping(stride)):
            reader.code = code


def _snapping(stride: int) -> str:
    return f"return String({stride} * Math.floor(value / {stride} + 0.5))"


def _extent(points: np.ndarray) -> tuple[float, float]:
    """Where the pixels of these points begin, and how far they go."""
    pitch = float(points[-1] - points[0]) / max(1, len(points) - 1) or 1.0
    return float(points[0]) - pitch / 2, pitch * len(points)
