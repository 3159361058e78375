"""Data of one's own: brought as a file, drawn into the plane, found again by the link."""

from pathlib import Path

import pytest

from dashboard.storage.csv_file.csv_import import read_csv
from dashboard.storage.tables import OWN

pytestmark = pytest.mark.ui

BAD = """height;width;note;kind
1,5;20;a;<i>cat</i>
2,5;abc;b;dog
-1;10;c;<i>cat</i>
-2;;d;dog
0,5;15;e;dog
1,1;12;f;<i>cat</i>
-1,5;18;g;dog
2;11
"""
COUNT = "['training', 'validation'].flatMap((part) => lab.column('decision', part, 'x1') ?? []).length"
PLANE = """(() => {
  const figure = lab.figures().decision, view = Bokeh.index.find_one_by_id(figure.id)
  const canvas = view.canvas_view.el.getBoundingClientRect(), box = view.frame.bbox
  return [canvas.left + box.left, canvas.top + box.top, box.width, box.height]
})()"""


def bring(page, folder, name, content):
    """Choose a file in the dialog."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    page.window.locator("input[type=file][accept*=csv]").set_input_files(path)


def tell(page, words):
    """Wait until the page says something."""
    page.window.get_by_text(words).first.wait_for()


def at(page, across, up):
    """Where on the screen a share of the plane is."""
    left, top, width, height = page.ask(PLANE)
    return left + across * width, top + (1 - up) * height


def take_pen(page, pen):
    """Choose what clicks do, and wait until the menu no longer takes them."""
    page.choose("Pen", pen)
    page.until(lambda: page.window.locator(".MuiPopover-root:visible").count() == 0, "the menu to be gone")


def count(page, points):
    """Wait until the map shows so many points."""
    page.until(lambda: page.ask(COUNT) == points, lambda: f"{points} points instead of {page.ask(COUNT)}")


def test_a_file_with_bad_rows_is_read_reported_used_and_found_again_by_the_link(visit, tmp_path):
    page = visit("?page=playground&learning_rate=0.3")
    page.press("Your own data")
    bring(page, tmp_path, "broken.csv", b"\x89PNG\r\n\x1a\n\0\0")
    tell(page, "Broken.csv: this is no text")
    assert page.button("Use this data").is_disabled()
    bring(page, tmp_path, "zoo.csv", BAD)
    tell(page, "line 3: 'abc' in column width is no number; left out")
    tell(page, "line 5: width has no value; left out")
    tell(page, "line 9: 2 cells where most lines have 4; left out")
    tell(page, "3 <i>cat</i>, 2 dog")
    page.press("Use this data")
    page.until(lambda: page.link()["dataset"] == OWN, "the data in the link")
    count(page, 5)
    assert page.link()["standardize"] == "true"
    assert page.slider("Examples").count() == 0
    page.press("Play")
    page.pass_by(20)
    page.stand()
    loss = page.loss()
    other = visit(page.ask("location.search"))
    count(other, 5)
    points = "lab.column('decision', 'training', 'x1').concat(lab.column('decision', 'training', 'x2'))"
    assert other.ask(points) == page.ask(points)
    assert other.loss() > loss
    other.press("Your own data")
    with other.window.expect_download() as saved:
        other.press("Download the current data")
    table, problems = read_csv(Path(saved.value.path()).read_bytes()).table(["height", "width"], "kind", "classes")
    assert saved.value.suggested_filename == f"{table.digest}.csv" == f"{page.link()['own']}.csv"
    assert problems == []


def test_a_file_as_people_have_it_opens_with_its_values_its_suggestion_and_the_reasons(visit, tmp_path):
    page = visit("?page=playground")
    page.press("Your own data")
    ways = ["Yes", " yes.", "NO"]
    cells = [[842300 + p * 7, f"$1,{230 + p}", f"{p % 4}.5", f"2024-03-{p + 1:02}", ways[p % 3]] for p in range(9)]
    rows = ["\t".join(map(str, row)) for row in cells]
    bring(page, tmp_path, "shop.tsv", "\n".join(["id\tprice\tsize\tday\topen\t", *rows]))
    tell(page, "9 examples, inputs price, size; answer open: 3 NO, 6 Yes.")
    tell(page, "price: $ is left off: '$1,230' (line 2) is read as 1230.")
    tell(page, "is a different whole number in every row (842300, 842307 …), as an identifier is: not suggested.")
    tell(page, "day is a date or time, such as '2024-03-01' (line 2)")
    assert page.window.get_by_role("cell", name="1230", exact=True).count() == 1
    assert page.window.get_by_role("cell", name="0.5", exact=True).first.is_visible()


def test_an_unknown_link_and_pasted_values_and_a_dataset_without_a_table(visit):
    page = visit(f"?page=playground&dataset=own+data&own={'0' * 16}")
    assert "not known here" in page.alert()
    count(page, 200)
    page.choose("Dataset", OWN)
    page.window.get_by_label("Paste a table").fill("a,b\n" + "".join(f"{i},{i * i / 10}\n" for i in range(12)))
    tell(page, "12 examples, inputs a; answer b.")
    page.window.get_by_role("switch", name="Answer to mean 0").click()
    tell(page, "b is brought to mean 0")
    page.press("Use this data")
    page.wait("lab.column('fitted', 'training', 'x')?.length == 12")
    assert page.link()["loss"] == "mse"


def test_points_are_drawn_erased_and_taken_back_while_it_plays(visit):
    page = visit("?page=home&epoch=0", pictures=3)
    count(page, 200)
    take_pen(page, "add class 1")
    tell(page, "200 points: 100 of class 0, 100 of class 1.")
    page.press("Play")
    page.pass_by(5)
    for place in [(0.05, 0.05), (0.1, 0.9), (0.95, 0.95)]:
        page.window.mouse.click(*at(page, *place))
    count(page, 203)
    take_pen(page, "erase")
    page.window.mouse.click(*at(page, 0.95, 0.95))
    count(page, 202)
    assert page.playing()
    page.pass_by(5)
    page.key("Control+z")
    count(page, 203)
    page.until(lambda: page.link()["dataset"] == OWN, "own data in the link")
    take_pen(page, "add class 2")
    page.window.mouse.move(*at(page, 0.2, 0.5))
    page.window.mouse.down()
    page.window.mouse.move(*at(page, 0.6, 0.5), steps=20)
    page.window.mouse.up()
    tell(page, "of class 2")
    page.until(lambda: page.ask(COUNT) > 206, "a drag to spray several points")
    page.press("Clear")
    tell(page, "To be learned there must be 4 more points and points of two classes.")
    count(page, 0)
    page.press("Undo")
    page.until(lambda: page.ask(COUNT) > 206, "all points to be back")
