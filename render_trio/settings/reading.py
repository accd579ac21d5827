"""Environment variables and command-line options → `Settings`, or an error that names the variable and its value."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from render_trio.settings.setting import VALUE_SHOWN, Setting, SettingError, option_name
from render_trio.settings.settings import TABLE, Settings
from render_trio.settings.unrelated import is_service_variable, reason_to_ignore

REMOVAL_VERSION = "0.3"  # the version in which former names stop working


def read(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings of this process.

    `environment` maps variables (`TASK_COUNT`) to texts; an empty one counts as not set, and one that another program
    has set is ignored (see `unrelated`). `options` maps fields
    (`task_count`) to texts, or to None for an option that was not given. An option wins over a variable, and a
    setting's name over its former name.

    Raises SettingError for the first value that is not allowed, and for an unknown option.
    """
    chosen = {name: text for name, text in (options or {}).items() if text is not None}
    for unknown in chosen.keys() - {name.lower() for setting in TABLE for name in (setting.name, setting.former)}:
        raise SettingError(unknown, chosen[unknown], "no such option")
    ignored = {setting.name: reason_to_ignore(setting.name, environment.get(setting.name, "")) for setting in TABLE}
    environment = {name: text for name, text in environment.items() if not ignored.get(name)}
    values: dict[str, Any] = {}
    for setting in TABLE:
        text = next(_given(setting, environment, chosen), "")
        if text.strip():
            values[setting.field] = setting.read(text)
    _refuse_both(values)
    notices = (*former_names(environment, chosen), *unknown_names(environment), *filter(None, ignored.values()))
    return Settings(**values, notices=notices)


def _refuse_both(values: Mapping[str, Any]) -> None:
    """Raise SettingError if both a secret and the file that contains it are set: one of them would have no effect."""
    for setting in TABLE:
        secret = setting.field.removesuffix("_file")
        if setting.name.endswith("_FILE") and values.get(setting.field) and values.get(secret):
            allowed = f"nothing, because {secret.upper()} is set too; set only one of them"
            raise SettingError(setting.name, str(values[setting.field]), allowed)


def _given(setting: Setting, environment: Mapping[str, str], options: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts given for a setting, the one that wins first."""
    names = [name for name in (setting.name, setting.former) if name]
    yield from (options[name.lower()] for name in names if name.lower() in options)
    yield from (environment[name] for name in names if environment.get(name, "").strip())


def former_names(environment: Mapping[str, str], options: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return a warning for each former name in use, as a variable or as an option."""
    lines = []
    for setting in TABLE:
        if setting.former and environment.get(setting.former, "").strip():
            lines.append(_renamed(setting.former, setting.name))
        if setting.former and setting.former.lower() in (options or {}):
            lines.append(_renamed(option_name(setting.former), setting.option))
    return tuple(lines)


def _renamed(old: str, new: str) -> str:
    return f"{old} is now {new}; the old name will stop working in {REMOVAL_VERSION}"


def unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return a warning for each variable that begins with RENDER_ but is not a setting, with the closest name.

    It is not an error, because hosting platforms set RENDER_… variables of their own.
    """
    known = [setting.name for setting in TABLE]
    accepted = {*known, *(setting.former for setting in TABLE)}
    lines = []
    for name in sorted(environment):
        if name.startswith("RENDER_") and name not in accepted and not is_service_variable(name, environment):
            closest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            lines.append(f"{name[:VALUE_SHOWN]} is not a setting; the closest name is {closest[0]}")
    return tuple(lines)
