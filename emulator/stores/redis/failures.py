"""An error of redis-py → StoreUnavailableError with a message that states the cause and what to do."""

from __future__ import annotations

import re

import redis

from emulator.stores.interface import StoreFullError, StoreUnavailableError
from emulator.stores.redaction import redacted

SHOWN_CHARACTERS = 200  # of a message from Redis
# By the code at the start of an error reply. Redis before 7.0 puts the error of a script inside another message.
CAUSES = {
    "OOM": "Redis has no memory left; process or purge tasks, or raise its maxmemory",
    "READONLY": "this Redis is a read-only replica; point --store at the master, or make this one the master",
    "MASTERDOWN": "this Redis is a replica that has lost its master; point --store at the master",
    "LOADING": "Redis is loading its data after a start; wait until it is ready",
    "MISCONF": "Redis can't save its data and therefore refuses changes; check its disk and its log",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write; check the replicas",
    "BUSY": "Redis is busy with a script of another client; wait for it, or end it with SCRIPT KILL",
    "CLUSTERDOWN": "the Redis cluster is down; check its nodes",
    "MOVED": "this node of the Redis cluster doesn't hold the keys of the queue; point --store at the one that does",
    "NOAUTH": "Redis requires a password; add it to --store: redis://USER:PASSWORD@HOST:PORT/DB",
    "WRONGPASS": "Redis refused the user name or the password; correct them in --store",
    "DENIED": "Redis runs in protected mode and refuses other hosts; set a password or bind addresses",
    "WRONGTYPE": "a key of the queue has the wrong type, so another program has written to it; use another database",
}
CODES = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.MovedError: "MOVED",
}
# Redis 7.0 reports a command that a script may not use without the code NOPERM.
_FORBIDDEN = re.compile(r"\bNOPERM\b|can't run this command")
_CODE = re.compile(rf"\b({'|'.join(CAUSES)})\b")


def code_of(error: redis.RedisError) -> str | None:
    """Return the code of an error reply that has an entry in CAUSES, otherwise None."""
    if type(error) in CODES:
        return CODES[type(error)]
    found = _CODE.search(str(error))
    return found[1] if found else None


def refused_by_replica(error: redis.RedisError) -> bool:
    """Return whether a replica refused a command that only the master executes. Nothing was executed."""
    if code_of(error) in ("READONLY", "MASTERDOWN"):
        return True
    # The connections of a Sentinel client report this as a lost connection.
    return isinstance(error.__context__, redis.exceptions.ReadOnlyError)


def unavailable(error: redis.RedisError) -> StoreUnavailableError:
    """Return the error for callers. Its message contains no password."""
    text = shortened(error)
    code = code_of(error)
    if code == "OOM":
        return StoreFullError(CAUSES[code])
    if code is not None:
        message = CAUSES[code]
    elif isinstance(error, redis.exceptions.NoPermissionError) or _FORBIDDEN.search(text):
        message = f"the user of Redis lacks a permission: {text}; grant it with ACL SETUSER"
    elif isinstance(error, redis.exceptions.AuthenticationError):
        message = CAUSES["WRONGPASS"]
    elif isinstance(error, redis.TimeoutError):
        message = "Redis did not reply in time; check its host, its disk and the network"
    elif "max number of clients" in text:
        message = "Redis has too many clients; raise its maxclients"
    elif isinstance(error, redis.ConnectionError):
        message = f"Redis is unreachable: {text}; check that it runs, and its address in --store"
    else:
        message = f"Redis failed: {text}; see its log"
    return StoreUnavailableError(message)


def shortened(error: redis.RedisError) -> str:
    """Return the message of an error on one line, shortened, without a period at its end and without a password."""
    return " ".join(redacted(str(error)).split())[:SHOWN_CHARACTERS].rstrip(".")
