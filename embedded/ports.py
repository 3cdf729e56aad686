"""Free TCP ports of this machine, and how one is given up."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26  # not among socket's names
# Classic BPF (linux/filter.h), each line: code, jump if true, jump if false, operand. For TCP the
# kernel shows it the packet from its TCP header on, whose byte 13 holds the flags (RFC 9293, 3.1).
DROP_WHAT_BEGINS = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x54, 0, 0, 0x12),  # of it, SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone begins a connection:
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # or keep all of it
)


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
    """Have the kernel begin no new connections; those begun can still be made, and accepted.

    Closing a listener resets whoever is connected and not accepted yet, request and all. On Linux
    a socket filter (socket(7), SO_ATTACH_FILTER) shuts the door first: it drops each packet that
    begins a connection, so who knocks then is refused once the listener is closed. It lets pass
    all others: a peer whose last packet of the three that make a connection is still under way
    holds itself for connected. Elsewhere nothing happens.
    """
    instructions = b"".join(_instruction(*line) for line in DROP_WHAT_BEGINS)
    held = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HL", len(DROP_WHAT_BEGINS), ctypes.addressof(held))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        return


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)
