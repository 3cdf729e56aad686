"""Self-hosted runners of repositories and organizations: registration, JIT, list, delete."""

import base64
import json
import re
from functools import partial
from typing import Any

from simulator.clock import stamp
from simulator.github.api import Call, Endpoint, Endpoints, not_found
from simulator.github.ratelimits import REGISTRATION
from simulator.state import views
from simulator.state.model import Json, Runner
from simulator.state.registry import NameTakenError, RunnerBusyError
from simulator.web import Answer, ApiError

MAX_NAME, MAX_LABELS = 64, 100
BAD_NAME = re.compile(r'["/:<>\\|*?]')
VALIDATION_DOCS = "https://docs.github.com/rest/actions/self-hosted-runners"
REPO_WRITE, ORG_WRITE = (
    ("administration", "write"),
    ("organization_self_hosted_runners", "write"),
)


def register(routes: Endpoints) -> None:
    """Add this file's paths: the same ones for repositories and for organizations."""
    for prefix, write in (("/repos/{owner}/{repo}", REPO_WRITE), ("/orgs/{org}", ORG_WRITE)):
        runners, read = f"{prefix}/actions/runners", (write[0], "read")
        mint = partial(Endpoint, needs=write, resource=REGISTRATION)
        routes.add("POST", f"{runners}/registration-token", mint(handler=registration_token))
        routes.add("POST", f"{runners}/remove-token", mint(handler=registration_token))
        routes.add("POST", f"{runners}/generate-jitconfig", mint(handler=generate_jitconfig))
        routes.add("GET", runners, Endpoint(handler=list_runners, needs=read))
        routes.add("GET", f"{runners}/{{id}}", Endpoint(handler=get_runner, needs=read))
        routes.add("DELETE", f"{runners}/{{id}}", Endpoint(handler=delete_runner, needs=write))
    groups = Endpoint(handler=runner_groups, needs=(ORG_WRITE[0], "read"))
    routes.add("GET", "/orgs/{org}/actions/runner-groups", groups)


def registration_token(call: Call) -> Answer:
    """A token for any number of runners, one hour."""
    scope = call.scope()
    call.back.rates.spend_registration(call.caller.key, str(scope))
    token, expires_at = call.back.registration_tokens.issue(str(scope))
    return Answer(201, {"token": token, "expires_at": stamp(expires_at)})


def generate_jitconfig(call: Call) -> Answer:
    """A runner, registered at once and offline, and the secret with which it connects."""
    scope, wanted = call.scope(), call.request.json()
    name, labels, group = _checked(wanted)
    call.back.rates.spend_registration(call.caller.key, str(scope))
    try:
        # JIT runners get no default labels: only those listed (cdk-github-runners#906).
        made = call.back.registry.add(name, scope, labels, jit=True, group_id=group)
    except NameTakenError:
        text = "Already exists - A runner with the name *** already exists."
        raise ApiError(409, text.replace("***", name), VALIDATION_DOCS) from None
    config = _encode(call.back.world.base_url, made, str(wanted.get("work_folder", "_work")))
    call.back.world.secrets.append(config)
    return Answer(201, {"runner": views.runner(made), "encoded_jit_config": config})


def list_runners(call: Call) -> Answer:
    """The scope's runners, by exact name if asked."""
    every, name = call.back.registry.of(call.scope()), call.request.query.get("name")
    shown = [one for one in every if name is None or one.name.lower() == name.lower()]
    return call.page("runners", [partial(views.runner, one) for one in shown])


def get_runner(call: Call) -> Answer:
    """One runner."""
    return Answer(200, views.runner(_runner(call)))


def delete_runner(call: Call) -> Answer:
    """Remove an idle or offline runner; 422 while it has a job."""
    one = _runner(call)
    try:
        call.back.registry.remove(one, "deleted by the API")
    except RunnerBusyError:
        text = f'Bad request - Runner "{one.name}" is still running a job'
        raise ApiError(422, text, VALIDATION_DOCS) from None
    return Answer(204)


def runner_groups(call: Call) -> Answer:
    """The default group: the simulator has no other."""
    scope = call.scope()
    own = f"{call.back.world.base_url}/orgs/{scope.owner}/actions/runner-groups/1"
    group: Json = {
        "id": 1,
        "name": "Default",
        "visibility": "all",
        "default": True,
        "runners_url": f"{own}/runners",
        "inherited": False,
        "allows_public_repositories": False,
        "restricted_to_workflows": False,
        "selected_workflows": [],
        "workflow_restrictions_read_only": False,
    }
    return call.page("runner_groups", [group])


def _runner(call: Call) -> Runner:
    scope, found = call.scope(), call.back.registry.find(call.id("id"))
    if found is None or found.scope != scope:
        raise not_found()
    return found


def _checked(wanted: Json) -> tuple[str, list[str], int]:
    name: Any = wanted.get("name")
    labels: Any = wanted.get("labels")
    group: Any = wanted.get("runner_group_id")
    if not isinstance(group, int) or isinstance(group, bool):
        raise _invalid('"runner_group_id" wasn\'t supplied.')
    if not isinstance(name, str) or not name:
        raise _invalid('"name" wasn\'t supplied.')
    if not isinstance(labels, list) or not 1 <= len(labels) <= MAX_LABELS:  # type: ignore[arg-type]
        raise _invalid(f'"labels" must hold 1 to {MAX_LABELS} items.')
    if len(name) > MAX_NAME or BAD_NAME.search(name):
        # GitHub answers 400, not 422, to a bad name (runs-on#523).
        raise ApiError(400, f"Bad request - Invalid runner name {name}", VALIDATION_DOCS)
    if group != 1:
        raise not_found()
    return name, [str(label) for label in labels], group  # type: ignore[misc]


def _invalid(what: str) -> ApiError:
    return ApiError(422, f"Invalid request.\n\n{what}", VALIDATION_DOCS)


def _encode(base: str, one: Runner, work_folder: str) -> str:
    """The files of a configured runner, each in base64, in JSON, in base64."""
    files: dict[str, Json] = {
        ".runner": {
            "AgentId": one.id,
            "AgentName": one.name,
            "PoolId": one.group_id,
            "PoolName": "Default",
            "ServerUrl": base,
            "GitHubUrl": f"{base}/{one.scope}",
            "WorkFolder": work_folder,
            "Ephemeral": True,
        },
        ".credentials": {"Scheme": "OAuth", "Data": {"secret": one.secret}},
    }
    packed = {name: _base64(json.dumps(content)) for name, content in files.items()}
    return _base64(json.dumps(packed))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
