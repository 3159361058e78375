"""scikit-learn: a loop that logs an estimator after each of its epochs.

    for epoch in observe_estimator(range(100), estimator, x, y):
        estimator.partial_fit(x, y)

scikit-learn is not needed: any estimator with these attributes does.
"""

from collections.abc import Generator, Iterable
from typing import Any, TypeVar

from dashboard.tracking.endings import let_pass
from dashboard.tracking.logger import Logger, Loop

PARTS = ("coefs_", "intercepts_", "coef_", "intercept_", "cluster_centers_")
"""What an estimator has learned, as far as there is any of it."""

T = TypeVar("T")


def observe_estimator(
    epochs: Iterable[T],
    estimator: Any,
    x: Any = None,
    y: Any = None,
    name: str = "",
    *,
    validation: tuple[Any, Any] | None = None,
    **options: Any,
) -> Generator[T, None, None]:
    """Yield the epochs unchanged, and log the estimator after the body of the loop has trained it.

    Logged are its `loss_` and what it has learned, where it has them, and its scores, which are computed at every
    epoch: accuracies where it has classes.

    Args:
        epochs: What the loop is over.
        estimator: It is looked at, and never changed.
        x: Inputs on which it is scored; by default it is not.
        y: The answers to them.
        name: The run's name; by default the estimator's class.
        validation: Further inputs and answers on which it is scored.
        **options: As in `watch`.
    """
    logger = Logger(name or type(estimator).__name__, **options)
    parts = {"": (x, y), "val_": validation or (None, None)}
    place = -1
    with Loop(logger, lambda: _log(logger, place, estimator, parts)):
        for place, epoch in enumerate(epochs):
            yield epoch
            _log(logger, place, estimator, parts)


def _log(logger: Logger, place: int, estimator: Any, parts: dict[str, tuple[Any, Any]]) -> None:
    """Log what there is of an estimator; before its first training that is nothing."""
    try:
        learned = {part: getattr(estimator, part) for part in PARTS if getattr(estimator, part, None) is not None}
        kind = "accuracy" if hasattr(estimator, "classes_") else "score"
        scored = parts.items() if learned else ()
        numbers = {f"{part}{kind}": estimator.score(x, y) for part, (x, y) in scored if x is not None}
        logger.log(place, getattr(estimator, "loss_", None), parameters=learned or None, **numbers)
    except BaseException as error:
        let_pass(error)
        logger.excuse(error)
