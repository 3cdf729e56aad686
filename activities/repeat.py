"""Something that is done again and again beside the workers, and whose failure harms no job."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 60.0
# It takes half of the time at most, however much there is to do. But who was held up (by a query
# to a worker that has died) is not to be late for long.
LONGEST_REST_SECONDS = 5.0


async def repeat(what: str, do: Callable[[], Awaitable[object]], every: float) -> None:
    """Do it about every so many seconds until cancelled; several workers do not stay in step.

    A failure is logged once, and again only if another one follows; meanwhile the pauses grow.
    """
    loop = asyncio.get_running_loop()
    failure, pause = "", every
    await asyncio.sleep(every * random.random())  # noqa: S311 - no secret
    while True:
        began = loop.time()
        try:
            await do()
        except Exception as error:  # whatever it was: it is tried again
            pause = min(max(pause * 2, every), max(LONGEST_PAUSE_SECONDS, every))
            said = str(error) or repr(error)
            if said != failure:
                logger.warning("%s: %s; it is tried again", what, said)
            failure = said
        else:
            if failure:
                logger.warning("%s: it works again", what)
            failure, pause = "", every
        rest = max(pause, min(loop.time() - began, LONGEST_REST_SECONDS))
        await asyncio.sleep(rest * random.uniform(0.9, 1.1))  # noqa: S311
