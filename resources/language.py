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


def languages() -> tuple[str, ...]:
    """Return the language tags (BCP 47) that documents can be made in, English first."""
    found = sorted(path.parents[1].name for path in LOCALE_DIRECTORY.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return (SOURCE_LANGUAGE, *(tag for tag in found if tag != SOURCE_LANGUAGE))


@lru_cache(maxsize=64)
def translator(language: str) -> Translate:
    """Return the function that translates into `language`, one of `languages()`.

    Raises FileNotFoundError for a language without a catalogue.
    """
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations().gettext
    return gettext.translation(DOMAIN, str(LOCALE_DIRECTORY), [language]).gettext
