"""The Task Queue REST API v1beta2 over httpx: method calls → HTTP requests → tasks, or a QueueError."""
