"""What is done beside the workers again and again, though it may fail."""

import asyncio
import logging

import pytest

from activities.repeat import repeat


async def test_a_failure_is_said_once_and_ends_nothing(caplog):
    """Another one is said too, and that it is over."""
    caplog.set_level(logging.INFO)
    ends = iter([None, "away", "away", "away", "denied", None, None])
    done = asyncio.Event()

    async def do() -> None:
        end = next(ends, "the end")
        if end == "the end":
            done.set()
        elif end:
            raise OSError(end)

    task = asyncio.create_task(repeat("the table", do, 0.001))
    await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record.message for record in caplog.records if record.name == "activities.repeat"] == [
        "the table: away; it is tried again",
        "the table: denied; it is tried again",
        "the table: it works again",
    ]
