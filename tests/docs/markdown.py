"""The documents as data: their headings, links, code blocks and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"<!-- ((?:(?!-->).)*?) -->\s*\Z", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced code block. `marker` is the text of a comment directly before it, "" if there is none."""

    page: Path
    line: int
    language: str
    text: str
    marker: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every document that is part of the site."""
    named = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "emulator/PROTOCOL.md")
    return [*(ROOT / name for name in named), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "static/artwork/README.md"]


def read(page: Path) -> str:
    """Return a document's text."""
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a document's text without its code blocks and comments."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", read(page)), flags=re.DOTALL)


def blocks(*languages: str) -> Iterator[Block]:
    """Yield the code blocks of all documents in these languages."""
    for page in pages():
        text = read(page)
        for found in FENCE.finditer(text):
            if found["language"] in languages:
                lines = [line.removeprefix(found["indent"]) for line in found["text"].splitlines(keepends=True)]
                marker = MARKER.search(text[: found.start()].rstrip(" "))
                line = text.count("\n", 0, found.start()) + 1
                yield Block(page, line, found["language"], "".join(lines), marker[1] if marker else "")


def links(page: Path) -> list[str]:
    """Return the targets of a document's links and images."""
    return LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a document's headings, as code-hosting sites and MyST make them."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        count = found.get(anchor, 0)
        found[anchor] = count + 1
        if count:
            found[f"{anchor}-{count}"] = 1
    return set(found)


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without their heads. `\\|` in a cell is not a border."""
    found: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if re.match(r"\|[-:| ]+\|$", line):
            found.pop()
        elif line.startswith("|"):
            found.append(cells)
    return found
