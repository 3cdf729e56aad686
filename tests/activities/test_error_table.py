"""Each way in which GitHub can say no: what Temporal is told, and when GitHub is asked again.

The rows are those of GitHub's documentation ("Troubleshooting the REST API", "Rate limits", "REST
API endpoints for self-hosted runners") and of what others met in the field (docs/github.md).
"""

import gc
import re
from email.utils import formatdate

import httpx
import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.clients.github import Credentials
from activities.errors import (
    GITHUB_INVALID,
    GITHUB_REFUSED,
    TOKEN_DEFERRED,
    GitHubInvalid,
    GitHubNotFound,
    GitHubPermission,
    GitHubRefused,
    GitHubUnavailable,
    RateLimited,
)
from activities.github import JobRecord
from activities.runners import LaunchRequest, Retired, RetireRequest, RunnerActivities
from activities.tokens import TokenActivities, TokenRequest, Tokens
from tests.activities.hub import PAT
from tests.activities.scripted import scripted

REPO = "acme/api"
TOKEN = (201, {}, {"token": "AABCD", "expires_at": "2999-01-01T00:00:00Z"})
DOCS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes.",
    "documentation_url": f"{DOCS}#about-secondary-rate-limits",
}
ABUSE = {"message": "You have triggered an abuse detection mechanism."}
PRIMARY = {"message": "API rate limit exceeded for installation ID 7.", "documentation_url": DOCS}
MISSING = {"message": "Resource not accessible by integration"}


def person(hub, github, **how):
    """A worker's side of the scripted GitHub, as a person: no sign-in."""
    return hub.side(credentials=Credentials(token=PAT), url=github.url, **how)


def told_by(side, hub):
    """The activity that job workflows call for a token."""
    activities = TokenActivities(Tokens(side.client, side.cache), hub.clock)
    return ActivityEnvironment().run(activities.acquire_runner_token, TokenRequest(REPO))


def exhausted(hub, seconds):
    """Headers of a used-up primary limit."""
    reset = str(int(hub.clock() + seconds))
    return {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}


# status, headers, body, seconds until the next call
LIMITS = {
    "primary, 403": (403, "exhausted", PRIMARY, 90),
    "primary, 429": (429, "exhausted", PRIMARY, 90),
    "primary, no reset": (403, {"X-RateLimit-Remaining": "0"}, PRIMARY, 60),
    "retry-after, 403": (403, {"Retry-After": "17"}, SECONDARY, 17),
    "retry-after, 429": (429, {"Retry-After": "17"}, SECONDARY, 17),
    "retry-after before reset": (403, "exhausted and 17", PRIMARY, 17),
    "secondary, no header, 403": (403, {}, SECONDARY, 60),
    "secondary, no header, 429": (429, {}, SECONDARY, 60),
    "secondary by its page": (
        403,
        {},
        {**MISSING, "documentation_url": DOCS + "x#abuse-rate-limits"},
        60,
    ),
    "abuse": (403, {}, ABUSE, 60),
    "429 without a word": (429, {}, "", 60),
    "retry-after is a date": (429, "date", "", 25),
    "retry-after without sense": (429, {"Retry-After": "soon"}, "", 60),
}


@pytest.mark.parametrize("row", LIMITS.values(), ids=LIMITS.keys())
async def test_a_limit_is_waited_for(hub, row):
    """Benign; in the activity up to 30 s, else by the job. Nobody calls before, somebody after."""
    status, headers, body, seconds = row
    if headers == "date":
        headers = {"Retry-After": formatdate(hub.clock() + 25, usegmt=True)}
    elif isinstance(headers, str):
        more = {"Retry-After": "17"} if "17" in headers else {}
        headers = {**exhausted(hub, 90), **more}
    async with scripted((status, headers, body), TOKEN) as github:
        side = person(hub, github)
        with pytest.raises(ApplicationError) as caught:
            await told_by(side, hub)
        error = caught.value
        assert (error.type, error.category) == (TOKEN_DEFERRED, ApplicationErrorCategory.BENIGN)
        assert error.next_retry_delay.total_seconds() == pytest.approx(seconds, abs=3)
        assert error.non_retryable is (seconds > 30)
        hub.clock.ahead += seconds - 1.2
        for call in (
            lambda: side.client.registration_token("other/api"),
            lambda: side.client.job(REPO, "1"),
            lambda: side.client.deregister(REPO, "penstock-1-1"),
        ):
            with pytest.raises(RateLimited) as refused:
                await call()
            assert refused.value.until == pytest.approx(hub.clock() + 1.2, abs=3)
        assert len(github.asked) == 1, "a call came before GitHub's time"
        kind = "primary" if headers.get("X-RateLimit-Remaining") == "0" else "secondary"
        assert f"GitHub's {kind} rate limit" in str(error)
        hub.clock.ahead += 2.3
        assert (await told_by(side, hub)).fingerprint


