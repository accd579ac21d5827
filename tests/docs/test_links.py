"""Every link in the documents leads somewhere, and every document can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs import markdown

PAGES = markdown.pages()
TOP_LEVEL = ("render_trio", "emulator", "resources", "scripts", "tests", "docs", "static", "templates", ".ci")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_and_anchor_resolves(page: Path) -> None:
    broken = []
    for link in markdown.links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        exists = target.is_relative_to(ROOT) and target.exists()
        if not exists or (anchor and anchor not in markdown.anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_document_is_linked_from_another() -> None:
    reached = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in markdown.links(page)
        if not re.match(r"[a-z]+:|#", link)
    }
    assert {name_of(page) for page in PAGES if page not in reached} <= {"README.md", "docs/index.md"}


def test_every_page_of_the_site_is_in_a_table_of_contents() -> None:
    listed = set()
    for block in markdown.blocks("{toctree}"):
        for entry in re.findall(r"^(?:.*<(.+)>|([^:\s<>]+))$", block.text, re.MULTILINE):
            listed.add((block.page.parent / f"{entry[0] or entry[1]}.md").resolve())
    root = ROOT / "docs" / "index.md"
    assert {name_of(page) for page in PAGES if page != root} == {name_of(page) for page in listed if page.exists()}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_path_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"<!-- not run.*?^```$", "", markdown.read(page), flags=re.DOTALL | re.MULTILINE)
    if page.name == "architecture.md":
        text = re.sub(r"^## Walk 2.*", "", text, flags=re.DOTALL | re.MULTILINE)
    missing = []
    for name in re.findall(r"`(?:\./)?((?:" + "|".join(map(re.escape, TOP_LEVEL)) + r")/[\w./-]*)`", text):
        # What the steps of a guide create doesn't exist here.
        if not (ROOT / name).exists() and "fraction_wall" not in name:
            missing.append(name)
    assert missing == []
