"""A thousand slow clients at the gateway's cap: jobs are taken all the same."""

import asyncio
import sys

import httpx

from policy import names
from tests.e2e.gateway import SECRET
from tests.e2e.process import ROOT
from tests.support import PATIENCE, deliver, exists, job_payload


async def test_slow_clients_shut_no_webhook_out(gateway, client):
    """Five times as many as may connect, coming again and again; none holds what others need."""
    its = await gateway(max_connections=200, header_timeout_seconds=2.0)
    slow = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.slow_clients", its.url, "1000"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert slow.stdout
        async with asyncio.timeout(PATIENCE):
            assert await slow.stdout.readline() == b"slow\n"
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            for job in range(1, 101):
                http.headers["Connection"] = "close"  # each has to get in anew
                answer = await deliver(http, its.url, SECRET, job_payload("queued", job))
                assert answer.status_code == 200
                handle = client.get_workflow_handle(names.runner_job_id("acme/api", job))
                assert await exists(handle)
            told = (await http.get(f"{its.url}/metrics")).text
    finally:
        slow.terminate()
        await slow.wait()
    assert 'penstock_gateway_turned_away_total{why="evicted"}' in told
