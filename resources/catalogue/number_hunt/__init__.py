from resources.catalogue.number_hunt.sheet import RESOURCE

__all__ = ["RESOURCE"]
