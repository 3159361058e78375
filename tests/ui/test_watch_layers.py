"""Watched networks in the browser: every layer is there by its name, and a card's controls lie beside each other."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import ROOT, Server, Visit

from dashboard.instruments.instrument import shortened
from dashboard.instruments.layer_statistics import NAME_LETTERS, TREE

pytestmark = pytest.mark.ui

TRAINED = """
import json, sys
import torch
from torch import nn
from dashboard.tracking import sampler, torch_adapter
from dashboard.tracking.logger import watch

sampler.CREDIT = torch_adapter.TIME_FRACTION = 1e9  # everything is measured, however busy the machine

class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(8, 3)
    def forward(self, x):
        return self.head(self.body(self.stem(x)).flatten(1))

class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
        self.head = nn.Linear(8, 3)
    def forward(self, x):
        return self.head(self.blocks(self.embed(x)).mean(1))

torch.manual_seed(0)
kind = sys.argv[1]
model = {"Convolutional": Convolutional, "Transformer": Transformer}[kind]()
x = torch.randn(16, 1, 12, 12) if kind == "Convolutional" else torch.randint(10, (16, 6))
y = torch.randint(3, (16,))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
with watch(kind, module=model) as lab:
    for epoch in range(6):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        lab.log(epoch, loss, f1=epoch / 6, val_f1=epoch / 7)
layers = list(dict.fromkeys(name.rpartition(".")[0] for name, _ in model.named_parameters()))
print(json.dumps([lab.id, layers]))
"""

ROWS_SHOWN = """(() => {
  for (const figure of lab.everything()) {
    const rows = figure.renderers.find((one) => one.name == "layers")
    if (rows) {
      const names = [...figure.left[0].major_label_overrides.values()].filter((name) => name)
      return [[...rows.data_source.data.layer], names]
    }
  }
  return null
})()"""
"""The full names of the rows of the picture of layers, and what its axis says; null before it is there."""


def trained(server: Server, kind: str) -> tuple[str, list[str]]:
    """Train and watch a network; the id of its run, and the modules that own its parameters."""
    told = {"DESCENT_LAB_HOME": str(server.home), "DESCENT_LAB_BROWSER": "0"}
    command = [sys.executable, "-c", TRAINED, kind]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    key, layers = json.loads(done.stdout)
    return key, layers


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["Convolutional", "Transformer"])
def test_every_layer_of_a_watched_network_stands_on_the_page_by_its_name(
    visit: Callable[..., Visit], server: Server, kind: str
):
    pytest.importorskip("torch")
    key, layers = trained(server, kind)
    page = visit(f"?page=watch&feed={key}", pictures=0)
    page.until(lambda: page.ask(ROWS_SHOWN) is not None, "the picture of the layers")
    page.until(lambda: set(page.ask(ROWS_SHOWN)[0]) == set(layers), lambda: f"{layers}: {page.ask(ROWS_SHOWN)}")
    page.choose("Order", TREE)
    page.until(lambda: page.ask(ROWS_SHOWN)[0] == layers, lambda: f"the order of {layers}: {page.ask(ROWS_SHOWN)}")
    assert page.ask(ROWS_SHOWN)[1] == [shortened(name, NAME_LETTERS) for name in layers]
    measured = re.compile(rf"^{len(layers)} of \d+ layers measured")  # activations have outputs and no gradients
    page.window.get_by_text(measured).wait_for()


LOGGED = """
from dashboard.tracking.logger import watch

with watch("metrics") as lab:
    for epoch in range(20):
        lab.log(epoch, loss=1 / (epoch + 1), f1=epoch / 20)
"""

TOUCHING = """(() => {
  const heads = [], found = []
  const walk = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.classList.contains("switches")) { heads.push(one) }
      if (one.shadowRoot) { walk(one.shadowRoot) }
    }
  }
  const inside = (host) => {
    const parts = [...host.shadowRoot.querySelectorAll("label, .MuiInputBase-root, .MuiSwitch-root")]
    const boxes = parts.map((part) => part.getBoundingClientRect()).filter(({width}) => width)
    const [left, top] = ["left", "top"].map((side) => Math.min(...boxes.map((box) => box[side])))
    const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...boxes.map((box) => box[side])))
    return {left, top, right, bottom, words: host.shadowRoot.querySelector("label").textContent}
  }
  walk(document)
  for (const head of heads) {
    const controls = [...head.shadowRoot.children].filter((one) => one.shadowRoot?.querySelector("label")).map(inside)
    controls.forEach((one, place) => controls.slice(place + 1).forEach((other) => {
      const apart = one.right <= other.left || other.right <= one.left || one.bottom <= other.top
      if (!(apart || other.bottom <= one.top)) { found.push([one.words, other.words]) }
    }))
    controls.forEach((one) => { if (one.right > head.getBoundingClientRect().right + 1) { found.push([one.words]) } })
  }
  return [heads.length, found]
})()"""
"""How many cards have controls, and which of these lie over one another or reach out of their card's head."""


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_the_controls_in_a_card_s_head_lie_beside_one_another(visit: Callable[..., Visit], server: Server, width: int):
    told = {"DESCENT_LAB_HOME": str(server.home), "DESCENT_LAB_BROWSER": "0"}
    subprocess.run([sys.executable, "-c", LOGGED], cwd=ROOT, check=True, env={**os.environ, **told}, timeout=120)
    page = visit("?page=watch", pictures=0, viewport={"width": width, "height": 1400})
    page.window.get_by_role("heading", name="Metrics").first.scroll_into_view_if_needed()
    page.window.get_by_role("combobox", name="Smoothing").wait_for()
    for words in ("as logged", "smoothed over 5"):
        page.choose("Smoothing", words)
        page.until(lambda: page.ask(TOUCHING)[1] == [], lambda: f"controls apart: {page.ask(TOUCHING)}", 10)
    assert page.ask(TOUCHING)[0] > 0
