"""Server-sent events: the sections that changed, as JSON, each time something is read."""

import asyncio
import time
from collections.abc import AsyncGenerator

from api.page.feed import Feed
from api.page.render import Drawn, Sections
from api.page.sessions import Session
from api.page.view import View

MOST_PAGES = 200  # open at once, on one gateway
BEAT_SECONDS = 10.0  # proxies end a stream that says nothing
LOOK_SECONDS = 1.0  # how soon a stream notices that it is to end
RETRY = "retry: 2000\n\n"


async def events(
    feed: Feed, sections: Sections, view: View, session: Session, stopping: asyncio.Event
) -> AsyncGenerator[str]:
    """Until the session ends, the gateway stops, or nobody listens."""
    who = feed.watch(view)
    sent = Drawn()
    number, said_at = -1, time.monotonic()
    try:
        yield RETRY
        await feed.now(view)  # not what was known when somebody last looked
        while not stopping.is_set():
            if time.time() >= session.ends:
                yield event("over", "{}")
                return
            reading = await feed.after(number, LOOK_SECONDS)
            if reading is not None:
                number = reading.number
                drawn = await sections.of(reading, view)
                news, sent = drawn.since(sent), drawn
                if news:
                    said_at = time.monotonic()
                    yield event("sections", news)
            if time.monotonic() - said_at >= BEAT_SECONDS:
                said_at = time.monotonic()
                yield ": still here\n\n"
    finally:
        feed.leave(who)


def event(name: str, told: str) -> str:
    """One event of an object of JSON, which has no line ends of its own."""
    return f"event: {name}\ndata: {told}\n\n"
