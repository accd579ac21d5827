"""The keys of a request that are read alike, however strict the reader is: resource, options and language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from resources.language import N_, SOURCE_LANGUAGE, languages
from resources.options import Choice, Choices, Flag, Number, Option, OptionError, Value, shortened
from resources.parsing.errors import RequestError, invalid
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

HEADER_CHARACTERS = 200
NAME_CHARACTERS = 100
SEED_CHARACTERS = 200
LANGUAGE_CHARACTERS = 200
MAX_COPIES = 50
SHOWN_KEY_CHARACTERS = 50  # of an unknown key

PAPER_SIZE = Choice("paper_size", N_("Paper size"), {"a4": "A4", "letter": "US Letter"}, "a4")
COPIES = Number("copies", N_("Copies"), 1, MAX_COPIES, 1, required=False)
INK_SAVER = Flag("ink_saver", N_("Save ink"), False, required=False)
COMMON_OPTIONS: tuple[Option, ...] = (PAPER_SIZE, COPIES, INK_SAVER)
_TEXT_KEYS = ("resource_view", "resource_slug", "resource_name", "url", "header_text", "seed", "language", "filename")
COMMON_KEYS = frozenset({*_TEXT_KEYS, *(option.name for option in COMMON_OPTIONS)})


def find_resource(view: object) -> Resource:
    """Return the resource with this view, which may be written with dashes. Raises RequestError."""
    resource = CATALOGUE.get(view.replace("-", "_")) if isinstance(view, str) else None
    if resource is None:
        allowed = ", ".join(sorted(CATALOGUE))
        message = f"resource_view is {shortened(view)}; allowed: {allowed}"
        raise RequestError("unknown_resource", message, "resource_view", allowed)
    return resource


class Reader(ABC):
    """Reads one request. A null value counts as missing. Every method raises RequestError."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {key: value for key, value in values.items() if value is not None}

    def request(self, default_seed: str, fill_defaults: bool) -> Request:
        """Return the request, every value checked."""
        resource = self.resource()
        return Request(
            view=resource.view,
            name=self.name() or resource.name,
            url=self.url(),
            header_text=self.line("header_text", HEADER_CHARACTERS),
            copies=int(self.option(COPIES, fill_defaults)),
            paper_size=str(self.option(PAPER_SIZE, fill_defaults)),
            seed=self.seed() or default_seed,
            ink_saver=self.option(INK_SAVER, fill_defaults) is True,
            language=self.language(resource),
            choices=self.choices(resource, fill_defaults),
            filename=self.filename(),
        )

    def resource(self) -> Resource:
        """Return the resource to draw."""
        if "resource_view" not in self.values:
            raise RequestError("missing_option", "resource_view is missing: the resource to draw", "resource_view")
        return find_resource(self.values["resource_view"])

    def unknown_keys(self, resource: Resource) -> list[str]:
        """Return the keys that neither every request nor this resource has, sorted."""
        return sorted(set(self.values) - COMMON_KEYS - {option.name for option in resource.options})

    def option(self, option: Option, fill_defaults: bool) -> Value:
        """Return the value of an option, or its default if it may be missing."""
        if option.name not in self.values:
            if option.required and not fill_defaults:
                allowed = option.allowed()
                message = f"{option.name} is missing; allowed: {allowed}"
                raise RequestError("missing_option", message, option.name, allowed)
            return option.default
        try:
            return option.parse(self.values[option.name])
        except OptionError as error:
            raise invalid(error) from None

    def choices(self, resource: Resource, fill_defaults: bool) -> Choices:
        """Return the values of the resource's own options, which go together."""
        choices = Choices(tuple((option.name, self.option(option, fill_defaults)) for option in resource.options))
        try:
            resource.check(choices)
        except OptionError as error:
            raise invalid(error) from None
        return choices

    def language(self, resource: Resource) -> str:
        """Return the best language there is: `de-AT` finds `de`, and `pt_BR` is `pt-BR`."""
        value = self.values.get("language", "")
        if value == "":
            return SOURCE_LANGUAGE
        available = languages(resource.folder)
        if isinstance(value, str) and len(value) <= LANGUAGE_CHARACTERS:
            tag = value.strip().replace("_", "-").lower()
            while tag:
                for known in available:
                    if tag == known.replace("_", "-").lower():
                        return known
                tag = tag.rpartition("-")[0]
        raise invalid(OptionError("language", value, ", ".join(available)))

    @abstractmethod
    def line(self, key: str, max_characters: int) -> str:
        """Return one line of text, composed (NFC), with white space collapsed; "" if it is missing."""

    @abstractmethod
    def name(self) -> str:
        """Return the name in the title and the footer, "" for the resource's own."""

    @abstractmethod
    def url(self) -> str:
        """Return the text of the address, "" if it is missing."""

    @abstractmethod
    def filename(self) -> str:
        """Return the file name that was chosen for the document, "" if none was."""

    @abstractmethod
    def seed(self) -> str:
        """Return the seed, "" if it is missing."""
