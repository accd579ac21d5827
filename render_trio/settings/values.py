"""Text of a setting → its value: the readers that the table in `settings` is made of.

Each reader says in `allowed` what it takes, in words that finish the sentence "allowed: …", and raises
`ValueError` for anything else. `settings` turns that into the one line an operator sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import unquote, urlsplit

from render_trio.settings.cpus import allowed_cpus

T = TypeVar("T")

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": KIB, "mib": MIB, "gib": GIB}
_TIMES = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0}
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
    """How a setting is read: `read` gives the value or raises `ValueError`, `allowed` says what it takes.

    The value of a `secret` one is repeated nowhere.
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
    """A number of bytes as people write it: `680 KiB`."""
    for unit, bytes_each in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count >= bytes_each:
            return f"{count / bytes_each:g} {unit}"
    return f"{count:g} B"


def whole(lowest: int, highest: int) -> Reader[int]:
    """A whole number from `lowest` to `highest`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValueError(text)
        _within(int(text), lowest, highest)
        return int(text)

    return Reader(f"a whole number from {lowest} to {highest}", read)


def factor(lowest: float, highest: float) -> Reader[float]:
    """A plain number from `lowest` to `highest`."""

    def read(text: str) -> float:
        value = _quantity(text, {"": 1.0})
        _within(value, lowest, highest)
        return value

    return Reader(f"a number from {lowest:g} to {highest:g}", read)


def seconds(lowest: float, highest: float) -> Reader[float]:
    """A time in seconds; `250 ms`, `2 min` and `1 h` are understood."""

    def read(text: str) -> float:
        value = _quantity(text, _TIMES)
        _within(value, lowest, highest)
        return value

    return Reader(f"seconds from {lowest:g} to {highest:g} (units: ms, s, min, h)", read)


def size(lowest: int, highest: int, *, zero: str = "") -> Reader[int]:
    """A number of bytes; `680 KiB` and `1 GB` are understood. `zero`: what 0 stands for, if it is allowed."""

    def read(text: str) -> int:
        value = int(_quantity(text, _SIZES))
        if not (zero and value == 0):
            _within(value, lowest, highest)
        return value

    allowed = f"a size from {size_text(lowest)} to {size_text(highest)} (units: B, kB, KiB, MB, MiB, GB, GiB)"
    return Reader(f"{allowed}, or 0 for {zero}" if zero else allowed, read)


def one_of(*choices: str) -> Reader[str]:
    """One of a few words; capitals do not matter."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(text)
        return text.lower()

    return Reader(" or ".join((", ".join(choices[:-1]), choices[-1])), read)


def yes_no() -> Reader[bool]:
    """yes or no; true, false, on, off, 1 and 0 are understood."""

    def read(text: str) -> bool:
        if text.lower() not in _YES_NO:
            raise ValueError(text)
        return _YES_NO[text.lower()]

    return Reader("yes or no", read)


def word(pattern: str, allowed: str) -> Reader[str]:
    """A text that matches the whole of `pattern`."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Reader(allowed, read)


def secret(pattern: str, allowed: str) -> Reader[str]:
    """A text that matches the whole of `pattern`, and that no message may repeat."""
    return Reader(allowed, word(pattern, allowed).read, secret=True)


def web_address() -> Reader[str]:
    """An http or https address, without the slash at its end; empty for none."""

    def read(text: str) -> str:
        if not text:
            return ""
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", text):
            raise ValueError(text)
        _ = parts.port  # raises ValueError when it is no port number
        return text.rstrip("/")

    return Reader("an address that begins with http:// or https://, or nothing", read)


def path_of(what: str) -> Reader[Path | None]:
    """A `what` (file, folder), as a path or a file:// address; empty for none. It need not exist yet."""

    def read(text: str) -> Path | None:
        if not text:
            return None
        if "\0" in text:
            raise ValueError(text)
        if text.startswith("file://"):
            parts = urlsplit(text)
            if parts.netloc not in {"", "localhost"}:
                raise ValueError(text)
            text = unquote(parts.path)
        elif "://" in text:
            raise ValueError(text)
        try:
            return Path(text).expanduser()
        except RuntimeError as error:  # the home of a user that does not exist
            raise ValueError(text) from error

    return Reader(f"a {what}'s path or file:// address, or nothing", read)


def inner_path() -> Reader[str]:
    """A relative path that stays inside its folder; empty for the folder itself."""

    def read(text: str) -> str:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or re.search(r"[\x00-\x1f\\]", text):
            raise ValueError(text)
        return "" if text in {"", "."} else str(path)

    return Reader("a relative path without '..', or nothing", read)


def workers(highest: int) -> Reader[int]:
    """How many workers: a number, or `auto` for one per CPU that this process may use."""

    def read(text: str) -> int:
        if text.lower() == "auto":
            return min(allowed_cpus(), highest)
        return whole(1, highest).read(text)

    return Reader(f"auto or a whole number from 1 to {highest}", read)
