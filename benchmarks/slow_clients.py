"""Slow clients as a process: URL COUNT. Each sends a byte a second of a head or of a body.

Whoever is shut out connects again at its next turn. Prints `slow` once all are connected; ends by
SIGTERM. Plain sockets in turns: what they cost must be the server's trouble, not this machine's.
"""

import socket
import sys
import time

HEAD = b"POST /webhooks/github HTTP/1.1\r\nHost: here\r\n"
BODY = HEAD + b"Content-Length: 100000\r\n\r\n"
SLICES = 100  # of a second


class Slow:
    """One of them."""

    def __init__(self, address: tuple[str, int], begun: bytes) -> None:
        self._address, self._begun = address, begun
        self._connect()

    def turn(self) -> None:
        """A byte more; or, if the server has ended it, a new beginning."""
        try:
            self._socket.send(b"x")
            ended = self._socket.recv(4096) == b""  # after its answer, if there is one
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._socket.close()
            self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address)
        self._socket.setblocking(False)
        self._socket.send(self._begun)


def main(url: str, count: int) -> None:
    """All of them, for ever."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    clients = [Slow((host, int(port)), BODY if n % 2 else HEAD) for n in range(count)]
    sys.stdout.write("slow\n")
    sys.stdout.flush()
    began, turn = time.monotonic(), 0
    while True:
        for client in clients[turn % SLICES :: SLICES]:
            client.turn()
        turn += 1
        time.sleep(max(0.0, began + turn / SLICES - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
