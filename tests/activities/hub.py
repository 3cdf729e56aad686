"""A simulated GitHub for many tests, a clock that can be moved, and clients of both."""

import asyncio
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from activities.clients.github import Credentials, GitHubClient, GitHubClock
from activities.meter import Budget, Meter, Throttled
from activities.secret_cache import SecretCache
from activities.token_store import MemoryStore, TokenStore
from activities.tokens import Tokens
from demo.site import APP_ID, SIMULATOR, Site
from policy.token_bucket import Rate
from tests.activities.launching import SECONDS
from wiring import GitHubSide

WIDE = Budget(Rate(1000, 60), Rate(1000, 60))
PAT = "ghp_an-unmistakable-personal-access-token"


class Clock:
    """The time at which a test began and what the test added to it: it stands still else."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = time.time()

    def __call__(self) -> float:
        """Epoch seconds."""
        return self._began + self.ahead

    def catch_up(self) -> None:
        """Let it be as late as it is: what GitHub did meanwhile lies in the past."""
        self._began = time.time()


class Hub:
    """GitHub, emptied for each test; counts its calls."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.call = site.call
        self.clock = Clock()
        self._made: list[GitHubSide] = []
        self._processes: list[asyncio.subprocess.Process] = []
        self._seen = 0

    @property
    def key(self) -> str:
        """The App's private key."""
        return (self.site.folder / "app.pem").read_text()

    def side(
        self,
        budget: Budget = WIDE,
        *,
        credentials: Credentials | None = None,
        store: TokenStore | None = None,
        throttled: Throttled | None = None,
        jit: bool = False,
        clock: GitHubClock | None = None,
        **how: Any,
    ) -> GitHubSide:
        """One worker's side of GitHub; without credentials it is the App."""
        credentials = credentials or Credentials(APP_ID, self.key)
        # The simulator's `Date` goes on while a test runs, for up to 240 s; ours stands still.
        clock = clock or GitHubClock(self.clock, tolerance=300.0)
        store = store or MemoryStore(clock)
        meter = Meter(store, budget, clock, throttled, jit=jit)
        cache = SecretCache(store, clock)
        url = how.pop("url", self.site.url)
        made = GitHubClient(url, credentials, meter=meter, cache=cache, clock=clock, **how)
        self._made.append(GitHubSide(made, cache, meter, credentials, clock))
        return self._made[-1]

    def client(self, credentials: Credentials | None = None, **how: Any) -> GitHubClient:
        """The client alone."""
        return self.side(credentials=credentials, **how).client

    def tokens(self, budget: Budget = WIDE, *, jit: bool = False, **how: Any) -> Tokens:
        """Where one worker's runner tokens come from."""
        side = self.side(budget, jit=jit, **how)
        return Tokens(side.client, side.cache, jit=jit)

    async def person(self, **how: Any) -> GitHubClient:
        """A client with a personal access token."""
        await self.call("POST", "pats", token=PAT)
        return self.client(Credentials(token=PAT), **how)

    async def calls(self) -> list[str]:
        """The calls since the last time, as `METHOD route status`."""
        every = (await self.call("GET", "calls"))["calls"]
        new, self._seen = every[self._seen :], len(every)
        return [f"{c['method']} {c['route'] or c['path']} {c['status']}" for c in new]

    async def break_(self, kind: str, **how: Any) -> None:
        """Break something on purpose."""
        await self.call("POST", "faults", rules=[{"kind": kind, **how}])

    async def pass_(self, seconds: float) -> None:
        """Let time pass, here and at GitHub."""
        self.clock.ahead += seconds
        await self.call("POST", "clock", advance_seconds=seconds, skew_seconds=self.clock.ahead)

    async def runner(self, name: str, token: str) -> None:
        """A real runner process that registers with the token."""
        file = self.site.folder / "a-runners-token"
        file.write_text(token)
        environment = {
            "PENSTOCK_GITHUB_URL": self.site.url,
            "PENSTOCK_RUNNER_URL": f"{self.site.url}/acme/api",
            "PENSTOCK_RUNNER_NAME": name,
            "PENSTOCK_RUNNER_LABELS": "linux",
            "PENSTOCK_RUNNER_TOKEN_FILE": str(file),
        }
        program = str(SIMULATOR / "runner" / "__main__.py")
        self._processes.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", program), env={**os.environ, **environment}
            )
        )

    async def close(self) -> None:
        """Close the clients, end the runners, forget everything."""
        for made in self._made:
            await made.close()
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            async with asyncio.timeout(SECONDS):
                await process.wait()
        await self.call("POST", "reset")


async def site_in(folder: Path) -> Site:
    """A simulated GitHub that runs."""
    made = Site(folder)
    await made.start()
    return made


def told(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)
