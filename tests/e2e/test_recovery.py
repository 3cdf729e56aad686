"""Nothing is lost: processes that were away, webhooks that failed or vanished, a drain."""

import json

import pytest
from temporalio.client import Client

from checker import check
from demo.evidence import gather
from embedded import temporal_server
from tests.e2e.diagnosis import told_of
from tests.e2e.process import Dev
from tests.support import SLOW, until

REPOS = [f"acme/r{n}" for n in range(3)]


@pytest.fixture
async def dev(request, tmp_path, site):
    """`penstock dev`, not started yet; ended with its Temporal server, whatever a test does."""
    made = Dev(tmp_path / "dev", site, "max_runners = 6")
    async with told_of(request, made):
        yield made
    if made.process and made.process.returncode is None:
        await made.stop()
    if temporal_server.read(made.folder / "state"):
        made.kill_temporal()


async def arrive(dev, each: int = 2) -> None:
    """Jobs of all repositories, one of them without any webhook."""
    for repo in REPOS:
        await dev.site.jobs(repo, count=each, seconds=0.3)
    await dev.site.jobs(REPOS[0], seconds=0.3, deliver=False)
    await dev.site.wait("deliveries_idle")


async def owed(dev) -> int:
    """Deliveries of which no attempt went well."""
    await dev.site.wait("deliveries_idle")
    return len((await dev.site.call("POST", "redeliver", dry_run=True))["redelivered"])


async def recover(dev) -> dict:
    """`penstock recover --wait`: what it did."""
    code, said = await dev.run("recover", "--wait", "-o", "json")
    assert code == 0, said
    return json.loads(said)


async def all_recovered(dev, outages) -> None:
    """Whatever happened: every job has run once, nothing is owed, every law held."""
    for _ in range(30):
        await recover(dev)
        if await dev.site.wait("all_completed", timeout=5) and not await owed(dev):
            break
    assert await owed(dev) == 0
    made = (await dev.site.call("GET", "jobs"))["jobs"]
    assert [job["times_run"] for job in made] == [1] * len(made)
    client = await Client.connect(dev.address)
    running = "WorkflowType='RunnerJob' AND ExecutionStatus='Running'"

    async def none_open():
        return (await client.count_workflows(running)).count == 0

    await until(none_open)
    code, said = await dev.run("dead-letters", "-o", "json")
    assert (code, json.loads(said)) == (0, [])
    log = (await dev.site.call("GET", "deliveries"))["deliveries"]
    last = max(d["delivered_at"] for d in log)
    first = min(job["queued_at"] for job in made)
    spans = [(first, last + 60)] if outages else []
    assert check(await gather(client, dev.site, bounds=SLOW, outages=spans)) == []
    assert await dev.stop() == 0


async def minute(dev) -> None:
    """A minute passes at GitHub: what was not heard of by then is lost."""
    await dev.site.call("POST", "clock", advance_seconds=61, skew_seconds=61)


async def test_gateway_and_worker_away_for_a_while(dev):
    """GitHub fails to connect; it does not try again, but the recovery does."""
    await dev.start()
    await arrive(dev)
    await dev.kill()
    await arrive(dev)
    assert await owed(dev) >= 6
    await dev.start()
    await minute(dev)
    await all_recovered(dev, outages=True)


async def test_temporal_away_for_a_while(dev):
    """The gateway answers 503 and writes letters; both are paid."""
    await dev.start()
    await arrive(dev)
    dev.kill_temporal()
    await arrive(dev)
    await dev.kill()
    await dev.start()
    await minute(dev)
    await all_recovered(dev, outages=True)


async def test_maintenance_for_a_while_and_faults_of_all_kinds(dev):
    """Refused, failed, vanished: with jobs arriving throughout."""
    await dev.start()
    rules = [
        {"kind": kind, "match": {"action": action, "nth": nth}}
        for action in ("queued", "in_progress", "completed")
        for kind, nth in (("lose", 2), ("lose", 5))
    ]
    rules += [{"kind": "vanish", "match": {"action": "queued", "nth": nth}} for nth in (3, 8)]
    await dev.site.call("POST", "faults", rules=rules)
    await arrive(dev)
    code, said = await dev.run("maintenance", "--reason", "a test")
    assert code == 0, said
    await arrive(dev)
    code, said = await dev.run("resume")
    assert code == 0, said
    await arrive(dev)
    await minute(dev)
    await all_recovered(dev, outages=True)


async def test_the_command_says_what_it_did_and_what_is_missing(dev):
    """As a table, as JSON; a part that failed is exit 1; without recovery one clear line."""
    await dev.start()
    code, said = await dev.run("recover")
    assert (code, said.startswith("the recovery runs")) == (0, True)
    await recover(dev)  # that one, or the next
    await dev.site.call("POST", "faults", kind="lose")
    await dev.site.jobs(REPOS[0])
    await dev.site.wait("deliveries_idle")
    code, said = await dev.run("recover", "--wait")
    assert (code, "mode normal, room for" in said) == (0, True), said
    assert "deliveries redelivered" in said
    await dev.site.call("POST", "faults", kind="status", path_prefix="/app/hook", times=0)
    code, said = await dev.run("recover", "--wait", "-o", "json")
    assert code == 1
    assert "deliveries" in json.loads(said)["failures"]
    code, said = await dev.run("recover", "--wait", "--deadline", "0.001s")
    assert (code, "has not ended after 0.001s" in said) == (4, True)
    await dev.site.call("DELETE", "faults")
    assert await dev.stop() == 0
    config = dev.folder / "penstock.toml"
    config.write_text(config.read_text() + "[recovery]\nenabled = false\n")
    await dev.start()
    code, said = await dev.run("recover")
    (line,) = said.strip().splitlines()
    assert (code, line.startswith("penstock: there is no recovery to run")) == (1, True)
    code, said = await dev.run("setup", "-o", "json")
    assert (code, json.loads(said)["changed"]) == (0, False)
    config.write_text(config.read_text().replace("enabled = false", "every_seconds = 300"))
    code, said = await dev.run("setup")
    assert (code, said.strip()) == (0, "schedule penstock-recovery made")
