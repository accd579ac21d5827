"""scripts/mutate: the mutants that it makes, and a sample of them, which the tests of today must notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.mutation import lua_mutants, python_mutants
from scripts.mutation.__main__ import ACCEPTED
from scripts.mutation.areas import AREAS, files, mutants_of
from scripts.mutation.mutant import Mutant
from scripts.mutation.patching import function_at, patch
from scripts.mutation.reach import Reach, _measure
from scripts.mutation.trying import chosen_tests
from tests.conftest import ROOT

SOURCE = '''LIMIT = 5


class Queue:
    def take(self, count: int = 1) -> list[int]:
        """Take 3."""
        try:
            if count < LIMIT and not self.paused:
                with self.lock:
                    self.taken += count
                log.info("taken", count=2)
                return self.store.lease(count, wait=True)
        except (KeyError, ValueError):
            raise
        return []
'''
CHANGES = """
1: 5 → (5 * 10)
5: 1 → (1 * 10)
8: < → <=
8: and → or
8: count < LIMIT and not self.paused → (not (count < LIMIT and not self.paused))
8: not self.paused → bool(self.paused)
9: without self.lock
10: delete self.taken += count
12: True → False
12: self.store.lease: drop wait=True
12: self.store.lease(count, wait=True) → None
13: don't catch KeyError
13: don't catch ValueError
14: delete raise
15: [] → None
"""


def described(mutants: list[Mutant]) -> list[str]:
    return sorted(
        (f"{mutant.line}: {mutant.change}" for mutant in mutants), key=lambda text: (int(text.split(":")[0]), text)
    )


def test_mutants_are_small_faults_outside_of_text_and_logs() -> None:
    expected = sorted(CHANGES.strip().splitlines(), key=lambda text: (int(text.split(":")[0]), text))
    assert described(python_mutants.mutants_of("queue.py", SOURCE)) == expected


@pytest.mark.parametrize("path", [file for area in AREAS.values() for file in files(area.modules)])
def test_every_mutant_can_be_compiled_and_keeps_the_lines(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    for mutant in mutants_of(path):
        changed = mutant.apply(source)
        assert changed != source
        assert changed.count("\n") == source.count("\n"), mutant
        if path.endswith(".py"):
            compile(changed, path, "exec")


def test_lua_mutants_leave_text_and_comments_alone() -> None:
    source = (
        "if task.eta <= now and tag ~= 'a or 1' then return 'expired' end -- not 1\n"
        "  record_clock()\n"
        "local at, last = state[6] / 1000000, -1\n"
        "redis.call('HSET', KEYS[last],\n"
        "  whole(at))\n"
    )
    assert described(lua_mutants.mutants_of("renew.lua", source)) == [
        "1: delete return 'expired'",
        "1: if task.eta <= now [and → or]",
        "1: if task.eta <= now and tag [~= → ==]",
        "1: if task.eta [<= → <]",
        "2: delete record_clock()",
        "3: local at, last = state[ [6 → (6 + 1)]",
        "3: local at, last = state[6] / 1000000, - [1 → (1 + 1)]",
        "3: local at, last = state[6] / [1000000 → (1000000 * 10)]",
    ]


def test_a_mutant_keeps_its_key_when_its_line_moves() -> None:
    moved = "# a comment\n" + SOURCE
    keys = {mutant.key(SOURCE) for mutant in python_mutants.mutants_of("queue.py", SOURCE)}
    assert keys == {mutant.key(moved) for mutant in python_mutants.mutants_of("queue.py", moved)}
    assert len(keys) == len(python_mutants.mutants_of("queue.py", SOURCE))


def test_the_code_of_a_running_function_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "doubling.py"
    lines = ("class Doubling:", "    def of(self, number):", "        def twice():", "            return number * 2")
    source = "\n".join((*lines, "        return twice()"))
    path.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import doubling  # type: ignore[import-not-found]

    assert function_at(source, 4) == "Doubling.of"
    assert function_at(source, 1) is None
    assert patch(path, source.replace("* 2", "* 3"), "Doubling.of")
    assert doubling.Doubling().of(2) == 6


def test_code_that_needs_other_variables_is_refused_rather_than_counted_as_noticed(tmp_path: Path) -> None:
    path = tmp_path / "subclass.py"
    source = "class Sub(dict):\n    def size(self):\n        return super().__len__()\n"
    path.write_text(source)
    scope: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), scope)
    with pytest.raises(ValueError, match="free vars"):
        patch(path, source.replace("super().__len__()", "None"), "Sub.size")
    assert scope["Sub"]().size() == 0


def test_only_tests_that_reach_a_line_are_chosen_the_quickest_first() -> None:
    path = "render_trio/worker/limits.py"
    (mutant, *_) = [found for found in mutants_of(path) if function_at((ROOT / path).read_text(), found.line)]
    lines = frozenset({mutant.line})
    reach = [
        Reach("slow", 2.0, {path: lines}),
        Reach("elsewhere", 0.1, {path: frozenset({mutant.line + 1})}),
        Reach("quick", 1.0, {path: lines}),
        Reach("later", 14.0, {path: lines}),
        Reach("too slow", 1000.0, {path: lines}),
    ]
    stages = chosen_tests(mutant, reach)
    assert [[test.test for test in stage] for stage in stages] == [["quick", "slow"], ["later"]]


def test_the_lines_that_a_process_of_a_test_reaches_count() -> None:
    file = "tests/emulator/stores/sqlite/test_damaged.py"
    ((_, lines),) = _measure(f"{file}::test_a_damaged_file_prevents_the_start").values()
    path = "emulator/stores/sqlite/faults.py"  # only in the queue, a process that the test starts
    reached = {function_at((ROOT / path).read_text(encoding="utf-8"), line) for line in lines[path]}
    assert {"damaged", "is_damage"} & reached


def test_the_tests_of_a_lua_script_are_those_that_run_it() -> None:
    path = "emulator/stores/redis/store.py"
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    (renews,) = [number for number, line in enumerate(lines, 1) if '"renew"' in line]
    reach = [
        Reach("renews", 1.0, {path: frozenset({renews})}),
        Reach("does not", 0.1, {path: frozenset({renews + 3})}),
        Reach("reaches another store", 0.1, {"emulator/stores/sqlite/store.py": frozenset({renews})}),
    ]
    for script, expected in {"renew": ["renews"], "prelude": ["does not", "renews"]}.items():
        mutant = mutants_of(f"emulator/stores/redis/lua/{script}.lua")[0]
        (stage,) = chosen_tests(mutant, reach)
        assert [test.test for test in stage] == expected


def test_an_accepted_mutant_still_exists() -> None:
    """If its line has changed, the reason must be checked again."""
    outdated = []
    for name, area in AREAS.items():
        accepted = ACCEPTED / f"{name}.txt"
        lines = accepted.read_text(encoding="utf-8").splitlines() if accepted.exists() else []
        paths = files(area.modules)
        keys = {mutant.key((ROOT / path).read_text(encoding="utf-8")) for path in paths for mutant in mutants_of(path)}
        outdated += [line for line in lines if line and not line.startswith("#") and line.split()[0] not in keys]
    assert outdated == []
    assert {path.stem for path in ACCEPTED.glob("*.txt")} <= set(AREAS)


@pytest.mark.long
def test_a_sample_of_mutants_is_noticed() -> None:
    command = [sys.executable, "-m", "scripts.mutation", "permissions", "--sample", "25", "--seed", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    found = json.loads((ROOT / "out" / "mutation" / "permissions.json").read_text(encoding="utf-8"))
    assert sum(result.startswith("killed") for result in found.values()) >= 20
