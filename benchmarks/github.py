"""How much GitHub is asked, and what its refusals cost those whom they do not concern."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from activities.clients.github import Credentials, GitHubClient, GitHubClock
from activities.errors import Waits
from activities.meter import Budget, Meter
from activities.secret_cache import SecretCache
from activities.token_store import MemoryStore
from activities.tokens import Tokens
from demo.site import APP_ID, Site
from embedded import stack
from policy import names
from policy.token_bucket import Rate

REPOS = [f"{org}/r{n}" for org in ("acme", "beta") for n in range(5)]
STEP_SECONDS = 180.0  # 20 jobs an hour and repository
BATCH_SECONDS = 6.0  # one batch of jobs every so often, each of
BATCH_JOBS, JOB_SECONDS = 4, 2.0
SETTLE_SECONDS = 5.0  # for what had its permit when GitHub said no
LIMITED = (403, 429)


@dataclass(frozen=True)
class Asked:
    """GitHub's own record of a run."""

    jobs: int
    calls: int
    token_calls: int
    limited: int
    too_early: int
    seconds: float

    @property
    def calls_per_job(self) -> float:
        """Of all kinds."""
        return self.calls / self.jobs


@dataclass(frozen=True)
class Throttled:
    """One organization refused, another at work: p95 waits of the other, seconds.

    `before` both worked; `alone` the refused one had nothing to do, so that the machine bears as
    much as `during` the refusal.
    """

    before: float
    alone: float
    during: float
    most_held: int  # permits of the refused one, once it had given back what it held
    all_completed: bool
    too_early: int


class Moved:
    """A clock that a benchmark moves, together with the simulator's."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.ahead = 0.0

    def __call__(self) -> float:
        """Epoch seconds."""
        return time.time() + self.ahead

    async def move(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += seconds
        more = {"advance_seconds": seconds, "skew_seconds": self.ahead}
        await self._site.call("POST", "clock", **more)


async def days(_client: Client, site: Site, number: float = 1.0) -> Asked:
    """Ten repositories for some days at 20 jobs an hour each; only GitHub and time, no runners."""
    for repo in REPOS:
        await site.jobs(repo, conclusion="skipped", deliver=False)
    moved = Moved(site)
    clock = GitHubClock(moved)
    store = MemoryStore(clock)
    cache = SecretCache(store, clock)
    meter = Meter(store, Budget(Rate(10, 60.0), Rate(5, 3600.0)), clock)
    key = (site.folder / "app.pem").read_text(encoding="utf-8")
    github = GitHubClient(
        site.url, Credentials(APP_ID, key), meter=meter, cache=cache, clock=clock
    )
    tokens, jobs, began = Tokens(github, cache), 0, clock()
    for _ in range(int(number * 86400 / STEP_SECONDS)):
        await moved.move(STEP_SECONDS)
        for repo in REPOS:
            jobs += 1
            while True:
                try:
                    await tokens.registration(repo)
                    break
                except Waits as wait:
                    await moved.move(max(0.0, wait.until - clock()) + 0.01)
            if jobs % 100 == 0:  # one runner of a hundred is not picked up, and seen off
                await github.deregister(repo, f"penstock-{jobs}-1")
    await cache.close()
    await github.close()
    return await _asked(site, jobs, clock() - began)


async def at_once(client: Client, site: Site, jobs: int = 1000, repos: int = 20) -> Asked:
    """So many jobs of one organization in one burst through the whole path, runners and all."""
    settings = site.settings(
        limits={"max_runners": 40, "default": 4, "max_repo_share": 1.0},
        gateway={"port": 0},
        pressure={"max_queue_depth": 10 * jobs},  # the burst is what is measured, not its refusal
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        began = time.monotonic()
        for n in range(repos):
            await site.jobs(f"acme/r{n}", count=jobs // repos, seconds=0.0)
        await _all_completed(site, 900)
        return await _asked(site, jobs, time.monotonic() - began)


async def throttled(client: Client, site: Site, pause: float = 60.0) -> Throttled:
    """Two organizations work alike; then GitHub refuses one of them for `pause` seconds.

    Each launch needs a call here (mode jit), so that the refusal bites at once.
    """
    settings = site.settings(
        limits={"max_runners": 8, "default": 2},
        gateway={"port": 0},
        github={"mode": "jit", "github_api_calls_per_minute": 600},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        await _work(site, ("acme/warm", "beta/warm"), 2 * BATCH_SECONDS)
        before = await _work(site, ("acme/a", "beta/b"), max(60.0, pause / 5))
        await _all_completed(site, 60)
        alone = await _work(site, ("beta/b",), max(60.0, pause / 5))
        rule = {"kind": "primary_limit", "path_prefix": "/repos/acme", "seconds": pause}
        await site.call("POST", "faults", rules=[rule])
        watch = asyncio.create_task(_most_held(client, pause - SETTLE_SECONDS - 2))
        # The refused one queues less, so that its backlog does not take as long as the pause.
        during = await _work(site, ("acme/a", "beta/b"), pause - BATCH_SECONDS, rarely="acme/a")
        held = await watch
        done = await _all_completed(site, 300 + pause)
        early = int((await site.call("GET", "summary"))["calls"]["too_early"])
        of_beta = [await _p95(client, jobs["beta/b"]) for jobs in (before, alone, during)]
        return Throttled(of_beta[0], of_beta[1], of_beta[2], held, done, early)


async def _all_completed(site: Site, seconds: float) -> bool:
    """Wait in pieces that a connection bears."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if await site.wait("all_completed", timeout=60):
            return True
    return False


async def _work(
    site: Site, repos: tuple[str, ...], seconds: float, rarely: str = ""
) -> dict[str, list[int]]:
    """The same jobs for each repository, batch after batch (`rarely`: every fifth); their ids."""
    made: dict[str, list[int]] = {repo: [] for repo in repos}
    ends, batch = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        following = time.monotonic() + BATCH_SECONDS
        batch += 1
        for repo in repos:
            if repo == rarely and batch % 5 != 1:
                continue
            made[repo] += await site.jobs(repo, count=BATCH_JOBS, seconds=JOB_SECONDS)
        await asyncio.sleep(max(0.0, following - time.monotonic()))
    return made


async def _most_held(client: Client, seconds: float) -> int:
    """The most permits that the semaphore of `acme/a` had out, looked at every half second."""
    await asyncio.sleep(SETTLE_SECONDS)
    handle = client.get_workflow_handle(names.semaphore_id("acme/a"))
    most, ends = 0, time.monotonic() + seconds - SETTLE_SECONDS
    while time.monotonic() < ends:
        state: dict[str, Any] = await handle.query("state", result_type=dict[str, Any])
        most = max(most, int(state["in_use"]))
        await asyncio.sleep(0.5)
    return most


async def _p95(client: Client, jobs: list[int]) -> float:
    waits: list[float] = []
    for job in jobs:
        handle = client.get_workflow_handle(names.runner_job_id("beta/b", job))
        waits.append(float((await handle.result())["waited"]))
    return statistics.quantiles(waits, n=20)[-1]


async def _asked(site: Site, jobs: int, seconds: float) -> Asked:
    calls: list[dict[str, Any]] = (await site.call("GET", "calls"))["calls"]
    summary = await site.call("GET", "summary")
    minted = [c for c in calls if c["path"].endswith(("-token", "-jitconfig", "_tokens"))]
    limited = sum(call["status"] in LIMITED for call in calls)
    early = int(summary["calls"]["too_early"])
    return Asked(jobs, len(calls), len(minted), limited, early, seconds)
