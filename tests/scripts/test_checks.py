"""scripts/lint, the pre-commit hooks and scripts/test run the same checks; the suites' durations are added up."""

from __future__ import annotations

import re
import subprocess

import yaml

from tests.conftest import ROOT
from tests.durations import suite_of

LINT = ROOT / "scripts" / "lint"


def test_the_hooks_run_every_check_of_the_lint_script() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = configuration["repos"]
    assert repository["repo"] == "local"
    checks = re.search(r"set -- (.+)", LINT.read_text(encoding="utf-8"))
    assert checks
    assert [hook["entry"] for hook in repository["hooks"]] == [f"scripts/lint {name}" for name in checks[1].split()]
    assert '"$root/scripts/lint"\n' in (ROOT / "scripts" / "test").read_text(encoding="utf-8")


def test_an_unknown_check_is_a_usage_error() -> None:
    ended = subprocess.run([str(LINT), "grammar"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no check grammar" in ended.stderr


def test_a_suite_is_a_folder_of_tests() -> None:
    assert suite_of("tests/looks/test_looks.py::test_look[a/b]") == "looks"
    assert suite_of("tests/emulator/stores/test_store.py::test_it") == "emulator"
    assert suite_of("tests/test_traps.py::test_it") == "other"
