"""The text of a setting → its value: the readers used by the table in `settings`.

A reader raises ValueError for text that it doesn't accept; `settings` turns that into a one-line message for the
operator, which ends with "allowed: " and the reader's `allowed`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import unquote, urlsplit

import httpx

from render_trio.settings.cpus import allowed_cpus

T = TypeVar("T")

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": KIB, "mib": MIB, "gib": GIB}
_TIMES = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-zA-Z]*)")
_YES_NO = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """Parses one kind of setting. `read` returns the value or raises ValueError; `allowed` describes valid texts.

    Messages never contain the value of a `secret` setting.
    """

    allowed: str
    read: Callable[[str], T]
    secret: bool = False


def _within(value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ValueError(value)


def _quantity(text: str, units: dict[str, float] | dict[str, int]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2].lower() not in units:
        raise ValueError(text)
    return float(match[1]) * units[match[2].lower()]


def size_text(count: float) -> str:
    """Return a number of bytes in its largest binary unit: `680 KiB`."""
    for unit, bytes_each in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count >= bytes_each:
            return f"{count / bytes_each:g} {unit}"
    return f"{count:g} B"


def whole(lowest: int, highest: int) -> Reader[int]:
    """Accept a whole number from `lowest` to `highest`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValueError(text)
        _within(int(text), lowest, highest)
        return int(text)

    return Reader(f"a whole number from {lowest} to {highest}", read)


def factor(lowest: float, highest: float) -> Reader[float]:
    """Accept a number, with or without a fraction, from `lowest` to `highest`."""

    def read(text: str) -> float:
        value = _quantity(text, {"": 1.0})
        _within(value, lowest, highest)
        return value

    return Reader(f"a number from {lowest:g} to {highest:g}", read)


def seconds(lowest: float, highest: float, *, zero: str = "") -> Reader[float]:
    """Accept a duration, in seconds unless it has a unit: `90`, `250 ms`, `2 min`, `1 h`, `30 d`.

    The value is in seconds. `zero`: the meaning of 0, if allowed.
    """

    def read(text: str) -> float:
        value = _quantity(text, _TIMES)
        if not (zero and value == 0):
            _within(value, lowest, highest)
        return value

    allowed = f"seconds from {lowest:.10g} to {highest:.10g} (units: ms, s, min, h, d)"
    return Reader(f"{allowed}, or 0 for {zero}" if zero else allowed, read)


def size(lowest: int, highest: int, *, zero: str = "") -> Reader[int]:
    """Accept a number of bytes, with an optional unit: `1024`, `680 KiB`. `zero`: the meaning of 0, if allowed."""

    def read(text: str) -> int:
        value = int(_quantity(text, _SIZES))
        if not (zero and value == 0):
            _within(value, lowest, highest)
        return value

    allowed = f"a size from {size_text(lowest)} to {size_text(highest)} (units: B, kB, KiB, MB, MiB, GB, GiB)"
    return Reader(f"{allowed}, or 0 for {zero}" if zero else allowed, read)


def one_of(*choices: str) -> Reader[str]:
    """Accept one of several words, in upper or lower case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(text)
        return text.lower()

    return Reader(" or ".join((", ".join(choices[:-1]), choices[-1])), read)


def yes_no() -> Reader[bool]:
    """Accept yes or no, and as synonyms true, false, on, off, 1 and 0."""

    def read(text: str) -> bool:
        if text.lower() not in _YES_NO:
            raise ValueError(text)
        return _YES_NO[text.lower()]

    return Reader("yes or no", read)


def word(pattern: str, allowed: str) -> Reader[str]:
    """Accept text that matches the whole `pattern`."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Reader(allowed, read)


def secret(pattern: str, allowed: str) -> Reader[str]:
    """Accept text that matches the whole `pattern`, and keep it out of messages."""
    return Reader(allowed, word(pattern, allowed).read, secret=True)


def web_address() -> Reader[str]:
    """Accept an http or https URL, or nothing. The value has no trailing slash."""

    def read(text: str) -> str:
        if not text:
            return ""
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", text):
            raise ValueError(text)
        _ = parts.port  # raises ValueError if it is not a valid port number
        try:
            _check_name(httpx.URL(text).host)
        except httpx.InvalidURL as error:
            raise ValueError(text) from error
        return text.rstrip("/")

    return Reader("a URL that begins with http:// or https://, or nothing", read)


