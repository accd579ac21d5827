"""On Windows, drawing and producing work, and other commands say in one line that they don't; on macOS, all work.

Here, a process of ours runs on Linux without the names that these systems lack.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from tests.conftest import ROOT
from tests.platforms.missing import LINUX_NAMES, UNIX_MODULES, UNIX_NAMES, lacks
from tests.processes import environment, queue, start_queue, start_service

HERE = Path(__file__).parent
# Parts that only the service or the queue needs: on Windows, their modules are imported, but not used.
UNIX_PARTS = (
    "emulator/server/",
    "emulator/stores/",
    "render_trio/cli/preview.py",
    "render_trio/rendering/offload/",
    "render_trio/service/",
)
# Not even imported there.
UNIX_FILES = tuple(
    f"render_trio/rendering/offload/{name}.py" for name in ("child", "fork_server", "process", "socket_folder")
)


def run(system: str, *arguments: str, **settings: str | int) -> subprocess.CompletedProcess[str]:
    """Run Python in a process without the names that the system lacks."""
    variables = environment(OTHER_SYSTEM=system, PYTHONPATH=str(HERE), **settings)
    return subprocess.run(
        [sys.executable, *arguments], env=variables, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


# -- the code


def unguarded(source: str, path: str) -> list[str]:
    """Return the uses of names that Windows or macOS lacks where nothing makes sure that they are there.

    A use is guarded by `hasattr` in a condition around it, or by a `try` that expects the exception. Names that only
    Windows lacks may also be used in the functions of UNIX_PARTS, and anywhere in UNIX_FILES.
    """
    found = []
    unix, linux = {*lacks("windows")} - lacks("macos"), lacks("macos")

    def visit(node: ast.AST, function: bool, guarded: str) -> None:
        function = function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If | ast.IfExp):
            guarded += ast.unparse(node.test)
        if isinstance(node, ast.Try):
            caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
            guarded += caught.replace("ImportError", "import ").replace("AttributeError", "attribute ")
        on_unix = path in UNIX_FILES or (function and path.startswith(UNIX_PARTS))
        for name in used(node):
            if name in linux:
                allowed = f"hasattr({name[0]}, '{name[1]}')" in guarded or "attribute " in guarded
            elif name in unix:
                allowed = on_unix or f"hasattr({name[0]}, '{name[1]}')" in guarded or "attribute " in guarded
            else:
                allowed = name[1] or name[0] not in UNIX_MODULES or on_unix or "import " in guarded
            if not allowed:
                found.append(".".join(filter(None, name)))
        for child in ast.iter_child_nodes(node):
            visit(child, function, guarded)

    visit(ast.parse(source), False, "")
    return found


def used(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what a node uses as (module, name); an imported module has no name."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield node.value.id, node.attr
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.partition(".")[0], ""
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0], ""
        for alias in node.names:
            yield node.module, alias.name


@pytest.mark.parametrize("package", ["render_trio", "emulator", "resources"])
def test_no_code_needs_what_another_system_lacks(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        assert unguarded(path.read_text(encoding="utf-8"), name) == [], name


@pytest.mark.parametrize(
    ("source", "path", "found"),
    [
        ("import fcntl", "resources/a.py", ["fcntl"]),
        ("import fcntl", "emulator/server/a.py", ["fcntl"]),
        ("def f():\n    import fcntl", "emulator/server/a.py", []),
        ("def f():\n    import fcntl", "emulator/wire/a.py", ["fcntl"]),
        ("try:\n    import fcntl\nexcept ImportError:\n    pass", "resources/a.py", []),
        ("import fcntl", "render_trio/rendering/offload/child.py", []),
        ("os.getuid()", "render_trio/service/a.py", ["os.getuid"]),
        ("def f():\n    os.getuid()", "render_trio/service/a.py", []),
        ("def f():\n    os.getuid()", "render_trio/cli/a.py", ["os.getuid"]),
        ("def f():\n    os.fdatasync(1)", "render_trio/service/a.py", ["os.fdatasync"]),
        ("import os; os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else 1", "render_trio/a.py", []),
        ("if hasattr(os, 'fork'):\n    os.fdatasync(0)", "render_trio/a.py", ["os.fdatasync"]),
        ("try:\n    os.statvfs('')\nexcept AttributeError:\n    pass", "render_trio/a.py", []),
        ("try:\n    os.statvfs('')\nexcept OSError:\n    pass", "render_trio/a.py", ["os.statvfs"]),
        ("from os import fork", "render_trio/a.py", ["os.fork"]),
    ],
)
def test_what_counts_as_a_guard(source: str, path: str, found: list[str]) -> None:
    assert unguarded(source, path) == found


def test_the_names_exist_here() -> None:
    """A misspelt name would hide nothing."""
    known = [(name, __import__(name)) for name in {*LINUX_NAMES, *UNIX_NAMES}]
    listed = lacks("windows")
    for name, module in known:
        here = {attribute for owner, attribute in listed if owner == name and hasattr(module, attribute)}
        assert len(here) > 0.7 * len([1 for owner, _ in listed if owner == name]), name


# -- Windows


def test_a_document_can_be_drawn_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "grid.pdf"
    drawn = run("windows", "-m", "render_trio", "render", "grid", "-o", "copies=2", "--out", str(path))
    assert (drawn.returncode, drawn.stdout) == (0, "")
    with pypdfium2.PdfDocument(path) as document:
        assert len(document) == 2
    listed = run("windows", "-m", "render_trio", "resources")
    assert listed.returncode == 0
    assert "Binary Cards" in listed.stdout


def test_the_python_api_works_on_windows(tmp_path: Path) -> None:
    program = (
        "import render_trio, sys; document = render_trio.render('grid', paper_size='a4'); "
        "sys.stdout.write(str((document.pages, document.pdf[:5])))"
    )
    drawn = run("windows", "-c", program)
    assert (drawn.returncode, drawn.stdout) == (0, "(1, b'%PDF-')"), drawn.stderr


def test_tasks_can_be_submitted_and_results_fetched_on_windows(tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = start_service(running.address, tmp_path / "log")
        try:
            submitted = run("windows", "-m", "render_trio", "submit", "grid", QUEUE_URL=running.address)
            assert submitted.returncode == 0, submitted.stderr
            out = tmp_path / "out"
            fetched = run(
                "windows", "-m", "render_trio", "results", "--out", str(out), "--wait", "5", QUEUE_URL=running.address
            )
            assert fetched.returncode == 0, fetched.stderr
            assert len(list(out.glob("*.pdf"))) == 1
        finally:
            service.end()


@pytest.mark.parametrize("command", [("serve",), ("up",), ("demo",), ("preview", "grid"), ("emulator",)])
def test_a_command_that_does_not_run_on_windows_says_so_in_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    ended = run("windows", "-m", "render_trio", *command)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        "Error: this command needs Linux or macOS; on Windows, run it in WSL or in a container"
    )
    assert ended.stderr.count("\n") == 1


def test_the_queue_alone_says_so_too() -> None:
    ended = run("windows", "-m", "emulator", "--port", "0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: this command needs Linux or macOS")
    assert ended.stderr.count("\n") == 1


# -- macOS

WITHOUT_PROC = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_the_queue_and_the_service_run_on_macos(isolation: str, tmp_path: Path) -> None:
    system = {"OTHER_SYSTEM": "macos", "PYTHONPATH": str(HERE)}
    store, log = f"sqlite:///{tmp_path / 'queue.sqlite3'}", tmp_path / "log"
    running = start_queue(store, "--processes", "2", prefix=WITHOUT_PROC, **system)
    try:
        service = (*WITHOUT_PROC, sys.executable, "-m", "render_trio", "serve")
        program = ("-c", f"import os; os.execvp('unshare', {service!r})")
        pid = str(tmp_path / "pid")
        serving = start_service(
            running.address, log, program=program, RENDER_ISOLATION=isolation, PID_FILE=pid, **system
        )
        try:
            url = {"QUEUE_URL": running.address}
            assert run("macos", "-m", "render_trio", "submit", "grid", **url).returncode == 0
            out = str(tmp_path / "out")
            fetched = run("macos", "-m", "render_trio", "results", "--out", out, "--wait", "60", **url)
            assert fetched.returncode == 0, fetched.stderr
            assert len(list(Path(out).glob("*.pdf"))) == 1
        finally:
            assert serving.end() == 0, log.read_text()
    finally:
        assert running.end() == 0
