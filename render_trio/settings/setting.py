"""One row of the table of settings: its name, default, help text and allowed values, and the error for other values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from render_trio.credentials.redaction import hidden_parts
from render_trio.settings.values import Reader

VALUE_SHOWN = 40
"""Characters of an invalid value that a message repeats: enough to recognise it, too few to flood a log."""


class SettingError(ValueError):
    """A setting has a value that is not allowed. The message is one line for the operator."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        value = hidden_parts(value)
        shown = value if len(value) <= VALUE_SHOWN else value[: VALUE_SHOWN - 1] + "…"
        super().__init__(f"{name} is {shown!r}; allowed: {allowed}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is text, as an operator would write it; `former` is an old name, or empty."""

    name: str
    default: str
    help: str
    reader: Reader[Any]
    former: str = ""

    @property
    def field(self) -> str:
        """The attribute of `Settings`, such as `task_count`."""
        return self.name.lower()

    @property
    def option(self) -> str:
        """The command-line option, such as `--task-count`."""
        return option_name(self.name)

    def read(self, text: str) -> Any:
        """Return the value. Raises SettingError."""
        try:
            return self.reader.read(text.strip())
        except (ValueError, OverflowError):
            shown = "(not shown)" if self.reader.secret else text
            raise SettingError(self.name, shown, self.reader.allowed) from None  # it would quote the value


def option_name(name: str) -> str:
    """Return the command-line option of a setting's name: TASK_COUNT → --task-count."""
    return "--" + name.lower().replace("_", "-")


def setting(default: str, reader: Reader[Any], help: str, former: str = "") -> Any:
    return dataclasses.field(
        default_factory=lambda: reader.read(default),
        repr=not reader.secret,
        metadata={"default": default, "reader": reader, "help": help, "former": former},
    )
