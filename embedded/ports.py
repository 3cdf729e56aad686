"""Free TCP ports of this machine."""

import socket


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on the port, or on any free one if it is taken."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError:
        return socket.create_server((host, 0), backlog=1024)


def free(host: str, preferred: int) -> int:
    """The preferred port, or another one if it is taken. Somebody may take it before you do."""
    with listening(host, preferred) as found:
        return int(found.getsockname()[1])
