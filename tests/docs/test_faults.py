"""Each fault in docs/reference/faults.md names a test that causes it for real, without replacing any code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "faults.md"
TESTS = ROOT / "tests"
REPLACED = re.compile(r"setattr|delattr|setitem|delitem|mock|Mock|MagicMock|AsyncMock|mocker|patch", re.ASCII)
REPLACERS = {"monkeypatch", "mock", "mocker", "unittest"}
# These replace something else than the fault.
ALLOWED = {"_own_process_untouched"}  # logging and fault handling of the process of the tests

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _functions(path: Path) -> dict[str, Function]:
    """Return the functions of a module by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, Function)}


def _named_tests() -> list[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| fault ")]
    named = [re.search(r"`(test_[a-z0-9_]+)` \|$", row) for row in rows]
    assert len(rows) >= 9
    assert all(named), [row for row, found in zip(rows, named, strict=True) if not found]
    return [found[1] for found in named if found]


def _is_autouse(function: Function) -> bool:
    return any("autouse=True" in ast.unparse(decorator) for decorator in function.decorator_list)


def _available(path: Path) -> dict[str, Function]:
    """Return the functions that the tests of a module can use: its own, and the fixtures of conftest.py."""
    available: dict[str, Function] = {}
    for folder in reversed(path.relative_to(TESTS).parents):
        conftest = TESTS / folder / "conftest.py"
        available |= _functions(conftest) if conftest.exists() else {}
    return available | _functions(path)


def _used(name: str, available: dict[str, Function]) -> list[Function]:
    """Return a test, the fixtures that apply to it, and the functions that these use."""
    wanted = [name, *(other for other, function in available.items() if _is_autouse(function))]
    used: dict[str, Function] = {}
    while wanted:
        name = wanted.pop()
        if name in available and name not in used:
            used[name] = available[name]
            nodes = list(ast.walk(available[name]))
            wanted += [node.id for node in nodes if isinstance(node, ast.Name)]
            wanted += [node.arg for node in nodes if isinstance(node, ast.arg)]
    return list(used.values())


def _is_replacement(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id in REPLACERS and REPLACED.fullmatch(node.attr) is not None
    return isinstance(node, ast.Name) and REPLACED.fullmatch(node.id) is not None


def _replacements(function: Function) -> list[str]:
    """Return the expressions of a function that replace code: `monkeypatch.setattr`, `mock.patch`, `setattr`."""
    return [f"{function.name}: {ast.unparse(node)}" for node in ast.walk(function) if _is_replacement(node)]


def test_each_fault_is_caused_by_a_test() -> None:
    defined = {name for path in TESTS.rglob("test_*.py") for name in _functions(path)}
    assert set(_named_tests()) <= defined


def test_each_fault_is_caused_for_real() -> None:
    named = set(_named_tests())
    replaced = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in TESTS.rglob("test_*.py")
        for name in named & set(_functions(path))
        for function in _used(name, _available(path))
        if function.name not in ALLOWED
        for found in _replacements(function)
    ]
    assert replaced == []


def test_a_test_that_replaces_code_is_found(tmp_path: Path) -> None:
    module = tmp_path / "test_module.py"
    module.write_text("""
@pytest.fixture(autouse=True)
def everywhere(monkeypatch):
    monkeypatch.setenv("A", "b")
def replace(monkeypatch):
    monkeypatch.setattr(os, "chmod", None)
@pytest.fixture
def disk(monkeypatch):
    replace(monkeypatch)
def test_directly():
    with mock.patch("os.chmod"):
        pass
def test_in_a_function_of_a_fixture(disk):
    pass
def test_without():
    client.patch("/tasks/one")
""")
    available = _functions(module)
    found = {name: [_replacements(function) for function in _used(name, available)] for name in available}
    replacing = {name for name, replaced in found.items() if any(replaced)}
    assert replacing == {"replace", "disk", "test_directly", "test_in_a_function_of_a_fixture"}