@pytest.mark.parametrize("number", ["\u00b2", "-1", "1.5", "9" * 5000, ""])
async def test_a_limit_in_no_number_is_none(hub, number):
    """A header that a proxy has spoilt is no reason to fail, nor to stop."""
    odd = {"X-RateLimit-Limit": number, "X-RateLimit-Remaining": number}
    async with scripted((201, {**odd, "X-RateLimit-Reset": number}, TOKEN[2])) as github:
        assert (await person(hub, github).client.registration_token(REPO)).value == "AABCD"


async def test_an_unnamed_time_grows_with_each_refusal(hub):
    """One minute, two, four: persisting risks a ban."""
    async with scripted(*[(403, {}, SECONDARY)] * 3) as github:
        side, waits = person(hub, github), []
        for _ in range(3):
            with pytest.raises(RateLimited) as caught:
                await side.client.registration_token(REPO)
            waits.append(round(caught.value.until - hub.clock()))
            hub.clock.ahead = caught.value.until - (hub.clock() - hub.clock.ahead) + 0.1
        assert waits == [60, 120, 240]


# status, body, the client's error, the type that the job sees (None: Temporal tries again)
REFUSALS = {
    "bad credentials": (401, {"message": "Bad credentials"}, GitHubPermission, GITHUB_REFUSED),
    "missing permission": (403, MISSING, GitHubPermission, GITHUB_REFUSED),
    "a bare 403": (403, "", GitHubPermission, GITHUB_REFUSED),
    "not found": (404, {"message": "Not Found"}, GitHubNotFound, GITHUB_REFUSED),
    "gone": (410, {}, GitHubNotFound, GITHUB_REFUSED),
    "conflict": (409, {"message": "Already exists"}, GitHubRefused, GITHUB_REFUSED),
    "bad request": (400, {"message": "Bad request"}, GitHubInvalid, GITHUB_INVALID),
    "validation": (422, {"message": "Validation Failed"}, GitHubInvalid, GITHUB_INVALID),
    "legal reasons": (451, {}, GitHubInvalid, GITHUB_INVALID),
    "server error": (500, {"message": "Server Error"}, GitHubUnavailable, None),
    "bad gateway": (502, "<html>", GitHubUnavailable, None),
    "unavailable, retry-after": (503, "retry", GitHubUnavailable, None),
    "gateway timeout": (504, "", GitHubUnavailable, None),
    "an answer without sense": (201, "<html>sign in</html>", GitHubUnavailable, None),
    "a token missing": (201, {}, GitHubUnavailable, None),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_pauses_nobody(hub, row):
    """It is told by its kind; the next call goes when somebody makes it."""
    status, body, kind, told = row
    headers = {"Retry-After": "30"} if body == "retry" else {}
    async with scripted((status, headers, body), TOKEN) as github:
        side = person(hub, github)
        with pytest.raises(ApplicationError if told else kind) as caught:
            await told_by(side, hub)
        if told:
            assert (caught.value.type, caught.value.non_retryable) == (told, True)
            assert PAT not in str(caught.value)
        assert (await told_by(side, hub)).fingerprint
        assert len(github.asked) == 2


async def test_the_kinds_are_told_apart(hub):
    """Each status has its own class; the message names call, status and GitHub's request."""
    for status, _, kind, _ in REFUSALS.values():
        if status < 300:
            continue
        async with scripted(
            (status, {"X-GitHub-Request-Id": "AB:12"}, {"message": "no"})
        ) as github:
            with pytest.raises(kind, match=re.escape(f"{status} no (request AB:12)")):
                await person(hub, github).client.registration_token(REPO)


async def test_a_token_that_died_early_is_minted_once_more(hub):
    """401: dropped on all workers, one sign-in, one more try."""
    access = (201, {}, {"token": "ghs_first", "expires_at": "2999-01-01T00:00:00Z"})
    second = (201, {}, {"token": "ghs_second", "expires_at": "2999-01-01T00:00:00Z"})
    bad = (401, {}, {"message": "Bad credentials"})
    async with scripted((200, {}, {"id": 7}), access, bad, second, TOKEN) as github:
        side = hub.side(url=github.url)
        assert (await side.client.registration_token(REPO)).value == "AABCD"
        used = [one.headers["authorization"] for one in github.asked]
        assert used[2] == "Bearer ghs_first"
        assert used[4] == "Bearer ghs_second"


@pytest.mark.parametrize("seconds", [-400, 400])
async def test_a_wrong_clock_is_set_by_githubs_date(hub, seconds):
    """The App's signature is refused once; the second, and all else, goes by GitHub's time."""
    there = {"Date": formatdate(hub.clock() + seconds, usegmt=True)}
    refused = {"message": "'Expiration time' claim ('exp') is too far in the future"}
    access = {"token": "ghs_x", "expires_at": "2999-01-01T00:00:00Z"}
    async with scripted(
        (401, there, refused),
        (200, there, {"id": 7}),
        (201, there, access),
        (
            403,
            there
            | {"X-RateLimit-Remaining": "0"}
            | {"X-RateLimit-Reset": str(int(hub.clock() + seconds + 50))},
            PRIMARY,
        ),
    ) as github:
        side = hub.side(url=github.url)
        with pytest.raises(RateLimited) as caught:
            await side.client.registration_token(REPO)
        # GitHub's reset is by GitHub's clock, and so is what it is compared with.
        assert caught.value.until - side.clock() == pytest.approx(50, abs=2.5)
        assert side.clock.skew == pytest.approx(seconds, abs=2)


async def test_a_clock_that_is_right_is_not_the_cause(hub):
    """A refused signature is refused: no second try."""
    async with scripted((401, {}, {"message": "A JSON web token could not be decoded"})) as github:
        with pytest.raises(GitHubPermission):
            await hub.side(url=github.url).client.registration_token(REPO)


CONFIG = (201, {}, {"runner": {"id": 9}, "encoded_jit_config": "RVhBTVBMRQ=="})
TAKEN = (409, {}, {"message": "Already exists - A runner with the name already exists."})
FOUND = (200, {}, {"total_count": 1, "runners": [{"id": 8, "name": "penstock-1-1"}]})
NAME = "penstock-1-1"


async def jit(hub, github):
    """One JIT configuration."""
    return await person(hub, github, jit=True).client.jit_config(REPO, NAME, ["linux"])


async def test_a_jit_name_that_is_taken_is_found_deleted_and_made_again(hub):
    """The answer of an earlier try was lost."""
    async with scripted(TAKEN, FOUND, (204, {}, ""), CONFIG) as github:
        assert (await jit(hub, github)).value == "RVhBTVBMRQ=="
        assert github.calls == [
            *("POST generate-jitconfig", "GET runners"),
            *("DELETE 8", "POST generate-jitconfig"),
        ]


async def test_a_jit_name_that_stays_taken_is_tried_later(hub):
    """GitHub forgets names with a delay: Temporal tries again."""
    async with scripted(TAKEN, FOUND, (204, {}, ""), TAKEN) as github:
        with pytest.raises(GitHubUnavailable, match="taken"):
            await jit(hub, github)


async def test_a_jit_name_of_a_busy_runner_is_left_alone(hub):
    """422 to the deletion is the only sure sign."""
    async with scripted(TAKEN, FOUND, (422, {}, {"message": "is still running a job"})) as github:
        with pytest.raises(GitHubRefused, match="works"):
            await jit(hub, github)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_jit_call_that_is_wrong_is_never_made_again(hub, runners, status):
    """A bad name has looped for hours elsewhere: it counts as a launch that failed."""
    async with scripted((status, {}, {"message": "Bad request - Invalid runner name"})) as github:
        side = person(hub, github, jit=True)
        activities = RunnerActivities(
            runners.launcher(), Tokens(side.client, side.cache, jit=True), side.client, hub.clock
        )
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(
                activities.launch_runner, LaunchRequest("w", REPO, NAME, ["linux"])
            )
        assert (caught.value.type, caught.value.non_retryable) == (GITHUB_INVALID, True)


async def test_a_jit_runner_that_cannot_be_launched_is_taken_off(hub, runners):
    """It exists at GitHub from the minting on."""
    async with scripted(CONFIG, FOUND, (204, {}, "")) as github:
        side = person(hub, github, jit=True)
        activities = RunnerActivities(
            runners.launcher("", "/nonexistent/runner"),
            Tokens(side.client, side.cache, jit=True),
            side.client,
            hub.clock,
        )
        with pytest.raises(ApplicationError, match="/nonexistent/runner"):
            await ActivityEnvironment().run(
                activities.launch_runner, LaunchRequest("w", REPO, NAME, ["linux"])
            )
        assert github.calls[-1] == "DELETE 8"


async def test_labels_that_are_not_allowed_are_not_launched(hub, runners):
    """GitHub is not even asked."""
    async with scripted() as github:
        side = person(hub, github)
        activities = RunnerActivities(
            runners.launcher(),
            Tokens(side.client, side.cache),
            side.client,
            hub.clock,
            labels=["linux", "run-id=*"],
        )
        with pytest.raises(ApplicationError, match=r"does not allow: \['gpu'\]"):
            await ActivityEnvironment().run(
                activities.launch_runner,
                LaunchRequest("w", REPO, NAME, ["Linux", "run-id=7", "gpu"]),
            )


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([(204, {}, "")], "gone"),
        ([(422, {}, {"message": "busy"})], "busy"),
        ([(404, {}, {})], "gone"),
    ],
)
async def test_a_deletion_tells_whether_the_runner_works(hub, runners, answers, result):
    """204 or 404: stopped. 422: left alone."""
    async with scripted(FOUND, *answers) as github:
        side = person(hub, github)
        activities = RunnerActivities(
            runners.launcher(), Tokens(side.client, side.cache), side.client, hub.clock
        )
        assert await ActivityEnvironment().run(
            activities.retire_runner, RetireRequest(REPO, NAME)
        ) == Retired(result)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, GITHUB_INVALID), (403, GITHUB_REFUSED), (409, GITHUB_REFUSED)]
)
async def test_a_deletion_that_is_refused_says_nothing_of_the_runner(hub, runners, status, kind):
    """Neither stopped nor taken for busy; asked again by the job, not by Temporal."""
    async with scripted(FOUND, (status, {}, {"message": "no"}), FOUND, (204, {}, "")) as github:
        side = person(hub, github)
        activities = RunnerActivities(
            runners.launcher(), Tokens(side.client, side.cache), side.client, hub.clock
        )
        ask = RetireRequest(REPO, NAME)
        with pytest.raises(ApplicationError, match=f"{status} no") as caught:
            await ActivityEnvironment().run(activities.retire_runner, ask)
        assert (caught.value.type, caught.value.non_retryable) == (kind, True)
        assert await ActivityEnvironment().run(activities.retire_runner, ask) == Retired("gone")


