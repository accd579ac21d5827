from resources.catalogue.treasure_hunt.hunt import RESOURCE

__all__ = ["RESOURCE"]
