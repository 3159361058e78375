"""Laws of the run archive: an archived run stays, whoever else uses the folder and whoever is killed meanwhile."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from dashboard import Run, Settings
from dashboard.state.run_comparison import differences
from dashboard.storage import run_archive
from dashboard.storage.home import REASONS, home
from dashboard.storage.run_archive import IN_TRASH, ArchiveError, RunArchive, described, title
from engine.recording import Recording, load, save

SETTINGS = {"n": 20, "hidden": [2], "validation": 0}


def trained(epochs: int = 10, **settings: object) -> Run:
    run = Run(Settings(**{**SETTINGS, **settings}))
    run.advance(epochs)
    return run


@pytest.fixture(scope="module")
def recording() -> Recording:
    return trained().recording("", page="playground")


@pytest.fixture
def mine(tmp_path: Path) -> RunArchive:
    return RunArchive(tmp_path / "home")


def names(one: RunArchive) -> list[str]:
    return [kept.name for kept in one.kept()]


def files(one: RunArchive) -> list[str]:
    """What is in the folder of runs, but for the lock."""
    return sorted(path.name for path in (one.folder / "runs").iterdir() if path.name != ".lock")


# Keeping and taking back


def test_a_kept_run_goes_on_bit_for_bit(mine):
    run = trained(optimizer="adam", batch_size=8)
    again = Run.reopened(mine.load(mine.keep(run.recording()).id))
    for one in (run, again):
        one.advance(20)
    assert again.history[-1].index == 30
    assert again.history[-1].parameters.tobytes() == run.history[-1].parameters.tobytes()
    assert again.history[-1].loss == run.history[-1].loss


def test_what_a_list_says_of_a_run_is_what_the_run_was(mine):
    run = trained(dataset="circles", seed=3)
    before = datetime.now().astimezone()
    kept = mine.keep(run.recording("round", page="dead"))
    assert (kept.name, kept.page, kept.kind) == ("round", "dead", "run")
    assert (kept.epoch, kept.loss) == (10, run.history[-1].loss)
    assert Settings.of(kept.settings).values() == run.settings.values()
    assert kept.size == mine.path(kept.id).stat().st_size
    moment = datetime.fromisoformat(kept.created)
    assert moment.tzinfo and 0 <= (moment - before).total_seconds() + 0.001 < 60
    assert mine.kept() == [kept] == [mine.about(kept.id)]


def test_the_newest_comes_first(mine, recording):
    for name in "abcde":
        mine.keep(Recording(recording.epochs, name=name))
        time.sleep(0.002)
    assert names(mine) == list("edcba")


def test_a_run_without_a_name_is_called_after_what_it_is(mine):
    assert mine.keep(trained().recording()).name == "moons 2 relu, sgd 0.1"
    deep = trained(dataset="xor", hidden=[8, 8], activation="tanh", optimizer="adam", seed=7)
    assert mine.keep(deep.recording()).name == "xor 8-8 tanh, adam 0.01, seed 7"
    assert described(Settings(hidden=[]).values()) == "moons without hidden layers, sgd 0.1"
    assert described({"surface": "quadratic", "optimizers": ["sgd", "adam"]}) == "quadratic race, sgd adam"
    assert described({"units": 16}) == ""


def test_a_name_is_one_short_line_that_can_be_shown(mine, recording):
    kept = mine.keep(Recording(recording.epochs, name=" two\nlines \0\ud800 \u202e and more " * 20))
    assert kept.name.startswith("two lines and more two") and len(kept.name) <= 100
    assert title(" \t\n") == ""


def test_a_new_name_changes_nothing_else(mine, recording):
    kept = mine.keep(recording)
    before = mine.load(kept.id)
    renamed = mine.rename(kept.id, " it <b>dies</b> ")
    after = mine.load(kept.id)
    assert renamed.name == after.name == "it <b>dies</b>"
    assert (renamed.id, renamed.created, after.digest) == (kept.id, kept.created, before.digest)
    assert (after.settings, after.notes, after.checkpoint.index) == (before.settings, before.notes, 10)
    assert mine.rename(kept.id, "  ").name == "moons 2 relu, sgd 0.1"


def test_what_was_deleted_can_be_had_back(mine, recording):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    mine.delete(kept.id)
    assert mine.kept() == [] and mine.problems == {}
    assert mine.restore(kept.id) == kept == mine.restore(kept.id)
    assert mine.path(kept.id).read_bytes() == content


def test_the_trash_keeps_the_twenty_that_came_last(mine, recording):
    ids = [mine.keep(recording).id for _ in range(IN_TRASH + 3)]
    for key in reversed(ids):
        mine.delete(key)
    assert sorted(path.stem for path in (mine.folder / "trash").iterdir()) == sorted(ids[:IN_TRASH])
    with pytest.raises(ArchiveError, match="no longer in the trash, which keeps the last 20"):
        mine.restore(ids[-1])


def test_the_folder_is_that_of_the_environment_each_time(monkeypatch, tmp_path):
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "one"))
    assert home() == RunArchive().folder == tmp_path / "one"
    monkeypatch.setenv("DESCENT_LAB_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / "descent-lab"


def test_looking_at_an_archive_makes_no_folder(mine):
    assert (mine.kept(), mine.problems) == ([], {})
    mine.stamp()
    assert not mine.folder.exists()


@pytest.mark.parametrize(
    "key",
    [
        *("", "x", "/etc/passwd", "../../20261123-190000-ab12cd", "20261123-190000-ab12cd\n", "20261123-190000-AB12CD"),
        *("20261123-190000-ab12cd.npz", "\u0662\u0660261123-190000-ab12cd", ["20261123-190000-ab12cd"], None, 7),
    ],
)
def test_an_id_that_is_none_becomes_no_path(mine, recording, key):
    for act in (mine.path, mine.load, mine.about, mine.delete, mine.restore, lambda key: mine.rename(key, "x")):
        with pytest.raises(ArchiveError, match="is no kept run; an id looks like 20261123-190000-ab12cd"):
            act(key)


def test_an_id_of_nothing_is_reported(mine):
    for act in (mine.path, mine.load, mine.about, mine.delete, lambda key: mine.rename(key, "x")):
        with pytest.raises(ArchiveError, match=r"The run 20261123-190000-ab12cd is not kept in .*home"):
            act("20261123-190000-ab12cd")


# What is new, and what it costs to know


def test_the_stamp_changes_with_every_change_and_only_then(mine, recording):
    other = RunArchive(mine.folder)
    seen = [mine.stamp()]

    def changed() -> bool:
        seen.append(mine.stamp())
        return seen[-1] == other.stamp() != seen[-2]

    key = other.keep(recording).id
    assert changed()
    other.rename(key, "another")
    assert changed()
    other.rename(key, "anotheR")
    assert changed()
    other.delete(key)
    assert changed()
    other.restore(key)
    assert changed()
    mine.kept()
    other.load(key)
    assert not changed()


def test_a_file_that_has_not_changed_is_not_opened_again(mine, recording, monkeypatch):
    opened = []
    summary = run_archive.summary
    monkeypatch.setattr(run_archive, "summary", lambda path: (opened.append(path), summary(path))[1])
    ids = [mine.keep(recording).id for _ in range(3)]
    for _ in range(5):
        assert len(RunArchive(mine.folder).kept()) == 3
    assert len(opened) == 3
    mine.rename(ids[0], "new")
    assert "new" in names(mine) and len(opened) == 4


# Files that were brought along


def test_a_file_comes_back_under_its_id(mine, recording, tmp_path):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    other = RunArchive(tmp_path / "other")
    added = other.add(content, "whatever.npz")
    assert (added.id, added.name, added.created) == (kept.id, kept.name, kept.created)
    assert other.load(added.id).digest == recording.digest


def test_a_run_that_is_here_already_is_not_kept_twice(mine, recording, tmp_path):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    mine.rename(kept.id, "renamed")
    assert mine.add(content, "x.npz").id == kept.id
    save(tmp_path / "plain.npz", recording)
    assert mine.add((tmp_path / "plain.npz").read_bytes(), "plain.npz").id == kept.id
    assert names(mine) == ["renamed"]


def test_another_run_under_the_same_id_gets_an_id_of_its_own(mine, recording):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    mine.delete(kept.id)
    other = trained(5, seed=1).recording("other")
    save(mine.path(mine.keep(other).id).with_stem(kept.id), other)
    added = mine.add(content, "x.npz")
    assert added.id != kept.id and mine.load(added.id).notes["id"] == added.id


def test_a_file_of_another_program_takes_its_name_from_the_file(mine, recording, tmp_path):
    save(tmp_path / "x", Recording(recording.epochs, settings={"units": 3}))
    added = mine.add((tmp_path / "x").read_bytes(), "my script.npz")
    assert (added.name, added.page, added.kind, added.settings) == ("my script", "", "", {"units": 3})


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\3\4" + bytes(100), b"PK\5\6" + bytes(18)])
def test_a_file_that_is_no_run_is_refused_and_leaves_nothing(mine, content):
    with pytest.raises(ArchiveError, match=r"“x\.npz” is not a kept run: it"):
        mine.add(content, "x.npz")
    assert not mine.folder.exists()


def test_a_run_that_was_changed_on_the_way_is_refused(mine, recording):
    content = bytearray(mine.path(mine.keep(recording).id).read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ArchiveError, match="is not a kept run: "):
        mine.add(bytes(content), "x.npz")
    assert len(mine.kept()) == 1


def test_a_file_too_large_is_refused_unread(mine, monkeypatch):
    monkeypatch.setattr(run_archive, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(ArchiveError, match=r"“x\.npz” is too large: it has 2 MiB, and 1 MiB are the most"):
        mine.add(bytes(2**21), "x.npz")


# How runs differ


def test_only_settings_that_differ_and_count_are_compared():
    one = Settings(speed=1, stop_epoch=5, momentum=0.5).values()
    other = Settings(learning_rate=0.3, hidden=[4]).values()
    assert differences([one, other]) == {"hidden": ([16, 16], [4]), "learning_rate": (0.1, 0.3)}
    assert differences([one, one]) == differences([one]) == differences([]) == {}


def test_an_option_that_a_run_does_not_use_is_none_of_its_settings():
    sgd, momentum = Settings().values(), Settings(optimizer="momentum", momentum=0.5).values()
    assert differences([sgd, momentum])["momentum"] == (None, 0.5)
    assert differences([sgd, {"units": 3}])["units"] == (None, 3)


def test_races_differ_in_all_their_settings():
    one = {"surface": "quadratic", "momentum": 0.9, "speed": 1, "multiples": [0.1]}
    assert differences([one, {**one, "momentum": 0.5, "speed": 5}]) == {"momentum": (0.9, 0.5)}


# What else may lie in the folder


def test_a_foreign_file_is_a_problem_and_not_a_run(mine, recording):
    kept = mine.keep(recording)
    runs = mine.folder / "runs"
    (runs / "notes.txt").write_text("mine")
    (runs / "20261123-190000-ab12cd.npz").write_bytes(b"nonsense")
    (runs / "20261123-190000-ab12ce.npz").mkdir()
    os.mkfifo(runs / "20261123-190000-ab12cf.npz")
    (runs / ".DS_Store").write_bytes(b"")
    cut = mine.path(kept.id).read_bytes()[:-10]
    (runs / "20261123-190000-ab12c0.npz").write_bytes(cut)
    assert mine.kept() == [kept]
    assert {name: why.split(";")[0] for name, why in mine.problems.items()} == {
        "notes.txt": "its name is not that of a kept run",
        "20261123-190000-ab12cd.npz": "it is no .npz file",
        "20261123-190000-ab12ce.npz": "it is no file",
        "20261123-190000-ab12cf.npz": "it is no file",
        "20261123-190000-ab12c0.npz": "its end is missing or not its own",
    }
    with pytest.raises(ArchiveError, match="cannot be opened: its end is missing"):
        mine.load("20261123-190000-ab12c0")
    with pytest.raises(ArchiveError, match=r"cannot be read: it is no \.npz file"):
        mine.about("20261123-190000-ab12cd")


def test_a_time_that_cannot_be_understood_is_that_of_the_file(mine, recording):
    kept = mine.keep(recording)
    for created in ("yesterday", "9999-99-99", "0001-01-01T00:00:00+23:00", "2026-11-23"):
        save(mine.path(kept.id), Recording(recording.epochs, created=created))
        assert datetime.fromisoformat(mine.about(kept.id).created).tzinfo


def test_what_a_killed_process_left_is_not_shown_and_cleared_away_a_day_later(mine, recording):
    mine.keep(recording)
    fresh, old, foreign = (mine.folder / "runs" / f".{name}.part" for name in ("a" * 32, "b" * 32, "mine"))
    for path in (fresh, old, foreign):
        path.write_bytes(b"half")
        os.utime(path, (0, time.time() - (90_000 if path != fresh else 80_000)))
    assert len(mine.kept()) == 1 and mine.problems == {}
    mine.keep(recording)
    assert fresh.exists() and foreign.exists() and not old.exists()


# Folders that cannot be written to


def refused(error: int) -> object:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError(error, os.strerror(error))

    return fail


WORDS = {
    errno.ENOSPC: "the disk is full; make room and try again",
    errno.EROFS: "nothing can be written there; name another folder in DESCENT_LAB_HOME",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize("error", WORDS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_is_reported_in_a_sentence_and_loses_nothing(mine, recording, monkeypatch, call, error):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    acts = {
        "The run was not kept": lambda: mine.keep(recording),
        "The run kept its old name": lambda: mine.rename(kept.id, "new"),
        "“x.npz” was not added": lambda: mine.add(other, "x.npz"),
    }
    save(mine.folder / "other.npz", trained(2).recording())
    other = (mine.folder / "other.npz").read_bytes()
    if call == "replace":
        acts["The run was not deleted"] = lambda: mine.delete(kept.id)
    monkeypatch.setattr(os, call, refused(error))
    for failure, act in acts.items():
        with pytest.raises(ArchiveError, match=f"^{failure}: {WORDS[error]}. The folder is .*home.$"):
            act()
    monkeypatch.undo()
    assert mine.kept() == [mine.about(kept.id)]
    assert mine.path(kept.id).read_bytes() == content
    assert files(mine) == [f"{kept.id}.npz"]


@pytest.mark.parametrize("place", ["", "runs"])
def test_a_file_in_the_folders_place_is_reported(mine, recording, place):
    path = mine.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("here first")
    with pytest.raises(ArchiveError, match="not kept: a file is in the place of a folder; move it away"):
        mine.keep(recording)
    assert mine.kept() == []
    assert list(mine.problems.values()) == [REASONS[errno.ENOTDIR]]
    mine.stamp()
    assert path.read_text() == "here first"


def test_a_folder_that_may_not_be_made_is_reported(mine, recording, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", refused(errno.EACCES))
    with pytest.raises(ArchiveError, match="not kept: that is not permitted; name another folder in DESCENT_LAB_HOME"):
        mine.keep(recording)


# Several processes, some of which are killed

CHILD = """
import os, resource, signal, sys
from pathlib import Path
from dashboard.storage.run_archive import RunArchive, ArchiveError
from engine.recording import load
mine, recording = RunArchive(Path(sys.argv[1])), load(sys.argv[2])
"""
KILLED = """
at, call, key = sys.argv[3:]
def killed(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, killed)
{"keep": lambda: mine.keep(recording), "rename": lambda: mine.rename(key, "new"), "delete": lambda: mine.delete(key),
 "restore": lambda: mine.restore(key)}[at]()