async def test_a_job_that_is_not_there_is_missing(hub):
    """404 is an answer here."""
    async with scripted((404, {}, {})) as github:
        assert await person(hub, github).client.job(REPO, "7") == JobRecord("missing")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_moved_repository_is_followed(hub, status):
    """The call is repeated as it was, and counts once more: each is one to GitHub's limits."""
    job = (200, {}, {"status": "queued"})
    async with scripted(
        (status, {"Location": "/repositories/7/jobs/1"}, ""),
        job,
        (status, {"Location": "/repositories/7/generate-jitconfig"}, ""),
        CONFIG,
    ) as github:
        side = person(hub, github)
        assert (await side.client.job(REPO, "1")).status == "queued"
        assert side.meter.points == 2
        assert (await side.client.jit_config(REPO, NAME, ["linux"])).value == "RVhBTVBMRQ=="
        assert side.meter.points == 12
        assert github.calls[2:] == ["POST generate-jitconfig"] * 2
        assert github.asked[3].body == github.asked[2].body
        assert all(one.headers["authorization"] == f"Bearer {PAT}" for one in github.asked)


@pytest.mark.parametrize("where", ["http://elsewhere.test/x", "//elsewhere.test/x", ""])
async def test_a_redirect_to_another_host_is_not_followed(hub, where):
    """No credential leaves for anywhere but GitHub."""
    async with scripted((302, {"Location": where}, "")) as github:
        with pytest.raises(GitHubUnavailable, match="elsewhere"):
            await person(hub, github).client.job(REPO, "1")


