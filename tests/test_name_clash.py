"""A user's files beside the script with the names of our modules, or of Python's."""

import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.storage.home import home
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.run_log import RunLog, run_logs

ROOT = Path(__file__).parents[1]
TRAIN = """
from dashboard import watch
with watch("theirs") as lab:
    for epoch in range(5):
        lab.log(epoch, loss=1 / (1 + epoch), gradients=[1.0, 2.0])
print("trained")
"""


def told(key: str) -> Path:
    return home() / "live" / key


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a script in a folder with these files; its output, its errors and the run logs there are then."""
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def ran(files: dict[str, str], script: str = TRAIN, name: str = "train.py", folder: str = "theirs") -> tuple:
        for file, content in (files | {name: script}).items():
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        command = [sys.executable, str(tmp_path / folder / name)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return (
            done.stdout,
            done.stderr,
            [RunLog.found(key) for key in run_logs() if (told(key) / "about.json").exists()],
        )

    return ran


@pytest.mark.parametrize(
    "files",
    [
        {"engine.py": "raise SystemExit('theirs was run')"},
        {"engine.py": "MINE = 1"},
        {"engine/__init__.py": "MINE = 1"},
        {"engine/part.py": "MINE = 1"},
    ],
)
def test_an_engine_of_their_own_does_not_matter(run, files):
    out, err, found = run(files)
    assert out == "trained\n"
    assert "watch 'theirs' at" in err
    assert [LogReader.of(one.id).history[-1].loss for one in found] == [0.2]
    assert found[0].state() == "ended"


@pytest.mark.parametrize("first", ["import engine\n", ""])
def test_their_engine_stays_theirs_before_and_after(run, first):
    script = first + TRAIN + "import engine\nassert engine.MINE == 1 and engine.part.MINE == 2\nprint('mine')"
    files = {"engine/__init__.py": "from . import part\nMINE = 1", "engine/part.py": "MINE = 2"}
    out, _, found = run(files, script)
    assert out == "trained\nmine\n"
    assert len(found) == 1


def test_a_script_that_is_itself_called_engine_is_run_once_and_watched(run):
    out, _, found = run({}, TRAIN, name="engine.py")
    assert out == "trained\n"
    assert len(found) == 1


def test_what_needs_our_engine_says_which_file_is_in_its_way(run, tmp_path):
    script = "try:\n    from dashboard import Run\nexcept ImportError as error:\n    print(error)"
    out, _, _ = run({"engine.py": ""}, script)
    assert str(tmp_path / "theirs" / "engine.py") in out


@pytest.mark.parametrize("name", ["uuid", "webbrowser", "zlib", "shutil", "socket"])
def test_a_file_called_like_a_module_of_pythons_is_named_and_the_training_goes_on(run, name, tmp_path):
    out, err, found = run({f"{name}.py": "MINE = 1"})
    assert out == "trained\n"
    if not found:
        assert str(tmp_path / "theirs" / f"{name}.py") in err, err
        assert "Traceback" not in err


def test_without_any_file_in_the_way_nothing_is_put_aside():
    from dashboard.tracking.name_clash import file_in_the_way, ours

    assert file_in_the_way() == ""
    before = sys.modules["engine"] if "engine" in sys.modules else __import__("engine")
    with ours():
        assert sys.modules["engine"] is before
    assert sys.modules["engine"] is before
