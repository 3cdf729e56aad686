"""Jobs of one repository that arrive together ask for their permits together, by one signal."""

import asyncio
from dataclasses import dataclass, field

from api.calls import Calls
from policy.messages import Acquire

LONGEST_WAIT_SECONDS = 0.25
MOST = 500  # jobs a signal: 60 kB


@dataclass
class _Line:
    """One repository's jobs between their start and their asking."""

    starting: int = 0
    asks: list[tuple[Acquire, asyncio.Future[None]]] = field(
        default_factory=list[tuple[Acquire, asyncio.Future[None]]]
    )
    sender: asyncio.Task[None] | None = None
    nobody_starts: asyncio.Event = field(default_factory=asyncio.Event)


class Asking:
    """A job alone asks at once. Beside others that are being started it waits for them.

    It waits as long as its own start took at most: next to nothing where Temporal is quick, and
    where it is not, one signal for many is what makes it quicker. What has been asked is durable
    when `ask` returns; if the signal fails, it fails for each of its jobs, and each may ask again.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lines: dict[str, _Line] = {}

    def starts(self, repo: str) -> None:
        """A job of this repository is being started. Follow it by `started`."""
        line = self._lines.setdefault(repo, _Line())
        line.starting += 1
        line.nobody_starts.clear()

    def started(self, repo: str) -> None:
        """It has been, or could not be; nobody waits for it any more."""
        line = self._lines[repo]
        line.starting -= 1
        if not line.starting:
            line.nobody_starts.set()
            self._forget(repo, line)

    async def ask(self, repo: str, request: Acquire, patience: float) -> None:
        """Ask for the job's permit; it may wait so many seconds for others. Raises RPCError."""
        line = self._lines.setdefault(repo, _Line())
        told = asyncio.get_running_loop().create_future()
        line.asks.append((request, told))
        if line.sender is None:
            line.sender = asyncio.create_task(self._send(repo, line, patience))
        await told

    async def _send(self, repo: str, line: _Line, patience: float) -> None:
        """Batch after batch: what comes while one is on its way goes with the next."""
        while line.asks:
            if line.starting and len(line.asks) < MOST:
                try:
                    async with asyncio.timeout(min(patience, LONGEST_WAIT_SECONDS)):
                        await line.nobody_starts.wait()
                except TimeoutError:
                    pass
            batch, line.asks = line.asks[:MOST], line.asks[MOST:]
            try:
                await self._calls.acquire(repo, [request for request, _ in batch])
            except Exception as error:
                for _, told in batch:
                    if not told.done():
                        told.set_exception(error)
            else:
                for _, told in batch:
                    if not told.done():
                        told.set_result(None)
        line.sender = None
        self._forget(repo, line)

    def _forget(self, repo: str, line: _Line) -> None:
        if not (line.starting or line.asks or line.sender):
            self._lines.pop(repo, None)