async def test_what_is_known_is_asked_for_by_its_etag(hub):
    """304 is free of the primary limit; another identity's answer is not ours."""
    first = (200, {"ETag": 'W/"1"'}, {"status": "queued"})
    async with scripted(
        first, (304, {"ETag": 'W/"1"'}, ""), (200, {}, {"status": "completed"})
    ) as github:
        client = person(hub, github).client
        assert [(await client.job(REPO, "1")).status for _ in range(3)] == [
            *("queued", "queued"),
            "completed",
        ]
        assert [one.headers.get("if-none-match") for one in github.asked] == [
            *(None, 'W/"1"'),
            'W/"1"',
        ]


async def test_a_list_that_is_known_is_read_to_its_end(hub):
    """An answer that is kept knows its next page, and neither its connection nor a credential."""
    page = {"runners": [{"id": 1, "name": "other"}]}
    async with scripted() as github:
        link = {"Link": f'<{github.url}/repos/{REPO}/actions/runners?page=2>; rel="next"'}
        github.answers += [(200, {"ETag": '"1"', **link}, page), (200, {}, {"runners": []})]
        github.answers += [(304, {"ETag": '"1"'}, ""), FOUND, (204, {}, "")]
        client = person(hub, github).client
        assert await client.deregister(REPO, NAME) == "absent"
        gc.collect()
        kept = [one for one in gc.get_objects() if isinstance(one, httpx.Request)]
        assert not [one for one in kept if PAT in one.headers.get("authorization", "")]
        assert await client.deregister(REPO, NAME) == "removed"
        assert [one.path.endswith("?page=2") for one in github.asked[:4]] == [False, True] * 2


