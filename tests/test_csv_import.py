"""Laws of imports: a file as people have it is read to the right numbers, names and labels, or says what it is."""

import csv
import io
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.state.settings import Settings
from dashboard.storage.csv_file.column import is_missing
from dashboard.storage.csv_file.complaints import Complaints
from dashboard.storage.csv_file.csv_import import MAX_ROWS_READ, CsvImport, read_csv
from dashboard.storage.csv_file.number_style import NumberStyle, looks_like_number, styles
from dashboard.storage.tables import Table
from dashboard.widgets.data_dialog import DataDialog

HEAT = [-0.154, 1.811, 0.667, 2.149, -1.0, 2.299, -0.534, 1.972, 0.185, 3.031, -0.372, 1.936]
DAMP = [0.307, 1.442, 0.254, 2.237, 0.513, 0.985, -0.281, 2.313, 0.236, 2.334, -0.444, 2.379]
MOOD = ["calm", "windy"] * 6
ROWS = [[f"{heat}", f"{damp}", mood] for heat, damp, mood in zip(HEAT, DAMP, MOOD, strict=True)]
NAMES = ["heat", "damp", "mood"]


def weather(mark: str = ",", end: str = "\n", names: list[str] | None = NAMES) -> str:
    """A small table of ours."""
    return end.join(mark.join(row) for row in ([names] if names else []) + ROWS) + end


def suggested(sheet: CsvImport) -> tuple[Table, list[str]]:
    """The table that a user sees first, and what is said about it."""
    one = sheet.suggestion
    return sheet.table(one.inputs, one.answer, sheet.task(one.answer))


def read_well(content: bytes | str, notes: int | None = None) -> CsvImport:
    """The sheet of a file that holds the weather, checked to its last digit."""
    sheet = read_csv(content)
    table, problems = suggested(sheet)
    assert sheet.names == tuple(NAMES)
    assert (sheet.suggestion.inputs, sheet.suggestion.answer) == (("heat", "damp"), "mood")
    assert table.x.tolist() == [list(pair) for pair in zip(HEAT, DAMP, strict=True)]
    assert table.labels == ("calm", "windy")
    assert table.y.tolist() == [0, 1] * 6
    assert notes is None or len(problems) == notes, problems
    return sheet


def column(*cells: str, mark: str = ";", others: tuple[str, ...] = ()) -> CsvImport:
    """A sheet of one column of these cells between one that says nothing of how numbers are written and a label."""
    rows = [f'{place % 3}{mark}"{cell}"{mark}{"ab"[place % 2]}' for place, cell in enumerate(cells)]
    if others:
        rows = [f'{row}{mark}"{other}"' for row, other in zip(rows, others, strict=True)]
    names = ["count", "value", "kind"] + ["other"] * bool(others)
    return read_csv("\n".join([mark.join(names), *rows]))


def values(sheet: CsvImport, name: str = "value") -> list[float | None]:
    return [sheet.columns[name].values.get(cell) for _, cell in sheet.columns[name].cells]


def reasons(sheet: CsvImport) -> str:
    return " ".join(why for _, why in sheet.suggestion.reasons)


# Separators, lines, quotation marks


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("which", ["names", "rows", "all", "some"])
@pytest.mark.parametrize("many", [1, 3])
def test_separators_too_many_at_the_end_of_lines_move_no_name(mark, which, many):
    lines = weather(mark).splitlines()
    ends = {
        "names": lambda place: place == 0,
        "rows": bool,
        "all": lambda _: True,
        "some": lambda place: place % 3 == 0,
    }
    text = "\n".join(line + mark * many * ends[which](place) for place, line in enumerate(lines))
    sheet = read_well(text)
    assert "separator too many" in " ".join(sheet.problems)


def test_a_column_without_name_and_cells_is_dropped_wherever_it_stands_and_said():
    text = "\n".join(f",{line.replace(',', ',,', 1)}" for line in weather().splitlines())
    assert "columns 1, 3 without a name or a cell; left out." in read_well(text).problems


def test_a_column_with_a_name_and_no_cells_is_kept_and_never_suggested():
    sheet = read_csv("a,void,kind\n1.5,,x\n2.5,,y\n1.7,,x\n2.1,,y\n")
    assert sheet.names == ("a", "void", "kind")
    assert sheet.suggestion.inputs == ("a",)
    assert "void is empty" in reasons(sheet)


@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}", "sep={},,"])
@pytest.mark.parametrize("mark", [",", ";", "|", "\t", ":", "~"])
def test_a_line_that_declares_the_separator_is_obeyed_and_no_part_of_the_table(line, mark):
    sheet = read_well(line.format(mark) + "\r\n" + weather(mark, "\r\n"))
    assert sheet.delimiter == mark
    assert sheet.rows[0][0] == 3
    two = read_csv(f"sep={mark}\nheat{mark}mood\n" + "".join(f"{row[0]}{mark}{row[2]}\n" for row in ROWS))
    assert two.names == ("heat", "mood")
    assert len(two.rows) == 12


def test_blanks_and_tabs_in_turn_separate_columns_and_quotes_hold_them_together():
    rows = [f'{14 + row}.0   {4 + row % 3}   {90 + row}.5      ?  70  1\t"ox van {row}"' for row in range(9)]
    sheet = read_csv("\n".join(rows))
    assert len(sheet.names) == 7
    assert [len(cells) for _, cells in sheet.rows] == [7] * 9
    assert sheet.rows[2] == (3, ["16.0", "6", "92.5", "?", "70", "1", "ox van 2"])


def test_a_doubled_tab_or_a_blank_at_the_end_costs_no_row():
    lines = weather("\t").splitlines()
    lines[3] = lines[3].replace("\t", "\t\t", 1)
    lines[5] += "  "
    lines[7] += "\t"
    read_well("\n".join(lines), notes=0)


