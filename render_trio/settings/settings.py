"""Environment variables and command-line options → one frozen `Settings` value, read once and passed down.

The fields of `Settings` are the only table of settings: each has its name, default, help text and allowed values
in one place. The README's table, the command line's options and the error messages are generated from it. The
field `task_count` is read from the variable TASK_COUNT or the option --task-count; the option wins.

To rename a setting, name the old one in `former`. It keeps working, with a warning, until REMOVAL_VERSION.
"""

# ruff: noqa: RUF009  (the field function below passes a default factory, never a shared value)

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from render_trio.settings.unrelated import is_service_variable, reason_to_ignore
from render_trio.settings.values import (
    GIB,
    KIB,
    MIB,
    Reader,
    factor,
    folders,
    host,
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

REMOVAL_VERSION = "0.3"  # the version in which former names stop working
VALUE_SHOWN = 40
"""Characters of an invalid value that a message repeats: enough to recognise it, too few to flood a log."""


class SettingError(ValueError):
    """A setting has a value that is not allowed. The message is one line for the operator."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
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
        except (ValueError, OverflowError) as error:
            shown = "(not shown)" if self.reader.secret else text
            raise SettingError(self.name, shown, self.reader.allowed) from (None if self.reader.secret else error)


def option_name(name: str) -> str:
    """Return the command-line option of a setting's name: TASK_COUNT → --task-count."""
    return "--" + name.lower().replace("_", "-")


def _setting(default: str, reader: Reader[Any], help: str, former: str = "") -> Any:
    return dataclasses.field(
        default_factory=lambda: reader.read(default),
        metadata={"default": default, "reader": reader, "help": help, "former": former},
    )


_QUEUE_WORD = word("[a-zA-Z0-9-]{1,100}", "1 to 100 letters, digits and hyphens")
_PROJECT_WORD = word("[a-z]?~?[a-zA-Z0-9.:_-]{1,100}", "1 to 100 letters, digits and . : _ -")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked. `Settings()` has the defaults; times are in seconds, sizes in bytes."""

    # The queue.
    project_name: str = _setting("render", _PROJECT_WORD, "Project that the queue belongs to.")
    queue_name: str = _setting("render", _QUEUE_WORD, "Pull queue to lease tasks from.")
    queue_url: str = _setting(
        "http://127.0.0.1:5052",
        web_address(),
        "URL of the queue service, without a path. Not used with a discovery URL.",
    )
    api_discovery_url: str = _setting(
        "",
        web_address(),
        "URL of the queue API's discovery document, used instead of `QUEUE_URL`. `{api}` and `{apiVersion}` are "
        "replaced by the API's name and version.",
    )
    queue_timeout: float = _setting("10 s", seconds(0.1, 300), "Time limit for one response from the queue.")
    task_count: int = _setting("20", whole(1, 1000), "Maximum number of tasks leased in one request.")
    task_seconds: float = _setting(
        "50 s", seconds(1, 86_400), "Time limit for a task's first attempt. Its lease lasts 10 s longer."
    )
    task_time_mult: float = _setting(
        "1.33",
        factor(0, 100),
        "Increase of the time limit with each retry: it is `TASK_SECONDS × (1 + TASK_TIME_MULT × retries)`.",
    )
    task_retry_limit: int = _setting(
        "5", whole(1, 100), "Number of attempts at a task. After the last one, a failure result is delivered."
    )
    render_sleep_time: float = _setting(
        "2 s",
        seconds(0.01, 3600),
        "Longest pause between polls of an empty queue that doesn't support long polling.",
    )

    # The work.
    render_workers: int = _setting(
        "auto", workers(256), "Number of workers. auto: one per CPU that the service may use."
    )
    render_isolation: str = _setting(
        "thread",
        one_of("thread", "process"),
        "Where documents are drawn. thread: in the service, no start-up cost, but a hung thread can't be killed. "
        "process: in worker processes, which are killed at the time limit.",
    )
    render_memory_limit: int = _setting(
        "1 GiB",
        size(128 * MIB, 1024 * GIB, zero="no limit"),
        "Memory limit of each render process. Only with `RENDER_ISOLATION=process`.",
    )
    render_jobs_per_process: int = _setting(
        "500",
        whole(1, 1_000_000),
        "Number of documents after which a render process is replaced. Only with `RENDER_ISOLATION=process`.",
    )
    render_recycle_memory: int = _setting(
        "400 MiB",
        size(64 * MIB, 1024 * GIB, zero="never"),
        "Resident memory above which a render process is replaced. Only with `RENDER_ISOLATION=process`.",
    )
    abandoned_limit: int = _setting(
        "4",
        whole(1, 1000),
        "Number of hung render threads at which the service exits, to be restarted. Only with "
        "`RENDER_ISOLATION=thread`.",
    )

    # The results.
    max_queue_task_size: int = _setting(
        "680 KiB",
        size(KIB, 760 * KIB),
        "Largest document delivered inside a result task (a queue task holds 1 MiB, in Base64). A larger one is "
        "delivered as a link to `DOCUMENT_STORE`.",
    )
    document_store: Path | None = _setting(
        "",
        path_of("folder"),
        "Folder for documents delivered as links. Without one, a task whose document is too large fails.",
    )
    document_keep: float = _setting(
        "30 d",
        seconds(3600, 86_400 * 3650, zero="for ever"),
        "How long a document is kept in `DOCUMENT_STORE` after it was last stored. Its link doesn't work any longer.",
    )
    document_url_prefix: str = _setting(
        "",
        web_address(),
        "Public URL of `DOCUMENT_STORE`, with which links begin. Without it, and without a bucket, links are file:// "
        "URLs.",
    )
    cloud_storage_bucket_name: str = _setting(
        "",
        word("[a-z0-9._-]{3,222}|", "a bucket's name, or nothing"),
        "Cloud Storage bucket mounted at `DOCUMENT_STORE`. Links begin with its public URL unless "
        "`DOCUMENT_URL_PREFIX` is set.",
    )
    bucket_save_directory: str = _setting(
        "", inner_path(), "Folder inside `DOCUMENT_STORE` in which documents are stored."
    )

    # Files.
    static_directory: Path | None = _setting("", path_of("folder"), "Static files to use instead of the packaged ones.")
    template_directory: Path | None = _setting("", path_of("folder"), "Templates to use instead of the packaged ones.")

    plugin_directory: tuple[Path, ...] = _setting(
        "", folders(), "Folders with resources of your own, added to those of installed plug-ins."
    )

    # Supervision.
    restart_limit: int = _setting(
        "10",
        whole(1, 10_000),
        "Restarts of one worker within `RESTART_WINDOW` after which the service exits, to be restarted.",
    )
    restart_window: float = _setting("60 s", seconds(1, 86_400), "Time window in which restarts are counted.")
    queue_silence: float = _setting(
        "30 s",
        seconds(1, 86_400),
        "Time without a successful response from the queue after which `/readyz` reports not ready.",
    )
    shutdown_seconds: float = _setting(
        "25 s",
        seconds(1, 3600),
        "Hard limit for shutdown. Set it below your platform's grace period.",
    )
    pid_file: Path | None = _setting(
        "", path_of("file"), "File to write the process ID to. It is locked while the service runs."
    )

    # The web side.
    host: str = _setting(
        "127.0.0.1", host(), "Address to listen on. 0.0.0.0 or :: accepts connections from other hosts."
    )
    port: int = _setting("8080", whole(0, 65_535), "Port to listen on. 0 chooses a free port.")
    keep_alive_seconds: float = _setting(
        "75 s",
        seconds(5, 3600),
        "Time after which an idle connection is closed. A load balancer must close its idle connections earlier.",
    )
    web_listeners: int = _setting(
        "100",
        whole(1, 10_000),
        "Maximum number of event streams (of the status page and of tasks) open at the same time.",
    )
    web_result_seconds: float = _setting(
        "1 h",
        seconds(1, 604_800),
        "How long the result of a task submitted over the web is kept.",
    )
    admin_token: str = _setting(
        "",
        secret("[!-~]{16,200}|", "16 to 200 printable ASCII characters without spaces, or nothing"),
        "Token that allows restarting a worker on `/status`. Without one, this is disabled.",
    )
    web_body_limit: int = _setting("64 KiB", size(0, 64 * MIB), "Largest request body accepted.")
    web_renders: int = _setting("1", whole(1, 256), "Documents drawn at the same time for web requests.")
    web_waiting: int = _setting(
        "64", whole(0, 100_000), "Web requests that may wait for their document. Any more are answered with 503."
    )
    web_render_seconds: float = _setting("20 s", seconds(1, 300), "Time limit for drawing a document for the web.")
    web_cache: int = _setting(
        "32 MiB",
        size(0, 64 * GIB),
        "Memory for the cache of documents and previews drawn for the web.",
        former="WEB_SHELF",
    )
    metrics: bool = _setting("yes", yes_no(), "Whether to serve Prometheus metrics at `/metrics`.")

    # Logs.
    log_format: str = _setting(
        "json", one_of("json", "console"), "Log format: one JSON object per line, or text for a terminal."
    )
    log_level: str = _setting("info", one_of("debug", "info", "warning", "error"), "Minimum log level.")

    notices: tuple[str, ...] = ()
    """Warnings for the operator, such as a variable that looks like a misspelt setting, to log at start."""


TABLE: tuple[Setting, ...] = tuple(
    Setting(field.name.upper(), **field.metadata) for field in dataclasses.fields(Settings) if field.metadata
)


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
    notices = (*former_names(environment, chosen), *unknown_names(environment), *filter(None, ignored.values()))
    return Settings(**values, notices=notices)


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
