"""Pictures as files: what is drawn can be read back from the table, number by number."""

import csv
import math
from io import StringIO
from typing import Any

import numpy as np
import pytest

from dashboard.widgets.save_menu import SaveMenu, as_csv, file_name

ODD = 'a "quoted", text\nof two lines'


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def saved(**layers: dict[str, Any]) -> list[dict[str, str]]:
    return rows(as_csv({"this run": layers}))


def test_numbers_keep_all_their_digits_and_texts_their_quotes():
    numbers = [0.1 + 0.2, 1e-300, math.pi, -math.inf, math.nan]
    read = saved(dots={"x": np.array(numbers), "n": np.arange(5), "text": [ODD] * 5})
    np.testing.assert_array_equal([float(row["x"]) for row in read], numbers)
    assert [row["n"] for row in read] == list("01234")
    assert {row["text"] for row in read} == {ODD}
    assert {row["layer"] for row in read} == {"dots"}


def test_layers_share_the_columns_they_have_in_common_and_leave_the_others_empty():
    read = saved(line={"x": [1, 2], "y": [3, 4]}, ends={"x": [5], "name": ["z"]})
    assert list(read[0]) == ["layer", "x", "y", "name"]
    assert read[-1] == {"layer": "ends", "x": "5", "y": "", "name": "z"}


def test_an_image_is_a_row_for_each_pixel_that_has_a_value():
    image = np.array([[1.5, np.nan, 3.0], [4.0, 5.0, 6.0]])
    read = saved(map={"image": [image], "x": [10.0], "y": [-1], "dw": [3.0], "dh": [4]})
    found = {(float(row["x"]), float(row["y"])): float(row["value"]) for row in read}
    assert found == {(10.5, 0): 1.5, (12.5, 0): 3, (10.5, 2): 4, (11.5, 2): 5, (12.5, 2): 6}


@pytest.mark.parametrize("cell", [list, np.array])
def test_lines_are_a_row_for_each_point_with_the_lines_number(cell):
    read = saved(edges={"xs": [cell([0.0, 1.0]), cell([2.0])], "ys": [cell([3.0, 4.0]), cell([5.0])], "c": ["r", "g"]})
    assert [(row["line"], row["x"], row["y"], row["c"]) for row in read] == [
        ("0", "0.0", "3.0", "r"),
        ("0", "1.0", "4.0", "r"),
        ("1", "2.0", "5.0", "g"),
    ]


def test_every_edge_of_an_area_is_a_line():
    xs, ys = [[[[0.0, 1.0], [2.0]], [[3.0]]]], [[[[5.0, 6.0], [7.0]], [[8.0]]]]
    read = saved(bands={"xs": xs, "ys": ys, "color": ["gray"]})
    assert [(row["line"], row["x"], row["y"]) for row in read] == [
        ("0", "0.0", "5.0"),
        ("0", "1.0", "6.0"),
        ("1", "2.0", "7.0"),
        ("2", "3.0", "8.0"),
    ]
    assert {row["color"] for row in read} == {"gray"}


def test_a_picture_without_anything_drawn_is_a_table_without_rows():
    assert as_csv({"this run": {"dots": {"x": [], "y": np.empty(0)}}}).split() == ["layer"]


def test_a_columns_name_never_hides_the_layers():
    assert saved(bars={"layer": [1], "run": ["mine"]}) == [{"layer": "bars", "layer_": "1", "run_": "mine"}]


def test_several_runs_are_distinguished_by_name():
    read = rows(as_csv({name: {"dots": {"x": [i]}} for i, name in enumerate(("this run", ODD))}))
    assert [(row["run"], row["x"]) for row in read] == [("this run", "0"), (ODD, "1")]


def test_a_file_is_named_by_page_picture_and_epoch_in_letters_that_any_system_takes():
    assert file_name("playground", "Update / weight", 1200, "csv") == "playground-update-weight-epoch-1200.csv"
    assert file_name("", "../λ: |w|", 0, "png") == "w-epoch-0.png"


def test_only_what_the_menu_offers_is_answered(monkeypatch):
    asked, sent = [], []
    menu = SaveMenu(lambda kind: asked.append(kind) or {"name": f"a.{kind}", "text": "x\n1"}, kinds=["csv", "png"])
    monkeypatch.setattr(menu, "_send_msg", sent.append)
    for message in ("svg", {"kind": "csv"}, ["csv"], "csv", "png"):
        menu._handle_msg(message)
    assert asked == ["png"]
    assert sent == [{"kind": "png", "name": "a.png", "text": "x\n1"}]
    menu._handle_msg({"download": "svg", "start": 0})
    assert (asked, sent[1:]) == (["png"], [{"download": True, "trouble": "there is no such file"}])
    menu._handle_msg({"download": "csv", "start": 0})
    assert asked == ["png", "csv"]
    assert sent[2] == {"download": True, "data": b"x\n1", "size": 3, "name": "a.csv"}


@pytest.mark.parametrize("text", ["=1+1", "@sum", "+a1", "-a1", "\t=1", " =1", "=cmd|' /C calc'!A0"])
def test_no_spreadsheet_takes_a_name_for_a_formula(text):
    pictures = {text: {text: {text: [-1.5], "y": [text], "z": ["-1e-3"]}}, "b": {}}
    rows = list(csv.reader(StringIO(as_csv(pictures))))
    assert rows == [["run", "layer", f"'{text}", "y", "z"], [f"'{text}", f"'{text}", "-1.5", f"'{text}", "-1e-3"]]
