"""Settings → a listening socket and one or several processes that serve it: HTTP/1.1 connections ⇄ ASGI."""
