"""HOST and PORT → a listening socket, or an error that names the setting, its value and the cause."""

from __future__ import annotations

import contextlib
import errno
import socket

from render_trio.errors import StartupError

BACKLOG = 1024  # connections waiting to be accepted; a client beyond this retries only after a second
ACKNOWLEDGE_SECONDS = 20  # that a client's host may leave data unacknowledged before the kernel drops it
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)  # Linux's value; not every build of Python has it


def listening_socket(host: str, port: int, port_name: str = "PORT") -> socket.socket:
    """Return a listening socket; port 0 selects a free port. Raises StartupError, which calls the port `port_name`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StartupError(_cause(host, port, port_name, error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # WSL 1 and macOS don't have it; a client that stops reading stays longer
            listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, ACKNOWLEDGE_SECONDS * 1000)
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartupError(_cause(host, port, port_name, error)) from error
    return listener


def _cause(host: str, port: int, port_name: str, error: OSError) -> str:
    """Return why the service can't listen, and what to do, as one line."""
    if isinstance(error, socket.gaierror):
        return f"HOST is {host!r}: the name has no address; set the name or an address of this machine"
    match error.errno:
        case errno.EADDRINUSE:
            in_use = f"port {port} is in use by another program"
            return f"{port_name} is {port}: {in_use}; stop it or choose another {port_name}"
        case errno.EACCES | errno.EPERM:
            return (
                f"{port_name} is {port}: this user may not listen on port {port} (ports below 1024 need a privilege); "
                f"choose another {port_name}"
            )
        case errno.EADDRNOTAVAIL:
            return f"HOST is {host!r}: this machine has no such address; set one of its own, or 0.0.0.0 for all"
        case errno.EAFNOSUPPORT:
            return f"HOST is {host!r}: this machine has no IPv6; set an IPv4 address"
    return f"HOST is {host!r} and {port_name} is {port}: listening failed: {error.strerror or error}"


def address_of(listener: socket.socket, host: str) -> str:
    """Return the socket's address as a URL."""
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
