"""No Rust at run time: check every file of every distribution that `pip install render-trio` installs."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from scripts.closure import closure

RUST_BACK_ENDS = ("maturin", "setuptools-rust", "setuptools_rust")
# Strings that the Rust compiler leaves in an extension module.
RUST_SIGNS = (b"rust_panic", b"/rustc/", b"rust_begin_unwind")


def is_rust(distribution: importlib.metadata.Distribution) -> bool:
    """Return whether the distribution was built by a Rust build backend or contains compiled Rust."""
    generator = re.search(r"^Generator: (.*)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    if generator and generator[1].startswith(RUST_BACK_ENDS):
        return True
    for file in distribution.files or ():
        if file.suffix in (".so", ".pyd"):
            content = Path(str(distribution.locate_file(file))).read_bytes()
            if any(sign in content for sign in RUST_SIGNS):
                return True
    return False


def test_no_run_time_dependency_contains_rust() -> None:
    distributions = closure("render-trio")
    assert {"trio", "reportlab", "rl-accel", "pikepdf", "hiredis", "lxml", "svglib"} <= set(distributions)
    assert [name for name, distribution in distributions.items() if is_rust(distribution)] == []


def test_rust_is_detected() -> None:
    """The linter is the example: an executable, recognised by its build backend."""
    assert is_rust(importlib.metadata.distribution("ruff"))
