"""Texts longer than a line: a Jinja template in templates/sheets/<language>/ → blocks.

A template is plain text: `# ` begins a heading, `- ` a list item, and an empty line ends a paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from resources.content.assets import template_directory
from resources.language import SOURCE_LANGUAGE

Kind = Literal["heading", "item", "paragraph"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading or a list item."""

    kind: Kind
    text: str


@lru_cache(maxsize=64)
def _environment(folders: tuple[Path, ...]) -> Environment:
    # No autoescape: the result is drawn as text, never interpreted as HTML.
    return Environment(loader=FileSystemLoader(folders), undefined=StrictUndefined)


def load(name: str, language: str, folder: Path | None = None, **values: object) -> list[Block]:
    """Return the text sheet `name` as blocks.

    The template is searched for in `folder`/sheets (that of a plug-in) and templates/sheets, in the given language and
    then in English. `values` are the template's variables. Raises jinja2.TemplateError.
    """
    own = (folder / "sheets",) if folder is not None else ()
    environment = _environment((*own, template_directory() / "sheets"))
    candidates = [f"{tag}/{name}.txt" for tag in dict.fromkeys((language, SOURCE_LANGUAGE))]
    return _blocks(environment.select_template(candidates).render(**values))


def _blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    continues = False  # whether another line would belong to the last block
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("# "):
            blocks.append(Block("heading", line[2:]))
            continues = False
        elif line.startswith("- "):
            blocks.append(Block("item", line[2:]))
            continues = True
        elif line and continues:
            blocks[-1] = Block(blocks[-1].kind, f"{blocks[-1].text} {line}")
        elif line:
            blocks.append(Block("paragraph", line))
            continues = True
        else:
            continues = False
    return blocks
