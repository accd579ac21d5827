"""The arrows of the design: imports run one way, and the two services share nothing but the protocol."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

STAGES = ("task_queue", "renderer", "finisher", "delivery", "offload", "leases")
# A stage may use what stands before it on the way, never a sibling; offload leads to the renderer by design.
ALLOWED = {
    "offload": {"renderer", "finisher"},
    "delivery": {"finisher"},  # the value that it delivers
}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def packages_of(folder: str) -> dict[Path, set[str]]:
    return {
        path: {name.partition(".")[0] for name in imports_of(path)} for path in sorted((ROOT / folder).rglob("*.py"))
    }


def test_the_emulator_and_the_service_share_no_code() -> None:
    for path, packages in packages_of("emulator").items():
        assert not packages & {"render_trio", "resources"}, path
    for path, packages in packages_of("render_trio").items():
        # The command line starts both; nothing else knows of the other.
        if path.name not in ("cli.py", "demo.py"):
            assert "emulator" not in packages, path


def test_resources_know_nothing_of_services() -> None:
    for path, packages in packages_of("resources").items():
        assert not packages & {"render_trio", "emulator", "trio", "httpx", "quart"}, path


def test_stages_do_not_import_each_other() -> None:
    for stage in STAGES:
        others = {f"render_trio.{other}" for other in STAGES if other != stage and other not in ALLOWED.get(stage, ())}
        place = ROOT / "render_trio" / stage
        for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            assert not imports_of(path) & others, path


def test_the_service_never_imports_what_acts_in_the_fork_server() -> None:
    code = "import sys, render_trio.cli.commands; sys.exit('render_trio.rendering.offload.fork_server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_supervisor_knows_nothing_of_what_it_supervises() -> None:
    names = imports_of(ROOT / "render_trio" / "supervisor.py")
    ours = {name for name in names if name.startswith("render_trio.")}
    assert {name.split(".")[1] for name in ours} == {"errors", "policy"}


def test_only_one_file_of_the_vocabulary_writes_operators_and_resources_write_none() -> None:
    for path in (ROOT / "resources" / "catalogue").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "reportlab" not in text
        assert ".code" not in text
        assert "ink." not in text
