"""Laws of data of one's own: a file is read or refused with a sentence, and what was read is found again."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bokeh.models import CustomJSHover
from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.instruments.decision_map import DecisionMap
from dashboard.state.analyses.point_editor import PointEditor
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study
from dashboard.storage.csv_file.csv_import import MAX_ROWS_READ, CsvImport, read_csv
from dashboard.storage.formulas import guarded, unguarded
from dashboard.storage.tables import DIGEST, MAX_ROWS, MAX_VALUE, OWN, Table, Tables
from engine.datasets import DATASETS

IRIS = """sepal;petal;kind
5,1;1,4;setosa
4,9;1,3;setosa
6,2;4,8;versicolor
5,9;5,1;virginica
"""
MOONS = Table.of(DATASETS["moons"](n=60))
BLOBS = Table.of(DATASETS["blobs"](n=50, classes=5))
SINE = Table.of(DATASETS["sine"](n=30))
LETTERS = Table.labeled(["a,b", 'say "x"'], np.arange(8.0).reshape(4, 2), np.array([0, 1, 2, 1]), ["no", "yes", "ä;ö"])
every_table = pytest.mark.parametrize("table", [MOONS, BLOBS, SINE, LETTERS], ids=["moons", "blobs", "sine", "letters"])

cells = st.sampled_from(["", "1", "-2.5", "3e4", "1,5", "nan", "inf", "1e300", "a", "b b", "ä", '"', "\0", "_", "1_0"])
lines = st.lists(cells, max_size=5).flatmap(lambda row: st.sampled_from([mark.join(row) for mark in ",;\t "]))
texts = st.lists(lines, max_size=8).flatmap(
    lambda rows: st.sampled_from([end.join(rows) for end in ("\n", "\r\n", "\r")])
)


def tables_in(folder: Path) -> Tables:
    """Tables as another process has them."""
    return Tables(lambda: folder)


def rows(sheet: CsvImport) -> list[list[str]]:
    return [cells for _, cells in sheet.rows]


@given(st.binary(max_size=300) | texts.map(lambda text: text.encode(errors="replace")) | texts)
@example(b"")
@example(b"\xff\xfe\xd8")
@example(b'a,b\n"')
@example("x" * 200_000 + ",1\n2,3")
@example('"' + "x" * 200_000 + '",1\n2,3')
def test_any_bytes_at_all_are_a_sheet_or_are_refused_with_a_sentence(content):
    said = []
    for task in ("classes", "regression"):
        try:
            sheet = read_csv(content)
            table, problems = sheet.table(sheet.numeric[:-1], sheet.names[-1], task)
            assert np.isfinite(table.x).all()
            assert table.digest == Table.unpacked(table.packed()).digest
            said += problems
        except ValueError as error:
            said.append(str(error))
    assert all(isinstance(words, str) and len(words) > 10 for words in said)


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_separators_and_ends_of_lines_are_found(mark, end):
    text = end.join(mark.join(row) for row in [["a", "b", "kind"], ["1.5", "-2", "x"], ["3", "4e2", "y"]])
    sheet = read_csv(text)
    assert sheet.names == ("a", "b", "kind")
    assert rows(sheet) == [["1.5", "-2", "x"], ["3", "4e2", "y"]]
    assert sheet.numeric == ("a", "b")


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings_are_found(code):
    assert read_csv("Größe,Höhe\n1,2\n".encode(code)).names == ("Größe", "Höhe")


def test_decimal_commas_and_labels_are_read_as_the_file_has_them():
    table, problems = read_csv(IRIS).table(["sepal", "petal"], "kind", "classes")
    assert table.x.tolist() == [[5.1, 1.4], [4.9, 1.3], [6.2, 4.8], [5.9, 5.1]]
    assert table.labels == ("setosa", "versicolor", "virginica")
    assert table.y.tolist() == [0, 0, 1, 2]
    assert table.task == "classes"
    assert table.answer == "kind"
    assert problems == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,2\n3,4\n", ("x1", "x2")),
        ("1,2,a\n3,4,b\n", ("x1", "x2", "x3")),
        ("a,b\n1,2\n", ("a", "b")),
        (",b\n1,2\n", ("x1", "b")),
        ("a,2019\n1,2\n3,4\n", ("a", "2019")),
        ("a,a,a\n1,2,3\n", ("a", "a (2)", "a (3)")),
        ('"long\nname",b\n1,2\n', ("long name", "b")),
        ("My table\n\na,b\n1,2\n3,4\n", ("a", "b")),
    ],
)
def test_headers_are_found_or_made_up(text, names):
    assert read_csv(text).names == names


BAD = "x1,x2,y\n1,2,0\n\n3,abc,1\n,4,0\n5,6\n7,nan,1\n8,inf,1\n9,1e300,0\n1,1,\n2,2,1\n3,3,0\n4,5,1\n"


def test_bad_rows_are_left_out_and_reported_by_the_line_of_the_file():
    table, problems = read_csv(BAD).table(["x1", "x2"], "y", "classes")
    assert table.x.tolist() == [[1, 2], [2, 2], [3, 3], [4, 5]]
    assert problems == [
        "line 4: 'abc' in column x2 is no number; left out",
        "line 5: x1 has no value; left out",
        "line 6: 2 cells where most lines have 3; left out",
        "line 7: x2 has no value; left out",
        "line 8: 'inf' in column x2 is no number up to 1e+100; left out",
        "line 9: '1e300' in column x2 is no number up to 1e+100; left out",
        "line 10: y has no value; left out",
    ]


def test_lines_are_counted_through_quoted_ends_of_lines():
    _, problems = read_csv('a,"b\nc",d\n1,"2",x\n1,oops,x\n2,3,y\n3,4,y\n4,5,x\n').table(["a", "b c"], "d", "classes")
    assert problems[0].startswith("line 4: 'oops'")


def test_of_many_bad_rows_the_first_ten_are_spelled_out_and_the_rest_counted():
    text = "a,b\n" + "1,2\n2,1\n" * 40 + "x,1\n" * 25 + "1,2,3\n" * 7
    _, problems = read_csv(text).table(["a"], "b", "classes")
    assert len(problems) == 11
    assert problems[0].startswith("line 82: 'x'")
    assert problems[-1] == "… and 22 more lines like these"


def test_too_many_rows_are_sampled_always_the_same_way_and_it_is_said():
    text = "a,b,c\n" + "".join(f"{row},{row * row},{row % 2}\n" for row in range(MAX_ROWS_READ + 5000))
    (table, problems), (again, _) = (read_csv(text).table(["a", "b"], "c", "classes") for _ in range(2))
    assert len(table.x) == MAX_ROWS
    assert table.digest == again.digest
    assert (table.x[:, 1] == table.x[:, 0] ** 2).all()
    assert (np.diff(table.x[:, 0]) > 0).all()
    assert problems == [
        "15,000 rows: a sample of 10,000 is looked at.",
        "10,000 complete rows: a sample of 2,000 is used.",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n,,\n", "empty"),
        (b"a,b\n", "only a header"),
        (b"a\n1\n2\n", "only one column"),
        (b"\x89PNG\r\n\x1a\n\0\0", "no text"),
        (b"PK\3\4", "no text"),
        (",".join("abc" * 20).encode(), "60 columns"),
        (b"1,2\n" * 2_600_000, "10 MB"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(content, words):
    with pytest.raises(ValueError, match=words):
        read_csv(content)


SHEET = read_csv("a,b,one,many,word\n" + "".join(f"{row},{row % 3},7,{row / 7},w{row % 9}\n" for row in range(30)))


@pytest.mark.parametrize(
    ("inputs", "answer", "task", "words"),
    [
        ([], "b", "classes", "no inputs"),
        (["z"], "b", "classes", "no column 'z'"),
        (["b"], "b", "classes", "an input and the answer"),
        (["word"], "b", "classes", "word is no column of numbers"),
        (["a"], "word", "regression", "tell its values apart"),
        (["a"], "one", "classes", "nothing to tell apart"),
        (["a"], "one", "regression", "nothing to predict"),
        (["a"], "many", "classes", "30 different values, .* choose the task “regression”"),
        (["a"], "word", "classes", "9 different values, .* choose another answer"),
        (["a"], "b", "guessing", "task 'guessing' is unknown"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_with_what_to_choose(inputs, answer, task, words):
    with pytest.raises(ValueError, match=words):
        SHEET.table(inputs, answer, task)


def test_fewer_than_four_rows_are_refused_with_the_reasons():
    with pytest.raises(ValueError, match=r"3 complete rows are too few.*line 3"):
        read_csv("a,b\n1,2\nx,2\n2,3\n4,3\n").table(["a"], "b", "classes")


def test_constant_columns_are_reported_and_numbers_written_differently_are_one_class():
    table, problems = read_csv("a,one,k\n1,7,0\n2,7,0.0\n3,7,1\n4,7,1e0\n").table(["a", "one"], "k", "classes")
    assert problems == ["one is the same in every row: nothing can be learned from it."]
    assert table.labels == ("0", "1")
    assert table.y.tolist() == [0, 0, 1, 1]


def test_the_answer_of_a_regression_can_be_rescaled_and_it_is_said():
    table, problems = SHEET.table(["a"], "many", "regression", rescale=True)
    assert math.isclose(table.y.mean(), 0, abs_tol=1e-12)
    assert math.isclose(table.y.std(), 1)
    assert "standard deviation 1" in problems[-1]
    assert SHEET.task("many") == "regression"
    assert SHEET.task("b") == SHEET.task("word") == "classes"


@every_table
def test_a_table_written_as_csv_is_read_back_to_the_last_digit(table):
    sheet = read_csv(table.csv())
    task = "regression" if table.task == "regression" else "classes"
    again, problems = sheet.table(table.columns, table.answer, task)
    assert problems == []
    assert again.x.tobytes() == table.x.tobytes()
    assert again.csv() == table.csv()
    if table is not LETTERS:  # whose classes are not in the order of their names
        assert again.digest == table.digest


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'=", "''@", " =", "\uff1d"])
@pytest.mark.parametrize("end", ["cmd|' /C calc'!A0", "1'", "a", "1,5;2"])
def test_names_and_labels_are_no_formulas_in_a_spreadsheet_and_read_back_as_they_were(start, end):
    text = (start + end).strip()
    labels = (f"{text} b", f"{text} c")
    x, y = np.arange(16.0).reshape(8, 2), np.arange(8.0) % 2
    table = Table((text, "x"), x, y, "binary", labels=labels, answer=f"{text} k")
    cells = [cell for row in csv.reader(io.StringIO(table.csv())) for cell in row if not cell[0].isdecimal()]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]
    again, problems = read_csv(table.csv()).table(table.columns, table.answer, "classes")
    assert problems == []
    assert (again.columns, again.answer, again.labels) == (table.columns, table.answer, table.labels)
    assert again.csv() == table.csv()
    assert again.digest == table.digest


@pytest.mark.parametrize("text", ["x", "'x'", "it's", "-1.5", "+2e-3", "a=b", "'5"])
def test_what_no_spreadsheet_computes_is_written_as_it_is(text):
    assert guarded(text) == unguarded(text) == text


@given(st.text(alphabet="'=+-@ ax1\t"))
def test_whatever_is_guarded_is_given_back(text):
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "@"))


@every_table
def test_a_packed_table_is_the_same_after_json(table, tmp_path):
    packed = json.loads(json.dumps(table.packed()))
    digest = tables_in(tmp_path).unpack(packed)
    assert digest == table.digest
    assert DIGEST.fullmatch(digest)
    assert Table.unpacked(packed).digest == digest


@every_table
def test_a_table_is_found_again_by_another_process(table, tmp_path):
    digest = tables_in(tmp_path).put(table)
    again = tables_in(tmp_path).get(digest)
    assert (again.columns, again.labels, again.task, again.answer) == (
        table.columns,
        table.labels,
        table.task,
        table.answer,
    )
    assert again.x.tobytes() == table.x.tobytes()
    assert again.y.tobytes() == table.y.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == [f"{digest}.json"]


def change(**parts):
    return {**MOONS.packed(), **parts}


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [],
        {},
        change(x=[[1, 2]], y=[0]),
        change(x=None),
        change(x=[["a", 1]] * 60),
        change(x=[[1, 2], [3]] * 30),
        change(x=[[10**400, 1]] * 60),
        change(x=[[math.nan, 1]] * 60),
        change(x=[[1e200, 1]] * 60),
        change(x=[1] * 60),
        change(x=[[1, 2]] * 3000, y=[0, 1] * 1500),
        change(y=[0.5] * 60),
        change(y=[0] * 60),
        change(y=[0, 7] * 30),
        change(y=[0, 1]),
        change(columns=["a"]),
        change(columns=["a", 3]),
        change(columns="ab"),
        change(columns=["a" * 1000, "b"]),
        change(task="guessing"),
        change(task="classes"),
        change(task="regression"),
        change(labels=["a"]),
        change(labels=list("abcdef"), task="classes"),
        change(answer=None),
    ],
)
def test_what_is_no_table_is_not_unpacked(packed, tmp_path):
    with pytest.raises(ValueError, match="no data of one's own as a run carries them"):
        tables_in(tmp_path).unpack(packed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{}", "[" * 100_000, "\0", json.dumps(MOONS.packed())])
def test_a_file_that_is_not_what_its_name_says_is_unknown(content, tmp_path):
    (tmp_path / f"{'0' * 16}.json").write_text(content)
    tables = tables_in(tmp_path)
    for digest in ("0" * 16, "", "../secret", "0" * 15):
        assert digest not in tables
        with pytest.raises(ValueError, match="load their file again"):
            tables.get(digest)


def test_a_folder_that_cannot_be_written_is_reported_and_loses_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    tables = tables_in(tmp_path / "file" / "data")
    digest = tables.put(MOONS)
    assert tables.get(digest) is MOONS
    told = tables.write(digest)
    assert str(tmp_path) in told
    assert "Download them as CSV" in told


def test_memory_is_bounded_but_never_loses_what_is_used(tmp_path):
    tables = Tables(lambda: tmp_path / "nowhere", most=4 * MOONS.x.nbytes)
    used = Table.of(DATASETS["moons"](n=60, seed=99))
    digests = [tables.hold(used)] + [tables.hold(Table.of(DATASETS["moons"](n=60, seed=seed))) for seed in range(20)]
    known = [digest for digest in digests if digest in tables]
    assert known == [digests[0], *digests[-4:]]


def test_a_process_killed_amid_writing_leaves_no_half_table(tmp_path):
    code = """
