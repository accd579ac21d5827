"""Mutants and what the tests reach → the outcome of each mutant. Two copies of the repository are tried at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scripts.mutation.areas import ROOT
from scripts.mutation.mutant import Mutant
from scripts.mutation.patching import function_at
from scripts.mutation.reach import Reach

MIN_TIMEOUT = 10.0  # s for the tests of one mutant, and four times as long as they usually take
# s that the tests of one mutant take: first the quickest, which kill most mutants soon, even those that hang; then the
# others, if it has survived.
STAGES = (15.0, 60.0)
# A mutant may kill or delete something that it shouldn't. In namespaces of its own, it finds only what the tests made.
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`outcome` is one of: killed, killed by time, survived, unreached, invalid: … ."""

    mutant: Mutant
    outcome: str
    tests: int

    @property
    def is_killed(self) -> bool:
        return self.outcome.startswith("killed")


def try_all(mutants: Sequence[Mutant], reach: Sequence[Reach], jobs: int, report: Callable[[Outcome], None]) -> None:
    """Try each mutant, and report each outcome as soon as it is known."""
    plans: list[list[dict[str, Any]]] = [[] for _ in range(jobs)]
    by_key: dict[str, Outcome] = {}
    for number, mutant in enumerate(mutants):
        chosen = chosen_tests(mutant, reach)
        key = str(number)
        by_key[key] = Outcome(mutant, "unreached", sum(map(len, chosen)))
        if not chosen:
            report(by_key[key])
            continue
        plans[number % jobs].append({"key": key, "mutant": asdict(mutant), "stages": _stages(chosen)})
    with tempfile.TemporaryDirectory(prefix="mut-") as name:
        running = [_start(Path(name) / f"copy{job}", plan) for job, plan in enumerate(plans) if plan]
        try:
            _follow(running, by_key, report)
        finally:
            for process, _ in running:
                process.kill()
                process.wait()


def chosen_tests(mutant: Mutant, reach: Sequence[Reach]) -> list[list[Reach]]:
    """Return the tests that reach the mutant, the quickest first, as many as fit in each of STAGES."""
    found = sorted((test for test in reach if _reaches(test, mutant)), key=lambda test: test.seconds)
    chosen: list[list[Reach]] = []
    for seconds in STAGES:
        stage: list[Reach] = []
        while found and (not stage or sum(test.seconds for test in stage) + found[0].seconds <= seconds):
            stage.append(found.pop(0))
        chosen += [stage] if stage else []
    return chosen


def _stages(chosen: Sequence[Sequence[Reach]]) -> list[dict[str, Any]]:
    return [
        {
            "tests": [test.test for test in stage],
            "timeout": MIN_TIMEOUT + 4 * sum(test.seconds for test in stage),
        }
        for stage in chosen
    ]


def _reaches(test: Reach, mutant: Mutant) -> bool:
    if mutant.path.endswith(".lua"):
        return any(not lines.isdisjoint(test.lines.get(path, ())) for path, lines in _callers(mutant.path).items())
    lines = test.lines.get(mutant.path, frozenset())
    return bool(lines) if _function(mutant) is None else mutant.line in lines


@cache
def _callers(script: str) -> dict[str, frozenset[int]]:
    """Return the lines that run a Lua script, by file: they contain its name. Any line runs the prelude."""
    name = Path(script).stem
    found = {}
    for file in Path(ROOT / script).parent.parent.glob("*.py"):
        source = file.read_text(encoding="utf-8")
        found[str(file.relative_to(ROOT))] = frozenset(
            number
            for number, line in enumerate(source.splitlines(), 1)
            if (name == "prelude" or f'"{name}"' in line) and function_at(source, number) is not None
        )
    return found


def _function(mutant: Mutant) -> str | None:
    if mutant.path not in _sources:
        _sources[mutant.path] = (ROOT / mutant.path).read_text(encoding="utf-8")
    key = mutant.path, mutant.line
    if key not in _functions:
        _functions[key] = function_at(_sources[mutant.path], mutant.line)
    return _functions[key]


_sources: dict[str, str] = {}
_functions: dict[tuple[str, int], str | None] = {}


def _start(copy: Path, plan: list[dict[str, Any]]) -> tuple[subprocess.Popen[bytes], Path]:
    _copy_repository(copy)
    plan_file, outcomes = copy.with_suffix(".plan"), copy.with_suffix(".outcomes")
    plan_file.write_text("".join(json.dumps(trial) + "\n" for trial in plan), encoding="utf-8")
    outcomes.touch()
    temporary = copy.with_suffix(".t")  # short, because the path of a socket may not be long
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MUTATION_PLAN": str(plan_file),
        "MUTATION_OUTCOMES": str(outcomes),
        "SIMULATION_SEEDS": "40",
        "TMPDIR": str(temporary),
    }
    temporary.mkdir()
    tests = {test.partition("::")[0] for trial in plan for test in _names(trial)}
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "scripts.mutation.trials", "-p", "no:cacheprovider"]
    isolated = ISOLATED if os.geteuid() == 0 and shutil.which("unshare") else ()
    with copy.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*isolated, *command, *sorted(tests)],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return process, outcomes


def _names(trial: dict[str, Any]) -> list[str]:
    return [test for stage in trial["stages"] for test in stage["tests"]]


def _follow(
    running: Iterable[tuple[subprocess.Popen[bytes], Path]],
    by_key: dict[str, Outcome],
    report: Callable[[Outcome], None],
) -> None:
    read = {outcomes: 0 for _, outcomes in running}
    waiting = list(running)
    while waiting:
        for process, outcomes in list(waiting):
            try:
                process.wait(0.5)
                waiting.remove((process, outcomes))
            except subprocess.TimeoutExpired:
                pass
            lines = outcomes.read_text(encoding="utf-8").splitlines()
            for line in lines[read[outcomes] :]:
                found = json.loads(line)
                planned = by_key[found["key"]]
                report(Outcome(planned.mutant, found["outcome"], planned.tests))
            read[outcomes] = len(lines)
            if process.returncode:
                log = outcomes.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"pytest ended with exit code {process.returncode}: {log[-3000:]}")


def _copy_repository(copy: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(Path(sys.prefix))
