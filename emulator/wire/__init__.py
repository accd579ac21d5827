"""ASGI requests → validated calls, replies → ASGI messages: routing, parameters, errors, partial replies, batches."""
