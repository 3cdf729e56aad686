"""Stand-ins for STS on real sockets: what moto's server does not do, an AWS can."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

ANSWER = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
REFUSAL = "<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"


@dataclass
class StsStub:
    """Answers each request alike, and keeps what it was asked."""

    status: int = 200
    text: str = ""
    headers: str = ""
    silent: bool = False  # never answer
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
        body = await reader.readexactly(int(lines["content-length"]))
        self.asked.append(head + body.decode())
        if not self.silent:
            told = self.text.encode()
            writer.write(
                f"HTTP/1.1 {self.status} Told\r\nContent-Length: {len(told)}\r\n"
                f"Connection: close\r\n{self.headers}\r\n".encode()
                + told
            )
            await writer.drain()
        else:
            await reader.read()  # until the other side gives up
        writer.close()


@asynccontextmanager
async def sts(**how: object) -> AsyncGenerator[StsStub]:
    """That endpoint inside the block."""
    made = StsStub(**how)  # pyright: ignore[reportArgumentType]
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
