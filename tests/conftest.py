"""What all tests share: `pytest --require torch,ui` fails where a test with one of these markers would be skipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, and no clock: what fails here fails everywhere.
settings.register_profile("laboratory", deadline=None, derandomize=True)
settings.load_profile("laboratory")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require", default="", help="markers, comma-separated, whose tests must not be skipped")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that a test keeps gets among the runs of whoever tests, and no browser is opened for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESCENT_LAB_BROWSER", "0")
        patch.setenv("DESCENT_LAB_HOME", str(folder := tmp_path_factory.mktemp("home")))
        yield folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with the runs in its folder `home`; all their arrays are measured."""
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("dashboard.tracking.sampler.CREDIT", 1e9)
    return tmp_path


def _required(config: pytest.Config) -> set[str]:
    return set(filter(None, config.getoption("--require").split(",")))


def _forbid_skipping(report: pytest.TestReport | pytest.CollectReport, why: str) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"{why}, but was skipped: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    demanded = _required(item.config) & {mark.name for mark in item.iter_markers()}
    if demanded:
        _forbid_skipping(report, f"{', '.join(sorted(demanded))} was required")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """A module that skips itself has no markers to look at, so with anything required none may."""
    report = yield
    if _required(collector.config):
        _forbid_skipping(report, "every module was required")
    return report
