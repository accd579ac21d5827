"""Each fault in docs/reference/faults.md names a test that causes it."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "faults.md"


def test_each_fault_is_caused_by_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| fault ")]
    named = [re.search(r"`(test_[a-z0-9_]+)` \|$", row) for row in rows]
    assert len(rows) >= 9
    assert all(named), [row for row, found in zip(rows, named, strict=True) if not found]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^(?:async )?def (test_[a-z0-9_]+)", tests, re.MULTILINE))
    assert {found[1] for found in named if found} <= defined
