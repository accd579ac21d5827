"""scripts/pip-install.sh: files in order, each with its hashes, and a failure that names its file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with the wheels of three empty packages: one, two and three."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("one", "two", "three"):
        information = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{information}/RECORD", "")
    return folder


def requirements(wheels: Path, name: str, digest: str = "") -> str:
    """Write the requirements file of one package, with its hash or another, and return the file's name."""
    digest = digest or hashlib.sha256((wheels / f"{name}-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    (wheels / f"{name}.txt").write_text(f"{name}==1.0 --hash=sha256:{digest}\n")
    return f"{name}.txt"


def pip_install(wheels: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run the script, with the wheels as pip's only source, into the folder `target`."""
    settings = {"PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ".", "PIP_TARGET": "target"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | settings
    command = [str(ROOT / "scripts" / "pip-install.sh"), *files]
    return subprocess.run(command, cwd=wheels, env=environment, capture_output=True, text=True, check=False)


def installed(wheels: Path) -> set[str]:
    return {path.stem for path in (wheels / "target").glob("*.py")}


def test_files_are_installed_in_order_and_reported(wheels: Path) -> None:
    ended = pip_install(wheels, *(requirements(wheels, name) for name in ("two", "one")))
    assert ended.returncode == 0, ended.stderr
    assert installed(wheels) == {"one", "two"}
    reports = [line for line in ended.stderr.splitlines() if line.startswith("pip-install: installed")]
    assert reports == ["pip-install: installed two.txt", "pip-install: installed one.txt"]


def test_a_wrong_hash_stops_the_installation_and_names_the_file(wheels: Path) -> None:
    files = [requirements(wheels, "one"), requirements(wheels, "two", "0" * 64), requirements(wheels, "three")]
    ended = pip_install(wheels, *files)
    assert ended.returncode != 0
    assert "pip-install: two.txt failed" in ended.stderr
    assert "not attempted: three.txt" in ended.stderr
    assert installed(wheels) == {"one"}


def test_a_requirement_without_a_hash_is_refused(wheels: Path) -> None:
    (wheels / "bare.txt").write_text("one==1.0\n")
    ended = pip_install(wheels, "bare.txt")
    assert ended.returncode != 0
    assert "bare.txt failed" in ended.stderr
    assert installed(wheels) == set()


def test_no_file_is_a_usage_error(wheels: Path) -> None:
    ended = pip_install(wheels)
    assert (ended.returncode, ended.stderr) == (2, "usage: scripts/pip-install.sh FILE...\n")
