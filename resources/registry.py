"""The catalogue: one line a resource. A new resource is a file in this folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resources import (
    binary_cards,
    parity_cards,
    searching_cards,
    sorting_network,
)
from resources.resource import Resource

REGISTRY: Mapping[str, Resource] = MappingProxyType(
    {
        resource.view: resource
        for resource in (
            binary_cards.RESOURCE,
            parity_cards.RESOURCE,
            searching_cards.RESOURCE,
            sorting_network.RESOURCE,
        )
    }
)
