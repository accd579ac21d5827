"""A fatal exit logs the reason, however many nurseries the exception passed through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog

from render_trio.errors import FatalError, first_error
from render_trio.service import process, service
from render_trio.settings import reading


class Ended(Exception):
    """Raised in place of the exit of the process."""


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_fatal_exit_logs_the_reason_not_the_group_s_title(
    depth: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error: Exception = FatalError("4 drawing threads hang")
    for _ in range(depth):
        error = ExceptionGroup("Exceptions from Trio nursery", [error])

    async def run(*arguments: Any, **named: Any) -> None:
        raise error

    def exit_process(code: int) -> None:
        assert code == 1
        raise Ended

    monkeypatch.setattr(service, "run", run)
    monkeypatch.setattr(process.os, "_exit", exit_process)
    monkeypatch.setattr(process.logs, "configure", lambda *arguments: None)
    with structlog.testing.capture_logs() as lines, pytest.raises(Ended):
        process.main(reading.read({"PID_FILE": str(tmp_path / "pid")}))
    assert [line["reason"] for line in lines if line["log_level"] == "error"] == ["4 drawing threads hang"]


def test_first_error_searches_nested_groups() -> None:
    reason = ValueError("why")
    assert first_error(ExceptionGroup("a", [ExceptionGroup("b", [reason]), KeyError()])) is reason
    assert first_error(reason) is reason
