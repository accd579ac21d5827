"""Test files → the lines that each of their tests reaches, and the time that it takes. Kept in out/mutation/reach."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage

from scripts.mutation.areas import ROOT

CACHE = ROOT / "out" / "mutation" / "reach"
PACKAGES = ("render_trio", "emulator", "resources")
TOOL = "scripts/mutation"
SETTINGS = """[run]
branch = false
source = render_trio,emulator
data_file = {data}
parallel = true
patch = fork,_exit
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one test reaches: lines by file, relative to the repository; and the seconds that it takes."""

    test: str
    seconds: float
    lines: dict[str, frozenset[int]]


def reach_of(test_files: Iterable[str]) -> list[Reach]:
    """Return what the passing tests of the files reach. Runs the files that have changed, or whose code has."""
    code = _digest(path for package in (*PACKAGES, TOOL) for path in sorted((ROOT / package).rglob("*.py")))
    found = []
    for file in test_files:
        shared = sorted(path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_"))
        version = hashlib.sha256(f"{code}{_digest([ROOT / file])}{_digest(shared)}".encode()).hexdigest()[:16]
        kept = CACHE / f"{file.replace('/', '_')}-{version}.json"
        if not kept.exists():
            print(f"reached by {file}", file=sys.stderr, flush=True)
            CACHE.mkdir(parents=True, exist_ok=True)
            for outdated in CACHE.glob(f"{file.replace('/', '_')}-*.json"):
                outdated.unlink()
            kept.write_text(json.dumps(_measure(file)), encoding="utf-8")
        found += list(_read(kept))
    return found


def _read(kept: Path) -> Iterator[Reach]:
    for test, (seconds, lines) in json.loads(kept.read_text(encoding="utf-8")).items():
        yield Reach(test, seconds, {path: frozenset(numbers) for path, numbers in lines.items()})


def _measure(file: str) -> dict[str, tuple[float, dict[str, list[int]]]]:
    with tempfile.TemporaryDirectory(prefix="mutation-reach-") as name:
        folder = Path(name)
        data, settings, durations = folder / "data", folder / "coveragerc", folder / "durations.json"
        settings.write_text(SETTINGS.format(data=data), encoding="utf-8")
        environment = os.environ | {
            "MUTATION_DURATIONS": str(durations),
            "SIMULATION_SEEDS": "20",
        }
        command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-q", file]
        command += ["-p", "scripts.mutation.recording", "-p", "no:cacheprovider"]
        outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if not durations.exists():
            raise RuntimeError(f"the tests of {file} can't be run: {outcome.stdout[-2000:]} {outcome.stderr[-2000:]}")
        measured = coverage.Coverage(data_file=str(data), config_file=str(settings))
        measured.combine([str(folder)])
        ended = json.loads(durations.read_text(encoding="utf-8"))
        seconds: dict[str, float] = ended["passed"]
        for test in ended["failed"]:
            print(f"left out, because it fails without a mutant: {test}", file=sys.stderr, flush=True)
        reached: dict[str, dict[str, list[int]]] = {test: {} for test in seconds}
        content = measured.get_data()
        for path in content.measured_files():
            relative = str(Path(path).relative_to(ROOT))
            for line, tests in content.contexts_by_lineno(path).items():
                for test in tests:
                    if test in reached:
                        reached[test].setdefault(relative, []).append(line)
        return {test: (seconds[test], lines) for test, lines in reached.items()}


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
