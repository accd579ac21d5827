"""Settings → nothing if the files and folders that they name can be used, or else one line for the operator.

A file or folder that can't be used at startup is a mistake in the configuration: the service doesn't start. One that
fails later is an outage: the service continues, and its health states the cause.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from render_trio.credentials.certificates import trusting
from render_trio.credentials.tokens import authorization
from render_trio.errors import StartupError
from render_trio.settings.settings import Settings
from render_trio.web.access.tokens import Tokens
from resources.content import assets

SHOWN_FILES = 3  # missing files that a message lists
# A network file system that fails in another way may recover: the service starts without it.
MISTAKES = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EROFS,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    }
)


def require_unix() -> None:
    """Raise StartupError where the service and the queue don't run: on Windows."""
    if not hasattr(os, "fork"):
        raise StartupError(
            "this command needs Linux or macOS; on Windows, run it in WSL or in a container (render, resources, submit "
            "and results work here)"
        )


def check_files(settings: Settings) -> None:
    """Raise StartupError if STATIC_DIRECTORY or TEMPLATE_DIRECTORY lacks files, or if the packaged files do."""
    if problem := missing_files(settings):
        raise StartupError(problem)


def missing_files(settings: Settings) -> str:
    """Return a line that names a folder and its first missing files; empty if there is every file."""
    for name, given, current, missing in (
        ("STATIC_DIRECTORY", settings.static_directory, assets.static_directory(), assets.missing_static_files()),
        ("TEMPLATE_DIRECTORY", settings.template_directory, assets.template_directory(), assets.missing_templates()),
    ):
        if not missing:
            continue
        subject = f"{name} is {str(given)!r}" if given else f"{name} is not set, and the packaged folder is {current}"
        if not os.path.isdir(current):  # noqa: PTH112  (Path.is_dir raises for a path that is too long)
            return f"{subject}: there is no such folder; correct the path"
        more = f" and {len(missing) - SHOWN_FILES} more" if len(missing) > SHOWN_FILES else ""
        shown = ", ".join(missing[:SHOWN_FILES])
        return f"{subject}: it lacks {shown}{more}, or they can't be read; copy them from the packaged folder"
    return ""


def web_tokens(settings: Settings) -> Tokens:
    """Return the tokens of programs. Raises StartupError."""
    return Tokens("WEB_TOKEN", settings.web_token, settings.web_token_file)


def admin_tokens(settings: Settings) -> Tokens:
    """Return the operators' tokens. Raises StartupError."""
    return Tokens("ADMIN_TOKEN", settings.admin_token, settings.admin_token_file)


def check_token_files(settings: Settings) -> None:
    """Raise StartupError if WEB_TOKEN_FILE or ADMIN_TOKEN_FILE can't be used."""
    web_tokens(settings)
    admin_tokens(settings)


def make_folder(folder: Path) -> None:
    """Create a folder, unless it exists. Raises OSError if that fails, or this user may not write to it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "this user may not write to it", str(folder))


def check_document_folder(settings: Settings) -> None:
    """Create the folder for documents. Raises StartupError if it can't be created, or this user may not write to it."""
    if settings.document_store is None:
        return
    folder = settings.document_store / settings.bucket_save_directory
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in MISTAKES:
            raise _unusable(folder, f"it can't be created: {error.strerror}") from error
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, f"user {os.getuid()} may not write to it")


def check_credentials(settings: Settings) -> None:
    """Raise CredentialsError if QUEUE_TOKEN_FILE, QUEUE_CA_FILE or SSL_CERT_FILE can't be used."""
    authorization(settings.queue_token, settings.queue_token_file).header()
    trusting(settings.queue_ca_file)


def _unusable(folder: Path, reason: str) -> StartupError:
    return StartupError(f"DOCUMENT_STORE: {str(folder)!r}: {reason}; set a folder that this user may write to")
