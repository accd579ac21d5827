"""The areas of the code that scripts/mutate knows: the modules of each, and the tests that may reach them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.mutation import lua_mutants, python_mutants
from scripts.mutation.mutant import Mutant

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Area:
    """Patterns of the modules and of the tests, relative to the repository. A folder stands for what is in it."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


_CONTRACTS = "tests/contracts"
_QUEUE = ("tests/emulator/permissions", "tests/emulator/queues", "tests/emulator/cloudtasks", "tests/emulator/wire")
AREAS = {
    "worker": Area(
        ("render_trio/worker",),
        (
            "tests/render_trio/worker",
            "tests/contracts/test_result_identity.py",
            "tests/contracts/test_lost_replies.py",
            "tests/simulation",
            "tests/acceptance/test_promises.py",
        ),
    ),
    "supervision": Area(
        ("render_trio/supervision", "render_trio/errors.py"),
        ("tests/render_trio/supervision", "tests/render_trio/service", "tests/render_trio/web/operations"),
    ),
    "queue-client": Area(
        ("render_trio/queue",),
        (
            "tests/render_trio/queue",
            "tests/render_trio/cli/producing",
            "tests/contracts/test_result_identity.py",
            "tests/contracts/test_lost_replies.py",
            "tests/simulation",
            "tests/render_trio/worker",
        ),
    ),
    "delivery": Area(
        ("render_trio/delivery",),
        ("tests/render_trio/delivery", "tests/render_trio/worker", "tests/render_trio/service"),
    ),
    "rendering": Area(
        ("render_trio/rendering",),
        (
            "tests/render_trio/rendering",
            "tests/contracts/test_offloads.py",
            "tests/render_trio/worker/test_late_output.py",
            "tests/render_trio/web/documents",
        ),
    ),
    "stores": Area(
        ("emulator/stores/*.py",), ("tests/contracts", "tests/emulator/stores", "tests/emulator/test_command.py")
    ),
    "sqlite": Area(
        ("emulator/stores/sqlite",),
        (
            "tests/contracts/test_stores.py",
            "tests/contracts/test_store_machine.py",
            "tests/emulator/stores/sqlite",
            "tests/emulator/stores/test_sqlite_store.py",
            "tests/emulator/queues",
        ),
    ),
    "redis": Area(
        ("emulator/stores/redis",),
        (
            "tests/contracts/test_stores.py",
            "tests/contracts/test_store_machine.py",
            "tests/emulator/stores/redis",
            "tests/emulator/queues",
        ),
    ),
    "long-poll": Area(("emulator/queues",), ("tests/emulator/queues", _CONTRACTS, *_QUEUE)),
    "permissions": Area(("emulator/permissions",), _QUEUE),
}


def files(patterns: tuple[str, ...], root: Path = ROOT) -> list[str]:
    """Return the files that the patterns name, relative to the repository, sorted. Raises ValueError without any."""
    found: set[Path] = set()
    for pattern in patterns:
        paths = list(root.glob(pattern))
        named = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
        matching = {file for file in named if file.suffix in (".py", ".lua") and "__pycache__" not in file.parts}
        if not matching:
            raise ValueError(f"there is no module or test {pattern}")
        found |= matching
    return sorted(str(file.relative_to(root)) for file in found)


def test_files(area: Area) -> list[str]:
    """Return the files of tests that may reach the area."""
    return [file for file in files(area.tests) if Path(file).name.startswith("test_")]


def mutants_of(path: str) -> list[Mutant]:
    """Return the mutants of a file of the repository."""
    source = (ROOT / path).read_text(encoding="utf-8")
    make = lua_mutants.mutants_of if path.endswith(".lua") else python_mutants.mutants_of
    return make(path, source)
