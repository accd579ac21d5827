"""Environment and options → one frozen `Settings` value, read once and passed down.

The fields below are the only table of settings: name, default, help and what is allowed stand together, and
the README's table, the command line's options and the messages are all made from it. A field `task_count`
is read from the variable `TASK_COUNT` or the option `--task-count`; the option wins.
"""

# ruff: noqa: RUF009  (the field function below gives a default factory, never a shared value)

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from render_trio.settings.values import (
    GIB,
    KIB,
    MIB,
    Reader,
    factor,
    inner_path,
    one_of,
    path_of,
    seconds,
    secret,
    size,
    web_address,
    whole,
    word,
    workers,
    yes_no,
)

VALUE_SHOWN = 40
"""Characters of a bad value that a message repeats: enough to recognise it, too few to fill a log."""


class SettingError(ValueError):
    """A setting has a value that is not allowed; the text is one line for the operator."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        shown = value if len(value) <= VALUE_SHOWN else value[: VALUE_SHOWN - 1] + "…"
        super().__init__(f"{name} is {shown!r}; allowed: {allowed}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is written as an operator would write it."""

    name: str
    default: str
    help: str
    reader: Reader[Any]

    @property
    def field(self) -> str:
        """The attribute of `Settings`: `task_count`."""
        return self.name.lower()

    @property
    def option(self) -> str:
        """The command line's option: `--task-count`."""
        return "--" + self.field.replace("_", "-")

    def read(self, text: str) -> Any:
        """The value of `text`; raises `SettingError`."""
        try:
            return self.reader.read(text.strip())
        except (ValueError, OverflowError) as error:
            shown = "(not shown)" if self.reader.secret else text
            raise SettingError(self.name, shown, self.reader.allowed) from (None if self.reader.secret else error)


def _setting(default: str, reader: Reader[Any], help: str) -> Any:
    return dataclasses.field(
        default_factory=lambda: reader.read(default),
        metadata={"default": default, "reader": reader, "help": help},
    )


