"""The options of a resource, declared once for the task decoder, the command line and the web forms.

An option's `parse` turns a value from outside (text, number or boolean) into one typed value, or raises
`OptionError`. `Option` is a closed union: code that distinguishes its members ends with `assert_never`, so that a new
kind of option is a type error wherever it is not handled yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Value = str | int | bool

MAX_DECIMAL_BITS = 1000  # of an integer that is written in decimal
SHOWN_CHARACTERS = 40  # of a wrong value: enough to recognise it, too little to flood a log


def decimal(number: float) -> str:
    """Return a number as text. Python refuses to write integers of over 4,300 digits; those are in hexadecimal."""
    return hex(number) if isinstance(number, int) and number.bit_length() > MAX_DECIMAL_BITS else str(number)


def shortened(value: object) -> str:
    """Return `value` as an error message shows it: quoted, at most 40 characters of it."""
    if isinstance(value, str):
        text = repr(value[: SHOWN_CHARACTERS + 1])
    elif isinstance(value, int | float):
        text = decimal(value)
    else:
        try:
            text = repr(value)
        except ValueError:  # such an integer inside a list or an object
            text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS + 2 else f"{text[:SHOWN_CHARACTERS]}…"


class OptionError(ValueError):
    """A value that an option does not allow: the option's `name`, the `value`, and what is `allowed`, in words."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name} is {shortened(value)}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


def _text_of(value: object) -> str | None:
    """Return a value from outside as text: yes/no for booleans, digits for numbers. None if it can't be one.

    JSON has one type of number, so a whole number may have been written as 2.0.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int):
        return decimal(value)
    if isinstance(value, str) and len(value) <= SHOWN_CHARACTERS:
        return {"true": "yes", "false": "no"}.get(value.strip().lower(), value.strip())
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few listed values; `values` maps each to its label.

    `required`, here and below: a task must name the option; forms and the command line fill in `default`.
    """

    name: str
    label: str
    values: Mapping[str | int, str] = field(hash=False)
    default: str | int
    required: bool = True

    def parse(self, value: object) -> Value:
        """Return the listed value; case does not matter. Raises OptionError."""
        text = _text_of(value)
        if text is not None:
            for listed in self.values:
                if str(listed).lower() == text.lower():
                    return listed
        raise OptionError(self.name, value, self.allowed())

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

    def parse(self, value: object) -> Value:
        """Return True or False for true/false or "yes"/"no". Raises OptionError."""
        if isinstance(value, bool | str):
            text = _text_of(value)
            if text is not None and text.lower() in ("yes", "no"):
                return text.lower() == "yes"
        raise OptionError(self.name, value, self.allowed())

    def allowed(self) -> str:
        """Return both values in words."""
        return "yes, no (or true, false)"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two bounds, both included."""

    name: str
    label: str
    lowest: int
    highest: int
    default: int
    required: bool = True

    def parse(self, value: object) -> Value:
        """Return the number, which may also be given as digits. Raises OptionError."""
        text = None if isinstance(value, bool) else _text_of(value)
        if text is not None and re.fullmatch(r"[0-9]{1,9}", text) and self.lowest <= int(text) <= self.highest:
            return int(text)
        raise OptionError(self.name, value, self.allowed())

    def allowed(self) -> str:
        """Return the bounds in words."""
        return f"a whole number from {self.lowest} to {self.highest}"


@dataclass(frozen=True, slots=True)
class Digits:
    """A code of digits, not a quantity: leading zeros are significant. An empty text means no code."""

    name: str
    label: str
    lengths: tuple[int, ...]
    default: str = ""
    required: bool = False

    def parse(self, value: object) -> Value:
        """Return the digits as text, or "" for none. Raises OptionError."""
        text = "" if value is None else (None if isinstance(value, bool) else _text_of(value))
        if text == "" or (text is not None and re.fullmatch(r"[0-9]+", text) and len(text) in self.lengths):
            return text
        raise OptionError(self.name, value, self.allowed())

    def allowed(self) -> str:
        """Return the allowed numbers of digits in words."""
        return f"{' or '.join(map(str, self.lengths))} digits, or nothing"


Option = Choice | Flag | Number | Digits


@dataclass(frozen=True, slots=True)
class Choices(Mapping[str, Value]):
    """The chosen values: an immutable mapping that can be hashed, and pickled for another process."""

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
        """Return the value of a Flag."""
        return self[name] is True
