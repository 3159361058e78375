"""Other libraries' private names stand in two folders, what is replaced is listed, and other apps do not notice it."""

import ast
import asyncio
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit
from urllib.request import urlopen

import panel as pn
import pytest
from bokeh.document import Document
from bokeh.models import Div
from bokeh.protocol import Protocol
from bokeh.protocol.message import Message
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.server.connection import ServerConnection
from bokeh.server.session import ServerSession
from bokeh.server.urls import per_app_patterns
from pyviz_comms import JupyterComm
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from dashboard.server import patches
from dashboard.server.patches import Patch, Range, Route
from dashboard.server.releases import release

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("engine", "dashboard")
    for path in sorted((ROOT / package).rglob("*.py"))
}
PLUMBING = ("dashboard.server", "dashboard.jupyter_ui")
"""The packages that may use private names of other libraries."""

DOCUMENTED = {
    "_esm": "Panel's documentation of custom components: the code of a component",
    "_stylesheets": "Panel's documentation of custom components: the style sheets of a component",
    "_handle_msg": "Panel's documentation of custom components: called with each message of a page",
    "_send_msg": "Panel's documentation of custom components: sends a message to the pages",
    "_repr_mimebundle_": "IPython's documentation of rich display",
    "_validate_value": "param's user guide on types of parameters of one's own",
    "_replace": "Python's documentation of collections.namedtuple",
    "_exit": "Python's documentation of os",
}
"""Names that begin with an underscore and are public all the same."""

WITHOUT_A_PUBLIC_WAY = {
    "torch._dynamo": "whether PyTorch's compiler is loaded; torch.compiler has no question for it, and would load it",
    "_orig_mod": "the module that torch.compile wrapped; it stands in the names of parameters and checkpoints",
    "_orig_mod.": "the same",
    "_compiled_call_impl": "whether Module.compile was called; PyTorch has no public question for it",
}
"""Private names of PyTorch, as text: `tracking` imports nothing of it, and so it cannot be in the plumbing."""

OURS_AS_TEXT = {"_held_out", "_hot", "_range", "_blank"}
"""Ends of names, and an attribute, of the laboratory's own; and what HTML calls a new tab."""

every_file_above = pytest.mark.parametrize("module", [name for name in FILES if not name.startswith(PLUMBING)])
NOTEBOOK = patches.notebook(lambda comm: comm, lambda code: code, lambda styles: styles)
"""What the kernel of a notebook replaces, but for what it puts in its place."""

every_patch = pytest.mark.parametrize("patch", [*patches.SERVER, *NOTEBOOK], ids=lambda one: _name(one))


def _name(one: Patch | Route) -> str:
    return one.attribute if isinstance(one, Patch) else one.handler.__name__


def is_foreign(module: str) -> bool:
    """Whether a module is another package's, the standard library left out: its hooks are there to be set."""
    return module.split(".")[0] not in {"engine", "dashboard", *sys.stdlib_module_names}


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@cache
def defined(module: str) -> set[str]:
    """The names that the code of a module gives to something: functions, variables, attributes, slots."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


def used(module: str) -> set[str]:
    """The private names that a module uses or imports."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {part for alias in node.names for part in [alias.name, *(node.module or "").split(".")]}
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "setattr", "hasattr", "delattr"}:
            found |= {one.value for one in node.args[1:2] if isinstance(one, ast.Constant)}
    return set(filter(is_private, found))


def texts(module: str) -> set[str]:
    """Private names, and modules with one, that stand in a module as text."""
    constants = (node.value for node in ast.walk(tree(module)) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and re.fullmatch(r"(\w+\.)*_[a-z]\w*\.?", text)}


