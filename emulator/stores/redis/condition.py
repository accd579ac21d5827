"""The settings of a Redis → warnings about those that can lose tasks, each with what to set.

CONFIG is often forbidden (managed Redis, a user with few permissions). Then only those settings are examined that
INFO reports. They are read again now and then, because they can be changed while Redis runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import redis

from emulator.stores.interface import QueueKey
from emulator.stores.redis.calls import RedisCalls
from emulator.stores.redis.layout import CHANNEL, queue_keys

RECHECK_SECONDS = 60
PROBE = QueueKey("check", "permissions")  # its keys are never written


class Condition:
    """The warnings about one Redis, as of the last examination."""

    def __init__(self, calls: RedisCalls) -> None:
        self._calls = calls
        self._warnings: tuple[str, ...] = ()
        self._examined_at = float("-inf")

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings, examining Redis if the last time was long ago. Raises StoreUnavailableError."""
        if time.monotonic() >= self._examined_at + RECHECK_SECONDS:
            with self._calls.reached():
                info = _info(self._calls.client)
                settings = {name: _setting(self._calls.client, name) for name in ("save", "appendfsync")}
            missing = self._calls.run("permissions", queue_keys(PROBE), (CHANNEL, ""))
            self._warnings = (*unsafe_settings(info, settings), *missing_permissions(missing))
            self._examined_at = time.monotonic()
        return self._warnings

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


def missing_permissions(commands: list[str]) -> list[str]:
    """Return a sentence about the commands that the user of Redis may not use."""
    if not commands:
        return []
    return [f"the user of Redis may not use {', '.join(sorted(commands))}; grant it with ACL SETUSER"]
