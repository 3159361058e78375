"""The notebooks run from top to bottom in a fresh kernel, and are kept without what they have answered."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGE = "application/vnd.holoviews_exec.v0+json"
"""What an output has that a page is to make live."""

MOST = 500_000
"""Letters of all that a notebook keeps of its pages."""

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A notebook, run by a kernel that opens no browser and keeps its runs elsewhere."""
    client = pytest.importorskip("nbclient")
    notebook = pytest.importorskip("nbformat").read(request.param, as_version=4)
    home = tmp_path_factory.mktemp(request.param.stem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESCENT_LAB_HOME", str(home / "home"))
        patch.setenv("DESCENT_LAB_BROWSER", "0")
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(home)}}).execute()
    return notebook


def outputs_of(notebook: Any) -> list[dict]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pages_of(notebook: Any) -> list[str]:
    """What it keeps of the pages and pictures that it showed."""
    return [output["data"]["text/html"] for output in outputs_of(notebook) if PAGE in output.get("data", {})]


def test_there_are_notebooks_to_begin_with():
    assert {"start_here", "vanishing_gradients", "your_own_loop", "many_seeds"} <= {path.stem for path in NOTEBOOKS}


def test_it_runs_without_a_complaint_and_keeps_images_and_words_of_what_was_shown(executed):
    outputs, pages = outputs_of(executed), pages_of(executed)
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert bool(pages) == any("from dashboard" in cell.source for cell in executed.cells)
    for page in pages:
        assert re.search(r"(Ended|At) (at )?epoch [\d,]+", page)
        assert 'src="data:image/svg+xml;base64,' in page
        assert re.search(r'alt="Loss. [^"]*training [\d.]+', page)
        assert "running" not in page.lower().replace("run the cell", "")
    assert sum(len(page) for page in pages) < MOST
    assert len(json.dumps(executed)) < MOST
    assert all(output.get("data") != {} for output in outputs)


def test_as_a_web_page_it_shows_the_same_images_and_words_and_is_small(executed):
    pytest.importorskip("nbconvert")
    exporter = import_module("nbconvert.exporters").HTMLExporter()
    page, _ = exporter.from_notebook_node(executed)
    kept = pages_of(executed)
    assert page.count('src="data:image/svg+xml;base64,') == sum(one.count("data:image/svg+xml;base64,") for one in kept)
    for one in kept:
        said = re.search(r"(Ended|At) (at )?epoch [\d,]+[^<]*", one)[0]
        assert said in page
    assert "docs_json" not in page
    assert len(page) < 2 * MOST


@every_notebook
def test_it_is_kept_without_answers_and_says_nothing_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not re.search(r"/(home|work|tmp|Users)/|https?://", text)


@every_notebook
def test_it_begins_with_what_it_is_about(path):
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")
