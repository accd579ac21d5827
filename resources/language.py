"""Every printed word goes through gettext.

`N_` marks a text where it is written; a translator turns it into the document's language where it is
drawn. Catalogues lie in resources/locale/<language>/LC_MESSAGES/resources.mo; English needs none.
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
    """Return `text` unchanged: the mark by which the extractor finds words to translate."""
    return text


def _catalogues(folder: Path | None) -> list[Path]:
    """Return the folders with translations: a plug-in's own first, so that its words win."""
    own = [folder / "locale"] if folder is not None else []
    return [*own, LOCALE_DIRECTORY]


def languages(folder: Path | None = None) -> tuple[str, ...]:
    """Return the language tags (BCP 47) that documents can be made in, English first.

    `folder` is that of a plug-in, whose translations in locale/ count too.
    """
    found = {path.parents[1].name for place in _catalogues(folder) for path in place.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")}
    return (SOURCE_LANGUAGE, *sorted(found - {SOURCE_LANGUAGE}))


@lru_cache(maxsize=64)
def translator(language: str, folder: Path | None = None) -> Translate:
    """Return the function that translates into `language`, one of `languages(folder)`.

    A text without a translation stays as it is. Raises FileNotFoundError for a language without any catalogue.
    """
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations().gettext
    found = [
        gettext.translation(DOMAIN, str(place), [language])
        for place in _catalogues(folder)
        if gettext.find(DOMAIN, str(place), [language])
    ]
    if not found:
        raise FileNotFoundError(f"no translations into {language!r} in {LOCALE_DIRECTORY}")
    first, *others = found
    for other in others:
        first.add_fallback(other)
    return first.gettext
