"""Expected errors → one line on stderr and exit code 1. Anything else is a bug, and keeps its traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from render_trio.errors import RenderTrioError, first_error
from render_trio.settings.setting import SettingError
from resources.parsing import RequestError
from resources.registry import PluginError

EXPECTED: tuple[type[Exception], ...] = (RenderTrioError, RequestError, SettingError, PluginError)

Command = Callable[..., None]
VALUE_SHOWN = 200  # characters of a path that a message repeats


class PathError(RenderTrioError):
    """A file or folder that an option names can't be used."""


@contextmanager
def naming(option: str, path: Path) -> Iterator[None]:
    """Raise PathError, which names the option, its value and the cause, in place of an OSError in the block."""
    try:
        yield
    except OSError as error:
        value = str(path)
        shown = value if len(value) <= VALUE_SHOWN else value[: VALUE_SHOWN - 1] + "…"
        raise PathError(
            f"{option} is {shown!r}: it can't be used: {error.strerror or error}; choose a place that can be written to"
        ) from error


def one_line(error: BaseException) -> str:
    """Return the message of the first error in a group, without line breaks: the name of a file can contain some."""
    return " ".join(str(first_error(error)).splitlines())


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
                error = click.ClickException(one_line(group))
            except* KeyboardInterrupt:
                error = click.Abort()
            # Not raised above: an exception raised in `except*` can become part of a group.
            if error is not None:
                raise error

        return run

    return decorate
