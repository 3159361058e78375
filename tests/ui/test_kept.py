"""Kept runs in the browser: they come back to the last digit, whatever happened to page and server meanwhile."""

import pytest

pytestmark = pytest.mark.ui


def keep(page, name: str) -> str:
    """Keep the run on the page under a name; the id that it gets."""
    page.press("Runs")
    field = page.window.get_by_role("textbox", name="Name", exact=True)
    field.fill(name)
    field.press("Enter")
    told(page, f"Kept as “{name}”, at epoch {page.epoch()}.")
    return page.window.locator("li[data-id]").first.get_attribute("data-id")


def told(page, words: str) -> None:
    page.until(lambda: words in status(page), lambda: f"{words!r}, not {status(page)!r}")


def status(page) -> str:
    return "\n".join(page.window.get_by_role("status").all_inner_texts())


def rows(page) -> list[str]:
    """The names in the list."""
    return page.window.locator("li[data-id] input[type=text]").evaluate_all(
        "(fields) => fields.map((one) => one.value)"
    )


def test_a_kept_run_comes_back_after_a_reload_and_after_a_restart_and_goes_on_bit_for_bit(page, visit, server):
    page.press("Play")
    page.pass_by(20)
    epoch, loss = page.stand(), page.loss()
    key = keep(page, "mine <b>1</b>")
    page.press("Close the kept runs")
    page.press("Step")
    onward = page.reach(epoch + 1), page.loss()

    page.window.reload(wait_until="commit")
    page.ready()
    page.press("Runs")
    page.press("Open mine")
    assert (page.reach(epoch), page.loss()) == (epoch, loss)
    page.press("Step")
    assert (page.reach(epoch + 1), page.loss()) == onward

    page.window.goto("about:blank")
    server.stop()
    server.start()
    again = visit(f"?run={key}")
    assert again.alerts() == []
    assert (again.reach(epoch), again.loss()) == (epoch, loss)
    again.press("Step")
    assert (again.reach(epoch + 1), again.loss()) == onward


def test_kept_runs_get_names_go_into_the_trash_and_out_to_files_and_come_back(page, server, tmp_path):
    key = keep(page, "first")
    field = page.window.get_by_role("textbox", name="Name of first")
    field.fill("second")
    field.press("Enter")
    told(page, "Its name is now “second”.")
    before = rows(page)
    assert before[0] == "second"

    with page.window.expect_download() as download:
        page.press("Download second")
    assert download.value.suggested_filename == f"second-{key}.npz"
    download.value.save_as(tmp_path / "second.npz")
    assert (tmp_path / "second.npz").read_bytes() == (server.home / "runs" / f"{key}.npz").read_bytes()

    page.press("Delete second")
    told(page, "Deleted “second”.")
    page.until(lambda: rows(page) == before[1:], "the row to go")
    page.press("Undo")
    told(page, "“second” is back.")
    page.press("Delete second")
    page.until(lambda: rows(page) == before[1:], "the row to go again")

    drop = page.window.locator("input[type=file]")
    drop.set_input_files(tmp_path / "second.npz")
    told(page, "Added “second”.")
    page.until(lambda: rows(page) == before, "the row to come back")
    (tmp_path / "broken.npz").write_bytes((tmp_path / "second.npz").read_bytes()[:-100])
    drop.set_input_files(tmp_path / "broken.npz")
    told(page, "“broken.npz” is not a kept run: its end is missing")

    page.window.get_by_role("checkbox", name="Show second beside").check()
    page.window.locator("li.shown .chip").wait_for()
    page.window.get_by_text("They have the same settings").wait_for()
    page.press("Delete second")
    page.until(lambda: page.window.locator("li.shown").count() == 0, "nothing beside")


def test_boxes_that_are_ticked_at_once_stay_ticked_whatever_is_answered_first(page):
    keep(page, "one")
    before = len(rows(page))
    page.press("Keep this run")
    page.until(lambda: len(rows(page)) == before + 1, "both runs in the list")
    lost = page.window.locator("li[data-id]").first.evaluate(
        """async (row) => {
          const both = [row, row.nextSibling], boxes = both.map((one) => one.querySelector("input[type=checkbox]"))
          boxes.forEach((box) => box.click())
          let lost = 0
          while (!both.every((one) => one.classList.contains("shown"))) {
            lost += boxes.filter((box) => !box.checked).length
            await new Promise((later) => setTimeout(later, 1))
          }
          return lost
        }"""
    )
    assert lost == 0
    page.until(lambda: page.window.locator("li.shown input:checked").count() == 2, "both boxes to be ticked")
