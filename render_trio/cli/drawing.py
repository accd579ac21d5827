"""The commands that need neither a queue nor a service: `render` and `resources`."""

from __future__ import annotations

from pathlib import Path

import click

from render_trio.cli import output
from render_trio.cli.errors import naming, report_errors
from render_trio.cli.options import as_json, option_pairs, options_given, view_argument
from render_trio.queue import saving
from render_trio.rendering.pipeline import render as render_document
from resources.parsing import find_resource
from resources.registry import CATALOGUE


@click.command()
@view_argument()
@option_pairs
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="PDF file to write; an existing file is replaced. Folders are created if necessary.",
)
@as_json
@report_errors(OSError)
def render(view: str, pairs: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Draw one document to a file, without a queue or a service.

    VIEW is a resource, such as binary-cards; `render-trio resources` lists them. Options that are not given have
    their defaults.
    """
    document = render_document(view, **options_given(pairs))
    with naming("--out", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists() and not out.is_file():  # a device or a pipe
            out.write_bytes(document.pdf)
        else:
            saving.replace(out.resolve(), document.pdf)
    if as_json:
        output.show_document(document, out)
        return
    for warning in document.warnings:
        click.echo(f"Warning: {warning.message}", err=True)
    click.echo(f"{out}: {output.count(document.pages, 'page')}, {len(document.pdf)} bytes", err=True)


@click.command()
@view_argument(required=False)
@as_json
@report_errors()
def resources(view: str | None, as_json: bool) -> None:
    """List the resources, or the options of one (VIEW)."""
    chosen = list(CATALOGUE.values()) if view is None else [find_resource(view)]
    output.show_resources(chosen, with_options=view is not None, as_json=as_json)
