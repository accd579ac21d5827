"""The code → the generated parts of docs/reference. scripts/docs runs this; tests/test_documents.py checks the result.

A generated part stands between the comments `<!-- generated: NAME -->` and `<!-- end of generated -->`. Everything
outside is written by hand.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import httpx
import trio
from structlog.testing import capture_logs

from render_trio import errors
from render_trio.cli.commands import main
from render_trio.observation.metrics import Metrics
from render_trio.service import service
from render_trio.settings import settings
from render_trio.web.access import table as access
from render_trio.web.openapi.operation import openapi_path
from resources import drawing
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.options import Option
from resources.registry import CATALOGUE, ORIGINS
from resources.resource import Resource

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)
OWN_DISTRIBUTION = "render-trio"


def pages() -> dict[Path, str]:
    """Return every page with generated parts, as it should be."""
    written = {}
    for path in sorted(REFERENCE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if MARKED.search(text):
            written[path] = MARKED.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)
    return written


# -- tables


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings_table() -> str:
    """Return the table of all settings. Every cell is Markdown already."""
    rows = ["| variable | default | allowed | description |", "|---|---|---|---|"]
    for setting in settings.TABLE:
        default = f"`{setting.default}`" if setting.default else "–"
        rows.append(f"| `{setting.name}` | {default} | {setting.reader.allowed} | {setting.help} |")
    return "\n".join(rows) + "\n"


def metrics_table() -> str:
    """Return the metrics of the service, with the names that Prometheus shows."""
    rows = []
    for metric in Metrics().registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        rows.append((f"`{name}`", metric.type, metric.documentation))
    return table(("metric", "type", "meaning"), rows)


def routes_table() -> str:
    """Return the routes of the service, from its own OpenAPI document."""
    rows = []
    for path, methods in sorted(openapi()["paths"].items()):
        for method, operation in methods.items():
            if method != "parameters":
                codes = ", ".join(operation["responses"])
                rows.append((f"`{method.upper()} {path}`", operation["summary"], codes))
    return table(("request", "what it does", "status"), rows)


def access_table() -> str:
    """Return who may use each route of the service."""
    rows = []
    for route in access.TABLE:
        rows.append((f"`{route.method} {openapi_path(route.path)}`", route.role, route.port))
    return table(("request", "role", "port"), rows)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of a service that was started for it."""

    async def fetch() -> dict[str, Any]:
        # Port 9 (discard) refuses connections: no queue is needed here.
        chosen = settings.Settings(port=0, render_workers=1, queue_url="http://127.0.0.1:9")
        async with trio.open_nursery() as nursery:
            address = await nursery.start(lambda task_status: service.run(chosen, task_status=task_status))
            async with httpx.AsyncClient(trust_env=False) as client:
                document: dict[str, Any] = (await client.get(f"{address}/openapi.json")).raise_for_status().json()
            nursery.cancel_scope.cancel()
        return document

    with capture_logs():  # tests call this too: logging must stay as it is
        return trio.run(fetch)


# -- resources


def resources_list() -> str:
    """Return the resources of the catalogue, each with its options."""
    own = [resource for view, resource in sorted(CATALOGUE.items()) if ORIGINS[view].name == OWN_DISTRIBUTION]
    summary = table(
        ("view", "name", "what it is for"),
        [(f"[`{one.view}`](#{one.slug})", one.name, one.summary) for one in own],
    )
    return "\n\n".join([summary, *(_resource(one) for one in own)])


def _resource(resource: Resource) -> str:
    lines = [f"## {resource.slug}", f"**{resource.name}.** {resource.summary}"]
    defaults = {option.name: option.default for option in resource.options}
    lines.append(
        f"View `{resource.view}`, {resource.orientation}. File name with the defaults: `{_filename(resource)}`"
    )
    if defaults:
        lines.append("\n".join(_option(one) for one in resource.options))
    else:
        lines.append("It has no options of its own.")
    return "\n\n".join(lines)


def _filename(resource: Resource) -> str:
    from resources.parsing import parse_request

    request = parse_request({"resource_view": resource.view}, default_seed="", fill_defaults=True)
    return resource.filename(request)


def _shown(value: object) -> str:
    return (
        {True: "yes", False: "no", "": "nothing"}.get(value, str(value))
        if isinstance(value, bool | str)
        else str(value)
    )


def _option(option: Option) -> str:
    required = "" if option.required else " A task may leave it out."
    return f"- `{option.name}` ({option.label}): {option.allowed()}. Default: {_shown(option.default)}.{required}"


# -- commands


def commands() -> str:
    """Return the commands with their help and options."""
    context = click.Context(main, info_name="render-trio")
    parts = [_usage(main, context), _help(main), _options(main, context)]
    for name, command in main.commands.items():
        inner = click.Context(command, info_name=name, parent=context)
        parts += [f"## render-trio {name}", _usage(command, inner), _help(command), _options(command, inner)]
    return "\n\n".join(part for part in parts if part)


def _usage(command: click.Command, context: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(context))
    return f"```text\n{context.command_path} {pieces}\n```"


def _help(command: click.Command) -> str:
    """Return the help as Markdown; a paragraph after the mark \\b keeps its lines."""
    parts = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            kept = paragraph.removeprefix("\b").strip("\n")
            parts.append(f"```text\n{inspect.cleandoc(kept) if not kept.startswith(' ') else kept}\n```")
        else:
            parts.append(_prose(" ".join(paragraph.split())))
    return "\n\n".join(parts)


