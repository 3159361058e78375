"""Takes the README's pictures and the cards' thumbnails: `python docs/pictures.py [slug ...]`.

Serves the laboratory, opens every page in Chromium, chooses its first step, has all of it compared, waits, and writes
docs/<slug>.png and dashboard/pictures/<slug>.webp.
"""

import io
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from dashboard.pages import PAGES

ROOT = Path(__file__).parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WINDOW = {"width": 1400, "height": 860}
SECONDS, LONGEST = 10, 300
"""For which a page is left to play, once its comparison is trained, which takes so long at most."""

CARD = (480, 270)


def main(slugs: list[str]) -> None:
    """Take the pictures of these pages, or of all that have presets; those of others are made by hand."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "panel", "serve", "dashboard", "--port", str(port)], cwd=ROOT)
    try:
        url = f"http://localhost:{port}/dashboard"
        _wait_for(url)
        with sync_playwright() as play:
            chromium = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for slug in slugs or [slug for slug, page in PAGES.items() if page.presets]:
                tab = chromium.new_page(viewport=WINDOW)
                tab.goto(f"{url}?page={slug}")
                _take(tab, slug)
                tab.close()
    finally:
        server.terminate()


def _take(tab: Tab, slug: str) -> None:
    presets = PAGES[slug].presets
    first = (
        tab.get_by_role("link", name=presets[0].label, exact=True)
        if presets
        else tab.get_by_role("button", name="Play")
    )
    first.first.click()
    compare = tab.get_by_role("button", name="Compare", exact=True)
    if compare.count():
        compare.first.click()
    if tab.get_by_text(re.compile("runs of .* epochs")).count():
        tab.get_by_text(re.compile("runs of .*: done")).wait_for(timeout=1000 * LONGEST)
    tab.wait_for_timeout(1000 * SECONDS)
    tab.get_by_role("heading", level=1).evaluate("(heading) => heading.scrollIntoView({block: 'end'})")
    tab.wait_for_timeout(500)
    whole = tab.screenshot()
    (ROOT / "docs" / f"{slug}.png").write_bytes(whole)
    cards = tab.locator("canvas").first.bounding_box()
    picture = Image.open(io.BytesIO(whole)).convert("RGB")
    left, top = max(0, int(cards["x"]) - 60), int(cards["y"]) - 60
    width = min(960, picture.width - left)
    height = width * CARD[1] // CARD[0]
    top = min(top, picture.height - height)
    target = ROOT / "dashboard" / "pictures" / f"{slug}.webp"
    target.parent.mkdir(exist_ok=True)
    picture.crop((left, top, left + width, top + height)).resize(CARD, Image.Resampling.LANCZOS).save(
        target, quality=72
    )


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            urlopen(url).close()
            return
        except OSError:
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1:])
