"""No Rust at run time: every file of every distribution that `pip install render-trio` installs is checked."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

RUST_BACK_ENDS = ("maturin", "setuptools-rust", "setuptools_rust")
# Symbols and paths that compiled Rust leaves in an extension module.
RUST_SIGNS = (b"rust_panic", b"/rustc/", b"rust_begin_unwind")


def closure(name: str) -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that `name` requires at run time, including itself."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        required, extras = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", required).lower(), extras)
        if key in seen:
            continue
        seen.add(key)
        distribution = found[key[0]] = importlib.metadata.distribution(required)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def is_rust(distribution: importlib.metadata.Distribution) -> bool:
    """Return whether the distribution was built by a Rust back end, or contains compiled Rust."""
    generator = re.search(r"^Generator: (.*)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    if generator and generator[1].startswith(RUST_BACK_ENDS):
        return True
    for file in distribution.files or ():
        if file.suffix in (".so", ".pyd"):
            content = Path(str(distribution.locate_file(file))).read_bytes()
            if any(sign in content for sign in RUST_SIGNS):
                return True
    return False


def test_the_run_time_dependencies_contain_no_rust() -> None:
    distributions = closure("render-trio")
    assert {"trio", "reportlab", "rl-accel", "pikepdf", "hiredis", "lxml", "svglib"} <= set(distributions)
    assert [name for name, distribution in distributions.items() if is_rust(distribution)] == []


def test_rust_is_detected() -> None:
    """The linter is written in Rust; it is recognised by its build back end."""
    assert is_rust(importlib.metadata.distribution("ruff"))
