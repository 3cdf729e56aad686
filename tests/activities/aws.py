"""Moto's server over HTTP, a process of its own: AWS for the tests."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from activities.clients.aws import Aws
from embedded import ports

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "an-unmistakable-aws-secret",
    "AWS_SESSION_TOKEN": "an-unmistakable-session-token",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS = 150
ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def moto() -> AsyncGenerator[Aws]:
    """AWS inside the block."""
    port = ports.free("127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.activities.serial_moto", str(port)),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as http, asyncio.timeout(START_SECONDS):
            while True:  # a server that starts has no event for us
                try:
                    await http.get(f"{url}/moto-api/data.json")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, "moto's server does not start"
                    await asyncio.sleep(0.1)
        yield Aws("eu-central-1", url)
    finally:
        process.terminate()
        await process.wait()
