"""A plugin of pytest: which lines each test reaches, also in the processes that it starts. See reach.py.

Coverage runs with this plugin. Its context is the ID of the test, also in COVERAGE_PROCESS_CONFIG: from this variable,
which tests/processes.py passes on, coverage reads its settings in each process that starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

_seconds: dict[str, float] = {}
_failed: list[str] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    measured = coverage.Coverage.current()
    assert measured is not None
    inherited = measured.config.copy()
    inherited.context = item.nodeid
    os.environ["COVERAGE_PROCESS_CONFIG"] = inherited.serialize()
    measured.switch_context(item.nodeid)
    yield
    measured.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    passed = {test: seconds for test, seconds in _seconds.items() if test not in _failed}
    content = json.dumps({"passed": passed, "failed": sorted(set(_failed))})
    Path(os.environ["MUTATION_DURATIONS"]).write_text(content, encoding="utf-8")
