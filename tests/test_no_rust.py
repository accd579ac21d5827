"""No Rust at run time: the closure of what `pip install render-trio` brings is looked at, file by file."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement

RUST_BACK_ENDS = ("maturin", "setuptools-rust", "setuptools_rust")
# What compiled Rust leaves in an extension module.
RUST_SIGNS = (b"rust_panic", b"/rustc/", b"rust_begin_unwind")


def closure(name: str) -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that `name` needs at run time, itself included."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, extras = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", wanted).lower(), extras)
        if key in seen:
            continue
        seen.add(key)
        distribution = found[key[0]] = importlib.metadata.distribution(wanted)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def is_rust(distribution: importlib.metadata.Distribution) -> bool:
    """Return whether the distribution was built by a Rust back end, or holds compiled Rust."""
    generator = re.search(r"^Generator: (.*)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    if generator and generator[1].startswith(RUST_BACK_ENDS):
        return True
    for file in distribution.files or ():
        if file.suffix in (".so", ".pyd"):
            content = Path(str(distribution.locate_file(file))).read_bytes()
            if any(sign in content for sign in RUST_SIGNS):
                return True
    return False


def test_what_is_installed_at_run_time_is_free_of_rust() -> None:
    distributions = closure("render-trio")
    assert {"trio", "reportlab", "rl-accel", "pikepdf", "hiredis", "lxml", "svglib"} <= set(distributions)
    assert [name for name, distribution in distributions.items() if is_rust(distribution)] == []


def test_rust_would_be_seen() -> None:
    """The linter is Rust, and serves as the example: as an executable of its own, by its back end."""
    assert is_rust(importlib.metadata.distribution("ruff"))