def test_an_empty_cell_between_tabs_stays_a_missing_value():
    sheet = read_csv("a\tb\tkind\n1.5\t\tx\n2\t3\ty\n2\t\ty\n1\t1\tx\n4\t5\tx\n6\t7\ty")
    assert values(sheet, "b") == [None, 3, None, 1, 5, 7]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_ends_of_lines_of_any_kind(end):
    read_well(weather(end=end), notes=0)


@pytest.mark.parametrize("stray", ['"5in', '"the rest', '""x', '"a,b'])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_quotation_mark_that_never_closes_is_reported_by_its_line_and_costs_only_that_row(stray, quoted):
    rows = [
        [f"{row}.5", str(row % 4), f'"{kind}"' if quoted else kind] for row, kind in enumerate(["beam", "plank"] * 20)
    ]
    rows[6][2] = stray
    sheet = read_csv("\n".join(map(",".join, [["width", "height", "kind"], *rows])))
    table, problems = sheet.table(["width", "height"], "kind", "classes")
    if stray.startswith('""'):
        assert "x" in sheet.rows[6][1][2]
        return
    assert problems[0] == "line 8: a quotation mark opens here and does not close; left out"
    assert len(sheet.rows) + len(sheet.left_out) == 40
    assert table.counts == {"beam": 19, "plank": 20}


def test_two_stray_marks_swallow_no_rows_between_them():
    lines = [f"{row}.5,{row % 4},{'beam' if row % 2 else 'plank'}" for row in range(30)]
    lines[4], lines[20] = '4.5,0,"5in', '20.5,0,7in"'
    sheet = read_csv("width,height,kind\n" + "\n".join(lines))
    assert len(sheet.rows) >= 28
    assert "line 6: a quotation mark opens here and does not close; left out" in sheet.problems


def test_ends_of_lines_in_quotes_belong_to_the_cell_and_lines_are_still_counted():
    lines = [f'{heat},{damp},"{mood}\n({mood[0]})"' for heat, damp, mood in zip(HEAT, DAMP, MOOD, strict=True)]
    lines[5] = '2.299,oops,"windy\n(w)"'
    sheet = read_csv('heat,damp,"mood,\nas told"\n' + "\n".join(lines))
    table, problems = suggested(sheet)
    assert sheet.names == ("heat", "damp", "mood, as told")
    assert table.counts == {"calm\n(c)": 6, "windy\n(w)": 5}
    assert problems[0] == "line 13: 'oops' in column damp is no number; left out"


def test_rows_in_quotation_marks_as_a_whole_are_unwrapped():
    text = "\n".join(f'"{line}"' for line in weather().splitlines())
    assert "quotation marks as a whole" in " ".join(read_well(text).problems)


def test_single_quotation_marks_are_taken_off_where_a_file_uses_them():
    read_well("\n".join(f"{row[0]},{row[1]},'{row[2]}'" for row in [NAMES, *ROWS]))


def test_a_table_drawn_with_bars_and_rules_is_read():
    head, *rows = weather(" | ").splitlines()
    drawn = [f"| {line} |" for line in [head, *rows]]
    read_well("\n".join([drawn[0], "|------|:----:|-----|", *drawn[1:]]))


# Encodings, ends of files, files that are no CSV


@pytest.mark.parametrize(
    ("coding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
        ("utf-32-le", b""),
        ("utf-32-be", b""),
    ],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_unicode_is_read_with_and_without_a_mark(coding, mark, quote):
    names = [f"{quote}{name}{quote}" for name in NAMES]
    read_well(mark + weather(names=names, end="\r\n").encode(coding), notes=0)


def test_western_windows_is_read_with_its_curly_quotes_and_it_is_said():
    text = weather(names=["Höhe", "€ • Breite", "“Güte”"])
    sheet = read_csv(text.encode("cp1252"))
    assert sheet.names == ("Höhe", "€ • Breite", "“Güte”")
    assert "Windows-1252" in " ".join(sheet.problems)
    assert "line 1" in " ".join(sheet.problems)


def test_one_damaged_character_does_not_turn_the_others_into_two():
    text = "Größe,Höhe,Güte\n" + "".join(f"1,{row},gäbe\n" for row in range(9)) + "1,2,g"
    sheet = read_csv(text.encode() + b"\xe4be\n")
    assert sheet.names == ("Größe", "Höhe", "Güte")
    assert "line 11: some characters are damaged" in " ".join(sheet.problems)


@pytest.mark.parametrize("tail", [b"\x1a", b"\0" * 64, b"\r\n\x1a", b"\0" * 5000, b"\x1a\0\0\n"])
def test_what_fills_up_a_file_behind_its_end_is_no_part_of_it(tail):
    read_well(weather().encode() + tail, notes=0)


def test_a_line_with_a_control_character_is_left_out_and_reported():
    lines = weather().splitlines()
    lines[4] = lines[4].replace(",", "\0\0\0,", 1)
    sheet = read_csv("\n".join(lines))
    assert sheet.problems == ["line 5: it holds the control character U+0000; left out"]
    assert len(sheet.rows) == 11


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"a": 1, "b": 2}, {"a": 2, "b": 1}]', "JSON"),
        (b'{"a": [1, 2], "b": [2, 1]}', "JSON"),
        (b'{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n', "JSON"),
        (b"[\n  [1, 2],\n  [3, 4]\n]", "JSON"),
        (b"+1 1:0.5 2:0.25\n-1 1:0.25 2:1\n+1 1:3 2:4\n", "libsvm"),
        (b"0 3:0.5 17:-2.5e-3 20:1 # a\n1 3:0.25 4:1\n", "libsvm"),
        (b"<!DOCTYPE html>\n<html><table><tr><td>1,2</td></tr></table></html>", "HTML"),
        (b"\n <table>\n<tr><td>1</td></tr></table>", "HTML"),
        (b'<?xml version="1.0"?><Workbook></Workbook>', "XML"),
        (b"PK\3\4\x14\0\6\0[Content_Types].xml", "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "Excel"),
        (b"PAR1\x15\4" + bytes(99) + b"PAR1", "Parquet"),
        (b"\x1f\x8b\x08\0" + bytes(99), "gzip"),
        (b"\x93NUMPY\1\0v\0{'descr': '<f8'", "NumPy"),
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (b"SQLite format 3\0" + bytes(99), "SQLite"),
        (bytes(range(256)) * 9, "no text"),
        (b"a,b,kind\n", "only a header"),
        (b"heat\n1\n2\n3\n", "only one column"),
    ],
)
def test_what_is_no_csv_is_called_what_it_is_with_what_to_do(content, words):
    with pytest.raises(ValueError, match=words):
        read_csv(content)


