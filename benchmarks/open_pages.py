"""Open operations pages as a process: URL KEY COUNT. Each takes what it is sent.

Prints `open` once all are; at SIGTERM the size of the largest event, in bytes, and ends. A process
of its own on plain connections: what browsers would do elsewhere must not cost this machine much.
"""

import asyncio
import signal
import sys

import httpx


class Page(asyncio.Protocol):
    """One open page: counts the bytes of each event, with the few of HTTP's chunks in it."""

    def __init__(self, request: bytes) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.largest = 0
        self._request = request
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        if not self.opened.done():
            self.opened.set_result(data.split(b"\r\n", 1)[0])
        *whole, rest = data.split(b"\n\n")
        for event in whole:
            self.largest = max(self.largest, self._size + len(event))
            self._size = 0
        self._size += len(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """The gateway has closed it."""
        if not self.ended.done():
            self.ended.set_result(exc)
        if not self.opened.done():
            self.opened.set_result(b"closed")


async def main(url: str, key: str, count: int) -> None:
    """All of them, until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as http:
        answer = await http.post("/page/sign-in", data={"key": key})
        cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    host, port = url.removeprefix("http://").rsplit(":", 1)
    request = f"GET /page/live HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n".encode()
    pages = [
        (await loop.create_connection(lambda: Page(request), host, int(port)))[1]
        for _ in range(count)
    ]
    for page in pages:
        if b" 200 " not in (answer := await page.opened):
            raise SystemExit(f"the page does not open: {answer.decode()}")
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await stop.wait()
    if any(page.ended.done() for page in pages):
        raise SystemExit("a page was closed by the gateway")
    sys.stdout.write(f"{max(page.largest for page in pages)}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
