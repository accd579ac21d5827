"""Tasks submitted over HTTP → tasks on the queue; their state and their documents → the client."""
