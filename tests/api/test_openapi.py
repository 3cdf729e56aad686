"""The interface is as it describes itself: Schemathesis against the real gateway."""

import re
import sys
from pathlib import Path

import httpx
from temporalio.client import Client

from activities.clients.dead_letter_files import DeadLetterFiles
from api.app import create_app
from settings import load
from tests.e2e.process import run
from tests.support import ADMIN_KEY, PATIENCE, job_payload, replay

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))
EXAMPLES = "20"  # of each operation and phase: 15 to 25 seconds


async def test_schemathesis_finds_no_failure(penstock):
    """All checks, all phases, with a key, on a fleet that has jobs and dead letters.

    The fuzzer changes modes and limits as it goes; at the end the Fleet answers still, and all
    that happened replays.
    """
    stack = await penstock(gateway={"admin_failures_per_minute": 10_000}, limits={"default": 0})
    for job in (7001, 7002):
        assert (await stack.deliver(job_payload("queued", job))).status_code == 200
    await stack.admin("PUT", "draining", mode="draining")
    for job in (7003, 7004):
        assert (await stack.deliver(job_payload("queued", job))).status_code == 503
    code, said = await run(
        *(SCHEMATHESIS, "--config-file", CONFIG, "run", f"{stack.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {ADMIN_KEY}", "--checks", "all"),
        *("--max-examples", EXAMPLES, "--generation-deterministic"),
        *("--continue-on-failure", "--no-color"),
        SCHEMATHESIS_HOOKS="tests.api.schemathesis_hooks",
        WEBHOOK_SECRET=stack.settings.gateway.secret,
        PYTHONPATH=".",
    )
    assert code == 0, said
    paths = (await stack.http.get(f"{stack.url}/openapi.json")).json()["paths"]
    operations = sum(len(methods) for methods in paths.values())
    assert re.search(rf"Tested:\s+{operations}\n", said), said
    assert (await stack.fleet())["mode"] in ("normal", "draining", "maintenance")
    assert await replay(stack.client)


async def described(folder: Path, **gateway) -> dict:
    """The description of a gateway that nothing is asked of: its client never connects."""
    client = await Client.connect("127.0.0.1:1", lazy=True)
    return create_app(client, load(gateway=gateway), DeadLetterFiles(folder)).openapi()


async def test_every_admin_operation_is_described(tmp_path):
    """Summary, description, models, examples, who may ask, and every refusal as a problem."""
    told = await described(tmp_path)
    admin = {path: ops for path, ops in told["paths"].items() if path.startswith("/admin")}
    assert set(admin) >= {
        *("/admin/draining", "/admin/limits", "/admin/status", "/admin/repos", "/admin/jobs"),
        *("/admin/jobs/{owner}/{repo}/{job_id}", "/admin/dead-letters", "/admin/audit"),
        *("/admin/dead-letters/{id}", "/admin/dead-letters/{id}/replay"),
    }
    for operations in admin.values():
        for method, operation in operations.items():
            assert operation["summary"]
            assert operation["description"]
            assert operation["security"] == [{"AdminKey": []}]
            for status, answer in operation["responses"].items():
                if status == "204":
                    continue
                ((kind, content),) = answer["content"].items()
                assert "$ref" in content["schema"], (operation["summary"], status)
                assert (kind == "application/json") == (status < "300")
            assert set(operation["responses"]) >= {"401", "403", "429", "503"}
            for status in ("429", "503"):
                header = operation["responses"][status]["headers"]["Retry-After"]
                assert header["schema"]["type"] == "integer"
            if method in ("put", "patch"):
                assert {"413", "422"} <= set(operation["responses"])
    schemas = told["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for name in ("DrainStatus", "LimitsAnswer", "LimitsBody", "DrainingBody", "JobExplained"):
        assert schemas[name]["examples"]


async def test_aws_identities_are_described_where_they_are_let_in(tmp_path):
    """And nowhere else."""
    iam = {"sts_url": "https://sts.eu-central-1.amazonaws.com", "server_id": "here"}
    told = await described(tmp_path, iam=iam)
    assert told["paths"]["/admin/status"]["get"]["security"] == [
        {"AdminKey": []},
        {"AwsIdentity": []},
    ]
    assert "AwsIdentity" not in (await described(tmp_path))["components"]["securitySchemes"]


async def test_the_description_and_its_page_are_served(penstock):
    """To whoever reads them, a key or not: they hold nothing of this fleet."""
    stack = await penstock()
    async with httpx.AsyncClient(base_url=stack.url, timeout=PATIENCE) as http:
        assert (await http.get("/docs")).status_code == 200
        told = (await http.get("/openapi.json")).text
    for secret in (stack.settings.gateway.secret, *stack.settings.gateway.admin_key_hashes):
        assert secret not in told
