"""Expected errors → one line on stderr and exit code 1. Anything else is a bug, and keeps its traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from render_trio.errors import RenderTrioError, first_error
from render_trio.settings.settings import SettingError
from resources.parsing import RequestError
from resources.registry import PluginError

EXPECTED: tuple[type[Exception], ...] = (RenderTrioError, RequestError, SettingError, PluginError)

Command = Callable[..., None]


def report_errors(*also: type[Exception]) -> Callable[[Command], Command]:
    """Return a decorator that reports the EXPECTED errors of a command, and those of the types `also`, as one line.

    Ctrl-C ends the command with exit code 1, too, even where Trio raises KeyboardInterrupt inside a group.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(*arguments: Any, **options: Any) -> None:
            error: click.ClickException | click.Abort | None = None
            try:
                command(*arguments, **options)
            except* (*EXPECTED, *also) as group:
                error = click.ClickException(str(first_error(group)))
            except* KeyboardInterrupt:
                error = click.Abort()
            # Not raised above: an exception raised in `except*` can become part of a group.
            if error is not None:
                raise error

        return run

    return decorate
