"""Free TCP ports of this machine, and how one is given up."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26  # not among socket's names


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on the port, or on any free one if it is taken."""
    try:
        return _listen(host, port)
    except OSError:
        return _listen(host, 0)


def free(host: str, preferred: int) -> int:
    """The preferred port, or another one if it is taken. Somebody may take it before you do."""
    with listening(host, preferred) as found:
        return int(found.getsockname()[1])


def _listen(host: str, port: int) -> socket.socket:
    # IPPROTO_TCP by name: only then does asyncio set TCP_NODELAY on what is accepted here, and
    # without that each answer waits 40 ms for the peer's acknowledgement.
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def turn_away(listener: socket.socket) -> None:
    """Have the kernel take no new connections; those that it has taken can still be accepted.

    Closing a listener resets whoever is connected and not accepted yet, request and all. On Linux
    a socket filter of one instruction, "drop" (socket(7), SO_ATTACH_FILTER), shuts the door first:
    who knocks then is refused once the listener is closed. Elsewhere nothing happens.
    """
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF_RET, 0 bytes
    program = struct.pack("HL", 1, ctypes.addressof(drop))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        return
