"""A resource's options and what was given for them → the fields of its form, each wrong value with its error beside it.

There is no second list: fields come from the options, errors from the one parser.
"""

from __future__ import annotations

from dataclasses import dataclass

from render_trio.web.documents.query_string import TEXTS, checked, spelt
from resources.options import Choice, Digits, Flag, Number, Option
from resources.parsing import COMMON_KEYS, COMMON_OPTIONS, HEADER_CHARACTERS, RequestError
from resources.request import Request
from resources.resource import Resource

MAX_RADIOS = 5  # choices shown side by side; more become a menu
HELP = {
    "header_text": "A line on top of each page: your class, your school, a date.",
    "copies": "If the numbers are random, each copy has its own.",
    "ink_saver": "Outlines instead of solid areas.",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: radios, menu, number, digits or text; `choices` are (value, label) pairs."""

    name: str
    label: str
    kind: str
    value: str
    default: str
    choices: tuple[tuple[str, str], ...] = ()
    lowest: int = 0
    highest: int = 0
    help: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The whole form. `request` is what can be drawn of it: wrong values are left at their defaults.

    `own` and `common` are the fields, `passed_on` what a link may hold that has no field, `errors` what is wrong
    beside no field.
    """

    request: Request
    own: tuple[Field, ...]
    common: tuple[Field, ...]
    passed_on: dict[str, str]
    errors: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether every value was taken."""
        return not self.errors and not any(field.error for field in (*self.own, *self.common))


def form_of(resource: Resource, values: dict[str, str]) -> Form:
    """Return the form for what was given."""
    request, wrong = _sift(resource, values)
    text = Field(
        "header_text",
        "Header",
        "text",
        _shown("header_text", values, request.header_text, wrong),
        "",
        highest=HEADER_CHARACTERS,
        help=HELP["header_text"],
        error=_told(wrong.get("header_text")),
    )
    common = (text, *(_field(option, values, getattr(request, option.name), wrong) for option in COMMON_OPTIONS))
    own = tuple(_field(option, values, request.choices[option.name], wrong) for option in resource.options)
    beside = {field.name for field in (*own, *common)}
    return Form(
        request=request,
        own=own,
        common=common,
        passed_on=_passed_on(resource, request),
        errors=tuple(error for name, error in wrong.items() if name not in beside),
    )


def _sift(resource: Resource, values: dict[str, str]) -> tuple[Request, dict[str, str]]:
    """Return what can be drawn, and the errors by field: the parser tells one at a time, so ask until it has none."""
    known = COMMON_KEYS | {option.name for option in resource.options}
    left, wrong = dict(values), dict[str, str]()
    while True:
        try:
            return checked(resource, left), wrong
        except RequestError as error:
            wrong[error.field] = str(error)
            if error.code == "unknown_option":  # told of all at once, and an address has room for thousands
                left = {name: value for name, value in left.items() if name in known}
            elif left.pop(error.field, None) is None:
                raise


def _field(option: Option, values: dict[str, str], value: object, wrong: dict[str, str]) -> Field:
    assert isinstance(value, str | int | bool)
    kind, lowest, highest = "text", 0, 0
    choices: tuple[tuple[str, str], ...] = ()
    if isinstance(option, Flag):
        kind, choices = "radios", (("yes", "Yes"), ("no", "No"))
    elif isinstance(option, Choice):
        choices = tuple((str(key), label) for key, label in option.values.items())
        kind = "radios" if len(choices) <= MAX_RADIOS else "menu"
    elif isinstance(option, Number):
        kind, lowest, highest = "number", option.lowest, option.highest
    elif isinstance(option, Digits):
        kind, highest = "digits", max(option.lengths)
    shown = _shown(option.name, values, spelt(value), wrong)
    return Field(
        option.name,
        option.label,
        kind,
        shown,
        spelt(option.default),
        choices,
        lowest,
        highest,
        HELP.get(option.name, ""),
        _told(wrong.get(option.name)),
    )


def _shown(name: str, values: dict[str, str], value: str, wrong: dict[str, str]) -> str:
    """Return the value that the field holds: a wrong one as it was given, to be mended."""
    return values[name][:HEADER_CHARACTERS] if name in wrong else value


def _told(error: str | None) -> str:
    """Return the error for who fills in the form: they see what they gave, so say what would do."""
    if error is None:
        return ""
    allowed = error.partition("; allowed: ")[2]
    return f"Please use {allowed}." if allowed else error


def _passed_on(resource: Resource, request: Request) -> dict[str, str]:
    given = {name: str(getattr(request, name)) for name in ("seed", "language", "url")}
    passed = {name: value for name, value in given.items() if value != TEXTS[name]}
    if request.name != resource.name:
        passed["resource_name"] = request.name
    return passed
