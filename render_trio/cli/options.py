"""Options that several commands have, and those made from the table of settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from render_trio.settings import reading, settings
from render_trio.settings.setting import Setting, option_name
from resources import registry


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for every setting; it receives the `Settings` as `chosen`."""
    fields = [name.lower() for setting in settings.TABLE for name in (setting.name, setting.former) if name]

    @functools.wraps(command)
    def run(**options: Any) -> None:
        given = {field: options.pop(field) for field in fields}
        command(chosen=reading.read(os.environ, given), **options)

    wrapped: Callable[..., None] = run
    for setting in reversed(settings.TABLE):
        wrapped = click.option(setting.option, setting.field, help=_help(setting), metavar="VALUE")(wrapped)
        if setting.former:
            former = option_name(setting.former)
            wrapped = click.option(former, setting.former.lower(), hidden=True)(wrapped)
    return wrapped


def _help(setting: Setting) -> str:
    text = f"{setting.help} Allowed: {setting.reader.allowed}.".replace("`", "")
    return f"{text}  [default: {setting.default or 'nothing'}]"


plugin_folders = click.option(
    "--plugins",
    multiple=True,
    metavar="FOLDER",
    envvar="PLUGIN_DIRECTORY",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Add the resources of a folder: a plug-in package, or modules with a RESOURCE each. Can be repeated.",
)


def add_plugins(folders: Iterable[Path], *, report: bool) -> None:
    """Add the resources of folders to the catalogue; with `report`, warn of plug-ins that are left out.

    Raises click.BadParameter for a folder without a resource, or that can't be read.
    """
    for folder in folders:
        try:
            registry.add_folder(folder)
        except registry.PluginError as error:
            raise click.BadParameter(str(error), param_hint="--plugins") from error
        except OSError as error:
            unreadable = f"{str(folder)[:200]!r} can't be read: {error.strerror}"
            raise click.BadParameter(unreadable, param_hint="--plugins") from error
    if report:
        for problem in registry.problems():
            click.echo(f"Warning: {problem}", err=True)


def options_given(pairs: tuple[str, ...]) -> Mapping[str, object]:
    """Return KEY=VALUE arguments as a mapping. Raises click.BadParameter."""
    values: dict[str, object] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair[:60]!r} is not KEY=VALUE, such as copies=2", param_hint="-o")
        values[name] = value
    return values


option_pairs = click.option(
    "-o",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the document, such as -o copies=2. Can be repeated; `render-trio resources VIEW` lists them.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