async def test_a_list_is_read_to_its_end(hub):
    """By Link, on the same host alone."""
    page = {"runners": [{"id": 1, "name": "other"}]}
    async with scripted() as github:
        link = {"Link": f'<{github.url}/repos/{REPO}/actions/runners?page=2>; rel="next"'}
        github.answers += [(200, link, page), FOUND, (204, {}, "")]
        assert await person(hub, github).client.deregister(REPO, NAME) == "removed"
        assert github.asked[1].path.endswith("?page=2")
        elsewhere = {"Link": '<http://elsewhere.test/runners?page=2>; rel="next"'}
        github.answers += [(200, elsewhere, page)]
        with pytest.raises(GitHubUnavailable, match="elsewhere"):
            await person(hub, github).client.deregister(REPO, NAME)


async def test_a_runner_group_is_looked_up_by_name_once(hub):
    """Case does not count; a name that is none is an operator's to mend."""
    groups = (200, {}, {"runner_groups": [{"id": 1, "name": "Default"}, {"id": 5, "name": "GPU"}]})
    how = {"credentials": Credentials(token=PAT), "scope": "organization"}
    async with scripted(groups, CONFIG, CONFIG, groups) as github:
        client = hub.side(url=github.url, runner_group="gpu", **how).client
        for _ in range(2):
            await client.jit_config(REPO, NAME, ["linux"])
        assert [one.body["runner_group_id"] for one in github.asked if one.body] == [5, 5]
        with pytest.raises(GitHubInvalid, match="no runner group 'none'"):
            await hub.side(url=github.url, runner_group="none", **how).client.jit_config(
                REPO, NAME, ["linux"]
            )


async def test_every_request_is_dressed_as_github_asks(hub):
    """User agent, media type, one pinned version; an Enterprise Server's path goes before."""
    async with scripted(TOKEN) as github:
        side = hub.side(credentials=Credentials(token=PAT), url=f"{github.url}/api/v3")
        await side.client.registration_token(REPO)
        (asked,) = github.asked
        assert asked.path == f"/api/v3/repos/{REPO}/actions/runners/registration-token"
        assert asked.headers["user-agent"] == "penstock"
        assert asked.headers["x-github-api-version"] == "2022-11-28"
        assert asked.headers["accept"] == "application/vnd.github+json"
