"""The rules that keep the code readable, checked in its syntax: who may import whom, and what may be called what."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "dashboard")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
LAYERS = ("engine", "settings", "run", "instruments", "pages", "app", "main")
"""From the bottom up; a module may import its own layer and those below."""

HOMES = {
    "dashboard.choices": "settings",
    "dashboard.own_data.column": "settings",
    "dashboard.own_data.complaints": "settings",
    "dashboard.own_data.csv_import": "settings",
    "dashboard.own_data.file_text": "settings",
    "dashboard.own_data.formulas": "settings",
    "dashboard.own_data.header": "settings",
    "dashboard.own_data.number_style": "settings",
    "dashboard.own_data.records": "settings",
    "dashboard.own_data.sheet": "settings",
    "dashboard.own_data.suggestion": "settings",
    "dashboard.own_data.tables": "settings",
    "dashboard.races.race_settings": "settings",
    "dashboard.settings": "settings",
    "dashboard.view": "settings",
    "dashboard.in_the_way": "settings",
    "dashboard.arrival": "run",
    "dashboard.bookmarks": "run",
    "dashboard.budget": "run",
    "dashboard.edge": "run",
    "dashboard.job": "run",
    "dashboard.kept.names": "run",
    "dashboard.kept.shelf": "run",
    "dashboard.left_runs": "run",
    "dashboard.notes.entry": "run",
    "dashboard.notes.journal": "run",
    "dashboard.races.course": "run",
    "dashboard.races.race": "run",
    "dashboard.races.tracks": "run",
    "dashboard.replay": "run",
    "dashboard.run": "run",
    "dashboard.stop_rule": "run",
    "dashboard.store": "run",
    "dashboard.study": "run",
    "dashboard.trail": "run",
    "dashboard.watching.batching": "run",
    "dashboard.watching.beacon": "run",
    "dashboard.watching.endings": "run",
    "dashboard.watching.feed": "run",
    "dashboard.watching.follower": "run",
    "dashboard.watching.gauge": "run",
    "dashboard.watching.lab": "run",
    "dashboard.watching.listing": "run",
    "dashboard.watching.not_finite": "run",
    "dashboard.watching.onlooker": "run",
    "dashboard.watching.scribe": "run",
    "dashboard.watching.silent": "run",
    "dashboard.watching.tail": "run",
    "dashboard.watching.told": "run",
    "dashboard.watching.torch_adapter": "run",
    "dashboard.watching.torch_hooks": "run",
    "dashboard.watching.torch_layers": "run",
    "dashboard.watching.watched": "run",
    "dashboard.address": "instruments",
    "dashboard.bokeh_defaults": "instruments",
    "dashboard.current_document": "instruments",
    "dashboard.browser": "instruments",
    "dashboard.cells.cell": "instruments",
    "dashboard.cells.notebook": "instruments",
    "dashboard.cells.notebook_page": "instruments",
    "dashboard.cells.still": "instruments",
    "dashboard.cells.still_page": "instruments",
    "dashboard.clock": "instruments",
    "dashboard.file_drop": "instruments",
    "dashboard.hearing": "instruments",
    "dashboard.heartbeat": "instruments",
    "dashboard.plain_text": "instruments",
    "dashboard.sharing.offer": "instruments",
    "dashboard.style": "instruments",
    "dashboard.watching.feed_list": "instruments",
    "dashboard.watching.playback": "instruments",
    "dashboard.wire": "instruments",
    "dashboard.controls": "pages",
    "dashboard.kept.guest_picture": "pages",
    "dashboard.kept.kept_runs": "pages",
    "dashboard.kept.run_list": "pages",
    "dashboard.navigation": "pages",
    "dashboard.notes.journal_widgets": "pages",
    "dashboard.own_data.data_dialog": "pages",
    "dashboard.sharing.film": "pages",
    "dashboard.sharing.picture_file": "pages",
    "dashboard.sharing.scene": "pages",
    "dashboard.sharing.share": "pages",
    "dashboard.sharing.static_page": "pages",
    "dashboard.slot": "pages",
    "dashboard.study_bar": "pages",
    "dashboard.transport": "pages",
    "dashboard.watching.convoy": "pages",
    "dashboard.watching.ride": "pages",
    "dashboard.app": "app",
    "dashboard.page_policy": "app",
    "dashboard.rounds": "app",
    "dashboard.session": "app",
    "dashboard.cells.inline": "app",
    "dashboard.watching.viewer": "app",
    "dashboard.app_hooks": "main",
    "dashboard.main": "main",
}
"""The layer of each single module; the folders' layers are named like them. A new module gets a line here."""

SCREENLESS = (*(module for module, home in HOMES.items() if home in ("settings", "run")), "dashboard.clock")
SCREENS = {"panel", "panel_material_ui", "holoviews", "bokeh", "tornado"}
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "core", "misc", "tools"}

every_module = pytest.mark.parametrize("module", FILES)
every_test_file = pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Everything a module imports, but for what it needs for its annotations only; our own modules in full."""
    body = tree(FILES[module])
    for node in ast.walk(body):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            found |= submodules or {node.module}
    return found


def roots(module: str) -> set[str]:
    """The packages a module imports from, the standard library left out."""
    return {name.split(".")[0] for name in imports(module)} - sys.stdlib_module_names


def own(module: str) -> set[str]:
    return imports(module) & FILES.keys()


def layer(module: str) -> str:
    """The layer a module lives in. The package's front door, `dashboard`, imports on demand and is left out."""
    package, *rest = module.split(".")
    if package == "engine":
        return "engine"
    return rest[0] if rest[0] in LAYERS and len(rest) > 1 else HOMES.get(module, rest[0])


