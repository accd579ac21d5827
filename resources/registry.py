"""The registry: the resources of catalogue/ and those that plug-ins add, each by its view.

A plug-in is an installed package with an entry point in the group `render_trio.resources`, whose value is a `Resource`
or a callable that returns several:

    [project.entry-points."render_trio.resources"]
    flags = "classroom_flags.flags:RESOURCE"

or a folder passed to `add_folder`: a checkout of such a package, or simply modules that each define a `RESOURCE`. A
plug-in that can't be loaded is left out and does not affect the others. `problems` returns the reasons; this module
reports them nowhere.
"""

from __future__ import annotations

import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType

from resources import catalogue
from resources.options import Choices
from resources.request import RESERVED_KEYS
from resources.resource import Resource

ENTRY_POINT_GROUP = "render_trio.resources"
VIEW = re.compile(r"[a-z][a-z0-9_]{0,79}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a resource comes from: a distribution's name and version, or a folder whose files are its version."""

    name: str
    version: str = ""
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a plug-in's resource is left out: one line in `message`, the traceback of an exception in `details`."""

    plugin: str
    message: str
    details: str = ""

    def __str__(self) -> str:
        return f"plug-in {self.plugin}: {self.message}"


class PluginError(ValueError):
    """A plug-in's value that can't be part of the catalogue."""


OWN = Origin("render-trio")
_resources: dict[str, Resource] = {}
_origins: dict[str, Origin] = {}
_problems: list[Problem] = []
_folders: list[Path] = []

CATALOGUE: Mapping[str, Resource] = MappingProxyType(_resources)
ORIGINS: Mapping[str, Origin] = MappingProxyType(_origins)


def problems() -> tuple[Problem, ...]:
    """Return the reasons why plug-ins, or some of their resources, were left out."""
    return tuple(_problems)


def folders() -> tuple[Path, ...]:
    """Return the folders that plug-ins were loaded from, so that a child process can load them too."""
    return tuple(_folders)


def add_folder(folder: Path) -> None:
    """Add the resources of a folder, unless they were added before.

    A folder with a pyproject.toml is the checkout of a package, whose entry points are loaded as if it were installed.
    From any other folder, each module and package that defines `RESOURCE` is loaded. Raises PluginError if `folder` is
    not a folder or contains no resource.
    """
    folder = folder.resolve()
    if folder in _folders:
        return
    if not folder.is_dir():
        raise PluginError(f"{folder} is not a folder; allowed: a folder with resources of your own")
    project = folder / "pyproject.toml"
    origin, values = _checkout(project) if project.is_file() else (Origin(folder.name, folder=folder), _modules(folder))
    if not values:
        raise PluginError(f"{folder} holds no resource: neither an entry point in {ENTRY_POINT_GROUP} nor a RESOURCE")
    for place in (folder / "src", folder):
        if place.is_dir() and str(place) not in sys.path:
            sys.path.insert(0, str(place))
    _folders.append(folder)
    for value, load in values.items():
        _add(origin, value, load)


def _checkout(project: Path) -> tuple[Origin, dict[str, Callable[[], object]]]:
    """Return the origin and the entry points of a package that is not installed. Raises PluginError."""
    try:
        about = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"{project} is not valid TOML: {error}") from None
    named = about.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    points = [EntryPoint(name, str(value), ENTRY_POINT_GROUP) for name, value in named.items()]
    origin = Origin(str(about.get("name", project.parent.name)), str(about.get("version", "")), project.parent)
    return origin, {point.value: point.load for point in points}


def _modules(folder: Path) -> dict[str, Callable[[], object]]:
    """Return how to load the RESOURCE of each module and package in a folder."""

    def load(name: str) -> object:
        return import_module(name).RESOURCE

    return {
        module.name: partial(load, module.name)
        for module in iter_modules([str(folder)])
        if "RESOURCE" in _source(folder, module.name)
    }


def _source(folder: Path, module: str) -> str:
    paths = (folder / f"{module}.py", folder / module / "__init__.py")
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file())


def _add(origin: Origin, value: str, load: Callable[[], object]) -> None:
    """Add the resources of one entry point or module, or record why they are left out."""
    plugin = f"{origin} ({value})"
    with _recorded(plugin):
        for resource in _several(load()):
            with _recorded(plugin):
                _register(_checked(resource), origin)


@contextmanager
def _recorded(plugin: str) -> Iterator[None]:
    """Record an exception raised inside as a problem of the plug-in.

    The code of a plug-in may raise anything when it is imported or called, and the service must start nevertheless.
    """
    try:
        yield
    except PluginError as error:
        _problems.append(Problem(plugin, str(error)))
    except Exception as error:
        _problems.append(Problem(plugin, f"{type(error).__name__}: {error}", _traceback_of(error)))


def _traceback_of(error: Exception) -> str:
    """Return the traceback of an exception without the frames of the import system and of this module."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])


def _several(found: object) -> Iterable[object]:
    if isinstance(found, Resource):
        return [found]
    if not callable(found):
        kind = type(found).__name__
        raise PluginError(f"the value is a {kind}; allowed: a Resource, or a callable that returns several")
    several = found()
    if not isinstance(several, Iterable):
        raise PluginError(f"the callable returned a {type(several).__name__}; allowed: several Resources")
    return several


def _checked(resource: object) -> Resource:
    """Return the resource if its declaration is valid. Raises PluginError, and whatever its own code raises."""
    if not isinstance(resource, Resource):
        raise PluginError(f"{type(resource).__name__} is no Resource")
    view = resource.view
    if not VIEW.fullmatch(view):
        raise PluginError(f"the view is {view!r}; allowed: lower-case letters, digits and underscores")
    if view in _resources:
        raise PluginError(f"the view {view!r} is taken by {_origins[view]}")
    names = [option.name for option in resource.options]
    if len(set(names)) < len(names):
        raise PluginError(f"{view}: two options share a name")
    reserved = sorted(RESERVED_KEYS.intersection(names))
    if reserved:
        raise PluginError(f"{view}: option {reserved[0]!r} has a name that every task uses for something else")
    if resource.folder is not None and not resource.folder.is_dir():
        raise PluginError(f"{view}: its folder {resource.folder} does not exist")
    for changes in ({}, resource.showcase):
        values = {option.name: changes.get(option.name, option.default) for option in resource.options}
        unknown = sorted(set(changes) - set(values))
        if unknown:
            raise PluginError(f"{view}: showcase names unknown options: {', '.join(unknown)}")
        choices = Choices(tuple((option.name, option.parse(values[option.name])) for option in resource.options))
        resource.check(choices)
        resource.subtitle(choices, "a4")
        if resource.pages(choices) < 1:
            raise PluginError(f"{view}: a copy has {resource.pages(choices)} pages; allowed: at least 1")
    return resource


def _register(resource: Resource, origin: Origin) -> None:
    _resources[resource.view] = resource
    _origins[resource.view] = origin


def _load() -> None:
    for module in iter_modules(catalogue.__path__):
        _register(import_module(f"{catalogue.__name__}.{module.name}").RESOURCE, OWN)
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.value):
        distribution = point.dist
        origin = Origin(distribution.name, distribution.version) if distribution is not None else Origin(point.name)
        _add(origin, point.value, point.load)


_load()
