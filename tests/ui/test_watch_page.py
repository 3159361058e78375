"""A training in a program of its own, watched in the browser: while it runs, after it was killed, and by several."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import ROOT, Server, Visit

pytestmark = pytest.mark.ui

SCRIPT = """
import sys, time
import numpy as np
from dashboard.tracking.logger import watch

lab = watch("a loop & <b>its</b> name")
weights = [np.ones((4, 6)), np.ones((6, 2))]
for epoch in range(100_000):
    weights = [0.999 * one for one in weights]
    hidden = np.tile([0.0, 0.5, 1.0], (8, 1))
    lab.log(epoch, loss=1 / (epoch + 1), gradients=weights, activations=[hidden], parameters=weights)
    if epoch % 10 == 9:
        lab._writer.flush()
        print(epoch, flush=True)
    time.sleep(0.03)
"""


@pytest.fixture
def training(server: Server) -> Iterator[subprocess.Popen]:
    """A program that trains, tells of it, and says how far it has flushed."""
    told = {"DESCENT_LAB_HOME": str(server.home), "DESCENT_LAB_BROWSER": "0"}
    command = [sys.executable, "-c", SCRIPT]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **told})
    yield process
    process.kill()
    process.wait()


def test_a_training_appears_is_followed_and_stays_after_a_kill(visit: Callable[..., Visit], training: Any):
    page = visit("?page=watch", pictures=0)
    run_logs = page.window.get_by_role("group", name="Trainings")
    chosen = run_logs.get_by_role("button", name="a loop & <b>its</b> name")
    chosen.first.wait_for()
    page.pass_by(40)
    page.wait("lab.everything().length >= 3")
    page.until(lambda: "running" in chosen.first.inner_text(), "the training to be shown as running")

    stood = page.stand()
    page.key("ArrowLeft")
    page.until(lambda: page.epoch() == stood - 1 == page.ask("lab.drawn()"), page.where)
    assert page.loss() == 1 / stood

    other = visit("?page=watch", pictures=0)
    other.pass_by(stood)
    assert page.epoch() < stood, "somebody who looks back was moved"

    page.press("Play")
    page.pass_by(stood)
    training.send_signal(signal.SIGKILL)
    flushed = max(map(int, training.stdout.read().split()))
    page.until(lambda: "gone" in chosen.first.inner_text(), "the killed training to be shown as gone")
    page.until(lambda: page.epoch() >= flushed, lambda: f"the last flushed epoch, {flushed}: {page.where()}")
    page.window.get_by_text("No longer reporting").wait_for()
    page.until(lambda: page.ask("lab.drawn()") == page.epoch(), page.where)
    assert page.loss() == 1 / (page.epoch() + 1)
    assert page.ask("lab.column('loss', 'training', 'epoch')[0]") == 0


SPARSE = """
import sys, time
import numpy as np
from dashboard.tracking import sampler
from dashboard.tracking.logger import watch

sampler.CREDIT = 1e6  # everything is measured, however busy the machine
with watch("a sparse loop") as lab:
    for epoch in range(9, 200, 10):
        measured = {"gradients": {"stem": [1.0 + epoch], "<i>head</i>": [2.0]}} if epoch % 30 == 9 else {}
        lab.log(epoch, loss=1 / (epoch + 1), **measured)
        time.sleep(0.12)
        if epoch == 99:
            lab.log(epoch, validation_loss=0.5)
    lab.log(209, loss=float("nan"))
"""


def test_of_a_sparse_training_what_was_logged_is_shown_and_nothing_else(visit: Callable[..., Visit], server: Server):
    told = {"DESCENT_LAB_HOME": str(server.home), "DESCENT_LAB_BROWSER": "0"}
    subprocess.run([sys.executable, "-c", SPARSE], cwd=ROOT, check=True, env={**os.environ, **told}, timeout=120)
    page = visit("?page=watch", pictures=0)
    page.window.get_by_text("Ended at epoch 209; diverged at epoch 209.").wait_for()
    page.window.get_by_text("1 epoch has a loss that is no finite number, 209; it is not drawn.").wait_for()
    page.window.get_by_text("measured at epoch 189").first.wait_for()
    page.window.get_by_text("validation 0.5 at epoch 99").wait_for()
    assert not page.window.get_by_text("How to watch a training of your own").locator("..").get_attribute("open")
    cards = page.window.locator(".third, .half, .whole").all()
    assert min(card.bounding_box()["x"] for card in cards) < 30, "the cards begin at the left"
