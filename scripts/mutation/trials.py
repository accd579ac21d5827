"""A plugin of pytest: try mutants, one after another, each in a process of its own that is forked after collection.

Importing and collecting take much longer than the few tests that a mutant needs. A forked process already has
everything; it gets the mutant as new code of one function. The mutant is also written to the file, for the processes
that tests start. What a module does on import can't be patched: such a mutant gets a pytest of its own.

The plan is a file with one JSON object per line (see trying.py); the outcomes are appended to another.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.mutation.mutant import Mutant
from scripts.mutation.patching import function_at, patch

KILLED, SURVIVED, UNPATCHED = 10, 11, 12  # exit codes of a forked process
_passing: set[str] = set()  # tests that pass in a forked process without a mutant
_failing: set[str] = set()
PR_SET_CHILD_SUBREAPER = 36
MAX_MEMORY = 12 * 2**30  # bytes of address space
POLL = 0.01  # s


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    items = {item.nodeid: item for item in session.items}
    with Path(os.environ["MUTATION_OUTCOMES"]).open("a", encoding="utf-8") as outcomes:
        for line in Path(os.environ["MUTATION_PLAN"]).read_text(encoding="utf-8").splitlines():
            trial = json.loads(line)
            started = time.monotonic()
            outcome = _try(session, items, trial)
            seconds = round(time.monotonic() - started, 2)
            outcomes.write(json.dumps({"key": trial["key"], "outcome": outcome, "seconds": seconds}) + "\n")
            outcomes.flush()
    return True


def _try(session: pytest.Session, items: dict[str, pytest.Item], trial: dict[str, Any]) -> str:
    mutant = Mutant(**trial["mutant"])
    path = Path.cwd() / mutant.path
    original = path.read_text(encoding="utf-8")
    changed = mutant.apply(original)
    name = None
    if path.suffix == ".py":
        try:
            compile(changed, str(path), "exec")
        except SyntaxError as error:
            return f"invalid: {error}"
        name = function_at(original, mutant.line)
    for stage in trial["stages"]:
        outcome = _try_stage(session, items, stage, path, changed, name)
        if outcome != "survived":
            return outcome
    return "survived"


def _try_stage(
    session: pytest.Session,
    items: dict[str, pytest.Item],
    stage: dict[str, Any],
    path: Path,
    changed: str,
    name: str | None,
) -> str:
    original = path.read_text(encoding="utf-8")
    while True:
        selected = [items[test] for test in stage["tests"] if test in items and test not in _failing]
        with _written(path, changed, original):
            if path.suffix == ".py" and name is None:
                return _run_anew(stage)
            outcome, test = _fork(session, selected, stage["timeout"], lambda: _patch(path, changed, name))
            if outcome == "unpatched":
                return _run_anew(stage)
        if outcome == "survived" or test is None or test in _passing:
            return outcome
        # A test that fails without the mutant, too, says nothing about it.
        outcome, _ = _fork(session, [items[test]], stage["timeout"], lambda: None)
        (_passing if outcome == "survived" else _failing).add(test)
        _kill_remaining()


def _patch(path: Path, changed: str, name: str | None) -> None:
    """Where nothing has imported the module, the tests import the changed file."""
    if name is not None:
        patch(path, changed, name)


def _fork(
    session: pytest.Session, selected: list[pytest.Item], timeout: float, prepare: Callable[[], None]
) -> tuple[str, str | None]:
    """Return the outcome, and the test that failed, if one did."""
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _run_forked(session, selected, prepare, write)
    os.close(write)
    outcome = _wait(child, timeout)
    with open(read, encoding="utf-8") as failed:  # noqa: PTH123
        _kill_remaining()  # otherwise a process that the test has left would keep the pipe open
        return outcome, failed.read() or None


@contextmanager
def _written(path: Path, changed: str, original: str) -> Iterator[None]:
    path.write_text(changed, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(original, encoding="utf-8")
        _kill_remaining()


def _run_forked(session: pytest.Session, selected: list[pytest.Item], prepare: Callable[[], None], failed: int) -> None:
    """Run the tests, write the name of the first that fails, and exit with KILLED, SURVIVED or UNPATCHED."""
    code = UNPATCHED  # a function can't get code that uses other variables of its closure, for example `super()`
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        prepare()
        code = KILLED  # whatever goes wrong from here on does so because of the mutant
        session.config.option.maxfail = 1
        for number, item in enumerate(selected):
            following = selected[number + 1] if number + 1 < len(selected) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os.write(failed, item.nodeid.encode())
                break
        else:
            code = SURVIVED
    finally:
        os._exit(code)


def _wait(child: int, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {SURVIVED: "survived", UNPATCHED: "unpatched"}.get(os.waitstatus_to_exitcode(status), "killed")
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "killed by time"
        time.sleep(POLL)


def _run_anew(stage: dict[str, Any]) -> str:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *stage["tests"]]
    try:
        outcome = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=stage["timeout"] + 10, check=False
        )
    except subprocess.TimeoutExpired:
        return "killed by time"
    return "survived" if outcome.returncode == pytest.ExitCode.OK else "killed"


def _kill_remaining() -> None:
    """Kill what the tests have started and left. As a subreaper, we are the parent of all of it."""
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(child) for child in found.split()]
