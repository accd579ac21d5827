"""Translation: every printed text goes through gettext.

`N_` marks a text for extraction, and the document's `translate` looks it up when it is drawn. The catalogues are in
resources/locale/<language>/LC_MESSAGES/resources.mo. English, the source language, needs none.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

DOMAIN = "resources"
LOCALE_DIRECTORY = Path(__file__).parent / "locale"
SOURCE_LANGUAGE = "en"

Translate = Callable[[str], str]


def N_(text: str) -> str:
    """Return `text` unchanged. The call marks it for `scripts/messages`, which extracts the texts to translate."""
    return text


def _locale_directories(folder: Path | None) -> list[Path]:
    """Return the directories with translations; a plug-in's comes first, so that its translations take precedence."""
    own = [folder / "locale"] if folder is not None else []
    return [*own, LOCALE_DIRECTORY]


def languages(folder: Path | None = None) -> tuple[str, ...]:
    """Return the languages that documents are available in, as BCP 47 tags, English first.

    `folder` is the folder of a plug-in, whose translations in locale/ are included.
    """
    directories = _locale_directories(folder)
    files = [file for directory in directories for file in directory.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")]
    found = {file.parents[1].name for file in files}
    return (SOURCE_LANGUAGE, *sorted(found - {SOURCE_LANGUAGE}))


@lru_cache(maxsize=64)
def translator(language: str, folder: Path | None = None) -> Translate:
    """Return a function that translates texts into `language`, one of `languages(folder)`.

    The function returns a text without a translation unchanged. Raises FileNotFoundError for a language without any
    catalogue.
    """
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations().gettext
    found = [
        gettext.translation(DOMAIN, str(directory), [language])
        for directory in _locale_directories(folder)
        if gettext.find(DOMAIN, str(directory), [language])
    ]
    if not found:
        available = ", ".join(languages(folder))
        raise FileNotFoundError(
            f"language is {language!r}, without a catalogue in {LOCALE_DIRECTORY}; allowed: {available}"
        )
    first, *others = found
    for other in others:
        first.add_fallback(other)
    return first.gettext
