"""Are payloads and answers what GitHub publishes of them?"""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.simulator import published
from tests.simulator.helpers import SECRET, Event, Receiver, Sim


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """What a schema finds wrong, as short lines."""
    found = jsonschema.Draft7Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


async def every_event(sim: Sim, receiver: Receiver) -> list[Event]:
    """Events of all kinds: queued, gated, running, ended well, cancelled, skipped, hosted."""
    await sim.job("self-hosted,gpu", head_branch="dev")
    runner = await sim.runner("a", "gpu")
    await runner.work()
    queued = await sim.job()
    await sim.control(f"jobs/{queued}/cancel")
    waiting = [await sim.job(waiting=True), await sim.job(waiting="queued")]
    await sim.job(conclusion="skipped")
    await sim.job("ubuntu-latest", seconds=0.01)
    await sim.until("all_completed")
    for job in waiting:
        await sim.control(f"jobs/{job}/cancel")
    await sim.until("deliveries_idle")
    assert set(receiver.actions()) == {"queued", "waiting", "in_progress", "completed"}
    return receiver.events


async def test_githubkit_parses_every_event(sim: Sim, receiver: Receiver) -> None:
    # githubkit 0.16.1 allows hishel 2.0.0, and does not import with it.
    parse = pytest.importorskip("githubkit.webhooks", exc_type=ImportError).parse
    await sim.control("webhook", ping=True)
    await sim.until("deliveries_idle")
    parse("ping", receiver.events[0].raw)
    receiver.clear()
    for event in await every_event(sim, receiver):
        parsed = parse("workflow_job", event.raw)
        assert parsed.action == event.action


async def test_every_event_fits_octokits_schemas(sim: Sim, receiver: Receiver) -> None:
    whole = published.webhook_schemas()
    for event in await every_event(sim, receiver):
        schema = {
            "$ref": f"#/definitions/workflow_job${event.action}",
            "definitions": whole["definitions"],
        }
        assert faults(schema, event.body) == [], event.action


async def test_events_have_every_field_of_the_self_hosted_examples(
    sim: Sim, receiver: Receiver
) -> None:
    examples = published.job_examples()
    own = {
        f"{event.action} {event.job['status']}": event
        for event in await every_event(sim, receiver)
    }
    compared = 0
    for example in examples:
        job = example["workflow_job"]
        event = own[f"{example['action']} {job['status']}"]
        if "self-hosted" in job["labels"]:
            missing = set(paths(example)) - set(paths(event.body))
            data = (".license.", ".permissions.")  # fields there are values, not shape
            assert {path for path in missing if not any(part in path for part in data)} == set()
            compared += 1
    assert compared == 2


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all fields of objects; those within lists are not compared."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{prefix}.{key}"
            yield from paths(inner, f"{prefix}.{key}")


async def test_every_answer_fits_githubs_description(sim: Sim, receiver: Receiver) -> None:
    whole = published.answers()
    where = {"repo": {"owner": "acme", "repo": "site"}, "org": {"owner": "acme"}}
    hooks = {
        kind: (await sim.control("hooks", url=receiver.url, secret=SECRET, **named))["id"]
        for kind, named in where.items()
    }
    await every_event(sim, receiver)
    job = await sim.job("self-hosted,gpu")
    runner = await sim.runner("b", "gpu")
    await sim.runner("c", at="acme")
    await runner.take()
    run = (await sim.shown(job))["run_id"]
    number = await sim.install()
    entry = (await sim.app("GET", "/app/hook/deliveries")).json()[0]["id"]
    values = {
        "org": "acme",
        "owner": "acme",
        "repo": "site",
        "installation_id": number,
        "delivery_id": entry,
        "job_id": job,
        "run_id": run,
    }
    jit = {"name": "j", "runner_group_id": 1, "labels": ["x"]}
    for method, template, status in published.OPERATIONS:
        at_org = template.startswith("/orgs")
        listed = "/orgs/acme/actions/runners" if at_org else "/repos/acme/site/actions/runners"
        if "/hooks" in template:
            values["hook_id"] = hooks["org" if at_org else "repo"]
            log = template.partition("/hooks")[0].format(**values)
            log = f"{log}/hooks/{values['hook_id']}/deliveries"
            values["delivery_id"] = (await sim.api("GET", log)).json()[0]["id"]
        values["runner_id"] = (await sim.api("GET", listed)).json()["runners"][0]["id"]
        path = template.format(**values)
        by_app = path.startswith("/app") or path.endswith("/installation")
        call = sim.app if by_app else sim.api
        more = {"json": jit} if path.endswith("jitconfig") else {}
        answer = await call(method.upper(), path, **more)
        assert answer.status_code == int(status), (path, answer.text)
        schema = {**whole, **whole["operations"][f"{method} {template}"]}
        assert faults(schema, answer.json()) == [], path


async def test_a_narrowed_token_names_its_repositories(sim: Sim) -> None:
    whole = published.answers()
    await sim.job()
    number = await sim.install()
    path = "/app/installations/{installation_id}/access_tokens"
    answer = await sim.app(
        "POST", path.format(installation_id=number), json={"repositories": ["site"]}
    )
    assert answer.json()["repository_selection"] == "selected"
    schema = {**whole, **whole["operations"][f"post {path}"]}
    assert faults(schema, answer.json()) == []


def test_the_extract_keeps_nullable() -> None:
    made = published._as_schema({"type": "string", "nullable": True, "example": "x"}, [])
    assert made == {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize("wrong", [{"id": "one"}, {}])
def test_the_check_itself_finds_faults(wrong: dict[str, Any]) -> None:
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    assert faults(schema, wrong)