def _options(command: click.Command, context: click.Context) -> str:
    parameters = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    of_settings = {setting.field for setting in settings.TABLE}
    if not of_settings <= {one.name for one in parameters}:
        of_settings = set()
    rows = []
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in of_settings and "--help" not in parameter.opts:
            rows.append((f"`{record[0]}`", _prose(record[1])))
    text = table(("option", "meaning"), rows) if rows else ""
    if of_settings:
        text = f"It has one option for each of the {len(of_settings)} [settings](settings.md).\n\n{text}"
    return text


def _prose(text: str) -> str:
    """Return text so that Markdown shows it as it is, outside of `code`."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<\[])", r"\\\1", piece) for piece in pieces)


# -- Python


def python_api() -> str:
    """Return the public names of the package, and those for authors of resources."""
    parts = []
    for name in ("render_trio", "render_trio.testing"):
        if find_spec(name) is None or not hasattr(module := import_module(name), "__all__"):
            continue
        parts.append(f"## {name}\n\n{_docstring(module.__doc__)}")
        for member in module.__all__:
            value = getattr(module, member)
            if callable(value):
                parts.append(f"### {member}\n\n{_signature_block(member, value)}\n\n{_docstring(value.__doc__)}")
                parts += [f"- {item}" for item in _members(value)] if isinstance(value, type) else []
    return "\n\n".join(parts)


def errors_tree() -> str:
    """Return the tree of exceptions, which is the docstring of its module."""
    return f"```text\n{inspect.cleandoc(errors.__doc__ or '')}\n```"


def vocabulary() -> str:
    """Return what a resource draws with: the methods of a page, a document, a box and a path, and the constants."""
    parts = []
    for described in (drawing.Surface, Document, drawing.Box, drawing.Path, drawing.Stroke):
        parts.append(f"## {described.__name__}\n\n{_docstring(described.__doc__)}")
        parts += [f"- {item}" for item in _members(described)]
    parts.append(f"## Text sheets\n\n- **`set_sheet{_signature(set_sheet)}`**: {_inline(set_sheet.__doc__)}")
    parts.append("## Colours\n\n" + table(("name", "value"), _constants(str)))
    parts.append("## Strokes\n\n" + table(("name", "colour", "width, mm", "dashes and gaps, mm"), _strokes()))
    return "\n\n".join(parts)


def _members(described: type) -> Iterator[str]:
    """Yield what a class offers, with what it inherits: an author doesn't care which class defines it."""
    members: dict[str, Any] = {}
    for ancestor in described.__mro__[:-1]:
        members = {**members, **{name: value for name, value in vars(ancestor).items() if name not in members}}
    for name, value in members.items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield f"**`{name}`** (property): {_inline(value.__doc__)}"
        elif inspect.isfunction(value):
            yield f"**`{name}{_signature(value)}`**: {_inline(value.__doc__)}"


def _inline(text: str | None) -> str:
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n  ".join(_prose(" ".join(paragraph.split())) for paragraph in paragraphs)


def _signature(value: Callable[..., Any]) -> str:
    signature = inspect.signature(inspect.unwrap(value))
    parameters = [
        one.replace(default=_Named(one.default)) if one.default is not one.empty else one
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    shown = str(signature.replace(parameters=parameters))
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", shown)  # annotations are kept as text


def _signature_block(name: str, value: Any) -> str:
    if isinstance(value, type):
        return f"```text\n{value.__module__}.{name}\n```"
    return f"```text\n{name}{_signature(value)}\n```"


class _Named:
    """A default value as the source has it: `OUTLINE` rather than what that is."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        for name in drawing.__all__:
            known = getattr(drawing, name)
            if name.isupper() and type(known) is type(self.value) and known == self.value:
                return name
        return repr(self.value)


def _docstring(text: str | None) -> str:
    """Return a docstring as Markdown: `name: text` lines become a list, doctests a block."""
    parts: list[str] = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if paragraph.startswith(">>>"):
            parts.append(f"```pycon\n{paragraph}\n```")
        elif paragraph.startswith("    "):
            example = textwrap.dedent(paragraph)
            if parts and parts[-1].startswith("```text"):  # an empty line within the example
                parts[-1] = f"{parts[-1][:-3]}\n{example}\n```"
            else:
                parts.append(f"```text\n{example}\n```")
        else:
            parts.append("\n".join(_listed(paragraph)))
    return "\n\n".join(parts)


def _listed(paragraph: str) -> Iterator[str]:
    """Yield the lines of a paragraph, with `name: text` as items of a list."""
    named = re.compile(r"([a-z0-9_]+(?:, [a-z0-9_]+)*): (.*)")
    if not all(named.match(line) for line in paragraph.splitlines()[:1]):
        yield _prose(paragraph)
        return
    for line in paragraph.splitlines():
        found = named.fullmatch(line)
        yield f"- `{found[1]}`: {_prose(found[2])}" if found else f"  {_prose(line)}"


def _constants(kind: type) -> list[tuple[str, ...]]:
    names = [name for name in drawing.__all__ if name.isupper() and isinstance(getattr(drawing, name), kind)]
    return [(f"`{name}`", f"`{getattr(drawing, name)}`") for name in names]


def _strokes() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in drawing.__all__:
        stroke = getattr(drawing, name)
        if isinstance(stroke, drawing.Stroke):
            rows.append(
                (f"`{name}`", f"`{stroke.colour}`", f"{stroke.width:g}", ", ".join(f"{n:g}" for n in stroke.dash))
            )
    return rows


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings_table,
    "metrics": metrics_table,
    "routes": routes_table,
    "access": access_table,
    "resources": resources_list,
    "vocabulary": vocabulary,
    "python-api": python_api,
    "errors": errors_tree,
}


if __name__ == "__main__":
    for page, text in pages().items():
        if page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")
