"""queue.yaml → the pull queues with their retry limits and access rules.

The format is that of App Engine. The file may contain push queues, but this service ignores them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emulator.permissions.yaml_files import read_yaml
from emulator.wire.errors import shown
from emulator.wire.parameters import QUEUE_NAME

MAX_RETRIES = 1_000_000
EMAIL = re.compile(r"[^\s@:]+@[^\s@:]+", re.ASCII)
STORAGE_LIMIT = re.compile(r"[0-9]+(\.[0-9]+)?[BKMGT]?", re.ASCII)
FILE_FIELDS = ("queue", "total_storage_limit")
PULL_FIELDS = ("name", "mode", "acl", "retry_parameters")
ACL_FIELDS = ("user_email", "writer_email")


class QueueFileError(ValueError):
    """The file is invalid. The message names the file, the field, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class QueueRule:
    """One pull queue. `retry_limit` is how often a task can be leased, None for no limit."""

    name: str
    retry_limit: int | None = None
    users: frozenset[str] = frozenset()
    writers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class QueueFile:
    """The pull queues of a file by name, and the names of its push queues."""

    rules: Mapping[str, QueueRule]
    push: frozenset[str] = frozenset()


def read_queue_file(path: Path) -> QueueFile:
    """Return the queues of a file. Raises QueueFileError, OSError."""
    try:
        content = read_yaml(path)
    except yaml.YAMLError as error:
        raise QueueFileError(f"{path} is not valid YAML: {error}") from None
    return _Reader(path).file(content)


class _Reader:
    """Validates the content of one file. Every error message starts with the path of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _bad(self, field: str, value: object, allowed: str) -> QueueFileError:
        return QueueFileError(f"{self._path}: {field} is {shown(value)}; allowed: {allowed}")

    def _mapping(self, field: str, value: object, allowed: tuple[str, ...]) -> dict[str, Any]:
        """Return a mapping after checking that it has only allowed keys. Raises QueueFileError."""
        if not isinstance(value, dict):
            raise self._bad(field, value, f"a mapping with {', '.join(allowed)}")
        for key in value:
            if key not in allowed:
                raise self._bad(f"a field of {field}", key, ", ".join(allowed))
        return value

    def file(self, content: object) -> QueueFile:
        """Return the queues of the file's content."""
        root = self._mapping("the file", content, FILE_FIELDS)
        limit = root.get("total_storage_limit")
        if limit is not None and not STORAGE_LIMIT.fullmatch(str(limit)):
            raise self._bad("total_storage_limit", limit, "a number of bytes, optionally followed by K, M, G or T")
        listed = root.get("queue")
        if not isinstance(listed, list) or not listed:
            raise self._bad("queue", listed, "a list of queues, each with a name and mode: pull")
        rules: dict[str, QueueRule] = {}
        push: set[str] = set()
        for number, entry in enumerate(listed):
            field = f"queue[{number}]"
            if not isinstance(entry, dict):
                raise self._bad(field, entry, "a mapping with name and mode: pull")
            name, mode = entry.get("name"), entry.get("mode", "push")
            if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
                raise self._bad(f"{field}.name", name, "1 to 100 letters, digits and '-'")
            if name in rules or name in push:
                raise self._bad(f"{field}.name", name, "a name that no other queue in the file has")
            if mode == "pull":
                rules[name] = self._rule(field, name, entry)
            elif mode == "push":
                push.add(name)
            else:
                raise self._bad(f"{field}.mode", mode, "pull, push")
        return QueueFile(rules, frozenset(push))

    def _rule(self, field: str, name: str, entry: dict[str, Any]) -> QueueRule:
        self._mapping(field, entry, PULL_FIELDS)
        retry = self._mapping(f"{field}.retry_parameters", entry.get("retry_parameters", {}), ("task_retry_limit",))
        limit = retry.get("task_retry_limit")
        if limit is not None and (
            not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_RETRIES
        ):
            allowed = f"a whole number from 1 to {MAX_RETRIES}, the number of leases"
            raise self._bad(f"{field}.retry_parameters.task_retry_limit", limit, allowed)
        emails: dict[str, set[str]] = {kind: set() for kind in ACL_FIELDS}
        acl = entry.get("acl", [])
        if not isinstance(acl, list):
            raise self._bad(f"{field}.acl", acl, "a list of user_email and writer_email entries")
        for number, item in enumerate(acl):
            place = f"{field}.acl[{number}]"
            for kind, email in self._mapping(place, item, ACL_FIELDS).items():
                if not isinstance(email, str) or not EMAIL.fullmatch(email):
                    raise self._bad(f"{place}.{kind}", email, "an e-mail address")
                emails[kind].add(email.lower())
        return QueueRule(name, limit, frozenset(emails["user_email"]), frozenset(emails["writer_email"]))
