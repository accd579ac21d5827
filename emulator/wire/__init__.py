"""HTTP → calls and back: connections, the edge, routing, parameters, replies, errors, batches."""
