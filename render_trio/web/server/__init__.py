"""A listening socket → an HTTP/1.1 server with limits on time, size and number, checked by its supervisor."""
