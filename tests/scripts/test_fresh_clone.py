"""The README's two commands in a fresh clone, with each Python that is installed: from the lock file alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from resources.registry import CATALOGUE
from tests.checkout import copy_checkout
from tests.scripts.lock_files import TEST, pins

REQUIRED = ("3.11", "3.12", "3.13")
OPTIONAL = ("3.14",)  # tested where it is installed


def interpreter(version: str) -> str | None:
    """Return the interpreter of a Python version: this one, one on the path, or one of pyenv's."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    # What is on the path may be pyenv's stand-in, which fails for a version that isn't selected.
    return str(pyenv[-1]) if pyenv else shutil.which(f"python{version}")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of its own with the files that git tracks, or would track, here."""
    folder = copy_checkout(tmp_path / "clone")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return folder


def installed(python: Path) -> dict[str, Version]:
    """Return what an environment contains, without what it was made with and our own package."""
    command = [str(python), "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    found = {str(canonicalize_name(each["name"])): Version(each["version"]) for each in listed}
    return {name: version for name, version in found.items() if name not in ("pip", "setuptools", "render-trio")}


@pytest.mark.long
@pytest.mark.parametrize("version", [*REQUIRED, *filter(interpreter, OPTIONAL)])
def test_the_two_commands_work_in_a_fresh_clone(version: str, clone: Path) -> None:
    python = interpreter(version)
    assert python is not None, f"Python {version} is missing: install it, for example with pyenv install {version}"
    ours = ("COVERAGE", "PYTEST", "RENDER", "VENV", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHON": python}
    for command in (
        ["./scripts/demo"],
        ["./scripts/test", "tests/scripts", "tests/resources", "tests/test_no_rust.py"],
    ):
        ended = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(list((clone / "out").glob("*.pdf"))) == len(CATALOGUE)
    assert re.search(r"^=+ .*\d+ passed.* =+$", ended.stdout, re.MULTILINE)
    for name, version_installed in installed(clone / ".venv" / "bin" / "python").items():
        assert version_installed in {pin.version for pin in pins(TEST)[name]}, name