def test_arff_keeps_its_names_and_leaves_its_comments_out():
    named = "@attribute 'heat of day' numeric\n@ATTRIBUTE damp real\n@attribute mood {calm,windy}\n"
    head = f"% made by hand\n@relation r\n{named}\n@DATA\n"
    sheet = read_csv(head + "% rows\n" + weather(names=None) + "?,1.5,'calm'\n")
    assert sheet.names == ("heat of day", "damp", "mood")
    assert len(sheet.rows) == 13
    assert sheet.rows[0][0] == 9
    assert suggested(sheet)[0].counts == {"calm": 6, "windy": 6}
    with pytest.raises(ValueError, match="sparse ARFF"):
        read_csv(head + "{0 1.5, 2 calm}\n{1 2}\n")


# What stands above, between and below the rows


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("My table\n\n", "line 1: 1 cell where most lines have 3; left out"),
        ("My table,,\n", "line 1: 'My table' stands above the names; left out."),
        ("# station 12, north\n# made, on, may\n#\n", "lines 1 to 3: comments; left out."),
        ("% station 12, north, x\n", "line 1: a comment; left out."),
        ("// station 12, north, x\n", "line 1: a comment; left out."),
        ("; station 12, north, x\n", "line 1: a comment; left out."),
        ("|1x3 check\n", "line 1: 1 cell where most lines have 3; left out"),
        ("\n\n", ""),
    ],
)
def test_titles_and_comments_above_the_names_are_left_out_and_reported(above, said):
    sheet = read_well(above + weather())
    assert said in sheet.problems or not said
    assert sheet.rows[0][0] == above.count("\n") + 2


def test_a_comment_that_begins_with_the_separator_is_no_row():
    sheet = read_well("; from the meter; v2;\n" + weather(";"))
    assert "line 1: 'from the meter' stands above the names; left out." in sheet.problems


@pytest.mark.parametrize("units", ["degC,%,", "%,degC,-", "[°C],[g/m³],[]", "(K),(),text"])
def test_a_row_of_units_is_left_out_and_reported(units):
    lines = weather().splitlines()
    sheet = read_well("\n".join([lines[0], units, *lines[1:]]))
    assert any(problem.startswith("line 2:") and "left out" in problem for problem in sheet.problems)
    assert sheet.rows[0][0] == 3


def test_comments_between_rows_and_a_total_below_are_left_out_and_reported():
    lines = weather().splitlines()
    sheet = read_well("\n".join([*lines[:5], "# sensor changed, see, ok", *lines[5:], "Total,,24"]))
    assert "line 6: a comment; left out." in sheet.problems
    assert "line 15: 'Total' is a sum, no row of the table; left out" in sheet.problems


@pytest.mark.parametrize("first", ["#N/A", "#DIV/0!", "#ff0000"])
def test_rows_that_begin_like_comments_are_rows_where_most_do_or_a_spreadsheet_failed(first):
    rows = [f"{first},{row}.5,{'ab'[row % 2]}" for row in range(8)]
    assert len(read_csv("\n".join(["color,x,kind", *rows])).rows) == 8


@pytest.mark.parametrize("mark", ["# ", "#", "% "])
def test_names_in_a_comment_are_the_names(mark):
    read_well(mark + weather())
    read_well(mark + weather(" "))


def test_row_names_without_a_name_of_their_own_shift_no_name():
    text = "heat damp mood\n" + "".join(f'"row{place}" {" ".join(row)}\n' for place, row in enumerate(ROWS))
    sheet = read_csv(text)
    assert sheet.names == ("x1", "heat", "damp", "mood")
    assert sheet.suggestion.inputs == ("heat", "damp")
    text = "heat damp mood\n" + "".join(f"{place} {' '.join(row)}\n" for place, row in enumerate(ROWS, 1))
    assert read_csv(text).names == ("x1", "heat", "damp", "mood")


def test_names_that_do_not_go_with_the_columns_are_not_given_to_any():
    sheet = read_csv("heat,mood\n" + weather(names=None))
    assert sheet.names == ("x1", "x2", "x3")
    assert "2 names for 3 columns" in " ".join(sheet.problems)


def test_numbers_that_name_columns_are_names():
    text = ",0,1,2\n" + "".join(f"{row},{row / 3:.4f},{row / 7:.4f},{row % 2}\n" for row in range(9))
    assert read_csv(text).names == ("x1", "0", "1", "2")
    assert len(read_csv(text).rows) == 9
    assert read_csv("name,2019,2020,2021\na,1,2,3\nb,2,3,4\nc,5,6,7\n").names == ("name", "2019", "2020", "2021")
    assert read_csv("1st,2nd\n1.5,2\n2,3\n3,4\n").names == ("1st", "2nd")
    assert len(read_csv("0,1,2\n3,4,5\n6,7,8\n").rows) == 3


def test_a_first_row_with_one_bad_cell_is_a_row():
    sheet = read_csv("5.1,abc,1.4,x\n" + "4.9,3.0,1.4,y\n" * 5)
    assert sheet.names == ("x1", "x2", "x3", "x4")
    assert len(sheet.rows) == 6


