"""The command line: what it says is there is there, and a server starts from anywhere."""

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from dashboard.cli import command_line, serving
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.home import home
from dashboard.storage.run_archive import RunArchive
from dashboard.tracking.logger import watch

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    return tmp_path


def listed(capsys: pytest.CaptureFixture) -> list[dict]:
    assert command_line.main(["runs", "list", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_script_of_the_package_is_the_module():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"descent-lab": f"{command_line.__name__}:{command_line.main.__name__}"}


def test_kept_and_watched_runs_are_listed_shown_exported_and_deleted(place, capsys):
    run = Run(Settings(n=40, hidden=[3]))
    run.advance(6)
    kept = RunArchive().keep(run.recording("mine"))
    with watch("<b>watched</b>", tags=["try"], config={"width": 3}) as lab:
        for epoch in range(5):
            lab.log(epoch, loss=1 / (epoch + 1), f1=epoch)
    capsys.readouterr()
    found = {line["id"]: line for line in listed(capsys)}
    assert {key: (line["kind"], line["name"]) for key, line in found.items()} == {
        kept.id: ("kept", "mine"),
        lab.id: ("watched", "<b>watched</b>"),
    }
    assert command_line.main(["runs", "list", "--tag", "try"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert command_line.main(["runs", "show", lab.id]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["config"], about["metrics"], about["condition"]) == ({"width": 3}, ["f1"], "ended at epoch 4")
    for key in (kept.id, lab.id):
        for form in command_line.FORMATS:
            path = place / f"{key}.{form}"
            assert command_line.main(["runs", "export", key, "--format", form, "--to", str(path)]) == 0
            assert path.stat().st_size
    with (place / f"{lab.id}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["f1"]) for row in rows] == [0, 1, 2, 3, 4]
    assert [float(row["loss"]) for row in rows] == [1 / (epoch + 1) for epoch in range(5)]
    archived = RunArchive().add((place / f"{kept.id}.npz").read_bytes(), "again.npz")
    assert archived.id == kept.id, "what was exported is the run"
    assert command_line.main(["runs", "delete", kept.id, lab.id]) == 0
    capsys.readouterr()
    assert listed(capsys) == []
    assert RunArchive().restore(kept.id).name == "mine"


def test_a_kept_recording_of_a_watched_run_is_exported_with_what_was_logged_by_name(place):
    with watch("mine") as lab:
        for epoch in range(4):
            lab.log(epoch, loss=1 / (epoch + 1), f1=epoch)
    first, second = place / "first.npz", place / "second.csv"
    assert command_line.main(["runs", "export", lab.id, "--format", "npz", "--to", str(first)]) == 0
    kept = RunArchive().add(first.read_bytes(), "first.npz")
    assert command_line.main(["runs", "export", kept.id, "--format", "csv", "--to", str(second)]) == 0
    with second.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["epoch"]), float(row["f1"]), float(row["loss"])) for row in rows] == [
        (epoch, epoch, 1 / (epoch + 1)) for epoch in range(4)
    ]


def test_a_run_that_goes_on_is_not_deleted(capsys):
    with watch("mine") as lab:
        lab.log(0, loss=1.0)
        lab._writer.flush()
        assert command_line.main(["runs", "delete", lab.id]) == 1
    assert "goes on" in capsys.readouterr().err
    assert [line["id"] for line in listed(capsys)] == [lab.id]


@pytest.mark.parametrize(
    "wrong",
    [
        ["runs", "show", "../../etc/passwd"],
        ["runs", "export", "20200101-000000-abcdef"],
        ["map", "--x", "std", "--y", "std"],
        ["map", "--side", "17"],
        ["map", "--set", "nothing=3"],
        ["serve", "--port", "99999"],
        ["serve", "--prefix", "/a/../b"],
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said_in_a_sentence_and_not_as_a_traceback(wrong, capsys):
    assert command_line.main(wrong) == 1
    said = capsys.readouterr().err
    assert said.startswith("descent-lab: ")
    assert "Traceback" not in said


def test_a_map_is_written_as_a_table(place, capsys):
    path = place / "map.csv"
    asked = [
        "--x",
        "learning_rate",
        "--y",
        "noise",
        "--side",
        "16",
        "--epochs",
        "2",
        "--set",
        "n=20",
        "--set",
        "hidden=[2]",
    ]
    assert command_line.main(["map", *asked, "--to", str(path)]) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 256
    assert {row["computed"] for row in rows} <= {"0", "1"}
    assert len({row["learning_rate"] for row in rows}) == 16
    run = Run(Settings(n=20, hidden=[2], learning_rate=float(rows[0]["learning_rate"]), noise=float(rows[0]["noise"])))
    run.advance(2)
    assert float(rows[0]["loss"]) == pytest.approx(run.history[-1].loss, rel=1e-9)


def wanted(**options: object) -> argparse.Namespace:
    usual = command_line.parser().parse_args(["serve"])
    return argparse.Namespace(**{**vars(usual), **options})


def test_a_password_asks_everybody_and_needs_a_secret(monkeypatch):
    assert "--basic-auth" not in serving.arguments(wanted())
    found = serving.arguments(wanted(password="word"))
    assert found[found.index("--basic-auth") + 1] == "word"
    assert len(found[found.index("--cookie-secret") + 1]) > 30
    monkeypatch.setenv("DESCENT_LAB_PASSWORD", "other")
    assert "other" in serving.arguments(wanted())


def test_a_user_without_a_home_directory_has_a_folder(monkeypatch):
    monkeypatch.delenv("DESCENT_LAB_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda self: (_ for _ in ()).throw(RuntimeError("no home")))
    assert home().is_absolute()
    assert home().name == "descent-lab"


def test_help_is_there_from_any_folder_and_imports_no_server(place):
    script = "import sys; from dashboard.cli.command_line import parser; parser(); assert 'panel' not in sys.modules"
    path = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=place, check=True, env=os.environ | path)
    found = subprocess.run(
        [sys.executable, "-m", "dashboard", "serve", "--help"],
        cwd=place,
        env=os.environ | path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0
    assert {"--home", "--password", "--port", "--prefix"} <= set(found.stdout.replace(",", " ").split())


def test_a_server_starts_from_any_folder_under_a_prefix_and_asks_for_a_password(place):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "dashboard",
        "serve",
        "--port",
        str(port),
        "--prefix",
        "/lab",
        "--home",
        str(place),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "DESCENT_LAB_HOME")}
    environment |= {"PYTHONPATH": str(ROOT), "DESCENT_LAB_PASSWORD": "a word"}
    with (place / "said").open("w") as said:
        server = subprocess.Popen(command, cwd=place, env=environment, stdout=said, stderr=said)
    try:
        address = f"http://localhost:{port}/lab/dashboard"
        for _ in range(600):
            try:
                answer = urllib.request.urlopen(address, timeout=60)
                break
            except urllib.error.HTTPError:
                raise
            except OSError:
                time.sleep(0.2)
            if server.poll() is not None:
                pytest.fail((place / "said").read_text())
        assert answer.geturl().startswith(f"http://localhost:{port}/lab/login"), "who has no password sees nothing"
        assert b"password" in answer.read()
        load = json.loads(urllib.request.urlopen(f"http://localhost:{port}/lab/health", timeout=60).read())
        assert (load["status"], load["shared_runs"], load["followers"]) == ("ok", 0, 0)
        assert load["memory_mib"] > 0
        assert load["sessions"] >= load["connections"] == 0
    finally:
        server.kill()
        server.wait()