"""
BUSY = """
while True:
    key = mine.keep(recording).id
    print("kept", key, flush=True)
    mine.rename(key, "new")
    print("renamed", key, flush=True)
    mine.delete(key)
    print("deleted", key, flush=True)
    mine.restore(key)
    print("restored", key, flush=True)
"""
TOGETHER = """
number, shared = sys.argv[3], sys.argv[4:]
own = [mine.keep(recording).id for _ in range(5)]
for round, key in enumerate([*own, *shared] * 2):
    for act in (lambda: mine.rename(key, f"{number} {round}"), lambda: mine.delete(key)):
        try:
            act()
        except ArchiveError as error:
            assert "is not kept in" in str(error), error
    if key in own:
        mine.restore(key)
print(*own)
"""
SLOW = """
fsync = os.fsync
def slow(number):
    print("writing", flush=True)
    sys.stdin.readline()
    fsync(number)
os.fsync = slow
mine.rename(sys.argv[3], "new")
"""
SMALL = """
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    mine.keep(recording)
except ArchiveError as error:
    print(error)
"""


def child(code: str, mine: RunArchive, recording: Recording, *arguments: str) -> subprocess.Popen:
    """A process with an archive in the same folder."""
    save(mine.folder.parent / "run.npz", recording)
    command = [sys.executable, "-c", CHILD + code, str(mine.folder), str(mine.folder.parent / "run.npz"), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("at", "call"),
    [
        *(("keep", "fsync"), ("keep", "replace"), ("rename", "fsync"), ("rename", "replace")),
        *(("delete", "utime"), ("delete", "replace"), ("restore", "replace")),
    ],
)
def test_a_process_killed_in_the_midst_loses_nothing(mine, recording, at, call):
    kept = mine.keep(recording)
    content = mine.path(kept.id).read_bytes()
    if at == "restore":
        mine.delete(kept.id)
    assert child(KILLED, mine, recording, at, call, kept.id).wait() == -signal.SIGKILL
    if at == "restore":
        mine.restore(kept.id)
    assert mine.kept() == [kept] and mine.problems == {}
    assert mine.path(kept.id).read_bytes() == content
    mine.delete(kept.id)
    mine.restore(kept.id)


def test_a_process_killed_at_any_moment_loses_nothing_that_it_said_was_done(mine, recording):
    for moment in np.random.default_rng(0).uniform(0, 0.1, 4):
        process = child(BUSY, mine, recording)
        said = [process.stdout.readline()]
        time.sleep(moment)
        process.kill()
        said += process.stdout.readlines()
        last = {key: what for what, key in (line.split() for line in said if line.endswith("\n"))}
        there = {kept.id for kept in mine.kept()}
        for key, what in last.items():
            mine.restore(key)
            assert load(mine.path(key)).digest == recording.digest
            assert key in there or what in ("renamed", "deleted"), (key, what)
        assert mine.problems == {}
        for kept in mine.kept():
            mine.load(kept.id)
            mine.path(kept.id).unlink()


def test_processes_that_keep_rename_and_delete_at_once_do_each_thing_once(mine, recording):
    shared = [mine.keep(recording).id for _ in range(4)]
    processes = [child(TOGETHER, mine, recording, str(number), *shared) for number in (1, 2)]
    own = [key for process in processes for key in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(kept.id for kept in mine.kept()) == sorted(own) and len(own) == 10
    assert files(mine) == sorted(f"{key}.npz" for key in own)
    assert mine.problems == {}


def test_what_is_deleted_does_not_come_back_because_another_process_was_giving_it_a_name(mine, recording):
    """Deleting waits for the other, which is held up while it writes; half a second is for who would not wait."""
    key = mine.keep(recording).id
    process = child(SLOW, mine, recording, key)
    assert process.stdout.readline() == "writing\n"
    deleting = threading.Thread(target=mine.delete, args=[key])
    deleting.start()
    deleting.join(0.5)
    assert deleting.is_alive()
    process.communicate("\n" * 5)
    deleting.join()
    assert process.returncode == 0
    assert mine.kept() == [] and mine.restore(key).name == "new"


def test_a_process_that_hangs_is_not_waited_for_forever(mine, recording, monkeypatch):
    monkeypatch.setattr(run_archive, "LOCK_TIMEOUT_S", 0.05)
    key = mine.keep(recording).id
    process = child(SLOW, mine, recording, key)
    assert process.stdout.readline() == "writing\n"
    with pytest.raises(ArchiveError, match=r"Another process has been busy in .*runs for 0\.05 s; try again later"):
        mine.delete(key)
    assert mine.keep(recording).id != key
    process.communicate("\n" * 5)


def test_a_system_that_lets_no_file_grow_is_reported(mine, recording):
    process = child(SMALL, mine, recording)
    assert "The run was not kept: the file would be larger than is allowed here." in process.communicate()[0]
    assert files(mine) == []