def test_a_line_of_counts_on_top_is_no_row():
    text = "12,2,calm\n" + weather(names=None)
    sheet = read_csv(text)
    assert len(sheet.rows) == 12
    assert "line 1: it only counts the rows and columns; left out." in sheet.problems


def test_rows_read_and_lines_left_out_are_all_lines():
    lines = weather().splitlines()
    for place, line in ((3, "1,2"), (5, "1,2,3,4"), (7, '1,"2'), (9, "1,2,\1")):
        lines[place] = line
    sheet = read_csv("\n".join(lines))
    assert len(sheet.rows) + len(sheet.left_out) == 12
    assert [line for line, _ in sheet.left_out.first] == [4, 6, 8, 10]


def test_names_are_short_plain_and_all_different():
    long = "reading of the " * 12
    sheet = read_csv(f'x,x,{long},{long},"\u200b\u202ea\nb"\n' + "1,2,3,4,5\n" * 3)
    assert sheet.names[:2] == ("x", "x (2)")
    assert len(set(sheet.names)) == 5
    assert max(map(len, sheet.names)) <= 60
    assert sheet.names[4] == "a b"


# Numbers


@pytest.mark.parametrize(
    ("cells", "mark", "numbers"),
    [
        (["537", "2,288", "965", "1,002"], "\t", [537, 2288, 965, 1002]),
        (["537", "2,288", "965", "1,002"], ";", [537, 2288, 965, 1002]),
        (["537", "2,288", "1,234,567", "1,002"], ",", [537, 2288, 1234567, 1002]),
        (["1,230", "1,341", "1,452", "2,007"], ",", [1230, 1341, 1452, 2007]),
        (["1,230.5", "1,341", "1,452", "2,007"], "\t", [1230.5, 1341, 1452, 2007]),
        (["1.100,50", "2.107", "3,5", "12"], ";", [1100.5, 2107, 3.5, 12]),
        (["-0,154", "1,811", "0,667", "2,149"], ",", [-0.154, 1.811, 0.667, 2.149]),
        (["-0,154", "1,811", "0,667", "2,149"], ";", [-0.154, 1.811, 0.667, 2.149]),
        (["-0,154", "1,811", "0,667", "2,149"], "\t", [-0.154, 1.811, 0.667, 2.149]),
        (["-0.154", "1.811", "0.667", "2.149"], ";", [-0.154, 1.811, 0.667, 2.149]),
        (["1.811", "2.149", "1.972", "3.031"], ",", [1.811, 2.149, 1.972, 3.031]),
        (["1.811", "2.149", "1.972", "3.031"], "\t", [1.811, 2.149, 1.972, 3.031]),
        (["12,34,567", "1,00,000", "99,999", "5"], ",", [1234567, 100000, 99999, 5]),
        (["1 230", "2 288,5", "965", "1 002"], ";", [1230, 2288.5, 965, 1002]),
        (["1\u202f230", "2\xa0288,5", "965", "1\u2009002"], ";", [1230, 2288.5, 965, 1002]),
        (["1'230.5", "2\u2019288", "965", "1'002"], ";", [1230.5, 2288, 965, 1002]),
        (["\u22121.5", "\u20132", "-3", "+4"], ",", [-1.5, -2, -3, 4]),
        (["\uff11\uff12.\uff15", "3", "4.5", "6"], ",", [12.5, 3, 4.5, 6]),
        (["1e3", "2.5E-2", "1.5e+300", "7"], ",", [1e3, 2.5e-2, 1.5e300, 7]),
        (["1,5e3", "2,5E-2", "3,25", "7"], ";", [1.5e3, 2.5e-2, 3.25, 7]),
        (["1.5D+03", "2.5D-02", "3.0D+00", "7"], ",", [1.5e3, 2.5e-2, 3, 7]),
        (["5.", ".5", "-.25", "007"], ",", [5, 0.5, -0.25, 7]),
        (["10%", "13%", "12.5 %", "9%"], ",", [10, 13, 12.5, 9]),
        (["$1,230", "$107", "$ 9.50", "-$5"], ",", [1230, 107, 9.5, -5]),
        (["1.230,50 €", "107 €", "9,50 €", "5€"], ";", [1230.5, 107, 9.5, 5]),
        (["50kg", "51.5 kg", "52 KG", "49kg"], ",", [50, 51.5, 52, 49]),
        (["EUR 50", "EUR 51.5", "EUR 52", "EUR 49"], ",", [50, 51.5, 52, 49]),
        (["21°C", "-3 °C", "4.5°C", "7°C"], ",", [21, -3, 4.5, 7]),
        (["5'", "6'", "5.5'", "7'"], ",", [5, 6, 5.5, 7]),
    ],
)
def test_numbers_are_read_as_their_whole_column_is_written(cells, mark, numbers):
    sheet = column(*cells, mark=mark)
    assert "value" in sheet.numeric, reasons(sheet)
    assert values(sheet) == numbers


