"""GitHub's answers to our calls: who we are, what we ask for, what we are told."""

import asyncio

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from activities.clients.github import Credentials
from activities.errors import GitHubNotFound, GitHubRefused, GitHubUnavailable
from activities.github import JobRecord
from demo.site import APP_ID
from tests.activities.hub import PAT, told

REPO = "acme/api"
INSTALLATION = "GET /repos/{owner}/{repo}/installation 200"
ACCESS = "POST /app/installations/{id}/access_tokens 201"
MINT = "POST /repos/{owner}/{repo}/actions/runners/registration-token 201"


async def test_an_app_signs_in_and_counts_its_calls_truly(hub):
    """Three calls, then one; two when the installation's token is old."""
    client = hub.client()
    said = []
    for seconds in (0, 10, 3600):
        await hub.pass_(seconds)
        said.append(1 + await client.identity.calls_needed(REPO))
        token = await client.registration_token(REPO)
        assert len(calls := await hub.calls()) == said[-1], calls
        assert abs(token.expires_at - token.minted_at - 3600) < 2
    assert said == [3, 1, 2]


async def test_an_apps_calls_are_the_documented_ones(hub):
    """The installation is looked up by repository; its token mints the runner's."""
    token = await hub.client().registration_token(REPO)
    assert await hub.calls() == [INSTALLATION, ACCESS, MINT]
    assert token.value
    assert token.value not in repr(token)


@pytest.mark.parametrize(("before_its_end", "signs_in_first"), [(310, False), (290, True)])
async def test_an_installation_token_is_renewed_five_minutes_early(
    hub, before_its_end, signs_in_first
):
    """An activity may go on with the token it took. Before that it is renewed behind the call."""
    side = hub.side()
    await side.client.registration_token(REPO)
    await hub.calls()
    await hub.pass_(3600 - before_its_end)
    assert await side.client.identity.calls_needed(REPO) == int(signs_in_first)
    await side.client.registration_token(REPO)
    await asyncio.gather(*side.cache._renewing)
    calls = await hub.calls()
    assert sorted(calls) == [ACCESS, MINT]
    assert not signs_in_first or calls == [ACCESS, MINT]


async def test_callers_at_once_share_one_sign_in(hub):
    """Twenty calls, one look-up and one installation token."""
    client = hub.client()
    await asyncio.gather(*(client.registration_token(REPO) for _ in range(20)))
    calls = await hub.calls()
    assert (calls.count(INSTALLATION), calls.count(ACCESS), calls.count(MINT)) == (1, 1, 20)


async def test_organizations_have_a_token_each(hub):
    """What one installation may, another may not."""
    client = hub.client()
    await client.registration_token(REPO)
    assert await client.identity.calls_needed("other/api") == 2
    assert await client.identity.calls_needed("acme/web") == 0
    await client.registration_token("other/api")
    await client.registration_token("acme/web")
    assert (await hub.calls()).count(ACCESS) == 2


async def test_github_verifies_who_signed(hub):
    """Another key or another App's id is refused, and tried once only."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for credentials in (Credentials(APP_ID, stranger.decode()), Credentials("7", hub.key)):
        with pytest.raises(GitHubRefused, match="401") as caught:
            await hub.client(credentials).registration_token(REPO)
        assert len(await hub.calls()) == 1
        assert credentials.private_key.splitlines()[1] not in told(caught.value)


@pytest.mark.parametrize("key", ["", "-----BEGIN a-canary", "a-canary"])
async def test_a_key_that_is_none_is_named_and_not_quoted(hub, key):
    """The message names the setting."""
    with pytest.raises(GitHubRefused, match=r"github\.private_key") as caught:
        await hub.client(Credentials(APP_ID, key)).registration_token(REPO)
    assert "a-canary" not in told(caught.value)
    assert await hub.calls() == []


async def test_a_token_that_died_early_is_renewed_once(hub):
    """GitHub's clock goes on, ours does not: its 401 is the first we hear of it."""
    client = hub.client()
    await client.registration_token(REPO)
    await hub.call("POST", "clock", advance_seconds=3601)
    await hub.calls()
    assert 1 + await client.identity.calls_needed(REPO) == 1
    assert (await client.registration_token(REPO)).value
    calls = await hub.calls()
    assert [call.rsplit(" ", 1)[1] for call in calls] == ["401", "201", "201"]


async def test_a_token_that_is_refused_again_is_given_up(hub):
    """Two tries, not more."""
    await hub.break_(
        "status", status=401, message="Bad credentials", path_prefix="/repos", times=0
    )
    client = hub.client()
    with pytest.raises(GitHubRefused, match="401 Bad credentials"):
        await client.job(REPO, "1")
    await hub.call("DELETE", "faults")
    await hub.calls()
    await client.registration_token(REPO)
    await hub.break_("status", status=401, path_prefix="/repos", times=0)
    await hub.calls()
    with pytest.raises(GitHubRefused, match="401"):
        await client.job(REPO, "1")
    assert len([call for call in await hub.calls() if call.endswith(" 401")]) == 2


async def test_a_repository_without_the_app_is_not_found(hub):
    """The App does not see it, whether it exists or not."""
    with pytest.raises(GitHubNotFound):
        await hub.client().registration_token("acme/unknown")


