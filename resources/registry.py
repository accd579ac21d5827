"""The catalogue: one line a resource. A new resource is a file in this folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resources import (
    arrows,
    binary_cards,
    binary_cards_small,
    binary_to_alphabet,
    grid,
    left_right_cards,
    modulo_clock,
    number_hunt,
    parity_cards,
    piano_keys,
    searching_cards,
    sorting_network,
)
from resources.resource import Resource

REGISTRY: Mapping[str, Resource] = MappingProxyType(
    {
        resource.view: resource
        for resource in (
            arrows.RESOURCE,
            binary_cards.RESOURCE,
            binary_cards_small.RESOURCE,
            binary_to_alphabet.RESOURCE,
            grid.RESOURCE,
            left_right_cards.RESOURCE,
            modulo_clock.RESOURCE,
            number_hunt.RESOURCE,
            parity_cards.RESOURCE,
            piano_keys.RESOURCE,
            searching_cards.RESOURCE,
            sorting_network.RESOURCE,
        )
    }
)
