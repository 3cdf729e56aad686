"""`penstock gateway` as a process of its own, on a Temporal server that is given."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.e2e.process import PENSTOCK, ROOT
from tests.support import ADMIN_HASH, PATIENCE

SECRET = "a secret of these tests"


class Gateway:
    """`start` it; `signal` it; `ended` is its exit code."""

    def __init__(self, folder: Path, temporal: str, **gateway: Any) -> None:
        """`gateway` are keys of that table."""
        self.url = ""
        self.log = folder / "gateway.log"
        self._config = folder / "penstock.toml"
        self._environment = {"TEMPORAL_ADDRESS": temporal, "COLUMNS": "300"}
        self._process: asyncio.subprocess.Process | None = None
        table = {"port": 0, "webhook_secret": SECRET, "admin_key_hashes": [ADMIN_HASH], **gateway}
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        self._config.write_text(
            f'state_dir = "{folder / "state"}"\n[github]\ntoken = "none"\n'
            '[runner]\ncommand = ["true"]\n[pressure]\nmax_queue_depth = 100000\n'
            "[gateway]\n" + "\n".join(lines) + "\n"
        )

    async def start(self) -> None:
        """Until it says where it listens."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*PENSTOCK, "gateway", "--config", str(self._config)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
            )
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith("gateway http"), self.log.read_text()[-2000:]
        self.url = line.split()[1]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it is gone."""
        assert self._process
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes: VmRSS is what it has, VmHWM the most that it had."""
        assert self._process
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found
        return 1024 * int(found[1])

    async def stop(self) -> None:
        """End it, whatever it does."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
