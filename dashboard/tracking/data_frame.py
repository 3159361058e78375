"""A run, a watched run or a recording as a pandas DataFrame."""

from typing import Any

from pandas import DataFrame

from dashboard.state.race import KIND as RACE
from dashboard.tracking.export_table import EPOCH, columns_of
from dashboard.tracking.logbook import Logbook
from dashboard.tracking.tracked_run import KIND as WATCHED
from dashboard.tracking.tracked_run import TrackedRun
from engine.recording import History, Recording
from engine.training import Epochs


def data_frame(run: Any) -> DataFrame:
    """The epochs of a run that are kept, as a table: a row for each, indexed by epoch, and a column for each number.

    The columns are `loss`, `accuracy` and so on, as far as they were measured, the norm of each layer's gradient and,
    of a watched run, `seconds` since it began and the metrics by their own names. What was not measured is nan.

    Args:
        run: A `Run`, the run of a page, a recording of one such as `load` and `recording` return, or a bare history.

    Raises:
        ValueError: If it has no epochs of a training, as a race has none.
    """
    epochs, logbook, layers = _known(run)
    if epochs is None:
        raise ValueError(f"{run!r} has no epochs of a training; give a run, a watched run or a recording of one")
    return DataFrame(columns_of(epochs, logbook, layers)).set_index(EPOCH)


def _known(run: Any) -> tuple[Epochs | None, Logbook | None, tuple[str, ...]]:
    """The epochs of a run, what it logged by name, and the names of its layers."""
    if isinstance(run, Recording):
        kind = run.notes.get("kind")
        if kind != WATCHED:
            return None if kind == RACE else run.epochs, None, ()
        run = TrackedRun.reopened(run)
    if isinstance(run, TrackedRun):
        run.read_all()
        return None if run.is_empty else run.history.epochs(), run.logbook, run.frame().layer_names
    history = getattr(run, "history", run)
    return history.epochs() if isinstance(history, History) and len(history) else None, None, ()
