"""AWS of this machine alone: moto's server, for workers that share their tokens in DynamoDB."""

import asyncio
from pathlib import Path

import httpx

from chaos.process import Process
from embedded import ports

REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "chaos",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS = 60.0


class Moto:
    """`start`, then `url`; `stop`. DynamoDB's requests are served one at a time."""

    def __init__(self, folder: Path) -> None:
        """Its log goes into the folder."""
        port = ports.free("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}"
        program = ("-m", "tests.activities.serial_moto", str(port))
        self._process = Process("moto", folder / "moto.log", *program, **CREDENTIALS)
        self._started: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it answers. Raises TimeoutError."""
        self._started = asyncio.create_task(self._process.start(START_SECONDS + 3600))
        async with httpx.AsyncClient() as http, asyncio.timeout(START_SECONDS):
            while True:  # a server that starts has no event for us
                try:
                    await http.get(f"{self.url}/moto-api/data.json")
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def stop(self) -> None:
        """End it."""
        if self._started:
            self._started.cancel()
            await asyncio.gather(self._started, return_exceptions=True)
        await self._process.stop()
