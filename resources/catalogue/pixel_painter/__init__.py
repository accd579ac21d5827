from resources.catalogue.pixel_painter.pages import RESOURCE

__all__ = ["RESOURCE"]
