"""A YAML file → its content. A duplicate key is an error, because PyYAML would silently use the last one."""

from __future__ import annotations

from pathlib import Path

import yaml


class _Loader(yaml.SafeLoader):
    """A loader for plain values that refuses duplicate keys in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Return the mapping of a node. Raises ConstructorError for a duplicate key."""
        # A merge key (<<) is not a key of the mapping, and the mapping's own keys override the merged ones.
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        for key in keys:
            if keys.count(key) > 1:
                place = f"line {node.start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(problem=f"duplicate key {key!r} in the mapping at {place}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """Return a file's content. Raises yaml.YAMLError, OSError."""
    content = path.read_bytes()
    try:
        return yaml.load(content, _Loader)
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        # PyYAML's own, for a value such as 2026-99-99 (ValueError), !!bool x (KeyError) or !!timestamp x
        # (AttributeError), and for deep nesting.
        raise yaml.YAMLError(f"a value is invalid: {error}") from None
