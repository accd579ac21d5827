"""Hides from our packages what the system in the variable OTHER_SYSTEM lacks; Python imports this module at its start.

Libraries are left alone, because they have other code for other systems, which they would not choose here.
"""

from __future__ import annotations

import builtins
import os
import types
from collections.abc import Mapping
from typing import Any

from missing import UNIX_MODULES, lacks  # type: ignore[import-not-found]

OURS = ("render_trio", "emulator", "resources")
SYSTEM = os.environ.get("OTHER_SYSTEM", "")
_import = builtins.__import__
_copies: dict[str, types.ModuleType] = {}


def _without(module: types.ModuleType) -> types.ModuleType:
    """Return a copy of a module without what the system lacks."""
    name = module.__name__
    if name not in _copies:
        hidden = {attribute for owner, attribute in lacks(SYSTEM) if owner == name}
        _copies[name] = types.ModuleType(name)
        _copies[name].__dict__.update({key: value for key, value in vars(module).items() if key not in hidden})
    return _copies[name]


def _import_for(name: str, globals: Mapping[str, Any] | None = None, *arguments: Any, **options: Any) -> Any:
    importer = str((globals or {}).get("__name__", ""))
    if importer.partition(".")[0] not in OURS and importer != "__main__":
        return _import(name, globals, *arguments, **options)
    if SYSTEM == "windows" and name.partition(".")[0] in UNIX_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = _import(name, globals, *arguments, **options)
    return _without(module) if any(owner == module.__name__ for owner, _ in lacks(SYSTEM)) else module


if SYSTEM:
    builtins.__import__ = _import_for  # type: ignore[assignment]