def host() -> Reader[str]:
    """Accept a host name or an IP address; an IPv6 address may be in brackets."""

    def read(text: str) -> str:
        if not re.fullmatch(r"[0-9a-zA-Z.:_\[\]-]{1,253}", text):
            raise ValueError(text)
        _check_name(text)
        return text

    return Reader("a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::", read)


def host_names() -> Reader[tuple[str, ...]]:
    """Accept host names separated by commas, or nothing. The values are in lower case and in ASCII (IDNA)."""

    def read(text: str) -> tuple[str, ...]:
        names = [part.strip().removesuffix(".") for part in text.split(",") if part.strip()]
        read_names = []
        for name in names:
            ascii_name = name.removeprefix(".").encode("idna").decode().lower()
            if not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", ascii_name):
                raise ValueError(text)
            read_names.append(f".{ascii_name}" if name.startswith(".") else ascii_name)
        return tuple(read_names)

    return Reader("host names without ports, separated by commas (.example.org: with its subdomains), or nothing", read)


def networks() -> Reader[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]]:
    """Accept IP addresses and networks in CIDR notation, separated by commas, or nothing."""

    def read(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())

    return Reader("IP addresses and networks (10.0.0.0/8), separated by commas, or nothing", read)


def path_prefix() -> Reader[str]:
    """Accept an absolute URL path of letters, digits and . _ ~ -, or nothing. The value has no final slash."""

    def read(text: str) -> str:
        path = text.removesuffix("/")
        if path and not re.fullmatch(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+){1,20}", path):
            raise ValueError(text)
        return path

    return Reader("a path such as /print, of letters, digits and . _ ~ -, or nothing", read)


def optional_port() -> Reader[int | None]:
    """Accept a port, or nothing."""
    port = whole(0, 65_535)

    def read(text: str) -> int | None:
        return port.read(text) if text else None

    return Reader(f"{port.allowed}, or nothing", read)


def optional_host() -> Reader[str]:
    """Accept a host name or an IP address, or nothing."""
    given = host()
    return Reader(f"{given.allowed}, or nothing", lambda text: given.read(text) if text else "")


def _check_name(name: str) -> None:
    """Raise UnicodeError, a ValueError, for a name that the resolver would fail to encode: `a..b`."""
    name.encode("idna")


def path_of(kind: str) -> Reader[Path | None]:
    """Accept the path or file:// URL of a `kind` (file, folder), or nothing. It need not exist yet."""

    def read(text: str) -> Path | None:
        if not text:
            return None
        if text.startswith("file://"):
            parts = urlsplit(text)
            if parts.netloc not in {"", "localhost"}:
                raise ValueError(text)
            text = unquote(parts.path)
        elif "://" in text:
            raise ValueError(text)
        if "\0" in text:
            raise ValueError(text)
        try:
            return Path(text).expanduser()
        except RuntimeError as error:  # ~name: there is no such user
            raise ValueError(text) from error

    return Reader(f"the path or file:// URL of a {kind}, or nothing", read)


def folders() -> Reader[tuple[Path, ...]]:
    """Accept the paths of folders, separated as in PATH, or nothing."""
    one = path_of("folder")

    def read(text: str) -> tuple[Path, ...]:
        paths = (one.read(part) for part in text.split(os.pathsep) if part)
        return tuple(path for path in paths if path is not None)

    return Reader(f"paths of folders, separated by {os.pathsep!r}, or nothing", read)


def inner_path() -> Reader[str]:
    """Accept a path that stays inside its folder. The value is relative, and empty for the folder itself.

    A leading slash has no effect: older producers' default is /static/resources.
    """

    def read(text: str) -> str:
        path = PurePosixPath(text.lstrip("/"))
        if ".." in path.parts or re.search(r"[\x00-\x1f\\]", text):
            raise ValueError(text)
        return "/".join(path.parts)

    return Reader("a path without '..', which may begin with a slash, or nothing", read)


def workers(highest: int) -> Reader[int]:
    """Accept a whole number, or `auto` for the number of CPUs that this process may use."""

    def read(text: str) -> int:
        if text.lower() == "auto":
            return min(allowed_cpus(), highest)
        return whole(1, highest).read(text)

    return Reader(f"auto or a whole number from 1 to {highest}", read)
