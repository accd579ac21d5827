"""The settings of a Redis → warnings about those that can lose tasks, each with what to set.

CONFIG is often forbidden (managed Redis, a user with few permissions). Then only those settings are examined that
INFO reports. They are read again now and then, because they can be changed while Redis runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import redis

from emulator.stores.interface import QueueKey, StoreUnavailableError
from emulator.stores.redis.calls import RedisCalls
from emulator.stores.redis.layout import CHANNEL, queue_keys

RECHECK_SECONDS = 60
# Without these, requests are answered later, or only a rare one fails.
DISPENSABLE = {"PUBLISH", "SUBSCRIBE", "COPY", "EXPIRE", "SCAN", "INCRBY", "DEL"}
PROBE = QueueKey("check", "permissions")  # its keys are never written


class Condition:
    """The warnings about one Redis, as of the last examination."""

    def __init__(self, calls: RedisCalls) -> None:
        self._calls = calls
        self._warnings: tuple[str, ...] = ()
        self._examined_at = float("-inf")

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings. The settings are read again if the last time was long ago.

        Raises StoreUnavailableError if the user of Redis lacks permissions without which requests fail.
        """
        if time.monotonic() >= self._examined_at + RECHECK_SECONDS:
            with self._calls.reached():
                info = _info(self._calls.client)
                settings = {name: _setting(self._calls.client, name) for name in ("save", "appendfsync")}
            self._warnings = tuple(unsafe_settings(info, settings))
            self._examined_at = time.monotonic()
        missing = set(self._calls.run("permissions", queue_keys(PROBE), (CHANNEL, "")))
        if not missing:
            return self._warnings
        text = f"the user of Redis lacks a permission: {', '.join(sorted(missing))}; grant it with ACL SETUSER"
        if missing - DISPENSABLE:
            raise StoreUnavailableError(text)
        return (*self._warnings, text)

    def expire(self) -> None:
        """Examine Redis the next time."""
        self._examined_at = float("-inf")


def _info(client: Any) -> Mapping[str, Any]:
    """Return the reply to INFO; empty if this user may not use it."""
    try:
        return dict(client.info())
    except redis.ResponseError:
        return {}


def _setting(client: Any, name: str) -> str | None:
    """Return a setting; None if this user may not read it."""
    try:
        value = client.config_get(name).get(name)
    except redis.ResponseError:
        return None
    return None if value is None else str(value)


def unsafe_settings(info: Mapping[str, Any], settings: Mapping[str, str | None]) -> list[str]:
    """Return a sentence for each setting that can lose tasks. `settings` has None for those that can't be read."""
    found = []
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        evicted = int(info.get("evicted_keys", 0))
        already = f" (it has evicted {evicted} keys since its start)" if evicted else ""
        deleted = "tasks" if policy.startswith("allkeys") else "keys that expire, such as backups"
        found.append(
            f"maxmemory-policy is {policy}: when its memory is full, Redis deletes {deleted}{already}; "
            "set maxmemory-policy noeviction"
        )
    if "aof_enabled" in info:
        if not int(info["aof_enabled"]):
            found.append(_without_append_only_file(settings["save"]))
        elif settings["appendfsync"] == "no":
            found.append(
                "appendfsync is no: a crash of the host loses the tasks of the last half minute; "
                "set appendfsync always, or everysec to lose at most 1 s"
            )
    if info.get("role") == "slave":
        found.append("this Redis is a replica: it refuses changes; point --store at the master")
    return found


def _without_append_only_file(save: str | None) -> str:
    if save == "":
        return "appendonly is no and save is empty: all tasks are lost when Redis restarts; set appendonly yes"
    return (
        "appendonly is no: tasks accepted since the last snapshot are lost when Redis crashes; "
        "set appendonly yes, and appendfsync always to lose none"
    )