async def test_an_installation_that_is_gone_is_looked_up_anew(hub):
    """The App was uninstalled and installed again: it has another number."""
    client = hub.client()
    await hub.break_("status", status=404, path_prefix="/app/installations")
    with pytest.raises(GitHubNotFound):
        await client.registration_token(REPO)
    assert 1 + await client.identity.calls_needed(REPO) == 3
    assert (await client.registration_token(REPO)).value


async def test_a_personal_token_needs_one_call(hub):
    """No sign-in; a refusal is not tried again."""
    client = await hub.person()
    assert 1 + await client.identity.calls_needed(REPO) == 1
    assert (await client.registration_token(REPO)).value
    assert await hub.calls() == [MINT]
    stranger = hub.client(Credentials(token="ghp_a-canary"))
    with pytest.raises(GitHubRefused, match="401") as caught:
        await stranger.registration_token(REPO)
    assert "a-canary" not in told(caught.value)
    assert len(await hub.calls()) == 1


async def test_runners_of_an_organization(hub):
    """Scope organization: other paths, the rest the same."""
    client = hub.client(scope="organization")
    assert (await client.registration_token(REPO)).value
    config = await client.jit_config(REPO, "penstock-1-1", ["linux"])
    assert config.jit
    (runner,) = (await hub.call("GET", "runners"))["runners"]
    assert runner["scope"] == "acme"
    assert await client.deregister(REPO, "penstock-1-1") == "removed"
    owned = [call for call in await hub.calls() if "/actions/" in call]
    assert all("/orgs/{org}/actions/runners" in call for call in owned)


async def test_a_jit_configuration_makes_one_runner(hub):
    """It has our name and only our labels."""
    config = await hub.client().jit_config(REPO, "penstock-1-1", ["self-hosted", "linux"])
    assert config.jit
    assert config.value not in repr(config)
    (runner,) = (await hub.call("GET", "runners"))["runners"]
    assert (runner["name"], runner["labels"]) == ("penstock-1-1", ["self-hosted", "linux"])


async def test_a_jit_runner_whose_answer_was_lost_gives_way(hub):
    """GitHub made it and we never heard: the next try removes it and makes another."""
    client = hub.client()
    await hub.break_(
        "lost_answer", route="/repos/{owner}/{repo}/actions/runners/generate-jitconfig"
    )
    with pytest.raises(GitHubUnavailable):
        await client.jit_config(REPO, "penstock-1-1", ["linux"])
    (lost,) = (await hub.call("GET", "runners"))["runners"]
    assert (await client.jit_config(REPO, "penstock-1-1", ["linux"])).value
    (made,) = (await hub.call("GET", "runners"))["runners"]
    assert made["name"] == lost["name"]
    assert made["id"] != lost["id"]
    statuses = [call.rsplit(" ", 1)[1] for call in await hub.calls()]
    assert statuses[-4:] == ["409", "200", "204", "201"]


async def test_a_busy_runner_is_never_taken_off(hub):
    """Its deregistration says busy, and no JIT configuration of its name is made."""
    client = hub.client()
    (job,) = await hub.site.jobs(REPO, seconds=60, labels=["linux"], deliver=False)
    await hub.runner("penstock-1-1", (await client.registration_token(REPO)).value)
    assert await hub.site.wait("job_started", job_id=job)
    assert await client.deregister(REPO, "penstock-1-1") == "busy"
    with pytest.raises(GitHubRefused, match="penstock-1-1 exists already, and works"):
        await client.jit_config(REPO, "penstock-1-1", ["linux"])
    assert await client.job(REPO, str(job)) == JobRecord("in_progress", "", "penstock-1-1")
    assert (await hub.call("GET", f"jobs/{job}"))["status"] == "in_progress"


async def test_deregister_removed_then_absent(hub):
    """Only the runner of exactly this name goes."""
    client = hub.client()
    for name in ("penstock-1-1", "penstock-1-10"):
        await client.jit_config(REPO, name, ["linux"])
    assert await client.deregister(REPO, "penstock-1-1") == "removed"
    assert await client.deregister(REPO, "penstock-1-1") == "absent"
    (left,) = (await hub.call("GET", "runners"))["runners"]
    assert left["name"] == "penstock-1-10"


async def test_a_runner_that_vanishes_meanwhile_is_absent(hub):
    """An ephemeral runner can go by itself between the look and the deletion."""
    client = hub.client()
    await client.jit_config(REPO, "penstock-1-1", ["linux"])
    await hub.break_("status", status=404, method="DELETE")
    assert await client.deregister(REPO, "penstock-1-1") == "absent"


async def test_a_job_is_looked_up(hub):
    """Queued, then cancelled; a number that is no job's is missing."""
    client = await hub.person()
    (job,) = await hub.site.jobs(REPO, deliver=False)
    assert await client.job(REPO, str(job)) == JobRecord("queued")
    await hub.call("POST", f"jobs/{job}/cancel")
    assert await client.job(REPO, str(job)) == JobRecord("completed", "cancelled")
    assert await client.job(REPO, "1234567") == JobRecord("missing")
    assert await client.job("nobody/nothing", str(job)) == JobRecord("missing")


def test_no_credential_shows_itself():
    """repr is what a debugger, a log or a failing test prints."""
    assert "canary" not in repr(Credentials(APP_ID, "canary-key", "canary-token"))
    assert PAT not in repr(Credentials(token=PAT))
