"""The lock files: complete, consistent with pyproject.toml, and free of this machine's addresses and paths."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.closure import closure
from tests.conftest import ROOT
from tests.scripts.lock_files import RUN_TIME, TEST, pins

REFRESH = "run scripts/lock"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def required(file: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml that a lock file was made from."""
    content = project()
    texts = [*content["project"]["dependencies"], *content["dependency-groups"]["build"]]
    if file == TEST:
        texts += content["project"]["optional-dependencies"]["test"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("file", [RUN_TIME, TEST])
def test_every_pin_has_an_exact_version_and_hashes(file: str) -> None:
    assert len(pins(file)) > 50
    for name, entries in pins(file).items():
        for pin in entries:
            assert pin.hashes, name
            assert re.fullmatch(r"==[^*]+", str(pin.requirement.specifier)), name


@pytest.mark.parametrize("file", [RUN_TIME, TEST])
def test_a_lock_file_satisfies_the_project_file(file: str) -> None:
    for requirement in required(file):
        entries = pins(file).get(canonicalize_name(requirement.name), [])
        assert entries, f"{file} has no {requirement.name}: {REFRESH}"
        for pin in entries:
            assert requirement.specifier.contains(pin.version), f"{file}: {pin.requirement}: {REFRESH}"


def test_the_tests_run_with_the_versions_that_are_released() -> None:
    for name, entries in pins(RUN_TIME).items():
        assert {pin.version for pin in entries} <= {pin.version for pin in pins(TEST)[name]}, name


def test_the_run_time_lock_has_the_closure_and_the_build_backend_and_nothing_else() -> None:
    locked = {name for name, entries in pins(RUN_TIME).items() if any(pin.applies for pin in entries)}
    needed = closure("render-trio").keys() - {"render-trio"}
    for requirement in project()["dependency-groups"]["build"]:
        needed |= closure(Requirement(requirement).name).keys()
    assert locked == needed


def test_the_locked_build_backend_is_the_one_that_builds() -> None:
    content = project()
    assert set(content["build-system"]["requires"]) <= set(content["dependency-groups"]["build"])


@pytest.mark.parametrize("file", [RUN_TIME, TEST])
def test_a_lock_file_holds_no_address_and_no_path(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "://" not in text
    assert "/" not in text.replace("scripts/lock", "", 1)
    assert not re.search(r"^-", text, re.MULTILINE), "an option for pip"


def test_the_licence_page_lists_what_is_installed_at_run_time() -> None:
    page = (ROOT / "docs" / "reference" / "licences.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z0-9][a-z0-9-]*) \| (\S+) \| .+ \|$", page, re.MULTILINE))
    renew = "run scripts/licences > docs/reference/licences.md"
    # The page is written on one Python; another can need a package more or less.
    unconditional = {
        name for name, entries in pins(RUN_TIME).items() if any(not pin.requirement.marker for pin in entries)
    }
    assert closure("render-trio").keys() & unconditional <= rows.keys(), renew
    assert rows.keys() <= pins(RUN_TIME).keys(), renew
    for name, version in rows.items():
        assert Version(version) in {pin.version for pin in pins(RUN_TIME)[name]}, f"{name}: {renew}"
