"""What to draw, every value checked: a plain, frozen value that refers to no catalogue."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from resources.options import Choices

# Keys that mean the same in every task, form and address: no resource's option may have such a name.
RESERVED_KEYS = frozenset(
    {
        *("kind", "resource_view", "resource_slug", "resource_name", "url", "header_text", "seed", "language"),
        *("copies", "paper_size", "ink_saver", "edition", "names", "answers", "filename", "reply_tag"),
        *("v", "q", "new_numbers", "download"),  # of the web's own addresses and forms
    }
)
FILENAME_BYTES = 255  # what ext4, APFS and NTFS allow
SUFFIX = ".pdf"
EDGES = " .-~"  # at the beginning of a name: hidden files, options of commands, home folders
REJECTED = '/\\:*?"<>|'  # by Windows; among them are the separators of paths
# Control, surrogate, private and unassigned characters, line and paragraph separators.
UNPRINTABLE = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
# Windows opens a device instead of a file with one of these names, whatever its suffix.
DEVICE_NAMES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)\s*(\..*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RequestWarning:
    """A difference between a document and what its task asked for: a code for programs, a message for people.

    field: the key of the task, or "" if it concerns no single one.

    Codes: unknown_option (a key was ignored), ignored (a value can't be used), undrawable (characters were replaced),
    not_shaped (letters that should be joined are drawn side by side), truncated (a text was cut off).
    """

    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    """The document to draw, every value checked. Equal requests give equal bytes.

    `url` is an http(s) address or any other text. `filename` is the file name that a producer chose, or "".
    """

    view: str
    name: str
    url: str
    header_text: str
    copies: int
    paper_size: str
    seed: str
    ink_saver: bool
    language: str
    choices: Choices
    filename: str = ""

    @property
    def link(self) -> str:
        """The address that `url` links to, in ASCII; "" if it is some other text."""
        return _link(self.url)

    def task_values(self) -> dict[str, object]:
        """Return the keys and values of a task for this document, with its seed, so that it is drawn the same again."""
        values: dict[str, object] = {
            "resource_slug": self.view.replace("_", "-"),
            "resource_name": self.name,
            "resource_view": self.view,
            "url": self.url,
            "header_text": self.header_text,
            "copies": self.copies,
            "paper_size": self.paper_size,
            "ink_saver": self.ink_saver,
            "language": self.language,
            **dict(self.choices),
        }
        return values | {key: value for key, value in (("seed", self.seed), ("filename", self.filename)) if value}


def safe_filename(text: str, *, keep: str = "", suffix: str = SUFFIX, limit: int = FILENAME_BYTES) -> str:
    """Return a file name that every common file system accepts, made from any text: at most `limit` bytes of UTF-8.

    `text` is cut where it is too long, `keep` is not: it follows the text, and the suffix follows both. The result
    contains no separator, control or format character, doesn't begin with a dot or a dash, and is no device of
    Windows. Returns "" if nothing of the text and of `keep` remains.
    """
    space = limit - len(suffix.encode())
    stem, tail = _harmless(text).lstrip(EDGES), _cut(_harmless(keep), space)
    if not tail and stem.lower().endswith(suffix):
        stem = stem[: -len(suffix)]
    if DEVICE_NAMES.fullmatch(stem):
        stem = f"_{stem}"
    name = (_cut(stem, space - len(tail.encode())) + tail).lstrip(EDGES).rstrip(" .")
    return f"{name}{suffix}" if name else ""


def _cut(text: str, size: int) -> str:
    """Return at most `size` bytes (UTF-8) of the text, cut between two characters."""
    encoded = text.encode()
    return text if len(encoded) <= size else encoded[:size].decode(errors="ignore").rstrip(" .")


def _harmless(text: str) -> str:
    """Return the text composed, without invisible characters, with a space for each that a file system rejects."""
    kept = []
    for character in text:
        category = unicodedata.category(character)
        # Format characters are invisible. Those that reverse the direction of text disguise a suffix.
        if category != "Cf":
            kept.append(" " if character in REJECTED or category in UNPRINTABLE else character)
    return unicodedata.normalize("NFC", "".join(kept))


def _link(url: str) -> str:
    if not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        return ""
    try:
        host = urlsplit(url).hostname or ""
        url = url if host.isascii() else url.replace(host, host.encode("idna").decode(), 1)
    except (UnicodeError, ValueError):
        pass  # percent-encoded below; a viewer reports what it can't open
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")
