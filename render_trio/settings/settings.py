"""The table of settings: the fields of the frozen value `Settings`, which is read once and passed down.

The fields of `Settings` are the only table of settings: each has its name, default, help text and allowed values
in one place. The README's table, the command line's options and the error messages are generated from it. The
field `task_count` is read from the variable TASK_COUNT or the option --task-count; the option wins.

To rename a setting, name the old one in `former`. It keeps working, with a warning, until REMOVAL_VERSION.
"""

# ruff: noqa: RUF009  (the function `setting` below passes a default factory, never a shared value)

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from render_trio.settings.setting import Setting, setting
from render_trio.settings.values import (
    GIB,
    KIB,
    MIB,
    factor,
    folders,
    host,
    host_names,
    inner_path,
    networks,
    one_of,
    optional_host,
    optional_port,
    path_of,
    path_prefix,
    seconds,
    secret,
    size,
    web_address,
    whole,
    word,
    workers,
    yes_no,
)

_QUEUE_WORD = word("[a-zA-Z0-9-]{1,100}", "1 to 100 letters, digits and hyphens")
_PROJECT_WORD = word("[a-z]?~?[a-zA-Z0-9.:_-]{1,100}", "1 to 100 letters, digits and . : _ -")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked. `Settings()` has the defaults; times are in seconds, sizes in bytes."""

    # The queue.
    project_name: str = setting("render", _PROJECT_WORD, "Project that the queue belongs to.")
    queue_name: str = setting("render", _QUEUE_WORD, "Pull queue to lease tasks from.")
    queue_url: str = setting(
        "http://127.0.0.1:5052",
        web_address(),
        "URL of the queue service, without a path. Not used with a discovery URL.",
    )
    api_discovery_url: str = setting(
        "",
        web_address(),
        "URL of the queue API's discovery document, used instead of `QUEUE_URL`. `{api}` and `{apiVersion}` are "
        "replaced by the API's name and version.",
    )
    queue_token: str = setting(
        "",
        secret("[!-~]{1,4096}|", "at most 4096 printable ASCII characters without spaces, or nothing"),
        "Token for the queue, if it requires one. Other users of the machine can read options: use the variable, or "
        "`QUEUE_TOKEN_FILE`.",
    )
    queue_token_file: Path | None = setting(
        "",
        path_of("file"),
        "File with the token for the queue, in place of `QUEUE_TOKEN`. It is read again when it changes.",
    )
    queue_ca_file: Path | None = setting(
        "",
        path_of("file"),
        "PEM file with the certificates of authorities to trust in addition to the usual ones, for a queue with a "
        "certificate from a private authority.",
    )
    queue_timeout: float = setting("10 s", seconds(0.1, 300), "Time limit for one response from the queue.")
    task_count: int = setting("20", whole(1, 1000), "Maximum number of tasks leased in one request.")
    task_seconds: float = setting(
        "50 s", seconds(1, 86_400), "Time limit for a task's first attempt. Its lease lasts 10 s longer."
    )
    task_time_mult: float = setting(
        "1.33",
        factor(0, 100),
        "Increase of the time limit with each retry: it is `TASK_SECONDS × (1 + TASK_TIME_MULT × retries)`.",
    )
    task_retry_limit: int = setting(
        "5", whole(1, 100), "Number of attempts at a task. After the last one, a failure result is delivered."
    )
    render_sleep_time: float = setting(
        "2 s",
        seconds(0.01, 3600),
        "Longest pause between polls of an empty queue that doesn't support long polling.",
    )

    # The work.
    render_workers: int = setting(
        "auto", workers(256), "Number of workers. auto: one per CPU that the service may use."
    )
    render_isolation: str = setting(
        "thread",
        one_of("thread", "process"),
        "Where documents are drawn. thread: in the service, no start-up cost, but a hung thread can't be killed. "
        "process: in worker processes, which are killed at the time limit.",
    )
    render_memory_limit: int = setting(
        "1 GiB",
        size(128 * MIB, 1024 * GIB, zero="no limit"),
        "Memory limit of each render process. Only with `RENDER_ISOLATION=process`.",
    )
    render_jobs_per_process: int = setting(
        "500",
        whole(1, 1_000_000),
        "Number of documents after which a render process is replaced. Only with `RENDER_ISOLATION=process`.",
    )
    render_recycle_memory: int = setting(
        "400 MiB",
        size(64 * MIB, 1024 * GIB, zero="never"),
        "Resident memory above which a render process is replaced. Only with `RENDER_ISOLATION=process`.",
    )
    abandoned_limit: int = setting(
        "4",
        whole(1, 1000),
        "Number of hung render threads at which the service exits, to be restarted. Only with "
        "`RENDER_ISOLATION=thread`.",
    )

    # The results.
    max_queue_task_size: int = setting(
        "680 KiB",
        size(KIB, 760 * KIB),
        "Largest document delivered inside a result task (a queue task holds 1 MiB, in Base64). A larger one is "
        "delivered as a link to `DOCUMENT_STORE`.",
    )
    document_store: Path | None = setting(
        "",
        path_of("folder"),
        "Folder for documents delivered as links. Without one, a task whose document is too large fails.",
    )
    document_keep: float = setting(
        "30 d",
        seconds(3600, 86_400 * 3650, zero="for ever"),
        "How long a document is kept in `DOCUMENT_STORE` after it was last stored. Its link doesn't work any longer.",
    )
    document_url_prefix: str = setting(
        "",
        web_address(),
        "Public URL of `DOCUMENT_STORE`, with which links begin. Without it, and without a bucket, links are file:// "
        "URLs.",
    )
    cloud_storage_bucket_name: str = setting(
        "",
        word("[a-z0-9._-]{3,222}|", "a bucket's name, or nothing"),
        "Cloud Storage bucket mounted at `DOCUMENT_STORE`. Links begin with its public URL unless "
        "`DOCUMENT_URL_PREFIX` is set.",
    )
    bucket_save_directory: str = setting(
        "", inner_path(), "Folder inside `DOCUMENT_STORE` in which documents are stored."
    )

    # Files.
    static_directory: Path | None = setting("", path_of("folder"), "Static files to use instead of the packaged ones.")
    template_directory: Path | None = setting("", path_of("folder"), "Templates to use instead of the packaged ones.")

    plugin_directory: tuple[Path, ...] = setting(
        "", folders(), "Folders with resources of your own, added to those of installed plug-ins."
    )

    # Supervision.
    restart_limit: int = setting(
        "10",
        whole(1, 10_000),
        "Restarts of one worker within `RESTART_WINDOW` after which the service exits, to be restarted.",
    )
    restart_window: float = setting("60 s", seconds(1, 86_400), "Time window in which restarts are counted.")
    queue_silence: float = setting(
        "30 s",
        seconds(1, 86_400),
        "Time without a successful response from the queue after which `/readyz` reports not ready.",
    )
    shutdown_seconds: float = setting(
        "25 s",
        seconds(1, 3600),
        "Hard limit for shutdown. Set it below your platform's grace period.",
    )
    pid_file: Path | None = setting(
        "", path_of("file"), "File to write the process ID to. It is locked while the service runs."
    )

    # The web side.
    host: str = setting(
        "127.0.0.1", host(), "Address to listen on. 0.0.0.0 or :: accepts connections from other hosts."
    )
    port: int = setting("8080", whole(0, 65_535), "Port to listen on. 0 chooses a free port.")
    operator_port: int | None = setting(
        "",
        optional_port(),
        "Separate port for operators. If set, `/status`, `/metrics`, `/version` and `/health` are served only there, "
        "`/livez` and `/readyz` on both.",
    )
    operator_host: str = setting("", optional_host(), "Address to listen on for `OPERATOR_PORT`; by default `HOST`.")
    keep_alive_seconds: float = setting(
        "75 s",
        seconds(5, 3600),
        "Time after which an idle connection is closed. A load balancer must close its idle connections earlier.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "",
        host_names(),
        "Host names that the server answers for, besides IP addresses, localhost and the machine's own name. "
        "`.example.org` also allows its subdomains.",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        "",
        networks(),
        "Reverse proxies whose headers `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, or `Forwarded`, are used.",
    )
    root_path: str = setting(
        "", path_prefix(), "Path under which a reverse proxy serves the web side. It wins over `X-Forwarded-Prefix`."
    )
    web_listeners: int = setting(
        "100",
        whole(1, 10_000),
        "Maximum number of event streams of tasks open at the same time, and the same number of the status page. One "
        "client may have a quarter of them.",
    )
    web_result_seconds: float = setting(
        "1 h",
        seconds(1, 604_800),
        "How long a task submitted over the web may wait, and how long its result is kept.",
    )
    web_tasks: int = setting(
        "1000",
        whole(4, 1_000_000),
        "Tasks submitted over the web that may wait or whose results are kept. One client may have a quarter of them.",
    )
    web_task_bytes: int = setting(
        "256 MiB",
        size(8 * MIB, 1024 * GIB),
        "Bytes that tasks submitted over the web and their results may take on the queue and in `DOCUMENT_STORE`. One "
        "client may have a quarter of them.",
    )
    admin_token: str = setting(
        "",
        secret("[!-~]{16,200}|", "16 to 200 printable ASCII characters without spaces, or nothing"),
        "Token that allows restarting a worker on `/status`. Without one, this is disabled.",
    )
    admin_token_file: Path | None = setting(
        "",
        path_of("file"),
        "File with such tokens, one per line. It is read again when it changes.",
    )
    web_token: str = setting(
        "",
        secret("[!-~]{16,200}|", "16 to 200 printable ASCII characters without spaces, or nothing"),
        "Token that programs send with `POST /render` and `POST /tasks`. Without one, anyone may use them.",
    )
    web_token_file: Path | None = setting(
        "",
        path_of("file"),
        "File with such tokens, one per line. It is read again when it changes.",
    )
    web_body_limit: int = setting("64 KiB", size(0, 64 * MIB), "Largest request body accepted.")
    web_renders: int = setting("1", whole(1, 256), "Documents drawn at the same time for web requests.")
    web_waiting: int = setting(
        "64",
        whole(0, 100_000),
        "Web requests that may wait for their document. Any more are answered with 503. One client may have three "
        "quarters of them.",
    )
    web_render_seconds: float = setting("20 s", seconds(1, 300), "Time limit for drawing a document for the web.")
    web_cache: int = setting(
        "32 MiB",
        size(0, 64 * GIB),
        "Memory for the cache of documents and previews drawn for the web.",
        former="WEB_SHELF",
    )
    metrics: bool = setting("yes", yes_no(), "Whether to serve Prometheus metrics at `/metrics`.")

    # Logs.
    log_format: str = setting(
        "json",
        one_of("json", "google", "console"),
        "Log format: one JSON object per line, the same with the fields of Google Cloud Logging, or text for a "
        "terminal.",
    )
    access_log: bool = setting(
        "yes", yes_no(), "Whether to log each web request. Those of probes have the level debug."
    )
    log_level: str = setting("info", one_of("debug", "info", "warning", "error"), "Minimum log level.")

    notices: tuple[str, ...] = ()
    """Warnings for the operator, such as a variable that looks like a misspelt setting, to log at start."""


TABLE: tuple[Setting, ...] = tuple(
    Setting(field.name.upper(), **field.metadata) for field in dataclasses.fields(Settings) if field.metadata
)
