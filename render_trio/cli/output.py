"""What the command line shows: progress and tables for people, JSON for programs."""

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


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error; gives what moves it on by one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def received_as_json(received: Received) -> dict[str, Any]:
    """Return a result without its document."""
    result = received.result
    row: dict[str, Any] = {"task_id": result.task_id, "success": result.success, "filename": result.filename}
    if isinstance(result, LinkResult):
        return row | {"url": result.url, "pages": result.pages, "sha256": result.sha256}
    if result.success:
        return row | {"path": str(received.path), "pages": result.pages, "sha256": result.sha256}
    return row | {"error": _error(received)}


def _error(received: Received) -> dict[str, str]:
    error = getattr(received.result, "error", None)
    return {"code": getattr(error, "code", "unknown"), "message": getattr(error, "message", "no reason was given")}


def show_received(received: Received, as_json: bool) -> None:
    """Show one result, as one line."""
    row = received_as_json(received)
    if as_json:
        click.echo(json.dumps(row))
    elif "error" in row:
        click.echo(f"{row['task_id']}: {row['error']['code']}: {row['error']['message']}")
    else:
        click.echo(f"{row['task_id']}: {row.get('path') or row.get('url')} ({row['pages']} pages)")


def show_printed(rows: Sequence[tuple[str, Received, float]], as_json: bool) -> None:
    """Show documents: resource, pages, size, and how long each took from submission to receipt."""
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
    """Show resources; with their options when there is one to look at."""
    if as_json:
        click.echo(json.dumps([_resource_as_json(resource) for resource in resources], indent=2, ensure_ascii=False))
        return
    console = Console()
    if not with_options:
        table = Table("View", "Name", "What it is for")
        for resource in resources:
            table.add_row(resource.view, resource.name, resource.summary)
        console.print(table)
        return
    for resource in resources:
        console.print(f"[bold]{escape(resource.name)}[/bold]: {escape(resource.summary)}")
        table = Table("Option", "Default", "Allowed", "A task must name it")
        for option in (*resource.options, *COMMON_OPTIONS):
            default = _as_spelt(option.default)
            table.add_row(option.name, default, option.allowed(), "yes" if option.required else "no")
        console.print(table)


def _as_spelt(value: object) -> str:
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
