"""The commands for authors of resources: `new` and `preview`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import click

from render_trio.cli.errors import naming, report_errors
from render_trio.cli.new import NewResourceError, write_entry, write_package
from render_trio.cli.options import add_plugins, as_json, plugin_folders, view_argument
from render_trio.cli.preview import run
from render_trio.service.startup import require_unix
from resources.registry import folders


@click.command()
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the package; it must be empty or new.  [default: named after the resource]",
)
@click.option("--catalogue", is_flag=True, help="Add a file to the catalogue of this checkout instead.")
@as_json
@report_errors(NewResourceError, OSError)
def new(name: str, into: Path | None, catalogue: bool, as_json: bool) -> None:
    """Write a resource of your own, called NAME, that already draws: a plug-in package to start from.

    The package has the resource, its tests, and a README that says what to do next.
    """
    if catalogue and into is not None:
        raise click.UsageError("--into and --catalogue exclude each other")
    with naming("--into", into) if into is not None else nullcontext():
        written = write_entry(name) if catalogue else write_package(name, into)
    view = written[0].stem if catalogue else written[2].parent.name
    if as_json:
        click.echo(json.dumps({"view": view, "files": [str(path) for path in written]}, indent=2))
        return
    for path in written:
        click.echo(path)
    plugins = "" if catalogue else f" --plugins {written[0].parent}"
    click.echo(f"Next: render-trio preview {view}{plugins}", err=True)


@click.command()
@view_argument()
@click.option(
    "--port",
    default=8081,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the page; 0 chooses a free one.",
)
@plugin_folders
@report_errors(OSError)
def preview(view: str, port: int, plugins: tuple[Path, ...]) -> None:
    """Serve the page of a resource (VIEW), and draw it again whenever a file is saved, until Ctrl-C.

    The browser reloads the page by itself. If the resource can't be drawn, the page shows the traceback. No queue is
    needed. For a resource in a folder of your own: render-trio preview VIEW --plugins FOLDER.
    """
    require_unix()
    add_plugins(plugins, report=False)
    run(view.replace("-", "_"), list(folders()), port, lambda line: click.echo(line, err=True))
