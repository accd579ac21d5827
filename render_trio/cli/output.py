"""Results and resources → progress bars and tables for a terminal, plain lines for a pipe, or JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from render_trio.cli.demo import Rendered
from render_trio.errors import UnavailableError
from render_trio.queue.results import Received, Unavailable
from render_trio.rendering.finisher import FinishedDocument
from resources.language import languages
from resources.parsing import COMMON_OPTIONS
from resources.resource import Resource

KIB = 1024
TITLES: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("Resource", "left"),
    ("Pages", "right"),
    ("Size", "right"),
    ("Time", "right"),
    ("File", "left"),
)


# The common options that are plain text; resources/parsing/ checks them.
TEXT_OPTIONS = f"""\
Every document also has these, all optional:
  header_text    text at the top of each page
  url            web address at the bottom of each page
  language       language of the words: {", ".join(languages())}
  seed           any text; random content differs with each seed
  filename       file name of the document
  resource_name  name in the title and the footer
A task in a queue may also name a reply_tag, the tag of its result.
"""


def count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 page, 2 pages."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[], None]]:
    """Show a progress bar on stderr; yields a function that advances it by one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def row_of(received: Received, path: Path | None = None) -> dict[str, Any]:
    """Return a result as JSON values, without its document; `path`: of the file that it was written to."""
    row: dict[str, Any] = {"task_id": received.task_id, "success": received.success, "filename": received.filename}
    if received.url is not None:
        row["url"] = received.url
    if path is not None:
        row["path"] = str(path)
    if received.error is not None:
        return row | {"error": {"code": received.error.code, "message": received.error.message}}
    warnings = [{"code": one.code, "field": one.field, "message": one.message} for one in received.warnings]
    return row | {"pages": received.pages, "sha256": received.sha256, "warnings": warnings}


def show_document(document: FinishedDocument, path: Path) -> None:
    """Print what is known of a document that was drawn, as JSON."""
    warnings = [{"code": one.code, "field": one.field, "message": one.message} for one in document.warnings]
    row = {"filename": document.filename, "path": str(path), "pages": document.pages, "bytes": len(document.pdf)}
    click.echo(json.dumps(row | {"sha256": document.sha256, "warnings": warnings}))


def unavailable_row(found: Unavailable) -> dict[str, Any]:
    """Return a result that was left in the queue as JSON values."""
    error = {"code": UnavailableError.code, "message": found.reason}
    return {"task_id": found.task_id, "success": False, "filename": None, "url": found.url, "error": error}


def show_result(row: dict[str, Any], *, as_json: bool, err: bool = False) -> None:
    """Print one result as one line, and each of its warnings as a line on stderr; `err`: everything on stderr."""
    if as_json:
        click.echo(json.dumps(row), err=err)
        return
    name = printable(row["task_id"] or "a result without a task")
    if "error" in row:
        line = f"{name}: {printable(row['error']['code'])}: {printable(row['error']['message'])}"
        click.echo(f"{line} (kept in {row['path']})" if "path" in row else line, err=err)
        return
    pages = f" ({count(row['pages'], 'page')})" if row["pages"] is not None else ""
    click.echo(f"{name}: {row.get('path', 'written to standard output')}{pages}", err=err)
    for warning in row["warnings"]:
        click.echo(f"Warning: {name}: {printable(warning['message'])}", err=True)


def printable(text: str) -> str:
    """Return text from a result without what a terminal would interpret, such as escape sequences."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def show_rendered(rendered: Sequence[Rendered], as_json: bool) -> None:
    """Print the results of the demo; the times are from submitting a task to receiving its result."""
    if as_json:
        shown = [
            {"resource": one.view, "milliseconds": round(one.seconds * 1000, 1)} | row_of(one.received, one.path)
            for one in rendered
        ]
        click.echo(json.dumps(shown, indent=2))
        return
    rows = []
    for one in rendered:
        received = one.received
        size = f"{len(received.document) / KIB:.1f} KiB" if received.document is not None else "–"
        what = f"{received.error.code}: {received.error.message}" if received.error else one.path
        pages = "–" if received.pages is None else str(received.pages)
        rows.append((one.view, pages, size, f"{one.seconds * 1000:.0f} ms", str(what)))
    show_table(TITLES, rows)


def show_table(titles: Sequence[tuple[str, Literal["left", "right"]]], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table or, if standard output isn't a terminal, as lines with a tab between two columns."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(printable(" ".join(cell.split())) for cell in row))
        return
    table = Table()
    for title, justify in titles:
        table.add_column(title, justify=justify)
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def show_resources(resources: Sequence[Resource], *, with_options: bool, as_json: bool) -> None:
    """Print the resources, or a table of the options of each."""
    if as_json:
        click.echo(json.dumps([_resource_as_json(resource) for resource in resources], indent=2, ensure_ascii=False))
        return
    if not with_options:
        titles = _left("View", "Name", "Description")
        show_table(titles, [(resource.view, resource.name, resource.summary) for resource in resources])
        return
    for resource in resources:
        on_terminal = sys.stdout.isatty()
        if on_terminal:
            click.echo(f"{click.style(resource.name, bold=True)}: {resource.summary}")
        show_table(
            _left("Option", "Default", "Allowed", "Required in a task"),
            [
                (option.name, _text(option.default), option.allowed(), "yes" if option.required else "no")
                for option in (*resource.options, *COMMON_OPTIONS)
            ],
        )
        if on_terminal:
            click.echo(TEXT_OPTIONS)


def _left(*titles: str) -> tuple[tuple[str, Literal["left"]], ...]:
    return tuple((title, "left") for title in titles)


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _resource_as_json(resource: Resource) -> dict[str, Any]:
    return {
        "view": resource.view,
        "slug": resource.slug,
        "name": resource.name,
        "summary": resource.summary,
        "options": [
            {
                "name": option.name,
                "label": option.label,
                "default": option.default,
                "required": option.required,
                "allowed": option.allowed(),
                "values": list(getattr(option, "values", ())),
            }
            for option in (*resource.options, *COMMON_OPTIONS)
        ],
    }
