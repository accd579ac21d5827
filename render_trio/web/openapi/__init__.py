"""The route handlers, each with its `Operation` → the OpenAPI document of the HTTP interface."""
