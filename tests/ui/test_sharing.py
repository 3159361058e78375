"""Sharing: a page as one file that plays from the disk, and what else can be taken along."""

import re
from pathlib import Path

import pytest
from conftest import PATIENCE, Visit

pytestmark = pytest.mark.ui

EPOCH, LAST = 40, 60
PICTURES = ["decision", "loss", "gradients", "activations"]
"""Those that show the same of an epoch whenever they are drawn; the landscape is that of the last one."""

STATE = """JSON.stringify(x.map((name) => lab.figures()[name].renderers.map(
  (one) => Object.entries(one.data_source.data).sort().map(([name, column]) => [name, lab.flat(column)]))))"""
"""All columns of these pictures, sorted by name."""


@pytest.fixture
def offline(browser, windows):
    """Opens files in a browser without a network."""
    visits = []

    def open_file(path: Path, **kind) -> Visit:
        found = Visit(windows(offline=True, **kind))
        visits.append(found)
        window, troubles = found.window, found.troubles
        window.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        window.on("console", lambda told: told.type == "error" and troubles.append(f"console: {told.text}"))
        window.on("request", lambda asked: re.match("https?:|wss?:", asked.url) and troubles.append(asked.url))
        window.goto(path.as_uri())
        found.wait("document.documentElement.dataset.ready != null")
        return found

    yield open_file
    assert [trouble for one in visits for trouble in one.troubles] == []
    for one in visits:
        one.window.close()


def made(page: Visit, path: Path) -> Path:
    """The page as a file."""
    page.press("Make the page")
    with page.window.expect_download(timeout=2 * PATIENCE) as download:
        page.press("Download")
    download.value.save_as(path)
    return path