def own(module: str) -> set[str]:
    """The names that a module, or one of ours that it imports from, gives to something; the plumbing left out."""
    seen, waiting = set(), [module]
    while waiting:
        one = waiting.pop()
        seen.add(one)
        for node in ast.walk(tree(one)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                waiting += [name for name in names & FILES.keys() - seen if not name.startswith(PLUMBING)]
    return set().union(*map(defined, seen))


@every_file_above
def test_private_names_of_other_libraries_stand_in_the_plumbing_alone(module):
    assert used(module) - own(module) <= DOCUMENTED.keys()


@every_file_above
def test_no_class_above_the_plumbing_overrides_a_private_name_of_another_library(module):
    if module in ("dashboard.main", "dashboard.app_hooks"):
        return
    ours = [one for one in vars(import_module(module)).values() if inspect.isclass(one) and one.__module__ == module]
    for one in ours:
        foreign = [base for base in one.__mro__ if base.__module__.split(".")[0] not in ("engine", "dashboard")]
        written = {name for name in vars(one) if name in defined(module) and is_private(name)}
        taken = {name for name in written if any(name in vars(base) for base in foreign)}
        assert taken <= DOCUMENTED.keys(), one


def test_private_names_that_stand_as_text_are_known():
    found = {text for module in FILES if not module.startswith(PLUMBING) for text in texts(module)}
    assert found - OURS_AS_TEXT <= WITHOUT_A_PUBLIC_WAY.keys() | DOCUMENTED.keys()
    assert found >= WITHOUT_A_PUBLIC_WAY.keys()


def test_nothing_of_another_library_is_looked_for_and_given_up_silently():
    """A private name with a default is a change of the library that nobody notices."""
    for module in FILES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) == 3:
                name = node.args[1]
                assert not (isinstance(name, ast.Constant) and is_private(str(name.value))), (module, node.lineno)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr":
                name = node.args[1]
                assert not (isinstance(name, ast.Constant) and is_private(str(name.value))), (module, node.lineno)


def unpatched(code: str) -> str:
    """What some code prints in a Python in which nothing is replaced."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NEEDS = {
    "patch_curdoc": """
from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.io import curdoc

document = Document()
try:
    invoke_with_curdoc(document, lambda: 1 / 0)
except ZeroDivisionError:
    print(curdoc() is document)
""",
    "_overridden_defaults": """
from bokeh.models import Div

print(Div._overridden_defaults() is not Div._overridden_defaults())
""",
    "themed_values": """
from timeit import repeat
from bokeh.models import Div

div = Div()
seconds = [min(repeat(ask, number=5000, repeat=5)) for ask in (div.themed_values, lambda: div.__dict__.get("no"))]
print(seconds[0] > 3 * seconds[1])
""",
    "write_message": """
import asyncio
from types import SimpleNamespace
from bokeh.protocol.messages.patch_doc import patch_doc
from panel.io.document import dispatch_tornado
from tornado.websocket import WebSocketClosedError, WebSocketHandler

class Line:
    parts = 0
    def is_closing(self):
        return self.parts > 1
    def write_message(self, part, binary=False):
        self.parts += 1
        return asyncio.get_running_loop().create_future()

async def write():
    socket = WebSocketHandler.__new__(WebSocketHandler)
    socket.ws_connection = Line()
    message = patch_doc(patch_doc.create_header(), {}, {"events": []})
    try:
        dispatch_tornado(SimpleNamespace(_socket=socket), msg=message)
        print(False)
    except WebSocketClosedError:
        print(True)

asyncio.run(write())
""",
    "StrictPage": """
from panel.io.server import DocHandler
import panel.config

print("Content-Security-Policy" not in open(panel.io.server.__file__).read() and "nonce" not in panel.config.__dict__)
""",
    "LabSocket": """
import asyncio
from types import SimpleNamespace
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.server.connection import ServerConnection
from bokeh.server.protocol_handler import ProtocolHandler
from unittest.mock import Mock
import logging
logging.disable()

gone = ServerConnection(Mock(), Mock(), None, Mock())
gone.detach_session()
message = patch_doc(patch_doc.create_header(), {}, {"events": []})
try:
    asyncio.run(ProtocolHandler().handle(message, gone))
    print(gone.protocol.create.call_args[0][0] == "ERROR")
except AssertionError:
    print(True)
""",
    "client_comm": """
from functools import partial
import panel as pn
import param
from bokeh.document import Document
from panel.io.notebook import Comm
from panel.models.comm_manager import CommManager

