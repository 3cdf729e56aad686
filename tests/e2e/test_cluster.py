"""Two workers and a gateway, each a process, with a shared token store on DynamoDB."""

import asyncio
import re

import pytest
from temporalio.client import Client

from checker import check
from checker.laws.secrets import no_secret
from demo.evidence import gather
from policy import names
from tests.e2e.cluster import Cluster
from tests.support import ADMIN_KEY, count, replay, until

ECHO = "ghp_anEchoOfASecret0123456789abcdefghij"


@pytest.fixture
async def cluster(tmp_path, site, server, aws):
    """Not started yet; ended whatever a test does, its table too."""
    assert server.running
    made = Cluster(tmp_path / "cluster", site, server.running.address, aws)
    yield made
    await made.stop()
    tables = await asyncio.to_thread(aws.dynamodb().list_tables)
    for table in tables["TableNames"]:
        if table == "self-runners-tokens":
            await asyncio.to_thread(aws.dynamodb().delete_table, TableName=table)


async def at_rest(client: Client) -> None:
    """Until no job's workflow is open."""
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"

    async def none_open():
        return await count(client, query) == 0

    await until(none_open, 90)


async def test_two_workers_mint_once_for_each_repository(cluster, client):
    """Eighty jobs of ten repositories: ten tokens, one sign-in, and every law held."""
    await cluster.start(workers=2, limits={"max_runners": 8, "max_repo_share": 1.0})
    repos = [f"acme/r{n}" for n in range(10)]
    await asyncio.gather(*(cluster.site.jobs(repo, count=8, seconds=0.0) for repo in repos))
    assert await cluster.site.wait("all_completed", timeout=150)
    await at_rest(client)
    calls = (await cluster.site.call("GET", "calls"))["calls"]
    minted = [c["path"] for c in calls if c["path"].endswith("registration-token")]
    assert sorted(minted) == sorted(
        f"/repos/{r}/actions/runners/registration-token" for r in repos
    )
    signed_in = [c for c in calls if c["path"].endswith("access_tokens")]
    assert len(signed_in) == 1
    assert [c for c in calls if c["status"] in (403, 429)] == []
    evidence = await gather(client, cluster.site)
    workers = {event.attributes.get("identity") for h in evidence.histories for event in h.events}
    assert len({w for w in workers if w and "@" in w}) >= 3, "both workers and the gateway worked"
    assert [v for v in check(evidence) if v.law != "L6"] == []
    assert await replay(client)


@pytest.mark.parametrize("mode", ["registration", "jit"])
async def test_no_secret_is_anywhere_to_be_read(cluster, client, mode):
    """Histories, logs at DEBUG, metrics, answers, files, the table: after refusals of all kinds.

    GitHub's own messages quote a token here: they pass through errors into histories and logs.
    """
    await cluster.start(
        workers=1,
        github={"mode": mode, "github_api_calls_per_minute": 600},
        tokens={"table": "self-runners-tokens"},
    )
    site = cluster.site
    rules = [
        {"kind": "status", "status": 401, "message": f"Bad {ECHO}", "path_prefix": "/repos"},
        {"kind": "status", "status": 502, "message": f"Oh {ECHO}", "method": "POST", "times": 2},
        {"kind": "status", "status": 422, "message": f"No {ECHO}", "method": "POST", "nth": 9},
        {
            "kind": "lost_answer",
            "route": "/repos/{owner}/{repo}/actions/runners/generate-jitconfig",
        },
    ]
    await site.call("POST", "faults", rules=rules)
    await asyncio.gather(*(site.jobs(f"acme/r{n}", count=2, seconds=0.1) for n in range(3)))
    (gone,) = await site.jobs("acme/r0", seconds=600, labels=["self-hosted", "linux"])
    assert await site.wait("jobs_completed", count=6, timeout=120)
    await site.call("POST", f"jobs/{gone}/cancel")
    await at_rest(client)
    evidence = await gather(client, site, texts=await cluster.texts())
    pem = (site.folder / "app.pem").read_text()
    canaries = [
        *evidence.canaries,
        *(ADMIN_KEY, ECHO, cluster.key, "an-unmistakable-aws-secret"),
        *(line for line in pem.splitlines() if not line.startswith("-----")),
    ]
    assert len(canaries) > 30
    evidence = type(evidence)(
        evidence.histories, evidence.simulated, canaries=canaries, texts=evidence.texts
    )
    assert no_secret(evidence) == []
    said = "\n".join(evidence.texts.values())
    assert "[redacted]" in said or "[redacted]" in str(evidence.histories), "the echo was read"
    metrics = next(text for name, text in evidence.texts.items() if name in cluster.metrics)
    limit = (
        r'penstock_github_rate_limit_remaining{identity="installation:acme",resource="core"} \d+'
    )
    assert re.search(limit, metrics) or "actions_runner_registration" in metrics
    assert 'penstock_github_calls_total{result="unavailable"}' in metrics


async def test_the_canaries_would_be_found(cluster, client):
    """The search itself: a token of GitHub's in a log breaks the law."""
    await cluster.site.jobs("acme/api", conclusion="skipped", deliver=False)
    evidence = await gather(client, cluster.site, texts={"a log": f"token {ECHO}"})
    assert [violation.law for violation in no_secret(evidence)] == ["L10"]
