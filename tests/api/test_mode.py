"""The mode as a gateway knows it: read beside the webhooks, and never long out of date."""

import asyncio

import pytest
from temporalio.client import Client

from api import mode
from api.mode import ModeView, ModeWatch
from policy import names


async def say(client: Client, said: str) -> None:
    """A Fleet with this mode in its memo, in place of the one before."""
    try:
        await client.get_workflow_handle(names.FLEET_ID).terminate()
    except Exception as error:  # the first one
        assert "not found" in str(error)
    await client.start_workflow(
        names.FLEET, id=names.FLEET_ID, task_queue="nobody", memo={"mode": said, "since": 5.0}
    )


@pytest.fixture
def never_fresh(monkeypatch):
    """Every question wants a new reading, and none waits for it."""
    monkeypatch.setattr(mode, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(mode, "STALE_SECONDS", 1e9)


async def test_without_a_fleet_it_is_normal(client):
    """And that is an answer: Temporal can be reached."""
    watch = ModeWatch(client)
    assert await watch.current() == ModeView("normal")
    assert watch.reachable


async def test_who_asks_does_not_wait_for_the_reading(client, never_fresh):
    """The former mode is told; the next one is told the new. All share one reading."""
    watch = ModeWatch(client)
    await watch.reread()
    await say(client, "draining")
    assert (await watch.current()).mode == "normal"
    reading = watch._reading
    assert {view.mode for view in await asyncio.gather(*(watch.current() for _ in range(50)))} == {
        "normal"
    }
    assert watch._reading is reading
    await reading
    assert await watch.current() == ModeView("draining", 5.0)


async def test_what_is_too_old_is_not_told(client, monkeypatch):
    """As after a quiet hour: the first webhook waits."""
    watch = ModeWatch(client)
    await watch.current()
    await say(client, "maintenance")
    monkeypatch.setattr(mode, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(mode, "STALE_SECONDS", 0.0)
    assert (await watch.current()).mode == "maintenance"


async def test_a_rereading_is_not_one_that_began_before(client, never_fresh):
    """After a change the gateway acts on it, though a reading was under way."""
    watch = ModeWatch(client)
    await watch.reread()
    await watch.current()
    early = watch._reading
    assert early
    await say(client, "draining")
    assert (await watch.reread()).mode == "draining"
    assert early.done()


async def test_the_last_one_known_holds_while_temporal_does_not_answer(client, server, tmp_path):
    """And it is said that Temporal cannot be reached."""
    await say(client, "draining")
    watch = ModeWatch(client)
    await watch.current()
    await server.stop()
    assert (await watch.reread()).mode == "draining"
    assert not watch.reachable
