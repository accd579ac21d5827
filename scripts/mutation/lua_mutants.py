"""Lua source → mutants. The scripts are short and regular, so patterns find the places; there is no parser."""

from __future__ import annotations

import re

from scripts.mutation.mutant import Mutant

REPLACEMENTS: tuple[tuple[str, str], ...] = (
    (r" == ", " ~= "),
    (r" ~= ", " == "),
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r"\band\b", "or"),
    (r"\bor\b", "and"),
    (r"\bnot ", ""),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " / "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"math\.min\b", "math.max"),
    (r"math\.max\b", "math.min"),
    (r"(?<![\w.'%])\d{1,2}\b(?!['%])", "({0} + 1)"),
    (r"(?<![\w.'%])\d{3,}\b(?!['%])", "({0} * 10)"),  # one more would rarely matter: a limit, µs per second
)
# A statement of its own: a call or an assignment that fills a line.
STATEMENT = re.compile(r"^( *)((?:redis\.p?call|[a-z_]+)\(.*\)|[\w.#\[\]+ ]+ = [^{]*[^{,])$")
EMPTY_BRANCH = re.compile(r"^( *)(if .* then )(.+)( end)$")


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return the mutants of a Lua file, in the order of its lines."""
    found = []
    start = 0
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        code = _without_text(line.rstrip("\n"))
        for pattern, replacement in REPLACEMENTS:
            for match in re.finditer(pattern, code):
                text = replacement.format(match[0])
                change = f"{line[: match.start()].strip()} [{match[0].strip()} → {text.strip() or 'nothing'}]"
                found.append(Mutant(path, number, start + match.start(), start + match.end(), text, change))
        for first, last in _removable(code):
            change = f"delete {line[first:last]}"
            found.append(Mutant(path, number, start + first, start + last, "", change))
        start += len(line)
    return found


def _removable(code: str) -> list[tuple[int, int]]:
    """Return where the statements of a line are that Lua allows to be left out."""
    if match := EMPTY_BRANCH.match(code):
        return [match.span(3)]
    match = STATEMENT.match(code)
    # The parentheses of a line that continues a statement don't match.
    removable = match and not match[2].startswith("local ") and match[2].count("(") == match[2].count(")")
    return [match.span(2)] if match and removable else []


def _without_text(line: str) -> str:
    """Replace comments by blanks, and the contents of strings by underscores: they are not mutated."""

    def blank(match: re.Match[str]) -> str:
        return "'" + "_" * (len(match[0]) - 2) + "'"

    code = re.sub(r"'(?:[^'\\]|\\.)*'", blank, line)
    comment = code.find("--")
    return code if comment < 0 else code[:comment].rstrip()
