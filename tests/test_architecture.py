"""The layout of the code: imports go one way, along the data flow, and files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

# From the top down: a component may import those in later rows, never one in its own row or above.
LAYERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "render_trio": (
        ("__main__",),
        ("cli", "testing"),
        ("service",),
        ("web", "worker"),
        ("supervision", "queue", "delivery", "rendering"),
        ("settings", "observation"),
        ("credentials",),
        ("errors",),
    ),
    "resources": (
        ("parsing", "rendering"),
        ("registry",),
        ("catalogue",),
        ("resource",),
        ("drawing",),
        ("request", "content"),
        ("options", "language"),
    ),
    "emulator": (
        ("__main__",),
        ("command",),
        ("server",),
        ("app", "api_data"),
        ("discovery", "pages", "cloudtasks"),
        ("queues", "admission"),
        ("permissions",),
        ("wire", "settings"),
        ("stores",),
    ),
}
MAX_FILES, MAX_LINES = 12, 350
UNCOUNTED = ("resources/catalogue", "resources/drawing")  # a file each for every printable, and for every word
TOP_LEVEL = {"__init__.py", "__main__.py", "errors.py", "py.typed"}
TYPE_CHECKING_ALLOWED = {"resources.drawing.surface"}


def modules() -> dict[str, Path]:
    """Return every module of the three packages by its dotted name; a package is its `__init__`."""
    found = {}
    for package in LAYERS:
        for path in sorted((ROOT / package).rglob("*.py")):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in the file, including under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def own_imports(name: str) -> set[str]:
    """Return the modules of ours that the module `name` imports."""
    return {imported for imported in imports_of(MODULES[name]) if imported.partition(".")[0] in LAYERS}


def row_of(module: str) -> tuple[int, str]:
    """Return a module's row in the table, and its component."""
    package, _, rest = module.partition(".")
    component = rest.partition(".")[0]
    for number, row in enumerate(LAYERS[package]):
        if component in row:
            return number, component
    raise AssertionError(f"{module} belongs to no component of LAYERS[{package!r}]")


def is_entrance(module: str) -> bool:
    """Return whether the module is a top-level package: its public face, which may re-export from any component."""
    return module in LAYERS


def test_there_is_no_import_cycle() -> None:
    graph = {name: own_imports(name) & MODULES.keys() for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("package", LAYERS)
def test_no_component_imports_upward_or_sideways(package: str) -> None:
    wrong = []
    for name in MODULES:
        if name.partition(".")[0] != package or is_entrance(name):
            continue
        row, component = row_of(name)
        for imported in own_imports(name):
            if imported.partition(".")[0] != package:
                continue
            assert not is_entrance(imported), f"{name} imports {imported}, which stands above everything"
            other_row, other = row_of(imported)
            if other != component and other_row <= row:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_the_packages_know_only_what_they_may() -> None:
    may_import = {"render_trio": {"resources"}, "resources": set(), "emulator": set()}
    for name in MODULES:
        package = name.partition(".")[0]
        others = {imported.partition(".")[0] for imported in own_imports(name)} - {package}
        if name.startswith("render_trio.cli."):
            others -= {"emulator"}  # the command line starts the queue, and nothing else does
        assert others <= may_import[package], name


def test_resources_import_no_service_s_library() -> None:
    for name in MODULES:
        if name.startswith("resources"):
            roots = {imported.partition(".")[0] for imported in imports_of(MODULES[name])}
            assert not roots & {"trio", "httpx", "quart", "structlog"}, name


def test_a_catalogue_entry_imports_no_sibling_and_no_reportlab() -> None:
    for name in MODULES:
        if not name.startswith("resources.catalogue."):
            continue
        entry = ".".join(name.split(".")[:3])
        for imported in imports_of(MODULES[name]):
            assert not imported.startswith("reportlab"), name
            if imported.startswith("resources.catalogue"):
                assert imported == entry or imported.startswith(f"{entry}."), f"{name} imports {imported}"


def test_an_entry_s_view_is_its_module_s_name() -> None:
    from resources.registry import CATALOGUE

    entries = {name.split(".")[2] for name in MODULES if name.startswith("resources.catalogue.")}
    assert entries == set(CATALOGUE)


def test_catalogue_entries_write_no_operators() -> None:
    for path in (ROOT / "resources" / "catalogue").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ".code" not in text
        assert "ink." not in text


def test_the_supervisor_knows_nothing_of_what_it_supervises() -> None:
    assert own_imports("render_trio.supervision.supervisor") == {
        "render_trio.errors",
        "render_trio.supervision.restart_policy",
    }


def test_a_package_s_init_only_re_exports_with_all() -> None:
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exported: list[str] = []
        imported: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                imported += [alias.asname or alias.name for alias in node.names]
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                exported = ast.literal_eval(node.value)
            else:
                assert isinstance(node, ast.Expr), f"{name}: only a docstring, imports and __all__"
                assert isinstance(node.value, ast.Constant), f"{name}: only a docstring, imports and __all__"
        assert sorted(exported) == sorted(imported), name


def test_type_checking_imports_stay_in_one_file() -> None:
    for name, path in MODULES.items():
        if name not in TYPE_CHECKING_ALLOWED:
            assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8"), name


def test_folders_and_files_stay_small() -> None:
    for package in LAYERS:
        folders = [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]
        for folder in folders:
            if folder.name == "__pycache__" or str(folder.relative_to(ROOT)) in UNCOUNTED:
                continue
            files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(files) <= MAX_FILES, f"{folder}: {len(files)} files"
    for name, path in MODULES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MAX_LINES, f"{name}: {lines} lines"


def test_only_a_few_files_sit_directly_in_the_service_s_package() -> None:
    assert {path.name for path in (ROOT / "render_trio").iterdir() if path.is_file()} <= TOP_LEVEL


def test_the_tests_mirror_the_folders() -> None:
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "tests")
        if relative.parts[0] in LAYERS:
            assert (ROOT / relative.parent).is_dir(), f"{relative} mirrors no folder"


def test_the_service_never_imports_what_acts_in_the_fork_server() -> None:
    code = "import sys, render_trio.cli; sys.exit('render_trio.rendering.offload.fork_server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
