"""A YAML file → its content, in which no key may stand twice: the second would silently win."""

from __future__ import annotations

from pathlib import Path

import yaml


class _Loader(yaml.SafeLoader):
    """Reads plain values alone, and refuses a key that its mapping has already."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Return the mapping of a node. Raises ConstructorError."""
        # A merge key (<<) is no key of the mapping, and what it brings in gives way to the mapping's own.
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        for key in keys:
            if keys.count(key) > 1:
                place = f"line {node.start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(problem=f"{key!r} stands twice in the mapping at {place}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """Return a file's content. Raises yaml.YAMLError, UnicodeDecodeError, OSError."""
    return yaml.load(path.read_bytes(), _Loader)
