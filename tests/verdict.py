"""What a run says at its end beside passed and failed: the figures of the long tests, and whether a pass is one.

A test hands figures over with `record_property`; `--soak` prints them, grouped by test, with the time they took. What a
failed test recorded (the seed of its random moments) is printed always.

Tests find everything they need installed, by `tests/run`: what is missing fails them. Only what no installation cures is
skipped, with a reason that begins as one of `EXCUSED` does (`@pytest.mark.root("two users are needed")` for what only root
may do). Where `CI` is set, any other skip fails the run: nobody reads the reasons there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

# What no installation cures: another user or machine, a limit, a tool that fails on the plain directory as well.
EXCUSED = ("needs root", "another processor", "the limit of open files", "fails on the plain directory too")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        roots = item.get_closest_marker("root")
        if roots is not None and os.geteuid():
            item.add_marker(pytest.mark.skip(reason=f"needs root: {roots.args[0]}"))
    if not config.getoption("--soak"):
        long = [item for item in items if item.get_closest_marker("soak") is not None]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


class Verdict:
    """Keeps what tests reported that somebody has to be told."""

    def __init__(self, *, strict: bool, soak: bool) -> None:
        self.strict, self.soak = strict, soak
        self.skips: list[str] = []
        self.figures: dict[str, list[str]] = {}
        self.seconds: dict[str, list[float]] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._skipped(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._skipped(report)
        recorded = [f"{name} {_figure(value)}" for name, value in report.user_properties]
        told = (report.failed and recorded) or (self.soak and "soak" in report.keywords)
        if report.when != "call" or not told:
            return
        name = report.nodeid if recorded else report.nodeid.partition("[")[0]
        self.seconds.setdefault(name, []).append(report.duration)
        self.figures[name] = recorded

    def _skipped(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if self.strict and report.skipped and not hasattr(report, "wasxfail"):
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            if not reason.removeprefix("Skipped: ").startswith(EXCUSED):
                self.skips.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.skips and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.figures:
            terminalreporter.section("figures")
            terminalreporter.write_line("\n".join(self._lines()))
        if self.skips:
            terminalreporter.section("skipped, which is a failure where CI is set", red=True)
            terminalreporter.write_line("\n".join(self.skips))

    def _lines(self) -> Iterable[str]:
        for name, seconds in self.seconds.items():
            times = f"{len(seconds)} tests, " if len(seconds) > 1 else ""
            yield " · ".join([f"{name}: {times}{sum(seconds):.0f} s", *self.figures[name]])


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def pytest_configure(config: pytest.Config) -> None:
    strict = bool(os.environ.get("CI"))
    config.pluginmanager.register(Verdict(strict=strict, soak=config.getoption("--soak")), "fmrw-verdict")
