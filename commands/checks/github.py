"""Credentials, permissions, webhook, clock and what is left of GitHub's limits."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

from activities.clients.github.survey import Hook, Installed, Ourselves, Standing
from activities.errors import GitHubError, GitHubNotFound, Waits
from commands.checks.finding import Finding

# GitHub's documentation, "REST API endpoints for self-hosted runners"; metadata is always there.
WANTED = {
    "repository": {"administration": "write", "actions": "read"},
    "organization": {"organization_self_hosted_runners": "write", "actions": "read"},
}
SCOPES = {"repository": ("repo",), "organization": ("admin:org",)}
LEVELS = {"": 0, "none": 0, "read": 1, "write": 2, "admin": 3}
LITTLE = 0.2  # of a limit left
PATH = "/webhooks/github"


class GitHubSurvey(Protocol):
    """activities/clients/github/survey.py."""

    @property
    def skew(self) -> float: ...
    @property
    def is_app(self) -> bool: ...
    async def ourselves(self) -> Ourselves: ...
    async def installations(self) -> list[Installed]: ...
    async def hook(self) -> Hook: ...
    async def deliveries(self) -> list[tuple[int, str]]: ...
    async def standing(self, installed: Installed | None) -> list[Standing]: ...


async def look(
    survey: GitHubSurvey, scope: str, paused: Mapping[str, float] | None = None
) -> AsyncIterator[Finding]:
    """One finding after another; the first that is bad may be the last.

    `paused`: organizations that GitHub keeps waiting, by the Fleet's word; they are not asked for.
    """
    paused = paused or {}
    if paused and not survey.is_app:
        # A person's calls count together, whatever they are for.
        yield _waiting("GitHub", max(paused.values()))
        return
    try:
        ours = await survey.ourselves()
    except (GitHubError, Waits) as error:
        mend = "check github.app_id and private_key_file, or token_file, and github.api_url"
        yield Finding("GitHub credentials", "bad", f"{error}: {mend}")
        return
    yield Finding("GitHub credentials", "good", ours.name)
    yield _clock(survey.skew)
    if not ours.is_app:
        yield _scopes(ours, scope)
        yield Finding("webhook", "skipped", "a personal token cannot see it: look at GitHub")
        for finding in await _standing(survey, None, "GitHub's limits"):
            yield finding
        return
    yield _events(ours)
    yield await _hook(survey)
    yield await _deliveries(survey)
    try:
        installed = await survey.installations()
    except (GitHubError, Waits) as error:
        yield Finding("installations", "bad", str(error))
        return
    if not installed:
        mend = "install it in an organization: the App's settings at GitHub, Install App"
        yield Finding("installations", "bad", f"the App is installed nowhere: {mend}")
    for one in installed:
        yield _permissions(one, scope)
        if one.owner in paused:
            yield _waiting(f"limits of {one.owner}", paused[one.owner])
        elif not one.suspended:
            for finding in await _standing(survey, one, f"limits of {one.owner}"):
                yield finding


def _waiting(what: str, until: float) -> Finding:
    when = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S UTC")
    said = f"GitHub has refused calls and keeps us waiting until {when}: not asked before"
    return Finding(what, "warning", said)


def _clock(skew: float) -> Finding:
    if not skew:
        return Finding("clock", "good", "within a few seconds of GitHub's")
    where = "behind" if skew > 0 else "ahead of"
    said = f"{abs(skew):.0f} s {where} GitHub's: Penstock allows for it; set the machine's clock"
    return Finding("clock", "warning", said)


def _events(ours: Ourselves) -> Finding:
    if "workflow_job" in ours.events:
        return Finding("events", "good", "the App hears of workflow_job")
    mend = "the App's settings, Permissions & events, Workflow job"
    return Finding("events", "bad", f"the App does not subscribe to workflow_job: {mend}")


def _permissions(one: Installed, scope: str) -> Finding:
    what = f"permissions in {one.owner}"
    if one.suspended:
        return Finding(what, "bad", "the installation is suspended: unsuspend it at GitHub")
    lacking = [
        f"{name} is {one.permissions.get(name) or 'none'}, wants {level}"
        for name, level in WANTED[scope].items()
        if LEVELS.get(one.permissions.get(name, ""), 0) < LEVELS[level]
    ]
    if lacking:
        mend = "the App's settings, Permissions & events; then accept them in the installation"
        return Finding(what, "bad", f"{'; '.join(lacking)}: {mend}")
    return Finding(what, "good", ", ".join(f"{n}: {level}" for n, level in WANTED[scope].items()))


def _scopes(ours: Ourselves, scope: str) -> Finding:
    if ours.scopes is None:
        said = "a fine-grained token does not tell its permissions: it wants administration: write"
        return Finding("permissions", "skipped", said)
    lacking = [one for one in SCOPES[scope] if one not in ours.scopes]
    if lacking:
        said = f"the token lacks the scope {', '.join(lacking)}: make one that has it"
        return Finding("permissions", "bad", said)
    return Finding("permissions", "good", f"scopes {', '.join(ours.scopes)}")


async def _hook(survey: GitHubSurvey) -> Finding:
    try:
        hook = await survey.hook()
    except GitHubNotFound:
        said = "the App has none: its settings, Webhook, Active; a repository's own also serves"
        return Finding("webhook", "warning", said)
    except (GitHubError, Waits) as error:
        return Finding("webhook", "bad", str(error))
    wrong: list[str] = []
    if not hook.url.rstrip("/").endswith(PATH):
        wrong.append(f"its URL {hook.url or '(none)'} does not end in {PATH}")
    if hook.content_type != "json":
        wrong.append(f"its content type is {hook.content_type or 'form'}, wants json")
    if not hook.has_secret:
        wrong.append("it has no secret: set the one of gateway.webhook_secret_file")
    if not hook.checks_certificate:
        wrong.append("it does not verify the gateway's certificate")
    if wrong:
        return Finding("webhook", "bad", f"{'; '.join(wrong)}: the App's settings, Webhook")
    return Finding("webhook", "good", hook.url)


async def _deliveries(survey: GitHubSurvey) -> Finding:
    what = "deliveries"
    try:
        last = await survey.deliveries()
    except (GitHubError, Waits) as error:
        return Finding(what, "warning", str(error))
    failed = Counter(code or status for code, status in last if not 200 <= code < 300)
    if not last:
        return Finding(what, "warning", "GitHub has sent nothing yet, or not for days")
    if not failed:
        return Finding(what, "good", f"the last {len(last)} were accepted")
    most, number = failed.most_common(1)[0]
    cause = {
        401: "the webhook's secret is not the gateway's",
        404: f"the URL is not the gateway's {PATH}",
        429: "the fleet was full",
        503: "the gateway was draining, or had no Temporal",
    }.get(most if isinstance(most, int) else 0, "see the App's settings, Advanced")
    said = f"{sum(failed.values())} of the last {len(last)} failed, {number} with {most}: {cause}"
    return Finding(what, "bad" if most in (401, 404) else "warning", said)


async def _standing(survey: GitHubSurvey, one: Installed | None, what: str) -> list[Finding]:
    try:
        found = await survey.standing(one)
    except GitHubNotFound:
        return [Finding(what, "good", "this GitHub counts no calls")]
    except (GitHubError, Waits) as error:
        return [Finding(what, "bad", str(error))]
    said = ", ".join(f"{s.resource} {s.remaining} of {s.limit}" for s in found)
    short = [s for s in found if s.remaining < LITTLE * s.limit]
    if short:
        return [Finding(what, "warning", f"{said} left this hour: what else uses them?")]
    return [Finding(what, "good", f"{said} left this hour")]
