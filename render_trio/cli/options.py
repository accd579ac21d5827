"""Options that several commands have, and those made from the table of settings."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from render_trio.settings import reading, settings
from render_trio.settings.setting import Setting, option_name
from resources import registry
from resources.options import Choice, Flag
from resources.parsing import COMMON_KEYS, COMMON_OPTIONS


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


def complete_view(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the resources whose name begins with what was typed, with hyphens or underscores."""
    _add_plugins_quietly(context)
    separator = "_" if "_" in incomplete else "-"
    names = {view.replace("_", separator): resource for view, resource in registry.CATALOGUE.items()}
    return [
        CompletionItem(name, help=resource.summary)
        for name, resource in sorted(names.items())
        if name.startswith(incomplete)
    ]


def complete_pair(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the options of the resource that the command names, or the values of one of them."""
    _add_plugins_quietly(context)
    # After an option without a value, as when its value is being completed, click leaves the arguments unparsed.
    view = context.params.get("view") or next(iter(context.args), "")
    resource = registry.CATALOGUE.get(str(view).replace("-", "_"))
    options = {option.name: option for option in (*(resource.options if resource else ()), *COMMON_OPTIONS)}
    name, separator, value = incomplete.partition("=")
    if not separator:
        named = sorted({*options, *COMMON_KEYS} - {"resource_view", "resource_slug"})
        return [CompletionItem(f"{one}=") for one in named if one.startswith(name)]
    match options.get(name):
        case Choice(values=values):
            allowed = [str(one) for one in values]
        case Flag():
            allowed = ["yes", "no"]
        case _:
            allowed = []
    return [CompletionItem(f"{name}={one}") for one in allowed if one.startswith(value)]


def _add_plugins_quietly(context: click.Context) -> None:
    """Add the resources of --plugins, which is not evaluated otherwise while a shell completes a command."""
    for folder in context.find_root().params.get("plugins") or ():
        with contextlib.suppress(registry.PluginError, OSError):
            registry.add_folder(folder)


view_argument = functools.partial(click.argument, "view", shell_complete=complete_view)

option_pairs = click.option(
    "-o",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_pair,
    help="An option of the document, such as -o copies=2. Can be repeated; `render-trio resources VIEW` lists them.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