@pytest.mark.parametrize(
    ("cells", "mark", "words"),
    [
        (["1,230", "1,341", "1,452", "2,007"], "\t", "'1,230' in line 2 may be 1.23 or 1230"),
        (["1,230", "1,341", "1,452", "2,007"], ";", "'1,230' in line 2 may be 1.23 or 1230"),
        (["1.230", "1.341", "1.452", "2.007"], ";", "'1.230' in line 2 may be 1.23 or 1230"),
        (["1500", "1,341", "2000", "2,007"], "\t", "'1,341' in line 3 may be 1.341 or 1341"),
        (["537", "2.288", "965", "1.002"], "\t", "'2.288' in line 3 may be 2.288 or 2288"),
        (["10%", "$5", "3kg", "7"], ",", "units around its numbers differ"),
        (["1,5", "2.5", "3,5", "4.5"], ";", "such as '1,5' (line 2) and '2.5' (line 3)"),
        (["1_000", "2_000", "3_000", "4_000"], ",", "'1_000' (line 2)"),
        (["0x1A", "0x1B", "0x10", "0x11"], ",", "'0x1A' (line 2)"),
        (["1/2", "3/4", "5/6", "7/8"], ",", "'1/2' (line 2)"),
        (["10-20", "20-30", "30-40", "40-50"], ",", "'10-20' (line 2)"),
        (["<5", ">6", "<7", ">8"], ",", "'<5' (line 2)"),
        (["w1", "w2", "w3", "w4"], ",", "'w1' (line 2)"),
        (["=1+1", "@sum", "=1+1", "@sum"], ",", "'=1+1' (line 2)"),
    ],
)
def test_what_cannot_be_decided_is_no_number_and_is_reported_with_its_cell(cells, mark, words):
    sheet = column(*cells, mark=mark)
    assert "value" not in sheet.numeric
    assert words in reasons(sheet)
    with pytest.raises(ValueError, match="value is no column of numbers"):
        sheet.table(["value"], "kind", "classes")


def test_what_a_column_leaves_open_is_decided_by_the_others_of_the_file():
    cells, german, english = ["1,230", "1,341", "1,452", "2,007"], ("0,5", "1,25", "2", "3"), ("0.5", "1.25", "2", "3")
    assert values(column(*cells, mark="\t", others=german)) == [1.23, 1.341, 1.452, 2.007]
    assert values(column(*cells, mark="\t", others=english)) == [1230, 1341, 1452, 2007]
    points = [cell.replace(",", ".") for cell in cells]
    assert values(column(*points, others=german)) == [1230, 1341, 1452, 2007]
    assert values(column(*points, others=english)) == [1.23, 1.341, 1.452, 2.007]


def test_thousands_and_units_that_are_left_off_are_said_with_an_example():
    cases = [
        (["1,230.5", "2,288"], "value: '1,230.5' (line 2) is read as 1230.5, with a mark between thousands."),
        (["45%", "7%"], "value: % is left off: '45%' (line 2) is read as 45."),
        (["$ 7", "$1,230"], "value: $ is left off: '$1,230' (line 3) is read as 1230."),
    ]
    for cells, words in cases:
        _, problems = column(*cells * 3, mark=",").table(["value"], "kind", "classes")
        assert words in problems


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("2,5", "'2,5' in column value is no number with a decimal point as the others"),
        ("abc", "'abc' in column value is no number"),
        ("45%", "'45%' in column value is no number written as the others are"),
        ("1_000", "'1_000' in column value is no number"),
        ("inf", "'inf' in column value is no number up to 1e+100"),
        ("-∞", "'-∞' in column value is no number up to 1e+100"),
        ("1e300", "'1e300' in column value is no number up to 1e+100"),
        ("12:30", "'12:30' in column value is no number"),
    ],
)
def test_a_cell_that_does_not_go_with_its_column_is_left_out_and_named(odd, why):
    _, problems = column("1.5", "2.25", odd, "3", "4", "5.5").table(["value"], "kind", "classes")
    assert problems == [f"line 4: {why}; left out"]


def test_a_cell_without_the_unit_of_the_others_is_left_out_and_named():
    _, problems = column("45%", "7%", "0.45", "3%", "5%", "6%", mark=",").table(["value"], "kind", "classes")
    assert problems[0] == "line 4: '0.45' in column value is no number with % as the others; left out"


# fmt: off
words_for_nothing = [
    "NA", "N/A", "n.a.", "NaN", "-nan", "null", "NULL", "None", "nil", "?", "-", "--", ".", "..", "<NA>", "#N/A",
    "#DIV/0!", "#VALUE!", "#REF!", "missing", "1.#QNAN", "-1.#IND", "\\N", "NaT",
]
# fmt: on


@pytest.mark.parametrize("word", ["", " ", "\xa0", *words_for_nothing])
def test_what_stands_for_no_value_is_no_value(word):
    assert is_missing(word)
    rows = [row.copy() for row in ROWS]
    rows[0][0] = rows[5][1] = rows[7][2] = word
    _, problems = suggested(read_csv("\n".join(map(",".join, [NAMES, *rows]))))
    assert problems == [
        f"line {line}: {name} has no value; left out" for line, name in ((2, "heat"), (7, "damp"), (9, "mood"))
    ]


@pytest.mark.parametrize("mark", ["-999", "9999", "-200", "-99999", "1e20"])
def test_a_number_far_from_all_others_that_stands_for_no_value_is_pointed_out(mark):
    cells = ["1.5", "2.5", mark, "3", "2", mark, "1.25", "2.75"]
    _, problems = column(*cells).table(["value"], "kind", "classes")
    assert (
        f"value is {float(mark):.15g} in 2 rows (first in line 4)" in problems[0].replace("1e20", "1e+20")
        or mark == "1e20"
    )
    assert "stands for a missing value" in problems[0]
    near = column("-999", "-998", "-997", "-1000", "-999", "-996").table(["value"], "kind", "classes")[1]
    assert near == []


def test_tiny_numbers_and_large_offsets_are_kept_to_the_last_digit():
    cells = ["1.54e-201", "3.07e-200", "1700000000.001", "1700000000.002"]
    assert values(column(*cells, mark=",")) == [float(cell) for cell in cells]


def test_a_whole_number_that_is_too_long_to_be_kept_is_pointed_out():
    cells = ["9007199254740993", "9007199254740992", "123456789012345678901", "5"]
    _, problems = column(*cells, mark=",").table(["value"], "kind", "classes")
    assert problems == ["value: '9007199254740993' (line 2) has more digits than are kept: about 16."]


# Labels


