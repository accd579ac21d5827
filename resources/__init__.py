"""The catalogue of printable resources: values in, drawn pages out; knows nothing of queues or services."""

from resources.registry import REGISTRY
from resources.request import Request, RequestError, find_resource, parse_request
from resources.resource import Resource

__all__ = ["REGISTRY", "Request", "RequestError", "Resource", "find_resource", "parse_request"]
