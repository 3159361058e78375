"""The notebooks run from top to bottom in a fresh kernel, and are kept without what they have answered."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGE = "application/vnd.holoviews_exec.v0+json"
"""What an output has that a page is to make live."""

MOST = 500_000
"""Letters of all that a notebook keeps of its pages."""

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def executed(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The outputs of a notebook, run by a kernel that opens no browser and keeps its runs elsewhere."""
    client = pytest.importorskip("nbclient")
    notebook = pytest.importorskip("nbformat").read(path, as_version=4)
    monkeypatch.setenv("DESCENT_LAB_HOME", str(home / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(home)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_there_are_notebooks_to_begin_with():
    assert {"start_here", "vanishing_gradients", "your_own_loop", "many_seeds"} <= {path.stem for path in NOTEBOOKS}


@every_notebook
def test_it_runs_without_a_complaint_and_keeps_images_and_words_of_what_was_shown(path, tmp_path, monkeypatch):
    outputs = executed(path, tmp_path, monkeypatch)
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pages = [output["data"]["text/html"] for output in outputs if PAGE in output.get("data", {})]
    assert bool(pages) == ("dashboard" in path.read_text(encoding="utf-8"))
    for page in pages:
        assert re.search(r"(Ended|At) (at )?epoch [\d,]+", page)
        assert 'src="data:image/svg+xml;base64,' in page
        assert re.search(r'alt="Loss. [^"]*training [\d.]+', page)
        assert "running" not in page.lower().replace("run the cell", "")
    assert sum(len(page) for page in pages) < MOST
    assert all(output.get("data") != {} for output in outputs)


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