class Switch(pn.custom.JSComponent):
    on = param.Boolean(default=True)
    _esm = "export function render() {}"

switch, received = Switch(), []
switch.param.watch(lambda event: received.append(event.new), "on")
document = Document()
root = switch._render_model(document, Comm())
document.to_json()
ref, data = root.ref["id"], root.data
values = {"type": "map", "entries": [["model", {"id": ref}], ["node", "a"], ["data", {"type": "map"}]]}
pressed = {"type": "event", "name": "dom_event", "values": values}
off, on = ({"kind": "ModelChanged", "model": {"id": data.id}, "attr": "on", "new": new} for new in (False, True))
events = [off, {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": pressed}, on]
comm = Comm(on_msg=partial(switch._on_msg, ref, CommManager(plot_id=ref, comm_id="a")))
header = {"msgtype": "PATCH-DOC"}
comm._handle_msg({"header": header, "metadata": {}, "content": {"events": events}, "_buffers": {}})
print(received != [False, True])
""",
    "_render_esm": """
import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from panel.io.notebook import Comm

pn.config.inline = True
root = pmui.Row(pmui.Button(), pmui.Button()).get_root(Document(), Comm())
print(sum(len(one.esm) > 1_000_000 for one in root.references() if hasattr(one, "esm")) > 1)
""",
    "_process_param_change": """
import panel as pn
from bokeh.models import ImportedStyleSheet

pn.config.inline = pn.extension._loaded = True
toggle = pn.widgets.Toggle()
toggle._repr_mimebundle_()
((model, _),) = toggle._models.values()
toggle.stylesheets = ["p { margin: 0; }"]
print(any(isinstance(sheet, ImportedStyleSheet) and "://" in sheet.url for sheet in model.stylesheets))
""",
}
"""Code that prints whether a library, as it is, still needs what is listed for it."""


@every_patch
def test_a_patch_is_for_the_releases_that_need_it_and_for_no_other(patch):
    """It fails when a library has mended what a patch is for: then the patch's range ends."""
    assert unpatched(NEEDS[_name(patch)]) == str(patch.versions.holds())


@every_patch
def test_a_patch_says_what_it_is_for_and_where_its_library_is_told(patch):
    assert patch.purpose.endswith(".")
    page, _, heading = patch.upstream.partition("#")
    if page == "docs/upstream.md":
        headings = re.findall(r"^## (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    else:
        assert re.fullmatch(r"https://github\.com/\w+/\w+/(issues|pull)/\d+", patch.upstream)


@every_patch
def test_what_a_patch_reaches_for_is_there(patch):
    if isinstance(patch, Patch):
        assert callable(getattr(patch.owner, patch.attribute))
    else:
        assert issubclass(patch.handler, patch.usual)
        assert {patch.usual, patch.handler} & {kind for _, kind in per_app_patterns}


def test_to_install_twice_is_to_install_once():
    patches.install()

    def state() -> list[object]:
        attributes = [one for one in patches.SERVER if isinstance(one, Patch)]
        return [*(inspect.getattr_static(one.owner, one.attribute) for one in attributes), *per_app_patterns]

    first = state()
    assert not patches.install()
    assert state() == first
    assert all(one.is_installed == one.versions.holds() for one in patches.SERVER)


def test_a_library_of_another_release_is_left_as_it_is_and_the_log_says_so_once(monkeypatch):
    class Theirs:
        def greet(self) -> str:
            return "theirs"

    major, minor = release("bokeh")
    later = Range("bokeh", (major, minor + 1), (major, minor + 2))
    one = Patch(Theirs, "greet", "To be another.", later, "", lambda greet: lambda self: "ours")
    warned = Mock()
    monkeypatch.setattr(patches.log, "warning", warned)
    assert not patches.install([one])
    assert not patches.install([one])
    assert Theirs().greet() == "theirs"
    (said,) = warned.call_args_list
    text = said.args[0] % said.args[1:]
    assert f"bokeh {major}.{minor}" in text
    assert "Theirs.greet" in text


def test_what_is_replaced_keeps_its_mark_when_this_module_is_loaded_again():
    class Theirs:
        @classmethod
        def count(cls) -> int:
            return 1

    always = Range("bokeh", (0, 0), (99, 0))

    def one_more(count: classmethod) -> classmethod:
        return classmethod(lambda cls: count.__func__(cls) + 1)

    assert patches.install([Patch(Theirs, "count", "To be more.", always, "", one_more)])
    assert not patches.install([Patch(Theirs, "count", "To be more.", always, "", one_more)])
    assert Theirs.count() == 2


def test_private_names_that_the_plumbing_uses_are_there():
    """What it reads or writes without replacing it; each is used in `server/` or `jupyter_ui/`."""
    document, div = Document(), Div()
    session = ServerSession("id", document)
    connection = ServerConnection(Protocol(), Mock(), None, session)
    message = patch_doc(patch_doc.create_header(), {}, {"events": []})
    there = {
        "_session": connection,
        "_socket": connection,
        "_subscribed_connections": session,
        "_held_events": document.callbacks,
        "_new_models": document.models,
        "_callbacks": div,
        "_buffers": message,
        "_content_json": message,
        "_models": pn.pane.HTML(),
        "_views": pn.state,
        "_comm": JupyterComm(),
    }
    assert [name for name, owner in there.items() if not hasattr(owner, name)] == []
    plumbing = [module for module in FILES if module.startswith(PLUMBING)]
    assert there.keys() <= set().union(*map(used, plumbing))


def test_a_file_that_is_no_patch_puts_nothing_into_another_library():
    """Assignments to attributes of what was imported from another package, in all modules but `patches`."""
    for module in FILES:
        foreign = set()
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and is_foreign(node.module or ""):
                foreign |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                foreign |= {alias.asname or alias.name.split(".")[0] for alias in node.names if is_foreign(alias.name)}
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert ast.unparse(node).split(".")[0] not in foreign, (module, node.lineno)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
                assert ast.unparse(node.args[0]).split(".")[0] not in foreign, (module, node.lineno)


PLAIN = """
import panel as pn
import panel_material_ui as pmui
from bokeh.layouts import column
from bokeh.models import Div, Slider
from bokeh.plotting import figure

plot = figure(width=300, height=200, x_axis_label="across")
plot.line([0, 1], [0, 1])
slider, said = Slider(start=0, end=9, value=0, step=1), Div(text="nothing")
button = pmui.Button(label="Press")

def tell(attr, old, new):
    said.text = f"{new}, {plot.xaxis[0].axis_line_color}, {button.label}"

slider.on_change("value", tell)
pn.Column(pn.pane.Bokeh(column(plot, slider, said)), button).servable(title="Plain")
"""
"""An app that listens to one thing, and says what else it has been told since: a color, and the text of a button."""


def served(address: str) -> dict[str, Any]:
    """What a server sends for the plain app: the page with its headers, each part of each message, what it knows."""
    with urlopen(address, timeout=60) as page:
        headers, body = dict(page.headers), page.read().decode()
    token = re.search(r'"token":"([^"]+)"', body)[1]
    parts, known = asyncio.run(conversation(f"{address.replace('http', 'ws', 1)}/ws", token))
    port = str(urlsplit(address).port)
    changing = {"Date", "Etag", "Content-Length", "Set-Cookie"}  # of the page's bytes, in which its ids are
    return {
        "headers": {name: value for name, value in headers.items() if name not in changing},
        "page": alike(body.replace(token, "TOKEN").replace(port, "PORT")),
        "messages": alike("\n".join(parts).replace(port, "PORT")),
        "known": known,
    }


async def conversation(address: str, token: str) -> tuple[list[str], dict[str, Any]]:
    """What the server sends while a page changes what nobody listens to and then a slider, and what it knows then."""
    line = await websocket_connect(HTTPRequest(address), subprotocols=["bokeh", token])
    parts, create = [], Protocol().create
    await heard(line, parts, "ACK")
    before = models_of(await asked(line, parts, create("PULL-DOC-REQ")))
    axis = one_of(before, "LinearAxis", "axis_label", "across")
    slider, button = one_of(before, "Slider", "end", 9), one_of(before, None, "label", "Press")
    for model, name, value in ((axis, "axis_line_color", "red"), (button, "label", "Pressed"), (slider, "value", 3)):
        change = {"kind": "ModelChanged", "model": {"id": model["id"]}, "attr": name, "new": value}
        await asked(line, parts, patch_doc(patch_doc.create_header(), {}, {"events": [change]}))
    after = {one["id"]: one["attributes"] for one in models_of(await asked(line, parts, create("PULL-DOC-REQ")))}
    line.close()
    said = [one["text"] for one in after.values() if "Pressed" in str(one.get("text"))]
    return parts, {
        "color": after[axis["id"]].get("axis_line_color"),
        "label": after[button["id"]]["label"],
        "said": said,
    }


async def asked(line: Any, parts: list[str], message: Message) -> Any:
    """Send a message; returns the content of the answer."""
    for part in (message.header_json, message.metadata_json, message.content_json):
        await line.write_message(part)
    return await heard(line, parts, "PULL-DOC-REPLY" if message.msgtype == "PULL-DOC-REQ" else "OK")


async def heard(line: Any, parts: list[str], kind: str) -> Any:
    """Note down all that comes until there is a message of that kind; returns its content."""
    while True:
        header, metadata, content = [await asyncio.wait_for(line.read_message(), 30) for _ in range(3)]
        told = json.loads(content)
        if "doc" in told:  # of all documents of a process, Bokeh tells each which kinds of data models there are
            del told["doc"]["defs"]
        about = {name: value for name, value in json.loads(header).items() if name not in ("msgid", "reqid")}
        parts += [json.dumps(about), metadata, json.dumps(told)]
        for _ in range(2 * about.get("num_buffers", 0)):  # each with a header of its own
            await asyncio.wait_for(line.read_message(), 30)
        if about["msgtype"] == kind:
            return told


def models_of(content: Any) -> list[dict[str, Any]]:
    """All models in the JSON of a document."""
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    is_model = isinstance(content, dict) and content.get("type") == "object" and "attributes" in content
    return [*([content] if is_model else []), *(model for one in inner for model in models_of(one))]


def one_of(models: list[dict[str, Any]], kind: str | None, attribute: str, value: Any) -> dict[str, Any]:
    """The first model of a kind that has this value."""
    return next(one for one in models if kind in (None, one["name"]) and one["attributes"].get(attribute) == value)


def alike(text: str) -> str:
    """A text in which every id, and every number that param gives to a name, is its place in the order of those."""
    places: dict[str, int] = {}
    uuid = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    ids = rf"\bp\d{{4,}}\b|{uuid}|(?<=[A-Za-z])\d{{5}}\b"
    return re.sub(ids, lambda found: f"<{places.setdefault(found[0], len(places))}>", text)


@contextmanager
def server(folder: Path, *apps: str, script: str = "") -> Iterator[str]:
    """A server of some apps, from its own process, as long as the `with` block lasts; its address.

    A script, which is given the port, makes the server itself.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    log = folder / f"log-{port}"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *([script] if script else ["-m", "panel", "serve", *apps, "--port"]), str(port)],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            # With one seed for hashes, sets are written in the same order by every process.
            env={
                **os.environ,
                "DESCENT_LAB_HOME": str(folder / "home"),
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": str(ROOT),
            },
        )
    try:
        until = time.monotonic() + 180
        while not re.search("app running at|Launching server at", log.read_text()):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text()


def test_an_app_beside_the_laboratory_is_served_as_it_is_without_it(tmp_path):
    app = tmp_path / "plain.py"
    app.write_text(PLAIN, encoding="utf-8")
    with server(tmp_path, str(app)) as alone:
        expected = served(f"{alone}/plain")
    with server(tmp_path, str(app), "dashboard") as beside:
        with urlopen(f"{beside}/dashboard", timeout=120) as page:
            assert "script-src" in page.headers["Content-Security-Policy"]
        found = served(f"{beside}/plain")
    assert expected["known"] == {"color": "red", "label": "Pressed", "said": ["3, red, Pressed"]}
    assert "Content-Security-Policy" not in expected["headers"]
    assert found == expected


PICTURE = """
import panel as pn
from dashboard import Run, Settings
from dashboard.instruments.loss_curve import LossCurve

run = Run(Settings(n=40, hidden=[3]))
pn.state.add_periodic_callback(lambda: run.advance(1), 200)
pn.Column("# Mine", LossCurve(run), pn.widgets.IntSlider(end=9)).servable(title="Mine")
"""
WHOLE = """
import panel as pn
from dashboard import App, Run, Settings

lab = App(Run(Settings(n=40, hidden=[3])), "playground")
lab.clock.play()
pn.Row("# Mine", lab).servable(title="Mine")
"""
SERVED = """
import sys
import panel as pn
from dashboard import App, Run, Settings

def playing():
    lab = App(Run(Settings(n=40, hidden=[3])), "playground")
    lab.clock.play()
    return lab

pn.serve({"mine": playing, "all": App}, port=int(sys.argv[1]), show=False)
"""
"""Apps of somebody's: with a picture of ours, whose run the app itself advances, and with all of the laboratory."""


def rows(models: list[dict[str, Any]]) -> int:
    """The most rows of a source that has epochs."""
    found = [dict(one["attributes"]["data"]["entries"]) for one in models if one["name"] == "ColumnDataSource"]
    columns = [data["epoch"] for data in found if "epoch" in data]
    return max((len(one) if isinstance(one, list) else one["shape"][0] for one in columns), default=0)


async def seen(address: str, enough: int, acknowledges: bool) -> int:
    """Wait until so many epochs are in the document of a page that follows it, or until a minute has passed."""
    with urlopen(address, timeout=60) as page:
        assert "Content-Security-Policy" not in page.headers, "the laboratory's policy is none of this app's business"
        token = re.search(r'"token":"([^"]+)"', page.read().decode())[1]
    line = await websocket_connect(HTTPRequest(f"{address.replace('http', 'ws', 1)}/ws"), subprotocols=["bokeh", token])
    parts: list[str] = []
    await heard(line, parts, "ACK")
    until, found = time.monotonic() + 60, 0
    while found < enough and time.monotonic() < until:
        models = models_of(await asked(line, parts, Protocol().create("PULL-DOC-REQ")))
        found = rows(models)
        for one in models if acknowledges else []:
            if "frame" in one["attributes"]:  # the page has painted all that it was sent
                change = {"kind": "ModelChanged", "model": {"id": one["id"]}, "attr": "shown"}
                painted = [{**change, "new": one["attributes"]["frame"]}]
                await asked(line, parts, patch_doc(patch_doc.create_header(), {}, {"events": painted}))
        await asyncio.sleep(0.1)
    line.close()
    sent = [json.loads(part)["events"] for part in parts if part.startswith('{"events"')]
    assert any(event["kind"] != "ModelChanged" or "data" in event["attr"] for events in sent for event in events)
    return found


@pytest.mark.parametrize(("code", "acknowledges"), [(PICTURE, False), (WHOLE, True)], ids=["picture", "laboratory"])
def test_an_app_of_somebodys_shows_what_trains_in_it(tmp_path, code, acknowledges):
    """Without any patch: the server was made before the laboratory was loaded."""
    app = tmp_path / "mine.py"
    app.write_text(code, encoding="utf-8")
    with server(tmp_path, str(app)) as address:
        assert asyncio.run(seen(f"{address}/mine", 12, acknowledges)) >= 12


def test_a_script_serves_the_laboratory_as_panel_serves_any_viewer(tmp_path):
    script = tmp_path / "serves.py"
    script.write_text(SERVED, encoding="utf-8")
    with server(tmp_path, script=str(script)) as address:
        assert asyncio.run(seen(f"{address}/mine", 12, True)) >= 12
        with urlopen(f"{address}/all", timeout=60) as page:
            assert page.status == 200
