"""The pipeline outside the event loop: in threads, or in processes that can be killed."""
