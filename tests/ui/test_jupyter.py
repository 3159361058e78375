"""The laboratory in a real JupyterLab: a notebook's cells run in Chromium, and request nothing from another host."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from conftest import Visit, answer, end, free_port, listen, start, wait_until

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
SAVED = [
    "import numpy as np\nfrom dashboard import App, Run, Settings, watch\nfrom dashboard.instruments import LossCurve",
    "lab = App(Run(Settings(stop_epoch=30)), page='playground')\nlab",
    "run = Run(Settings(seed=3))\nLossCurve(run)",
    "run.advance(50)\nlab.run.advance(60)",
    "with watch('by hand') as told:\n    for epoch in range(201):\n"
    "        told.log(epoch, loss=1 / (1 + epoch), gradients=[np.ones(3)], parameters=np.ones(3))",
]
"""A page, a picture, and a training that is watched, all of which come to an end."""

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
    """A JupyterLab with notebooks in its folder, which knows nothing of who tests and asks nobody for news."""

    def __init__(self, folder: Path, notebooks: Mapping[str, Sequence[str]]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._environment = {
            name: str(folder / name.lower())
            for name in ("DESCENT_LAB_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        } | {name: str(folder / name.lower()) for name in ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}
        self._configuration = folder / "jupyter_config_dir" / "labconfig" / "page_config.json"
        self._configuration.parent.mkdir(parents=True)
        self.configure()
        for name, cells in notebooks.items():
            (folder / name).write_text(json.dumps(as_notebook(cells)))

    def configure(self, kernels: bool = True) -> None:
        """Have the pages that are opened from now on start a kernel for their notebook, or not."""
        quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        self._configuration.write_text(json.dumps(quiet | {"notebookStartsKernel": str(kernels).lower()}))

    def kernels(self) -> list[dict]:
        """Those that run."""
        return json.loads(answer(f"{self.url}/api/kernels") or "[]")

    def start(self) -> None:
        options = ["--no-browser", "--allow-root", "--expose-app-in-browser", f"--ServerApp.root_dir={self.folder}"]
        options += [f"--port={self.port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
        options += ["--LabApp.extension_manager=readonly", "--LanguageServerManager.autodetect=False"]
        command = [sys.executable, "-m", "jupyterlab", *options]
        self._process = start(command, self.folder / "jupyter.log", self._environment)
        wait_until(lambda: answer(self.url + "/api") is not None, "JupyterLab to answer", 90)

    def stop(self) -> None:
        end(self._process)


class Notebook(Visit):
    """A notebook as a user has it."""

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


def as_notebook(cells: Sequence[str]) -> dict:
    """A notebook of these cells, without outputs."""
    empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = [{**empty, "id": f"cell-{i}", "source": text} for i, text in enumerate(cells)]
    return {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory) -> Iterator[Jupyter]:
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install jupyterlab")
    found = Jupyter(tmp_path_factory.mktemp("jupyter"), {"lab.ipynb": CELLS, "saved.ipynb": SAVED})
    found.start()
    yield found
    found.stop()


@pytest.fixture
def opened(windows, jupyter) -> Iterator[Callable[..., Notebook]]:
    """Opens notebooks, which may have had nothing to complain about in the end."""
    visits: list[Notebook] = []

    def open_notebook(name: str, kernel: bool = True) -> Notebook:
        jupyter.configure(kernels=kernel)
        window = windows(viewport={"width": 1400, "height": 1900})
        window.add_init_script(HELP)
        window.set_default_timeout(90_000)
        visit = Notebook(window)
        visits.append(visit)
        listen(visit, jupyter)
        window.goto(f"{jupyter.url}/doc/tree/{name}", wait_until="commit")
        visit.wait("window.jupyterapp?.shell.currentWidget?.content?.widgets?.length > 1")
        if kernel:
            visit.wait("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status == 'idle'")
        return visit

    yield open_notebook
    assert [trouble for visit in visits for trouble in visit.troubles] == []
    for visit in visits:
        if not visit.window.is_closed():
            visit.window.close()


@pytest.fixture
def notebook(opened) -> Notebook:
    return opened("lab.ipynb")


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


MOST = 500_000
"""Bytes of a notebook with a page, a picture and a training that was watched."""

IMAGES = """[...document.querySelectorAll(".jp-OutputArea img")].filter((one) =>
  one.src.startsWith("data:image/svg") && one.naturalWidth > 100 && one.getBoundingClientRect().width > 100
).length"""


def test_a_notebook_that_was_saved_shows_the_end_in_images_and_words_without_its_kernel(opened, jupyter):
    notebook = opened("saved.ipynb")
    for cell in range(len(SAVED)):
        notebook.run(cell)
    notebook.ask("notebook.cells[x].node.scrollIntoView({block: 'end'})", len(SAVED) - 1)
    told = notebook.window.get_by_text(re.compile(r"^Ended at epoch 200\.")).first
    told.wait_for()  # the live page says so too, which stays as long as the kernel does
    numbers = notebook.window.locator("dl", has_text="loss").last
    notebook.until(lambda: "200" in numbers.inner_text(), lambda: f"the last epoch in the bar: {numbers.inner_text()}")
    assert "unning" not in shown(notebook)
    notebook.until(
        lambda: "At epoch 50" in kept(notebook, 2), lambda: f"the image of the end: {kept(notebook, 2)[:400]}"
    )
    notebook.ask("jupyterapp.commands.execute('docmanager:save')")
    notebook.wait("!jupyterapp.shell.currentWidget.context.model.dirty")
    notebook.ask("jupyterapp.serviceManager.sessions.shutdownAll()")
    notebook.until(lambda: not jupyter.kernels(), "the kernel to be gone")
    images = sum(kept(notebook, cell).count("<img") for cell in range(len(SAVED)))
    assert images > 6
    notebook.until(lambda: notebook.ask(IMAGES) == images, lambda: f"{images} images, not {notebook.ask(IMAGES)}")
    notebook.window.close()

    file = jupyter.folder / "saved.ipynb"
    assert file.stat().st_size < MOST
    assert "docs_json" not in file.read_text(encoding="utf-8")
    again = opened("saved.ipynb", kernel=False)
    again.until(lambda: again.ask(IMAGES) == images, lambda: f"{images} images, not {again.ask(IMAGES)}")
    for words in ("Stopped at epoch 30, where it was to stop, loss", "At epoch 50, loss", "Ended at epoch 200, loss"):
        again.window.get_by_text(words).first.wait_for()
    assert "unning" not in shown(again)
    assert jupyter.kernels() == []


def shown(notebook: Notebook) -> str:
    """What can be read in the outputs of a notebook."""
    return "\n".join(notebook.window.locator(".jp-OutputArea").all_inner_texts())


def kept(notebook: Notebook, cell: int) -> str:
    """What the notebook would save of the output of a cell."""
    return notebook.ask(
        "notebook.cells[x].outputArea.model.toJSON().map((one) => one.data?.['text/html'] ?? '').join('')", cell
    )
