"""The catalogue: one line a resource. A new resource is a file in this folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resources import (
    arrows,
    barcode_checksum_poster,
    binary_cards,
    binary_cards_small,
    binary_to_alphabet,
    binary_windows,
    grid,
    job_badges,
    left_right_cards,
    modulo_clock,
    number_hunt,
    parity_cards,
    piano_keys,
    pixel_painter,
    run_length_encoding,
    searching_cards,
    sorting_network,
    sorting_network_cards,
    train_stations,
    treasure_hunt,
    treasure_island,
)
from resources.resource import Resource

REGISTRY: Mapping[str, Resource] = MappingProxyType(
    {
        resource.view: resource
        for resource in (
            arrows.RESOURCE,
            barcode_checksum_poster.RESOURCE,
            binary_cards.RESOURCE,
            binary_cards_small.RESOURCE,
            binary_to_alphabet.RESOURCE,
            binary_windows.RESOURCE,
            grid.RESOURCE,
            job_badges.RESOURCE,
            left_right_cards.RESOURCE,
            modulo_clock.RESOURCE,
            number_hunt.RESOURCE,
            parity_cards.RESOURCE,
            piano_keys.RESOURCE,
            pixel_painter.RESOURCE,
            run_length_encoding.RESOURCE,
            searching_cards.RESOURCE,
            sorting_network.RESOURCE,
            sorting_network_cards.RESOURCE,
            train_stations.RESOURCE,
            treasure_hunt.RESOURCE,
            treasure_island.RESOURCE,
        )
    }
)
