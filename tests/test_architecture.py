"""The rules that keep the code readable, checked in its syntax: who may import whom, and what may be called what."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "dashboard")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
SCREENS = {"panel", "panel_material_ui", "holoviews", "bokeh", "tornado"}
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "core", "misc", "tools"}

every_module = pytest.mark.parametrize("module", FILES)
every_test_file = pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def installed() -> set[str]:
    """The names of all modules that are installed, for which every distribution is looked through."""
    return set(packages_distributions())


@cache
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


def public(module: str) -> list[ast.AST]:
    """The public functions and classes of a module."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in tree(FILES[module]).body if isinstance(node, definitions) and node.name[0] != "_"]


@every_module
def test_the_engine_imports_numpy_and_the_standard_library_only(module):
    if module.split(".")[0] == "engine":
        assert roots(module) <= {"numpy", "engine"}


def test_imports_keep_the_contracts_of_pyproject(capsys, monkeypatch):
    """A folder is a layer, nothing is in a circle, and what needs no screen imports none.

    import-linter sets up logging for a program of its own, which would silence the loggers that other tests read.
    """
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_every_folder_of_the_dashboard_is_in_a_layer():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = [one for one in config["contracts"] if one["type"] == "layers"]
    layered = {name.strip().removeprefix("dashboard.") for layer in contract["layers"] for name in layer.split("|")}
    folders = {path.parent.name for path in (ROOT / "dashboard").glob("*/__init__.py")}
    assert folders | {"main", "app_hooks", "__main__", "engine"} == layered


def test_no_loose_module_lies_at_the_root_of_the_dashboard():
    assert {path.stem for path in (ROOT / "dashboard").glob("*.py")} == {"__init__", "__main__", "main", "app_hooks"}


@every_module
def test_imports_are_absolute(module):
    assert not [node for node in ast.walk(tree(FILES[module])) if isinstance(node, ast.ImportFrom) and node.level]


IMPORTABLE = sorted(path for path in (ROOT / "dashboard").iterdir() if path.is_dir() or path.suffix == ".py")


@pytest.mark.parametrize("path", IMPORTABLE, ids=lambda path: path.name)
def test_no_file_in_dashboard_is_named_like_a_module_somebody_may_import(path):
    """`panel serve dashboard` puts the folder itself on the path, where `random.py` would hide Python's own."""
    taken = sys.stdlib_module_names | installed() | {"engine", "dashboard", "tests", "benchmarks"}
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


THEMED = ("Axis", "ColorBar", "Figure", "Grid", "Legend", "Plot", "Split", "Tabulator", "Title", "Toolbar", "Tooltip")


@every_module
def test_no_component_is_named_like_a_model_that_material_ui_dresses(module):
    """Its theme goes by the ends of types' names, and sets properties that a component of ours does not have."""
    for node in public(module):
        if isinstance(node, ast.ClassDef) and {"JSComponent", "LiveComponent"} & set(map(ast.unparse, node.bases)):
            assert not node.name.endswith(THEMED)


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


@pytest.mark.parametrize(
    "module", ["dashboard", "dashboard.state.settings", "dashboard.state.run", "dashboard.state.clock", "engine"]
)
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


def private_names(part: ast.ClassDef) -> tuple[set[str], set[str]]:
    """The private names that a class gives itself, and those that it uses of itself or of what it derives from."""
    given = {node.name for node in ast.walk(part) if isinstance(node, ast.FunctionDef)}
    given |= {ast.unparse(node.target) for node in part.body if isinstance(node, ast.AnnAssign)}
    given |= {ast.unparse(name) for node in part.body if isinstance(node, ast.Assign) for name in node.targets}
    used = set()
    for node in ast.walk(part):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls", "super()"):
            name = node.attr if node.attr.startswith("_") and not node.attr.startswith("__") else ""
            if isinstance(node.ctx, ast.Store):
                given.add(name)
            elif name:
                used.add(f"super().{name}" if ast.unparse(node.value) == "super()" else name)
    return {name for name in given if name.startswith("_") and not name.startswith("__")}, used


PICTURES = {
    part.name: part
    for module, path in FILES.items()
    if module.startswith("dashboard.instruments.")
    for part in tree(path).body
    if isinstance(part, ast.ClassDef)
}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_uses_and_takes_no_private_name_of_what_it_derives_from(picture):
    """The seam of an instrument is its public names: what begins with an underscore may change in its class alone."""
    given, used = private_names(PICTURES[picture])
    assert used <= given
    waiting, bases = [picture], set()
    while waiting:
        names = {ast.unparse(base) for base in PICTURES[waiting.pop()].bases} & PICTURES.keys()
        waiting += names - bases
        bases |= names
    for base in bases:
        assert not given & private_names(PICTURES[base])[0], base
