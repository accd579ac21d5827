"""A queue service for the commands of producers, and a web server for linked documents."""

from tests.render_trio.queue.conftest import inbox, queue_service, web

__all__ = ["inbox", "queue_service", "web"]
