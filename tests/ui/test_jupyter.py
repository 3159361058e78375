"""The laboratory in a real JupyterLab: a notebook's cells are run in Chromium, and nothing is asked of another host."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Visit, answer, free_port, listen, start, wait_until

pytestmark = pytest.mark.ui

WAIT = "\n    time.sleep(0.02)\n    if lab.run.history[-1].index == {}:\n        break"
"""Ends a cell's loop once the page has had the laboratory step."""

CELLS = [
    "import time\nfrom panel import state\nfrom dashboard import App, Run, Settings, observe\n"
    "from dashboard.instruments import LossCurve\nfrom engine import DATASETS, Network, train",
    "lab = App(page='playground')\nlab",
    "print(lab.run.settings.noise, lab.run.history[-1].index)",
    "run = Run(Settings(seed=3))\nLossCurve(run)",
    "for _ in range(2000):\n    run.advance(2)" + WAIT.format(1),
    "network = Network([2, 4, 1], activation='tanh', output='sigmoid')\n"
    "for epoch in observe(train(network, DATASETS['xor']())):" + WAIT.format(2),
    "print(len(state._views))",
]
HELP = """
window.notebook = {
  get cells() { return jupyterapp.shell.currentWidget.content.widgets },
  text(cell) {
    const said = this.cells[cell].outputArea.model.toJSON().map((one) => one.text ?? one.traceback ?? "")
    return said.flat().join("")
  },
  done(cell) { return this.cells[cell].model.executionState == "idle" && this.cells[cell].model.executionCount > 0 },
  run(cell) {
    jupyterapp.shell.currentWidget.content.activeCellIndex = cell
    jupyterapp.commands.execute("notebook:run-cell")
  },
}
"""


class Jupyter:
    """A JupyterLab with a notebook in its folder, which knows nothing of who tests and asks nobody for news."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._environment = {
            name: str(folder / name.lower())
            for name in ("DESCENT_LAB_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        } | {name: str(folder / name.lower()) for name in ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}
        quiet = folder / "jupyter_config_dir" / "labconfig" / "page_config.json"
        quiet.parent.mkdir(parents=True)
        quiet.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
        cells = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": text,
            }
            for i, text in enumerate(CELLS)
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (folder / "lab.ipynb").write_text(json.dumps(notebook))

    def start(self) -> None:
        options = ["--no-browser", "--allow-root", "--expose-app-in-browser", f"--ServerApp.root_dir={self.folder}"]
        options += [f"--port={self.port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
        options += ["--LabApp.extension_manager=readonly", "--LanguageServerManager.autodetect=False"]
        command = [sys.executable, "-m", "jupyterlab", *options]
        self._process = start(command, self.folder / "jupyter.log", self._environment)
        wait_until(lambda: answer(self.url + "/api") is not None, "JupyterLab to answer", 90)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


class Notebook(Visit):
    """A notebook as a visitor has it."""

    def run(self, cell: int, wait: bool = True) -> str:
        """Run a cell, and what it says when it is done."""
        self.ask("notebook.run(x)", cell)
        if not wait:
            return ""
        self.wait("notebook.done(x)", cell)
        return self.ask("notebook.text(x)", cell)

    def ends(self) -> list[float]:
        """The ends of the x axes of all loss curves."""
        return self.ask(
            "lab.everything().filter((one) => one.left[0]?.axis_label == 'loss').map((one) => one.x_range.end)"
        )


@pytest.fixture
def notebook(windows, tmp_path) -> Iterator[Notebook]:
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install jupyterlab")
    jupyter = Jupyter(tmp_path)
    jupyter.start()
    try:
        window = windows(viewport={"width": 1400, "height": 1100})
        window.add_init_script(HELP)
        window.set_default_timeout(90_000)
        visit = Notebook(window)
        listen(visit, jupyter)
        window.goto(f"{jupyter.url}/doc/tree/lab.ipynb", wait_until="commit")
        visit.wait(f"window.jupyterapp?.shell.currentWidget?.content?.widgets?.length == {len(CELLS)}")
        visit.wait("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status == 'idle'")
        yield visit
        assert visit.troubles == []
        window.close()
    finally:
        jupyter.stop()


def test_everything_moves_in_the_cells_of_a_notebook_and_reaches_its_kernel(notebook):
    assert notebook.run(0) == ""
    assert notebook.run(1) == ""
    notebook.ready()

    notebook.press("Play")
    notebook.pass_by(20)
    before = notebook.digests()
    notebook.pass_by(notebook.epoch() + 20)
    assert {name for name, digest in notebook.digests().items() if digest != before[name]} >= {"decision", "loss"}
    at = notebook.stand()

    notebook.ask("jupyterapp.shell.currentWidget.content.node.focus()")
    notebook.window.keyboard.press("ArrowRight")
    notebook.button("Play").focus()
    notebook.window.keyboard.press("ArrowRight")
    assert notebook.reach(at + 1) == at + 1  # of two keys only the one within the laboratory was its own

    thumb = notebook.slider("Noise").first
    track = thumb.locator("xpath=ancestor::*[contains(@class, 'MuiSlider-root')]").bounding_box()
    dot = thumb.bounding_box()
    notebook.window.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    notebook.window.mouse.down()
    notebook.window.mouse.move(track["x"] + 0.8 * track["width"], dot["y"] + dot["height"] / 2, steps=4)
    notebook.window.mouse.up()
    notebook.reach(0)
    notebook.until(lambda: abs(float(notebook.run(2).split()[0]) - 0.8) <= 0.05, lambda: f"noise: {notebook.run(2)}")
    assert notebook.run(2).split()[1] == "0"

    notebook.run(3)
    notebook.until(lambda: len(notebook.ends()) == 2, "the loss curve of another run")
    notebook.run(4, wait=False)
    notebook.until(lambda: max(notebook.ends()) > 30, "a picture that moves while the kernel is busy")
    assert not notebook.ask("notebook.done(4)")
    notebook.press("Step")
    notebook.wait("notebook.done(4)")

    notebook.run(5, wait=False)
    notebook.until(lambda: len(notebook.ends()) == 3, "the page of the training that is observed")
    notebook.until(lambda: notebook.ends()[2] > 30, "its picture to move while it trains")
    notebook.press("Step")
    notebook.wait("notebook.done(5)")
    assert notebook.ask("notebook.text(5)") == ""

    views = notebook.run(6)
    notebook.run(3)
    notebook.until(lambda: notebook.run(6) == views, "the output that was replaced to be let go of")
