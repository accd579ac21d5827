"""What a resource lets its user choose: declared once, read by the task decoder, the command line and the web form.

An option's `parse` turns what came over the wire (text, number or boolean) into one typed value
or raises `OptionError`, which says what would have been allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Value = str | int | bool

SHOWN_CHARACTERS = 40  # of a wrong value: enough to recognise it, too little to flood a log


class OptionError(ValueError):
    """A value that an option does not allow; the message says what it does."""


def shortened(value: object) -> str:
    """Return `value` as an error message shows it: quoted, at most 40 characters of it."""
    text = repr(value[: SHOWN_CHARACTERS + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS + 2 else f"{text[:SHOWN_CHARACTERS]}…"


class Option(Protocol):
    """One thing to choose.

    `required`: a task must name it; a form and the command line fill in `default`.
    """

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def default(self) -> Value: ...
    @property
    def required(self) -> bool: ...

    def parse(self, given: object) -> Value:
        """Return the typed value. Raises OptionError."""
        ...

    def allowed(self) -> str:
        """Return the values that `parse` takes, for an error message or a help text."""
        ...


def _spelling(given: object) -> str | None:
    """Return the text that stands for `given` on the wire: yes/no for booleans, digits for numbers."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, int):
        return str(given)
    if isinstance(given, str) and len(given) <= SHOWN_CHARACTERS:
        return {"true": "yes", "false": "no"}.get(given.strip().lower(), given.strip())
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few listed values; `values` maps each to its label for people."""

    name: str
    label: str
    values: Mapping[str | int, str] = field(hash=False)
    default: str | int
    required: bool = True

    def parse(self, given: object) -> Value:
        """Return the listed value that `given` spells; case does not matter. Raises OptionError."""
        spelt = _spelling(given)
        if spelt is not None:
            for value in self.values:
                if str(value).lower() == spelt.lower():
                    return value
        raise OptionError(f"{self.name} is {shortened(given)}; allowed: {self.allowed()}")

    def allowed(self) -> str:
        """Return the listed values, separated by commas."""
        return ", ".join(str(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    name: str
    label: str
    default: bool
    required: bool = True

    def parse(self, given: object) -> Value:
        """Return True or False for true/false or "yes"/"no". Raises OptionError."""
        if isinstance(given, bool | str):
            spelt = _spelling(given)
            if spelt is not None and spelt.lower() in ("yes", "no"):
                return spelt.lower() == "yes"
        raise OptionError(f"{self.name} is {shortened(given)}; allowed: {self.allowed()}")

    def allowed(self) -> str:
        """Return the spellings of the two values."""
        return "yes, no (or true, false)"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within bounds, both included."""

    name: str
    label: str
    lowest: int
    highest: int
    default: int
    required: bool = True

    def parse(self, given: object) -> Value:
        """Return the number, given as such or as digits. Raises OptionError."""
        spelt = None if isinstance(given, bool) else _spelling(given)
        if spelt is not None and re.fullmatch(r"[0-9]{1,9}", spelt) and self.lowest <= int(spelt) <= self.highest:
            return int(spelt)
        raise OptionError(f"{self.name} is {shortened(given)}; allowed: {self.allowed()}")

    def allowed(self) -> str:
        """Return the bounds."""
        return f"a whole number from {self.lowest} to {self.highest}"


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits that are a name, not an amount: leading zeros count. Empty means: not given."""

    name: str
    label: str
    lengths: tuple[int, ...]
    default: str = ""
    required: bool = False

    def parse(self, given: object) -> Value:
        """Return the digits as text, or "" when none are given. Raises OptionError."""
        spelt = "" if given is None else (None if isinstance(given, bool) else _spelling(given))
        if spelt == "" or (spelt is not None and re.fullmatch(r"[0-9]+", spelt) and len(spelt) in self.lengths):
            return spelt
        raise OptionError(f"{self.name} is {shortened(given)}; allowed: {self.allowed()}")

    def allowed(self) -> str:
        """Return how many digits may be given."""
        return f"{' or '.join(map(str, self.lengths))} digits, or nothing"


@dataclass(frozen=True, slots=True)
class Choices(Mapping[str, Value]):
    """What was chosen: an immutable mapping that can be hashed, and sent to another process."""

    items_: tuple[tuple[str, Value], ...] = ()

    def __getitem__(self, name: str) -> Value:
        for key, value in self.items_:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.items_)

    def __len__(self) -> int:
        return len(self.items_)

    def text(self, name: str) -> str:
        """Return the value as text."""
        return str(self[name])

    def number(self, name: str) -> int:
        """Return the value of an option whose values are whole numbers."""
        return int(self[name])

    def flag(self, name: str) -> bool:
        """Return the value of a yes-or-no option."""
        return self[name] is True
