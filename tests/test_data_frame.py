"""A run as a DataFrame has the numbers of its history, those that were logged by name, and no others."""

import numpy as np
import pandas as pd
import pytest

from dashboard import Run, Settings, data_frame, watch
from dashboard.state.race import Race
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings
from engine.recording import load, save

pytestmark = pytest.mark.usefixtures("place")


def test_a_run_its_history_and_its_recording_are_the_same_table(place):
    run = Run(Settings(n=40, hidden=[3, 2]))
    run.advance(6)
    found, epochs = data_frame(run), run.history.epochs()
    assert found.index.name == "epoch" and found.index.tolist() == list(range(7))
    assert [name for name in found if name.startswith("gradient")] == [f"gradient of {place}" for place in (1, 2, 3)]
    assert found.loss.tolist() == epochs.loss.tolist()
    np.testing.assert_array_equal(found.filter(like="gradient of"), epochs.gradient_norms)
    save(place / "run.npz", run.recording())
    for same in (run.history, run.recording(), load(place / "run.npz")):
        pd.testing.assert_frame_equal(data_frame(same), found)


def test_a_watched_run_and_its_recording_have_what_was_logged_by_name(place):
    with watch("mine") as lab:
        for epoch in range(0, 8, 2):
            lab.log(epoch, loss=1 / (epoch + 1), f1=epoch, gradients={"stem": 3.0})
        lab.log(3, **{"odd <b>": 0.5, "seconds": 9.0})
    store = TrackedRun(WatchSettings(feed=lab.id))
    found = data_frame(store)
    assert found.index.tolist() == [0, 2, 3, 4, 6]
    assert found.loss.dropna().tolist() == [1, 1 / 3, 1 / 5, 1 / 7]
    assert found.f1.dropna().to_dict() == {0: 0, 2: 2, 4: 4, 6: 6}
    assert found["gradient of stem"].dropna().tolist() == [3] * 4
    assert found["odd <b>"].dropna().to_dict() == {3: 0.5}
    assert found["seconds (logged)"].dropna().to_dict() == {3: 9}
    assert (found.seconds.dropna() >= 0).all() and found.seconds.notna().any()
    save(place / "watched.npz", store.recording())
    pd.testing.assert_frame_equal(data_frame(load(place / "watched.npz")), found)


@pytest.mark.parametrize("make", [Race, lambda: Race().recording(), TrackedRun, lambda: "run"], ids=range(4))
def test_what_has_no_epochs_is_refused_by_name(make):
    with pytest.raises(ValueError, match="has no epochs of a training; give a run"):
        data_frame(make())