@pytest.mark.parametrize(
    ("ways", "labels"),
    [
        (["Yes", "yes", " YES", "no", "No ", "NO."], ("no", "Yes")),
        ([">1K", ">1K.", " >1k", "<=1K", "<=1K.", "<=1K"], ("<=1K", ">1K")),
        (["0", "0.0", "0.00", "1", "1.0", "1e0"], ("0", "1")),
        (["Iris  setosa", "iris setosa", "Iris setosa", "b", "B", "b."], ("b", "Iris setosa")),
        (["-1", "-1", "-1", "+1", "+1", "+1"], ("-1", "+1")),
        (["1", "1", "1", "2", "2", "2"], ("1", "2")),
        (["FALSE", "False", "false", "TRUE", "True", "true"], ("FALSE", "TRUE")),
        (["ä", "a\u0308", "Ä", "o", "o", "O"], ("o", "ä")),
    ],
)
def test_labels_that_differ_only_in_writing_are_one_class(ways, labels):
    rows = [f"{place}.5,{place % 2},{label}" for place, label in enumerate(ways * 2)]
    sheet = read_csv("\n".join(["a,b,kind", *rows]))
    table, problems = sheet.table(["a"], "kind", "classes")
    assert sheet.task("kind") == "classes"
    assert table.labels == labels
    assert table.y.tolist().count(0) == table.y.tolist().count(1) == 6
    words = len({way.strip() for way in ways}) > 2 and not looks_like_number(ways[0])
    assert any("written in several ways is one class" in problem for problem in problems) == words


@pytest.mark.parametrize(
    "pair",
    ["True False", "TRUE FALSE", "true false", "yes no", "Yes NO", "T F", "y n", "1 0", "WAHR FALSCH", "ja nein"],
)
def test_truth_values_are_inputs_and_it_is_said(pair):
    true, false = pair.split()
    sheet = column(true, false, false, true, "NA", true)
    assert "value" in sheet.numeric
    table, problems = sheet.table(["value"], "kind", "classes")
    assert table.x[:, 0].tolist() == [1, 0, 0, 1, 1]
    said = f"value: {true} is read as 1 and {false} is read as 0."
    assert (said in problems) == (pair != "1 0")


def test_truth_values_that_are_the_answer_keep_their_words():
    table, _ = suggested(read_csv("a,open\n" + "".join(f"{row / 3:.2f},{row % 3 == 0}\n" for row in range(12))))
    assert table.counts == {"False": 8, "True": 4}


def test_one_hot_columns_are_pointed_out_and_do_not_give_the_answer_away():
    rows = [f"{row / 7:.3f},{int(row % 3 == 0)},{int(row % 3 == 1)},{int(row % 3 == 2)}" for row in range(12)]
    sheet = read_csv("\n".join(["heat,is_a,is_b,is_c", *rows]))
    assert (sheet.suggestion.answer, sheet.suggestion.inputs) == ("is_c", ("heat",))
    assert "is_a, is_b, is_c are one answer in 3 columns (one-hot)" in reasons(sheet)
    _, problems = sheet.table(["heat", "is_a"], "is_c", "classes")
    assert "(one-hot)" in problems[-1]
    colors = [f"{row},{'xy'[place % 2]}" for place, row in enumerate(rows)]
    assert read_csv("\n".join(["heat,is_a,is_b,is_c,kind", *colors])).suggestion.inputs == (
        "heat",
        "is_a",
        "is_b",
        "is_c",
    )


def test_few_examples_of_a_class_and_ten_classes_are_pointed_out():
    _, problems = suggested(
        read_csv("a,b,kind\n" + "".join(f"{r / 7},{r % 4},{'rare' if r == 3 else 'common'}\n" for r in range(24)))
    )
    assert problems == ["kind rare has only 1 example: too few to learn it and to check it."]
    sheet = read_csv("a,b,digit\n" + "".join(f"{r / 7},{r * 3 % 7},{r % 10}\n" for r in range(60)))
    table, problems = suggested(sheet)
    assert table.task == "regression"
    assert problems == [
        "digit has 10 different whole numbers: they are predicted as values. As classes 5 are the most."
    ]


def test_long_labels_stay_different():
    labels = ["l" * 70 + "a", "l" * 70 + "b"]
    table, _ = suggested(read_csv("a,kind\n" + "".join(f"{row / 7},{labels[row % 2]}\n" for row in range(8))))
    assert len(set(table.labels)) == 2
    assert Table.unpacked(table.packed()).digest == table.digest


# Suggestions: files as people have them

R = np.random.default_rng(0)


def drawn(low: float, high: float, digits: int = 2) -> str:
    return f"{R.uniform(low, high):.{digits}f}"


def table_of(rows: int, row: object, head: str = "", mark: str = ",") -> str:
    return head + "\n".join(mark.join(map(str, row(place))) for place in range(rows)) + "\n"