def test_a_page_is_made_and_plays_from_the_disk_what_the_laboratory_showed(visit, offline, tmp_path):
    page = visit(f"?page=playground&epoch={LAST}")
    page.reach(LAST)
    page.press("Share")
    path = made(page, tmp_path / "page.html")
    page.window.keyboard.press("Escape")
    page.until(lambda: page.button("Download").count() == 0, "the dialog is closed")
    page = visit(f"?page=playground&epoch={EPOCH}")  # a page that has gone back to an epoch shows the future as well
    page.reach(EPOCH)
    loss, shown, state = page.loss(), page.number("loss"), page.ask(STATE, PICTURES)

    file = offline(path)
    assert file.epoch() == LAST
    slider = file.slider("Epoch")
    slider.fill(str(EPOCH))
    assert file.epoch() == EPOCH
    assert (file.loss(), file.number("loss")) == (loss, shown)
    assert file.ask(STATE, PICTURES) == state
    for key, epoch in {"ArrowRight": EPOCH + 1, "Home": 0, "End": LAST, "ArrowLeft": LAST - 1}.items():
        file.key(key)
        assert file.epoch() == epoch == file.ask("lab.drawn()")
    file.key("Home")
    before = file.digests()
    file.press("Play")
    file.wait("Object.entries(x).every(([name, digest]) => lab.digest(name) != digest)", before)
    file.press("Pause")
    standing = file.epoch()
    file.window.wait_for_timeout(300)
    assert file.epoch() == standing > 0
    captions = file.window.locator(".caption").all_inner_texts()
    assert any(re.search(r"training .* validation", caption) for caption in captions)
    with file.window.expect_download() as download:
        file.press("Save the recording")
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"

    phone = offline(path, viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert phone.ask("document.documentElement.dataset.theme") == "dark"
    assert phone.ask("document.documentElement.scrollWidth <= innerWidth")
    phone.press("Light or dark")
    assert phone.ask("document.documentElement.dataset.theme") == "light"


def test_the_link_the_run_and_the_network_are_handed_over(visit, tmp_path):
    page = visit("?page=home&epoch=7", pictures=3)
    page.reach(7)
    page.press("Share")
    for button, name in {"Save run": "Start-epoch-7.npz", "Save for PyTorch": "Start-epoch-7-pytorch.py"}.items():
        with page.window.expect_download() as download:
            page.press(button)
        assert download.value.suggested_filename == name
    assert "class Network(torch.nn.Module)" in Path(download.value.path()).read_text()
    page.window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.press("Copy link")
    page.window.get_by_text("copied", exact=True).wait_for()
    link = page.ask("navigator.clipboard.readText()")
    assert link.startswith(page.ask("location.origin + location.pathname"))
    other = visit(link[link.index("?") :], pictures=3)
    other.reach(7)
    assert other.loss() == page.loss()


def test_a_page_with_tables_and_sheets_of_numbers_plays_too(visit, offline, tmp_path):
    page = visit("?page=geometry&epoch=30", wait=False)
    page.until(lambda: "30" in page.window.locator("dd").all_inner_texts(), "step 30")
    page.press("Share")
    page.button("Make the page").wait_for()
    assert page.button("Save for NumPy").count() == 0
    file = offline(made(page, tmp_path / "page.html"))
    table = "document.querySelectorAll('.picture')[4].firstChild.shadowRoot.textContent"
    last = file.ask(table)
    assert "1.99 / λ" in last
    file.key("Home")
    assert file.number("step") == "0"
    assert file.ask(table) != last


def test_a_follower_reads_what_is_changed_and_takes_the_run_over(visit):
    teacher = visit("?page=playground&speed=100&epoch=30")
    teacher.window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    teacher.press("Share")
    teacher.window.get_by_label("Your name").fill("Ada")
    teacher.window.keyboard.press("Tab")
    teacher.press("Let others follow")
    teacher.window.get_by_text("copied", exact=True).wait_for()
    link = teacher.ask("navigator.clipboard.readText()")
    teacher.window.get_by_role("img", name="QR code of the link to follow").wait_for()
    teacher.window.get_by_text(link, exact=True).wait_for()
    teacher.window.keyboard.press("Escape")
    student = visit(link[link.index("?") :])
    student.window.get_by_text("You alone follow Ada’s run.").wait_for()
    assert student.button("New seed").is_disabled()
    assert student.button("(Begin|Next)").is_disabled()
    teacher.press("New seed")
    changed = student.window.locator("div.changed", has=student.window.locator("dt:text-is('Seed')"))
    changed.wait_for()
    teacher.until(lambda: "seed" in teacher.link(), "the link to have the seed")
    seed = teacher.link()["seed"]
    student.window.get_by_text(f"Changed: Seed: {seed}, before: 0").wait_for(state="attached")
    changed.wait_for(state="hidden")
    student.button("Take this over").focus()
    student.window.keyboard.press("Enter")
    student.until(lambda: "follow" not in student.address(), "an address of its own")
    student.ready()
    assert student.link()["seed"] == seed
    assert not student.button("New seed").is_disabled()
    student.press("Play")
    student.pass_by(3)
    student.stand()
    assert teacher.epoch() == 0


def test_a_class_follows_its_teacher_and_each_looks_where_they_like(visit):
    teacher = visit("?page=playground&speed=100")
    teacher.window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    teacher.press("Share")
    teacher.press("Let others follow")
    teacher.window.get_by_text("copied", exact=True).wait_for()
    link = teacher.ask("navigator.clipboard.readText()")
    teacher.window.keyboard.press("Escape")
    student, *others = [visit(link[link.index("?") :]) for _ in range(3)]
    assert student.epoch() == 0
    teacher.press("Play")
    for other in others:
        other.pass_by(20)
    student.pass_by(20)
    student.key("Home")
    student.reach(0)
    going = teacher.epoch()
    teacher.pass_by(going)
    assert student.epoch() == 0
    student.key("End")
    student.pass_by(going)
    last = teacher.stand()
    student.reach(last)
    for one in (student, *others):
        one.reach(last)
        assert one.loss() == teacher.loss()
        one.until(lambda one=one: one.ask(STATE, PICTURES) == teacher.ask(STATE, PICTURES), "all pictures are the same")
    teacher.window.close()
    # Bokeh looks every 17 s for sessions that nobody has used for 15 s.
    student.window.get_by_text("Whoever shared this run has left").wait_for(timeout=2 * PATIENCE)
    assert student.epoch() == last
