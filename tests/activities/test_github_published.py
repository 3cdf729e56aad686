"""Do our client's requests, and the answers it lives on, fit GitHub's published description?"""

import json
import re
from typing import Any

import httpx
import jsonschema
import pytest

from activities.clients.github import Credentials, GitHubClient
from activities.clients.github.deliveries import GitHubDeliveries
from activities.clients.github.queued_jobs import GitHubWork
from activities.clients.github.registered import GitHubRunners
from activities.clients.github.survey import Survey
from tests.activities.hub import PAT
from tests.simulator import published

REPO = "acme/api"


def record(client: GitHubClient, kept: list[httpx.Response]) -> None:
    """Keep each answer, with its request, as it went over the wire."""

    async def keep(response: httpx.Response) -> None:
        await response.aread()
        kept.append(response)

    client.http._client.event_hooks["response"].append(keep)


async def recovers(hub, client: GitHubClient) -> None:
    """All that the recovery asks: webhooks and their logs, runs and jobs, one runner."""
    nowhere = "http://127.0.0.1:9/webhooks/github"
    deliveries, work, runners = GitHubDeliveries(client), GitHubWork(client), GitHubRunners(client)
    hooks = []
    if client.identity.is_app:
        hooks.append("app/hook")
        await hub.call("POST", "webhook", url=nowhere)
        assert await deliveries.hooks("other") == []  # signs in by the organization
    for place, where in ((REPO, {"owner": "acme", "repo": "api"}), ("acme", {"owner": "acme"})):
        await hub.call("POST", "hooks", url=nowhere, **where)
        hooks += [found.hook for found in await deliveries.hooks(place)]
    await hub.site.jobs(REPO)
    await hub.site.wait("deliveries_idle")
    for hook in hooks:
        (attempt, *_) = (await deliveries.page(hook, "")).attempts
        await deliveries.retry_after(hook, attempt.id)
        await deliveries.redeliver(hook, attempt.id)
    await hub.call("POST", "webhook", url="")
    (run, *_) = (await work.runs(REPO, "queued", 1)).runs
    assert (await work.jobs(REPO, run.id, 1)).jobs[0].status == "queued"
    await client.jit_config(REPO, "penstock-2-1", ["linux"])
    (runner,) = (await runners.page(REPO, 1)).runners
    assert await runners.look(REPO, runner.id) == runner
    assert await runners.remove(REPO, runner.id) == "removed"
    assert await runners.look(REPO, runner.id) is None
    assert await runners.remove(REPO, runner.id) == "absent"


def operation_of(response: httpx.Response) -> str:
    """The operation that a request is of."""
    path = response.request.url.path
    for name in published.questions()["operations"]:
        method, _, template = name.partition(" ")
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if method == response.request.method.lower() and re.fullmatch(pattern, path):
            return name
    raise AssertionError(f"{response.request.method} {path} is not described")


def faults(response: httpx.Response) -> list[str]:
    """What the description finds wrong with a request and its answer."""
    whole = published.questions()
    name = operation_of(response)
    operation, status = whole["operations"][name], str(response.status_code)
    found = [
        f"{name}: the query has {key}"
        for key in response.request.url.params
        if key not in operation["query"]
    ]
    content = response.request.content
    if content:
        found += misfits(whole, operation["body"], json.loads(content), f"{name} request")
    if status not in operation["answers"]:
        found.append(f"{name}: {status} is not described")
    elif (schema := operation["answers"][status]) is not None:
        found += misfits(whole, schema, response.json(), f"{name} {status}")
    elif status not in ("204", "304"):
        assert response.content == b"", name
    return found


def misfits(whole: dict[str, Any], schema: Any, value: Any, where: str) -> list[str]:
    """Short lines."""
    assert schema is not None, f"{where}: no body is described"
    schema = {**schema, "components": whole["components"]}
    errors = jsonschema.Draft7Validator(schema).iter_errors(value)
    return [
        f"{where} {one.json_path}: {one.message[:200]}"
        for error in errors
        for one in (error, *_leaves(error))
    ]


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """What lies under a choice of which nothing fits."""
    return [leaf for one in error.context or [] for leaf in (_leaves(one) or [one])]


@pytest.mark.parametrize("scope", ["repository", "organization"])
async def test_all_that_is_asked_and_answered_is_as_published(hub, scope):
    """Every call of the client and of the doctor, in both scopes, as App and as a person."""
    kept: list[httpx.Response] = []
    group = {"runner_group": "default"} if scope == "organization" else {}
    for side in (
        hub.side(scope=scope, **group),
        hub.side(credentials=Credentials(token=PAT), scope=scope, **group),
    ):
        if not side.client.identity.is_app:
            await hub.call("POST", "pats", token=PAT)
        client = side.client
        record(client, kept)
        await client.registration_token(REPO)
        await client.jit_config(REPO, "penstock-1-1", ["linux"])
        await client.jit_config(REPO, "penstock-1-1", ["linux"])  # 409, found, deleted, made
        assert await client.deregister(REPO, "penstock-1-1") == "removed"
        assert await client.deregister(REPO, "penstock-1-1") == "absent"
        (job,) = await hub.site.jobs(REPO, deliver=False)
        for _ in range(2):
            assert (await client.job(REPO, str(job))).status == "queued"
        assert (await client.job(REPO, "77")).status == "missing"
        survey = Survey(client)
        await survey.ourselves()
        installed = None
        if client.identity.is_app:
            installed = (await survey.installations())[0]
            await survey.hook()
            await survey.deliveries()
        await survey.standing(installed)
        await recovers(hub, client)
    undescribed = {"304", "404", "409", "422"}
    found = [
        fault
        for response in kept
        for fault in faults(response)
        # A few refusals are real, and only partly described.
        if not (str(response.status_code) in undescribed and "is not described" in fault)
    ]
    assert found == [], "\n".join(found)
    asked = {operation_of(response) for response in kept}
    base = published.ORG if scope == "organization" else published.REPO
    other = published.REPO if scope == "organization" else published.ORG
    elsewhere = (f"{other}/runner",)
    expected = {
        f"{method} {path}"
        for method, path in published.ASKED
        if not any(part in path for part in elsewhere)
    }
    assert any(name.endswith(f"{base}/runners") for name in asked)
    assert asked == expected


def test_a_wrong_request_would_be_found():
    """The measure itself: a body without its labels, a field of the wrong type."""
    whole = published.questions()
    body = whole["operations"][f"post {published.REPO}/runners/generate-jitconfig"]["body"]
    good = {"name": "a", "runner_group_id": 1, "labels": ["linux"]}
    assert misfits(whole, body, good, "it") == []
    assert misfits(whole, body, {**good, "labels": []}, "it")
    assert misfits(whole, body, {**good, "runner_group_id": "1"}, "it")