IRIS = table_of(30, lambda p: [drawn(4, 8, 1), drawn(2, 4, 1), drawn(1, 7, 1), drawn(0, 2, 1), f"Iris-{'abc'[p % 3]}"])
WDBC = table_of(40, lambda p: [R.integers(8e3, 9e8), "MB"[p % 2], *(drawn(5, 30) for _ in range(30))])
ADULT = table_of(
    40,
    lambda p: [
        R.integers(17, 90),
        ["Private", "?", "State-gov"][p % 3],
        R.integers(1e4, 1e6),
        f"lvl{p % 7}",
        40,
        ["<=50K", ">50K"][p % 2],
    ],
    mark=", ",
)
TITANIC = table_of(
    30,
    lambda p: [
        p + 1,
        p % 2,
        p % 3 + 1,
        f'"Doe, Mr. J{p}"',
        ["male", "female"][p % 2],
        drawn(1, 80, 0) if p % 5 else "",
        p % 4,
        f"A/5 {p}",
        drawn(5, 90),
        "",
        "SCQ"[p % 3],
    ],
    "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Ticket,Fare,Cabin,Embarked\n",
)
WINE = table_of(
    40,
    lambda p: [drawn(5, 9, 1), drawn(0, 1), drawn(0.99, 1, 4), p % 6 + 3],
    '"fixed acidity";"volatile acidity";"density";"quality"\n',
    ";",
)
MPG = table_of(
    30,
    lambda p: [
        drawn(9, 40, 1),
        p % 3 * 2 + 4,
        "?" if p == 3 else drawn(50, 200, 1),
        p % 13 + 70,
        f'{p % 3 + 1}\t"car {p}"',
    ],
    mark="     ",
)
HOUSING = "".join(
    f" {drawn(0, 9, 5)}  {drawn(0, 90)}   {p % 2}  {drawn(0.3, 0.9, 4)}  {drawn(300, 400)} {drawn(5, 50)}\n"
    for p in range(30)
)
ABALONE = table_of(40, lambda p: ["MFI"[p % 3], drawn(0, 1, 3), drawn(0, 1, 3), drawn(0, 3, 4), p % 20 + 3])
GERMAN = table_of(
    20,
    lambda p: [p % 4 + 2, f"{drawn(40, 90)}".replace(".", ","), f"1.{100 + 37 * p % 900:03},50"],
    "Zimmer;Fläche;Preis\r\n",
    ";",
)
HEADED_WDBC = table_of(
    40,
    lambda p: [R.integers(8e3, 9e8), "MB"[p % 2], drawn(5, 30), drawn(5, 30), ""],
    "id,diagnosis,radius_mean,texture_mean,Unnamed: 4\n",
)
DIABETES = table_of(
    40, lambda p: [p % 9, R.integers(60, 200), drawn(18, 50, 1), p % 2], "Pregnancies,Glucose,BMI,Outcome\n"
)
INDEXED = pd.DataFrame({"x": R.normal(size=20), "y": R.normal(size=20), "label": ["a", "b"] * 10}).to_csv()
SALES = table_of(20, lambda p: [f"2024-03-{p + 1:02}", drawn(0, 9), p % 7 * 3], "day,heat,sold\n")
SALES_LAST = table_of(20, lambda p: [drawn(0, 9), p % 7 * 3, f"{p + 1:02}.03.2024 10:30"], "heat,sold,day\n")
INSURANCE = table_of(
    40,
    lambda p: [
        R.integers(18, 64),
        ["male", "female"][p % 2],
        drawn(18, 40),
        ["yes", "no"][p % 3 == 0],
        drawn(1e3, 5e4),
    ],
    "age,sex,bmi,smoker,charges\n",
)


@pytest.mark.parametrize(
    ("text", "answer", "inputs", "task", "rows"),
    [
        (IRIS, "x5", ["x1", "x2", "x3", "x4"], "classes", 30),
        (WDBC, "x2", [f"x{place}" for place in range(3, 33)], "binary", 40),
        (HEADED_WDBC, "diagnosis", ["radius_mean", "texture_mean"], "binary", 40),
        (ADULT, "x6", ["x1", "x3"], "binary", 40),
        (TITANIC, "Survived", ["Pclass", "Age", "SibSp", "Fare"], "binary", 24),
        (WINE, "quality", ["fixed acidity", "volatile acidity", "density"], "regression", 40),
        (MPG, "x5", ["x1", "x2", "x3", "x4"], "classes", 29),
        (HOUSING, "x6", ["x1", "x2", "x3", "x4", "x5"], "regression", 30),
        (ABALONE, "x5", ["x2", "x3", "x4"], "regression", 40),
        (GERMAN, "Preis", ["Zimmer", "Fläche"], "regression", 20),
        (DIABETES, "Outcome", ["Pregnancies", "Glucose", "BMI"], "binary", 40),
        (INDEXED, "label", ["x", "y"], "binary", 20),
        (SALES, "sold", ["heat"], "regression", 20),
        (SALES_LAST, "sold", ["heat"], "regression", 20),
        (INSURANCE, "charges", ["age", "bmi", "smoker"], "regression", 40),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_a_common_file_opens_with_the_right_suggestion(text, answer, inputs, task, rows):
    sheet = read_csv(text)
    table, _ = suggested(sheet)
    assert (sheet.suggestion.answer, list(sheet.suggestion.inputs)) == (answer, inputs)
    assert (table.task, len(table.x)) == (task, rows)
    told = {name for name, _ in sheet.suggestion.reasons}
    assert told == set(sheet.names) - {answer, *inputs}


@pytest.mark.parametrize(
    ("head", "first", "why"),
    [
        ("id,a,kind", lambda p: 842300 + p * 7 % 31, "as an identifier is"),
        ("Customer No.,a,kind", lambda p: 1000 - p * 13 % 29, "as an identifier is"),
        ("PassengerId,a,kind", lambda p: p + 1, "only counts the rows"),
        (",a,kind", lambda p: p, "only counts the rows"),
        ("Unnamed: 0,a,kind", lambda p: p * 11 % 31, "as an identifier is"),
        ("when,a,kind", lambda p: f"2024-03-{p % 28 + 1:02}", "is a date or time"),
        ("when,a,kind", lambda p: f"{p % 24}:30", "is a date or time"),
        ("when,a,kind", lambda p: f"{p % 28 + 1} Mar 2024", "is a date or time"),
        ("when,a,kind", lambda p: 20240301 + p % 28, "is a date or time"),
        ("code,a,kind", lambda p: 12345678901234567890 + p, "as an identifier is"),
        ("name,a,kind", lambda p: f"p{p}", "is text, such as 'p0' (line 2)"),
        ("same,a,kind", lambda p: 7, "nothing can be learned from it"),
    ],
)
def test_what_is_hardly_meant_is_not_suggested_and_it_is_said_why(head, first, why):
    sheet = read_csv(table_of(20, lambda p: [first(p), p % 7 / 4, "xy"[p % 2]], head + "\n"))
    assert sheet.suggestion.answer == "kind"
    assert sheet.suggestion.inputs == ("a",)
    assert why in reasons(sheet)


def test_what_counts_is_an_input_where_there_is_no_other():
    sheet = read_csv("a,b\n" + "".join(f"{row},{row * row / 10}\n" for row in range(12)))
    assert (sheet.suggestion.answer, sheet.suggestion.inputs) == ("b", ("a",))


def test_the_dialog_suggests_shows_values_and_says_why_columns_are_left():
    dialog = DataDialog(Settings())
    dialog._receive("t.csv", TITANIC)
    assert dialog._answer.value == "Survived"
    assert dialog._inputs.value == ["Pclass", "Age", "SibSp", "Fare"]
    assert dialog._inputs.options == ["PassengerId", "Survived", "Pclass", "Age", "SibSp", "Fare"]
    assert "PassengerId only counts the rows" in dialog._report.object
    assert "Cabin is empty" in dialog._report.object
    dialog._receive(
        "t.tsv",
        column("$1,230", "$107", "nil", "$99", "$5", mark="\t", others=("yes", "no", "yes", "no", "no")).columns
        and "n\tprice\tok\n1.5\t$1,230\tyes\n2.5\t$107\tno\n3.5\tnil\tyes\n1.25\t$9\tno\n",
    )
    assert '<td class="input">1230</td>' in dialog._about.object
    assert '<td class="input refused">nil</td>' in dialog._about.object


# Laws over random tables

number = st.one_of(
    st.integers(-(10**6), 10**6).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 4)),
    st.floats(-1e90, 1e90, allow_nan=False),
)
row = st.tuples(number, number, st.sampled_from(["calm", "windy", "wet; cold", 'so "so"', "a, b", "Ä"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(row, min_size=4, max_size=12),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([".", ","]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "rows", "all"]),
)
def test_what_pandas_writes_in_any_dialect_is_read_back_to_the_very_numbers(
    rows, mark, decimal, quoting, coding, end, trailing
):
    rows = [*rows, (0.5, -0.25, "calm"), (1.5, 0.1, "windy")]
    frame = pd.DataFrame(rows, columns=["one", "two", "kind"])
    text = frame.to_csv(sep=mark, decimal=decimal, quoting=quoting, index=False, lineterminator="\n")
    lines = text.rstrip("\n").split("\n")
    lines = [
        line + mark * (trailing == "all" or (trailing == "rows" and place > 0)) for place, line in enumerate(lines)
    ]
    sheet = read_csv(end.join(lines).encode(coding))
    assert sheet.names == ("one", "two", "kind")
    for name in ("one", "two"):
        assert values(sheet, name) == frame[name].tolist()
    assert [cells[2] for _, cells in sheet.rows] == frame["kind"].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10**9) | st.floats(0.01, 1e9).map(lambda x: round(x, 2)), min_size=3, max_size=9))
