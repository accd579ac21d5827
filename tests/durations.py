"""Print how many seconds each suite took: the tests of one folder below tests/, and the rest together."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest

REST = "other"

_seconds: Counter[str] = Counter()
_tests: Counter[str] = Counter()


def suite_of(node: str) -> str:
    """Return the suite of a test by its node id: `looks` for `tests/looks/test_looks.py::test_x`."""
    folders = PurePosixPath(node.partition("::")[0]).parts[:-1]
    return folders[1] if len(folders) > 1 else REST


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add the time of a test's setup, call or teardown to its suite. A shared fixture counts for its first user."""
    suite = suite_of(report.nodeid)
    _seconds[suite] += report.duration
    if report.when == "call":
        _tests[suite] += 1


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each suite, the slowest first."""
    if len(_seconds) > 1 or sum(_tests.values()) > 1:
        terminalreporter.section("seconds by suite")
        for suite, seconds in _seconds.most_common():
            terminalreporter.write_line(f"{suite:<12} {seconds:>7.1f} s  {_tests[suite]:>5} tests")
