"""Dead letters of gateway and worker, two processes, in one SQS queue: seen, replayed, purged."""

import json
import secrets

import httpx
from temporalio.client import Client

from demo.evidence import secrets_of
from policy import names
from tests.e2e import held
from tests.e2e.cluster import Cluster
from tests.e2e.planted import ECHO, MARK, MARKED, found, unmarked
from tests.support import ADMIN_KEY, PATIENCE, count, deliver, job_payload, until

HEAD = {"Authorization": f"Bearer {ADMIN_KEY}"}


async def test_letters_of_all_processes_lie_in_one_queue(cluster: Cluster, client: Client, aws):
    """A refused delivery of the gateway's, a failed job of the worker's; no secret in either.

    What the job fails for quotes a token: the name of the command that cannot be run.
    """
    queue = f"{MARK}-{secrets.token_hex(4)}"
    await cluster.start(
        workers=1,
        dead_letters={"store": "sqs", "queue_name": queue},
        runner={"command": [f"/nonexistent/{ECHO}"], "relaunch_seconds": 0.05},
        recovery={"enabled": False},  # it replays letters too, at resume
    )
    code, said = await cluster.run("setup", "-o", "json")
    assert (code, json.loads(said)["changed"]) == (0, False), "it was made by the first setup"

    async def listed() -> list[dict]:
        code, said = await cluster.run("dead-letters", "list", "-o", "json")
        assert code == 0, said
        return json.loads(said)

    (job,) = await cluster.site.jobs(MARKED)
    failed = client.get_workflow_handle(names.runner_job_id(MARKED, job))
    await until(lambda: count(client, f"WorkflowId='{failed.id}'"))
    assert (await failed.result())["outcome"] == "failed"
    await cluster.run("drain", "--reason", "a test")
    secret = (cluster.site.folder / "webhook-secret").read_text()
    async with httpx.AsyncClient(headers=HEAD, timeout=PATIENCE) as http:

        async def refused() -> bool:
            answer = await deliver(http, cluster.url, secret, job_payload("queued", 7001))
            return answer.status_code == 503

        await until(refused)  # the gateway hears of the mode within a second
        of_job, of_delivery = await listed()
        assert (of_job["kind"], of_job["job_id"]) == ("job", str(job))
        assert (of_delivery["kind"], of_delivery["cause"]) == ("delivery", "draining")
        answer = (await http.get(f"{cluster.url}/admin/dead-letters")).json()
        assert answer == {"dead_letters": [of_job, of_delivery], "next": None, "total": 2}
        texts = await held.in_queue(aws, queue)
        assert unmarked(texts) == set(), "a search that finds nothing there"
        assert found([*await secrets_of(cluster.site), *cluster.canaries()], texts) == []
        assert "[redacted]" in texts["sqs letters: all"], "the echo was read"
        await cluster.run("resume")
        code, said = await cluster.run("dead-letters", "replay", "--all", "-o", "json")
        assert code == 0, said
        (replayed,) = json.loads(said)
        assert replayed["workflow_id"] == names.runner_job_id("acme/api", 7001)
        assert [le["id"] for le in await listed() if le["kind"] == "delivery"] == []
        gone = await http.delete(f"{cluster.url}/admin/dead-letters/{of_job['id']}")
        assert gone.status_code == 204
        assert of_job["id"] not in [le["id"] for le in await listed()]
