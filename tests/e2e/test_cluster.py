"""Two workers and a gateway, each a process, with a shared token store on DynamoDB."""

import asyncio
import re

import pytest
from temporalio.client import Client

from checker import check
from checker.laws.secrets import no_secret
from demo.evidence import gather
from policy import names
from tests.e2e import processes
from tests.e2e.cluster import TOKENS
from tests.e2e.planted import ECHO, GIVEN, MARK, MARKED, found, known, place, tokens_in, unmarked
from tests.e2e.reading import PLACES, everything, items
from tests.support import SLOW, count, replay, until


async def at_rest(client: Client) -> None:
    """Until no job's workflow is open."""
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"

    async def none_open():
        return await count(client, query) == 0

    await until(none_open)


async def test_two_workers_mint_once_for_each_repository(cluster, client):
    """Eighty jobs of ten repositories: ten tokens, one sign-in, and every law held."""
    await cluster.start(workers=2, limits={"max_runners": 8, "max_repo_share": 1.0})
    repos = [f"acme/r{n}" for n in range(10)]
    await asyncio.gather(*(cluster.site.jobs(repo, count=8, seconds=0.0) for repo in repos))
    assert await cluster.site.wait("all_completed")
    await at_rest(client)
    calls = (await cluster.site.call("GET", "calls"))["calls"]
    minted = [c["path"] for c in calls if c["path"].endswith("registration-token")]
    assert sorted(minted) == sorted(
        f"/repos/{r}/actions/runners/registration-token" for r in repos
    )
    signed_in = [c for c in calls if c["path"].endswith("access_tokens")]
    assert len(signed_in) == 1
    assert [c for c in calls if c["status"] in (403, 429)] == []
    evidence = await gather(client, cluster.site, bounds=SLOW)
    workers = {event.attributes.get("identity") for h in evidence.histories for event in h.events}
    assert len({w for w in workers if w and "@" in w}) >= 3, "both workers and the gateway worked"
    assert [v for v in check(evidence) if v.law != "L6"] == []
    assert await replay(client)


@pytest.mark.parametrize("mode", ["registration", "jit"])
async def test_no_secret_is_anywhere_to_be_read(cluster, client, mode):
    """Histories, logs at DEBUG, metrics, answers, files, the table: after refusals of all kinds.

    And what the kernel shows of every process, while a runner lives. GitHub's own messages quote a
    token here: they pass through errors into histories and logs. In one mode the secrets lie in
    files, in the other at AWS.
    """
    await cluster.start(
        workers=1,
        secrets_at_aws=mode == "registration",
        github={"mode": mode, "github_api_calls_per_minute": 600},
        tokens={"table": TOKENS},
        runner={"unavailable_seconds": 2.0},
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
    repos = (MARKED, "acme/r1", "acme/r2")
    await asyncio.gather(*(site.jobs(repo, count=2, seconds=0.1) for repo in repos))
    (gone,) = await site.jobs(MARKED, seconds=600, labels=["self-hosted", "linux"])
    assert await site.wait("jobs_completed", count=6)
    assert await site.wait("job_started", job_id=gone)
    living = processes.told(cluster.folder, GIVEN)
    await site.call("POST", f"jobs/{gone}/cancel")
    await at_rest(client)
    # Refused, it becomes a dead letter that holds the whole event.
    await cluster.admin("PUT", "draining", mode="draining", reason=MARK)
    await site.jobs(MARKED)
    assert await site.wait("deliveries_idle")
    texts = {**living, **await everything(cluster, MARKED, gone)}
    evidence = await gather(client, site, bounds=SLOW)
    canaries = [*evidence.canaries, *cluster.canaries()]
    assert len(canaries) > 30
    assert found(canaries, texts, evidence.histories) == []
    assert set(map(place, texts)) == PLACES | processes.PLACES
    assert unmarked(texts) == set(), "a search that finds nothing there"
    assert found([MARK], {}, evidence.histories)
    kept = tokens_in(await items(cluster), cluster.key)
    assert known(kept, evidence.canaries), "they are there, and sealed"
    said = "\n".join(texts.values())
    assert "[redacted]" in said or "[redacted]" in str(evidence.histories), "the echo was read"
    metrics = texts[f"metrics: {cluster.metrics[0]} 200"]
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