_QUEUE_WORD = word("[a-zA-Z0-9-]{1,100}", "1 to 100 letters, digits and hyphens")
_PROJECT_WORD = word("[a-z]?~?[a-zA-Z0-9.:_-]{1,100}", "1 to 100 letters, digits and . : _ -")
_HOST_WORD = word(r"[0-9a-zA-Z.:_\[\]-]{1,253}", "a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, checked. `Settings()` is all defaults; tests name what they change."""

    # The queue.
    project_name: str = _setting("render", _PROJECT_WORD, "Project that the queue belongs to.")
    queue_name: str = _setting("render", _QUEUE_WORD, "Pull queue that tasks are leased from.")
    queue_url: str = _setting("http://127.0.0.1:5052", web_address(), "Address of the queue service, without a path.")
    api_discovery_url: str = _setting(
        "",
        web_address(),
        "Where the queue's discovery document is, `{api}` and `{apiVersion}` being filled in. Wins over `QUEUE_URL`.",
    )
    queue_timeout: float = _setting("10 s", seconds(0.1, 300), "Time for one answer of the queue.")
    task_count: int = _setting("20", whole(1, 1000), "Tasks leased at once, at most.")
    task_seconds: float = _setting("50 s", seconds(1, 86_400), "Lease and time limit of a task's first attempt.")
    task_time_mult: float = _setting(
        "1.33",
        factor(0, 100),
        "Growth of that limit: `TASK_SECONDS × (1 + TASK_TIME_MULT × attempts before)`.",
    )
    task_retry_limit: int = _setting("5", whole(1, 100), "Attempts after which a task is answered with a failure.")
    render_sleep_time: float = _setting(
        "2 s", seconds(0.01, 3600), "Longest pause between two looks at an empty queue."
    )

    # The work.
    render_workers: int = _setting("auto", workers(256), "Workers side by side; auto: one per CPU allowed.")
    render_isolation: str = _setting(
        "thread",
        one_of("thread", "process"),
        "Where pages are drawn: a thread, or a process that can be killed.",
    )
    render_memory_limit: int = _setting(
        "1 GiB",
        size(128 * MIB, 1024 * GIB, zero="no limit"),
        "Memory that one drawing process may use (process only).",
    )
    render_jobs_per_process: int = _setting(
        "500", whole(1, 1_000_000), "Tasks after which a drawing process is replaced (process only)."
    )
    render_recycle_memory: int = _setting(
        "400 MiB",
        size(64 * MIB, 1024 * GIB, zero="never"),
        "Resident memory after which a drawing process is replaced (process only).",
    )
    abandoned_limit: int = _setting(
        "4",
        whole(1, 1000),
        "Hung drawing threads after which the service exits to be restarted (thread only).",
    )

    # The results.
    max_queue_task_size: int = _setting(
        "680 KiB",
        size(KIB, 760 * KIB),
        "Largest document sent in the queue, whose tasks hold 1 MiB in Base64; larger ones become a link.",
    )
    document_store: Path | None = _setting("", path_of("folder"), "Folder for documents that are delivered as a link.")
    document_url_prefix: str = _setting("", web_address(), "Public address of that folder, which the links begin with.")
    cloud_storage_bucket_name: str = _setting(
        "",
        word("[a-z0-9._-]{3,222}|", "a bucket's name, or nothing"),
        "Bucket that is mounted at `DOCUMENT_STORE`; gives the links' address if there is no prefix.",
    )
    bucket_save_directory: str = _setting("", inner_path(), "Folder inside the store.")

    # Files.
    static_directory: Path | None = _setting("", path_of("folder"), "Static files instead of the packaged ones.")
    template_directory: Path | None = _setting("", path_of("folder"), "Templates instead of the packaged ones.")

    # Supervision.
    restart_limit: int = _setting(
        "10",
        whole(1, 10_000),
        "Restarts of one worker within `RESTART_WINDOW` after which the service gives up.",
    )
    restart_window: float = _setting("60 s", seconds(1, 86_400), "Time over which restarts are counted.")
    queue_silence: float = _setting(
        "30 s",
        seconds(1, 86_400),
        "Time without a good answer of the queue after which the service is not ready.",
    )
    shutdown_seconds: float = _setting(
        "25 s",
        seconds(1, 3600),
        "Time from SIGTERM to the end, whatever happens; below what the platform grants.",
    )
    pid_file: Path | None = _setting("", path_of("file"), "File that holds the process id while the service runs.")

    # The web side.
    host: str = _setting("127.0.0.1", _HOST_WORD, "Address to listen on.")
    port: int = _setting("8080", whole(0, 65_535), "Port to listen on; 0 takes a free one.")
    web_listeners: int = _setting(
        "100", whole(1, 10_000), "Pages and programs that may follow the status or a task at once."
    )
    web_result_seconds: float = _setting(
        "1 h",
        seconds(1, 604_800),
        "Time for which the result of a task put on the queue over the web is kept.",
    )
    admin_token: str = _setting(
        "",
        secret("[!-~]{16,200}|", "16 to 200 printable ASCII characters without spaces, or nothing"),
        "Token with which a worker can be restarted on `/status`; nobody can without one.",
    )
    web_body_limit: int = _setting("64 KiB", size(0, 64 * MIB), "Largest request body taken.")
    web_renders: int = _setting("1", whole(1, 256), "Documents drawn at once for those who ask on the web.")
    web_waiting: int = _setting("64", whole(0, 100_000), "Further ones that may wait; beyond that the answer is 503.")
    web_render_seconds: float = _setting("20 s", seconds(1, 300), "Time limit of a document that is asked for there.")
    web_shelf: int = _setting(
        "32 MiB", size(0, 64 * GIB), "Finished documents and previews that are kept at hand for the web."
    )
    metrics: bool = _setting("yes", yes_no(), "Whether `/metrics` is served.")

    # Logs.
    log_format: str = _setting("json", one_of("json", "console"), "Shape of the log.")
    log_level: str = _setting(
        "info", one_of("debug", "info", "warning", "error"), "Least important line that is logged."
    )

    notices: tuple[str, ...] = ()
    """What the operator should be told at start, such as a variable that looks like a misspelt setting."""


TABLE: tuple[Setting, ...] = tuple(
    Setting(field.name.upper(), field.metadata["default"], field.metadata["help"], field.metadata["reader"])
    for field in dataclasses.fields(Settings)
    if field.metadata
)


def read(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """The settings of this process.

    `environment`: variables by name (`TASK_COUNT`); an empty one counts as not given. `options`: texts by
    field (`task_count`), None for an option that was not given; they win.
    Raises `SettingError` for the first value that is not allowed, and for an option that does not exist.
    """
    chosen = {name: text for name, text in (options or {}).items() if text is not None}
    for unknown in chosen.keys() - {setting.field for setting in TABLE}:
        raise SettingError(unknown, chosen[unknown], "no such option")
    values: dict[str, Any] = {}
    for setting in TABLE:
        text = chosen.get(setting.field, environment.get(setting.name, ""))
        if text.strip():
            values[setting.field] = setting.read(text)
    return Settings(**values, notices=unknown_names(environment))


def unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each variable that begins with RENDER_ but is no setting, with the nearest one that is.

    Told, not refused: hosting platforms set RENDER_… names of their own.
    """
    known = [setting.name for setting in TABLE]
    lines = []
    for name in sorted(environment):
        if name.startswith("RENDER_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            lines.append(f"{name[:VALUE_SHOWN]} is not a setting; the nearest is {near[0]}")
    return tuple(lines)


def markdown_table() -> str:
    """The table of all settings in Markdown, as the README shows it."""
    rows = ["| variable | default | allowed | what it is |", "|---|---|---|---|"]
    for setting in TABLE:
        default = f"`{setting.default}`" if setting.default else "–"
        rows.append(f"| `{setting.name}` | {default} | {setting.reader.allowed} | {setting.help} |")
    return "\n".join(rows) + "\n"