import os, dashboard.storage.tables as tables
from engine.datasets import DATASETS
os.fsync = lambda file: os.kill(os.getpid(), 9)
tables.TABLES.put(tables.Table.of(DATASETS["moons"]()))
"""
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "DESCENT_LAB_HOME": str(tmp_path)}, check=False
    )
    assert killed.returncode == -9
    digest = Table.of(DATASETS["moons"]()).digest
    tables = tables_in(tmp_path / "data")
    assert digest not in tables
    tables.put(Table.of(DATASETS["moons"]()))
    assert digest in tables_in(tmp_path / "data")


@pytest.mark.parametrize("table", [MOONS, BLOBS], ids=["binary", "classes"])
@pytest.mark.parametrize("seed", [0, 7])
def test_one_example_more_moves_at_most_one_other_between_the_parts(table, seed):
    data = table.dataset()
    train, held_out = data.split(0.25, seed=seed)
    assert len(train) + len(held_out) == len(data)
    assert len(held_out) == round(0.25 * len(data))
    assert set(train.y) == set(data.y)
    more = Table.labeled(table.columns, np.vstack([table.x, [[0.3, 0.4]]]), np.append(table.y, 0), table.labels)
    _, held_out_of_more = more.dataset().split(0.25, seed=seed)
    moved = {tuple(row) for row in held_out.x} ^ {tuple(row) for row in held_out_of_more.x}
    assert len(moved) <= 2
    assert {tuple(row) for row in data.split(0.25, seed=seed + 1)[1].x} != {tuple(row) for row in held_out.x}


def test_only_inputs_far_from_the_scale_of_first_weights_are_wide():
    assert not MOONS.wide
    assert not SINE.wide
    for factor, shift in [(1, 50), (10, 0), (0.01, 0), (MAX_VALUE / 10, 0)]:
        assert Table.labeled(["a", "b"], MOONS.x * factor + shift, MOONS.y, ["0", "1"]).wide


def test_a_study_of_own_data_trains_on_them():
    settings = Settings(hidden=[3])
    settings.take(BLOBS)
    study = Study(Plan({"sgd": {}, "adam": {"optimizer": "adam"}}, seeds=2, epochs=20))
    study._key = study.key(settings)
    for _ in study.pieces(settings):
        pass
    run = Run(Settings(**settings.values()))
    run.advance(20)
    assert study.results["sgd"].loss[0, -1] == pytest.approx(run.history[-1].loss, rel=1e-9)
    assert study.results["adam"].setup.train.n_classes == 5
    settings.take(MOONS)
    assert not study.is_of(settings)


def drawing() -> PointEditor:
    return PointEditor(Settings(n=40, hidden=[3]))


def test_points_that_are_drawn_become_the_data_and_are_taken_back_one_by_one():
    drawn = drawing()
    settings, before = drawn._settings, drawn._settings.values()
    own = []
    for label in (0, 1, 2):
        drawn.add(np.array([[0.1 * label, 0.2]]), label)
        own.append(settings.own)
    assert len(set(own)) == 3
    assert (settings.dataset, settings.task) == (OWN, "classes")
    assert settings.examples().x[-1].tolist() == [0.2, 0.2]
    assert drawn.counts == "43 points: 21 of class 0, 21 of class 1, 1 of class 2."
    drawn.erase(np.array([[0.2, 0.21]]), np.array([0.05, 0.05]))
    assert settings.task == "binary"
    drawn.erase(np.array([[9.0, 9.0]]), np.array([0.05, 0.05]))
    assert settings.own == own[1]
    for expected in (own[2], own[1], own[0]):
        drawn.undo()
        assert settings.own == expected
    drawn.undo()
    assert settings.values() == before
    assert not drawn.can_undo


def test_an_empty_plane_says_what_is_missing_until_there_is_something_to_learn():
    drawn = drawing()
    drawn.clear()
    assert drawn._settings.dataset == "moons"
    assert drawn.missing == "To be learned there must be 4 more points and points of two classes."
    drawn.add(np.zeros((3, 2)), 1)
    assert drawn.missing == "To be learned there must be 1 more point and points of another class."
    drawn.add(np.ones((1, 2)), 0)
    assert drawn.missing == ""
    assert drawn._settings.dataset == OWN
    assert len(drawn._settings.examples()) == 4


def test_a_drawing_begins_anew_with_other_data_and_never_grows_beyond_the_most():
    drawn = drawing()
    drawn.add(np.zeros((1, 2)), 0)
    drawn._settings.dataset = "circles"
    assert not drawn.is_current
    drawn.add(np.zeros((3000, 2)), 1)
    assert len(drawn.x) == MAX_ROWS
    assert drawn.full
    assert drawn.counts.endswith("no more can be added.")
    drawn.undo()
    assert drawn._settings.dataset == "circles"


def test_classes_of_named_data_keep_their_names():
    drawn = PointEditor(Settings())
    drawn._settings.take(LETTERS)
    drawn.add(np.array([[3.0, 3.0]]), 3)
    assert drawn._settings.table().labels == ("no", "yes", "ä;ö", "3")
    assert drawn.counts == "5 points: 1 of no, 2 of yes, 1 of ä;ö, 1 of class 3."


def pen(name: str, **settings: object) -> DecisionMap:
    """A map that is drawn into with a pen."""
    plane = DecisionMap(Run(Settings(hidden=[3], **settings)))
    plane.pen = name
    plane.draw(plane.run.frame())
    return plane


def share(plane: DecisionMap, across: float, up: float) -> tuple[float, float]:
    """The coordinates of a place of the map, in shares of its width and height."""
    (left, right), (bottom, top) = plane._box
    return left + across * (right - left), bottom + up * (top - bottom)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_point_stays_where_it_was_clicked_however_the_inputs_are_standardized(standardize):
    plane = pen("add class 1", standardize=standardize)
    run, places = plane.run, [(0.03, 0.9), (0.97, 0.04), (0.5, 0.5)]
    for place in places:
        plane.tapped(*share(plane, *place))
        plane.draw(run.frame())
    assert len(run.settings.examples()) == 203
    shown = np.vstack([part.x for part in (run.setup.train, run.setup.validation)])
    for place in places:
        distance = np.abs((shown - share(plane, *place)) / plane._spans).max(axis=1)
        assert distance.min() < 1e-9
    plane.pen = "erase"
    for place in places:
        plane.draw(run.frame())
        plane.tapped(*share(plane, *place))
    assert len(run.settings.examples()) == 200
    assert {tuple(row) for row in run.settings.examples().x} == {tuple(row) for row in Settings().examples().x}


def test_a_click_outside_the_plane_or_without_a_pen_changes_no_data():
    plane = pen("add class 0")
    plane.tapped(*share(plane, 1.1, 0.5))
    plane.pen = "pick"
    plane.tapped(*share(plane, 0.5, 0.5))
    assert plane.run.settings.dataset == "moons"
    assert plane.run.view.example is not None


def test_a_drag_puts_points_all_along_its_way_however_few_events_there_are():
    plane = pen("add class 1")
    for across in (0.2, 0.8):
        plane._drag(*share(plane, across, 0.5))
    plane._end_stroke()
    added = plane.run.settings.examples().x[200:]
    assert 20 <= len(added) <= 30
    assert np.ptp(added[:, 0]) > 0.4 * plane._spans[0]


def test_the_map_shows_what_waits_for_more_points_and_keeps_the_run_as_it_was():
    plane = pen("add class 1")
    run = plane.run
    setup = run.setup
    plane._answer("clear")
    plane.tapped(*share(plane, 0.5, 0.5))
    plane.draw(run.frame())
    assert run.setup is setup
    assert [len(plane.sources[part].data["x1"]) for part in ("training", "validation")] == [1, 0]
    assert not np.any(plane.sources["regions"].data["image"])
    assert plane._bar.words.startswith("To be learned there must be 3 more points")
    plane._answer("undo")
    plane._answer("undo")
    plane.draw(run.frame())
    assert [len(plane.sources[part].data["x1"]) for part in ("training", "validation")] == [150, 50]
    assert run.setup is setup


def test_the_answer_under_the_pointer_is_read_by_the_present_number_of_classes():
    plane = pen("add class 2")
    plane.tapped(*share(plane, 0.5, 0.5))
    plane.draw(plane.run.frame())
    codes = [formatter.code for formatter in plane.figure.select(CustomJSHover)]
    assert len(codes) == 1
    assert "1 / 3" in codes[0]