def test_no_number_is_ever_silently_another(numbers):
    """Written with marks of thousands in any of four ways it is the same number, or none, or reported.

    Where commas separate cells a point is a decimal point.
    """
    for group, decimal in ((",", "."), (".", ","), (" ", ","), ("'", ".")):
        texts = [f"{value:,}".replace(",", "\0").replace(".", decimal).replace("\0", group) for value in numbers]
        for separator in ",;\t" if group != "." else ";\t":
            (style,) = styles([list(enumerate(texts, 1))], separator)
            found = [style.number(text) for text in texts]
            assert style.doubt or style.note or found == numbers
            for value, one in zip(numbers, found, strict=True):
                assert one in (None, value) or style.note


def test_complaints_count_what_they_do_not_spell_out():
    some = Complaints.of([(line, "x") for line in range(25)])
    assert len(some) == 25
    assert len(some + some) == 50
    assert NumberStyle().number("1") == 1


# Time


def bad(name: str) -> bytes:
    """Files that are made to take long."""
    return {
        "columns": b"1," * 1_000_000 + b"1\n" + b"1," * 1_000_000 + b"1\n",
        "quotes": b'"\n' * 1_000_000,
        "open quotes": b'1,"a\n' * 500_000,
        "pairs of quotes": b'"' * 3_000_000,
        "separators": b",;|\t " * 600_000,
        "blanks": b" " * 3_000_000 + b"1,2\n3,4",
        "digits": b"1" * 3_000_000 + b",2\n" + b"3,4\n",
        "points": b"1.1.1" * 300_000 + b",2\n3,4\n5,6\n",
        "many rows": b"1,2,a\n" * 800_000,
        "one cell": b"a,b\n" + (b"1,234," * 5 + b"\n") * 100_000,
        "spaces": (b"1 2" + b" " * 200 + b"3\n") * 20_000,
        "numbers": b"".join(b"%d,%d.%d,%d\n" % (row, row, row, row % 3) for row in range(300_000)),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "columns",
        "quotes",
        "open quotes",
        "pairs of quotes",
        "separators",
        "blanks",
        "digits",
        "points",
        "many rows",
        "one cell",
        "spaces",
        "numbers",
    ],
)
def test_no_file_holds_a_page_up(name):
    content = bad(name)
    began = time.process_time()
    try:
        sheet = read_csv(content)
        assert len(sheet.rows) <= MAX_ROWS_READ
        said = suggested(sheet)[0].summary
    except ValueError as error:
        said = str(error)
    assert len(said) > 10
    assert time.process_time() - began < 20


def test_the_reader_and_python_agree_on_quoted_cells():
    rows = [["a, b", 'c "d"', "1.5"], ["e\nf", "", "2.5"], ["g", '"', "3.5"], ["", "h", "4"], ["i", "k", "5"]]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["one", "two", "n"], *rows])
    assert [cells for _, cells in read_csv(file.getvalue()).rows] == rows
    assert math.isclose(sum(values(read_csv(file.getvalue()), "n")), 16.5)
