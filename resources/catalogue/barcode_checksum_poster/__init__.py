from resources.catalogue.barcode_checksum_poster.poster import RESOURCE

__all__ = ["RESOURCE"]
