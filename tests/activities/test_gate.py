"""Whoever is told to wait makes everybody of that owner wait."""

import pytest

from activities.errors import RateLimited
from activities.gate import GatedGitHub


async def test_one_refusal_pauses_every_call_of_the_owner_and_no_others(hub):
    """Paused calls do not reach GitHub; after its time they do again."""
    heard = []

    async def throttled(org, until):
        heard.append((org, round(until - hub.clock())))

    gate = GatedGitHub(hub.client(), hub.clock, throttled)
    await hub.break_("primary_limit", path_prefix="/repos/acme/api/actions/jobs", seconds=30)
    assert (await gate.job("acme/web", "1")).status == "missing"
    with pytest.raises(RateLimited):
        await gate.job("acme/api", "1")
    assert [org for org, _ in heard] == ["acme"]
    assert 25 <= heard[0][1] <= 31
    await hub.calls()
    for call in (
        lambda: gate.job("acme/web", "1"),
        lambda: gate.deregister("acme/web", "penstock-1-1"),
        lambda: gate.registration_token("acme/api"),
        lambda: gate.jit_config("acme/api", "penstock-1-1", ["linux"]),
    ):
        with pytest.raises(RateLimited):
            await call()
    assert await hub.calls() == [], "a paused call reached GitHub"
    assert (await gate.registration_token("other/api")).value
    await hub.pass_(32)
    assert gate.calls_for_token("acme/api") == 1
    assert (await gate.registration_token("acme/api")).value