def public(module: str) -> list[ast.AST]:
    """The public functions and classes of a module."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in tree(FILES[module]).body if isinstance(node, definitions) and node.name[0] != "_"]


@every_module
def test_the_engine_imports_numpy_and_the_standard_library_only(module):
    if module.split(".")[0] == "engine":
        assert roots(module) <= {"numpy", "engine"}


@pytest.mark.parametrize("module", SCREENLESS)
def test_settings_run_and_clock_know_no_screen(module):
    assert not roots(module) & SCREENS
    assert {layer(other) for other in own(module)} <= {"engine", "settings", "run"}


@every_module
def test_arrows_point_one_way(module):
    if module in PACKAGES or (FILES[module].name == "__init__.py" and not own(module)):
        return
    mine = layer(module)
    assert mine in LAYERS, f"{module} is new: say in HOMES of this file which layer it belongs to"
    for other in own(module):
        assert LAYERS.index(layer(other)) <= LAYERS.index(mine), f"{module} must not import {other}"


@every_module
def test_instruments_know_neither_pages_nor_controls_nor_the_clock(module):
    if module.startswith("dashboard.instruments."):
        known = ("style", "plain_text", "cells.cell", "instruments")
        allowed = ("engine", *(f"dashboard.{name}" for name in known))
        assert all(other.startswith(allowed) or layer(other) in ("run", "settings") for other in own(module))


@every_module
def test_pages_know_neither_the_app_nor_the_clock(module):
    if module.startswith("dashboard.pages"):
        assert not own(module) & {"dashboard.app", "dashboard.main", "dashboard.clock", "dashboard.transport"}


def test_the_clock_has_never_heard_of_a_plot():
    assert own("dashboard.clock") == {"dashboard.job", "dashboard.store"}


def test_no_module_imports_itself_by_a_detour():
    """Raises CycleError, which names the circle."""
    assert list(TopologicalSorter({module: own(module) for module in FILES}).static_order())


@every_module
def test_imports_are_absolute(module):
    assert not [node for node in ast.walk(tree(FILES[module])) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("path", sorted((ROOT / "dashboard").iterdir()), ids=lambda path: path.name)
def test_no_file_in_dashboard_is_named_like_a_module_somebody_may_import(path):
    """`panel serve dashboard` puts the folder itself on the path, where `random.py` would hide Python's own."""
    taken = sys.stdlib_module_names | packages_distributions().keys() | {"engine", "dashboard", "tests", "benchmarks"}
    assert path.stem not in taken - {"__init__", "__pycache__"}


@every_module
def test_no_module_has_a_name_that_says_nothing(module):
    name = module.split(".")[-1]
    assert name not in FORBIDDEN
    assert not name.startswith("base_")


@every_module
def test_every_module_and_everything_public_in_it_says_what_it_is(module):
    silent = [node.name for node in public(module) if not ast.get_docstring(node)]
    assert not silent
    assert ast.get_docstring(tree(FILES[module]))


@every_module
def test_nothing_is_printed(module):
    calls = [node.func for node in ast.walk(tree(FILES[module])) if isinstance(node, ast.Call)]
    assert not [func for func in calls if isinstance(func, ast.Name) and func.id == "print"]


@every_module
def test_no_chance_comes_from_a_state_shared_by_all(module):
    """A Generator is passed in, or a stream of `engine.chance`; `np.random.seed` and `np.random.rand` are nobody's."""
    names = [ast.unparse(node) for node in ast.walk(tree(FILES[module])) if isinstance(node, ast.Attribute)]
    used = {name.split(".")[2] for name in names if name.startswith("np.random.") and "(" not in name}
    makers = {"default_rng", "SeedSequence"} if module == "engine.chance" else set()
    assert used <= {"Generator"} | makers
    if module.startswith("engine"):
        assert "random" not in imports(module)


@every_test_file
def test_tests_lie_flat_but_for_those_of_the_browser(path):
    assert path.parent in (ROOT / "tests", ROOT / "tests" / "ui")
    if path.parent.name == "tests":
        assert path.name == "conftest.py" or path.name.startswith(("test_", "oracle_", "sample_"))


@pytest.mark.parametrize("module", ["dashboard", "dashboard.settings", "dashboard.run", "dashboard.clock", "engine"])
def test_a_run_needs_no_screen(module):
    """In a fresh Python, where nothing else has imported anything."""
    code = f"import sys, {module}; from dashboard import Run, Settings; Run(Settings(n=40)).advance(2)\n"
    code += f"assert not {SCREENS!r} & sys.modules.keys(), sorted({SCREENS!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_engine_needs_nothing_but_numpy():
    code = "import sys, engine, engine.landscape, engine.metrics, engine.measures, engine.recording, engine.ensemble\n"
    code += "assert not {'param', 'pandas', 'scipy', 'dashboard'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_front_door_offers_what_it_lists():
    code = "import dashboard\nfor name in dashboard.__all__: getattr(dashboard, name)\n"
    code += "try: dashboard.Nothing\nexcept AttributeError as error: assert 'Settings' in str(error)\n"
    code += "else: raise SystemExit('it offers Nothing')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
