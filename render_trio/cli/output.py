"""Results and resources → progress bars and tables for a terminal, or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from render_trio.queue.messages import LinkResult
from render_trio.queue.producer import Received
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
  header_text  text at the top of each page
  url          web address at the bottom of each page
  language     language of the words: {", ".join(languages())}
  seed         any text; random content differs with each seed
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


def received_as_json(received: Received) -> dict[str, Any]:
    """Return a result as JSON values, without its document."""
    result = received.result
    row: dict[str, Any] = {"task_id": result.task_id, "success": result.success, "filename": result.filename}
    if isinstance(result, LinkResult):
        return row | {"url": result.url, "pages": result.pages, "sha256": result.sha256}
    if result.success:
        return row | {"path": str(received.path), "pages": result.pages, "sha256": result.sha256}
    return row | {"error": _error(received)}


def _error(received: Received) -> dict[str, str]:
    error = getattr(received.result, "error", None)
    return {
        "code": getattr(error, "code", "unknown"),
        "message": getattr(error, "message", "the result has no error message"),
    }


def show_received(received: Received, as_json: bool) -> None:
    """Print one result as one line."""
    row = received_as_json(received)
    if as_json:
        click.echo(json.dumps(row))
    elif "error" in row:
        click.echo(f"{row['task_id']}: {row['error']['code']}: {row['error']['message']}")
    else:
        click.echo(f"{row['task_id']}: {row.get('path') or row.get('url')} ({count(row['pages'], 'page')})")


def show_rendered(rows: Sequence[tuple[str, Received, float]], as_json: bool) -> None:
    """Print the results of the demo; the seconds are those from submitting a task to receiving its result."""
    if as_json:
        shown = [
            {"resource": view, "milliseconds": round(seconds * 1000, 1)} | received_as_json(received)
            for view, received, seconds in rows
        ]
        click.echo(json.dumps(shown, indent=2))
        return
    table = Table()
    for title, justify in TITLES:
        table.add_column(title, justify=justify)
    for view, received, seconds in rows:
        row = received_as_json(received)
        size = f"{received.path.stat().st_size / KIB:.1f} KiB" if received.path else "–"
        what = row.get("path") or row.get("url") or f"{row['error']['code']}: {row['error']['message']}"
        table.add_row(view, str(row.get("pages", "–")), size, f"{seconds * 1000:.0f} ms", escape(str(what)))
    Console().print(table)


def show_resources(resources: Sequence[Resource], *, with_options: bool, as_json: bool) -> None:
    """Print the resources, or a table of the options of each."""
    if as_json:
        click.echo(json.dumps([_resource_as_json(resource) for resource in resources], indent=2, ensure_ascii=False))
        return
    console = Console()
    if not with_options:
        table = Table("View", "Name", "Description")
        for resource in resources:
            table.add_row(resource.view, resource.name, resource.summary)
        console.print(table)
        return
    for resource in resources:
        console.print(f"[bold]{escape(resource.name)}[/bold]: {escape(resource.summary)}")
        table = Table("Option", "Default", "Allowed", "Required in a task")
        for option in (*resource.options, *COMMON_OPTIONS):
            table.add_row(option.name, _text(option.default), option.allowed(), "yes" if option.required else "no")
        console.print(table)
        console.print(TEXT_OPTIONS)


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
