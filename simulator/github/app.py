"""The App's own endpoints, its installations and their tokens, and `GET /rate_limit`."""

from typing import Any

from simulator.clock import stamp
from simulator.github.api import Call, Endpoint, Endpoints, not_found
from simulator.github.ratelimits import CORE, REGISTRATION
from simulator.state import views
from simulator.state.model import Installation, Json, Repository
from simulator.state.world import PERMISSIONS
from simulator.web import Answer, ApiError

OTHER_RESOURCES = ("search", "graphql")


def register(routes: Endpoints) -> None:
    """Add this file's paths."""
    app = ("app",)
    routes.add("GET", "/app", Endpoint(handler=get_app, callers=app))
    routes.add("GET", "/app/installations", Endpoint(handler=installations, callers=app))
    routes.add("GET", "/app/installations/{id}", Endpoint(handler=installation, callers=app))
    routes.add("GET", "/orgs/{org}/installation", Endpoint(handler=of_org, callers=app))
    routes.add("GET", "/repos/{owner}/{repo}/installation", Endpoint(handler=of_repo, callers=app))
    routes.add("GET", "/app/hook/config", Endpoint(handler=hook_config, callers=app))
    routes.add("GET", "/user", Endpoint(handler=get_user, callers=("pat",)))
    tokens = Endpoint(handler=access_token, callers=app)
    routes.add("POST", "/app/installations/{id}/access_tokens", tokens)
    anyone = ("app", "installation", "pat")
    routes.add("GET", "/rate_limit", Endpoint(handler=rate_limit, callers=anyone, free=True))


def get_app(call: Call) -> Answer:
    """The App itself."""
    base, app = call.back.world.base_url, call.back.app
    return Answer(
        200,
        {
            "id": app.app_id,
            "slug": "penstock",
            "client_id": app.client_id,
            "node_id": views.node_id("A", app.app_id),
            "owner": views.user(base, "octo-dev", 583_231, "User"),
            "name": "Penstock",
            "description": None,
            "external_url": base,
            "html_url": f"{base}/apps/penstock",
            "created_at": stamp(0),
            "updated_at": stamp(0),
            "permissions": PERMISSIONS,
            "events": ["workflow_job"],
            "installations_count": len(call.back.world.installations),
        },
    )


def hook_config(call: Call) -> Answer:
    """Where the App's events go; the secret is never shown."""
    return Answer(200, call.back.hooks.app.config)


def get_user(call: Call) -> Answer:
    """Whose personal access token it is; a classic one's scopes stand in a header."""
    base = call.back.world.base_url
    nothing = ("name", "company", "location", "email", "hireable", "bio")
    user = views.user(base, "octo-dev", 583_231, "User") | dict.fromkeys(nothing)
    user |= dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    user |= {"blog": "", "created_at": stamp(0), "updated_at": stamp(0)}
    return Answer(200, user, {"X-OAuth-Scopes": "repo, admin:org"})


def installations(call: Call) -> Answer:
    """All installations, paged; a bare list."""
    every = [_view(call, one) for one in call.back.world.installations.values()]
    answer = call.page("installations", every)
    body: Any = answer.body
    return Answer(200, body["installations"], answer.headers)


def installation(call: Call) -> Answer:
    """One installation."""
    return Answer(200, _view(call, _installation(call)))


def of_org(call: Call) -> Answer:
    """The installation in an organization."""
    found = call.back.world.installation_of(call.param("org"))
    if found is None:
        raise not_found()
    return Answer(200, _view(call, found))


def of_repo(call: Call) -> Answer:
    """The installation that covers a repository."""
    repo = call.back.world.repository(call.param("owner"), call.param("repo"))
    if repo is None:
        raise not_found()
    selected = repo.installation.repositories
    if selected is not None and repo.name.lower() not in selected:
        raise not_found()
    return Answer(200, _view(call, repo.installation))


def access_token(call: Call) -> Answer:
    """A new installation token, narrowed if the body says so; 422 for more than the App has."""
    one, wanted = _installation(call), call.request.json()
    repositories = _wanted_repositories(call, one, wanted)
    permissions: dict[str, str] | None = wanted.get("permissions")
    for name, level in (permissions or {}).items():
        if PERMISSIONS.get(name) not in (level, "write"):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    token, expires_at, granted = call.back.tokens.issue(one, repositories, permissions)
    body: Json = {
        "token": token,
        "expires_at": stamp(expires_at),
        "permissions": granted,
        "repository_selection": "all",
    }
    if repositories is not None or one.repositories is not None:
        body["repository_selection"] = "selected"
    if repositories is not None:
        base = call.back.world.base_url
        body["repositories"] = [views.repository(base, repo) for repo in repositories]
    return Answer(201, body)


def rate_limit(call: Call) -> Answer:
    """Where the caller stands."""
    rates, key = call.back.rates, call.caller.key
    core = rates.state(key, CORE)
    resources = {
        name: {**core, "limit": 30, "used": 0, "remaining": 30} for name in OTHER_RESOURCES
    }
    resources |= {CORE: core, REGISTRATION: rates.state(key, REGISTRATION)}
    return Answer(200, {"resources": resources, "rate": core})


def _installation(call: Call) -> Installation:
    found = call.back.world.installations.get(call.id("id"))
    if found is None:
        raise not_found()
    return found


def _wanted_repositories(call: Call, one: Installation, wanted: Json) -> list[Repository] | None:
    names: list[Any] = wanted.get("repositories", [])
    ids: list[Any] = wanted.get("repository_ids", [])
    if not names and not ids:
        return None
    lower, numbers = {str(name).lower() for name in names}, set(ids)
    every = call.back.world.repositories_of(one.org)
    found = [repo for repo in every if repo.name.lower() in lower or repo.id in numbers]
    if len(found) < max(len(lower), len(numbers)):
        raise ApiError(
            422,
            "There is at least one repository that does not exist or is not accessible to the "
            "parent installation.",
        )
    return found


def _view(call: Call, one: Installation) -> Json:
    """An installation as `GET /orgs/{org}/installation` shows it."""
    base, app = call.back.world.base_url, call.back.app
    return {
        "id": one.id,
        "client_id": app.client_id,
        "account": views.user(base, one.org, one.account_id),
        "repository_selection": "all" if one.repositories is None else "selected",
        "access_tokens_url": f"{base}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{base}/installation/repositories",
        "html_url": f"{base}/organizations/{one.org}/settings/installations/{one.id}",
        "app_id": app.app_id,
        "app_slug": "penstock",
        "target_id": one.account_id,
        "target_type": "Organization",
        "permissions": PERMISSIONS,
        "events": ["workflow_job"],
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None,
        "suspended_at": None,
    }
