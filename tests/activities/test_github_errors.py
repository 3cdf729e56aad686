"""How GitHub's refusals and silences are told: by what can be done about them."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from activities.clients import github
from activities.clients.github import http as github_http
from activities.errors import (
    GitHubConflict,
    GitHubInvalid,
    GitHubNotFound,
    GitHubPermission,
    GitHubRefused,
    GitHubUnavailable,
    RateLimited,
)
from embedded import ports
from tests.activities.hub import PAT, told

REPO = "acme/api"
SURE = [
    (400, GitHubInvalid),
    (403, GitHubPermission),
    (404, GitHubNotFound),
    (405, GitHubInvalid),
    (409, GitHubConflict),
    (410, GitHubNotFound),
    (422, GitHubInvalid),
    (451, GitHubInvalid),
    (500, GitHubUnavailable),
    (502, GitHubUnavailable),
    (503, GitHubUnavailable),
    (504, GitHubUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), SURE)
async def test_a_status_is_a_kind_of_error(hub, status, kind):
    """Refused: asking again is in vain. Unavailable: it is not. The message names the call."""
    client = await hub.person()
    await hub.break_("status", status=status, message="as a test wants it", retry_after=None)
    with pytest.raises(kind) as caught:
        await client.registration_token(REPO)
    assert isinstance(caught.value, kind)
    assert not isinstance(caught.value, RateLimited)
    assert f"POST /repos/{REPO}/actions/runners/registration-token: {status}" in str(caught.value)
    assert "as a test wants it" in str(caught.value)
    assert PAT not in told(caught.value)
    assert len(await hub.calls()) == 1, "the client itself tried again"


async def test_a_missing_permission_is_no_rate_limit(hub):
    """403 with calls remaining: refused, in GitHub's words."""
    client = hub.client()
    words = "Resource not accessible by integration"
    await hub.break_("status", status=403, message=words, path_prefix="/repos", nth=2)
    with pytest.raises(GitHubRefused, match="403 Resource not accessible"):
        await client.registration_token(REPO)


LIMITS = [
    ("primary_limit", {"seconds": 90}, 90),
    ("primary_limit", {"seconds": 90, "status": 429}, 90),
    ("secondary_limit", {"retry_after": 7}, 7),
    ("secondary_limit", {"retry_after": 7, "status": 429}, 7),
    ("secondary_limit", {"retry_after": None}, 60),
    ("secondary_limit", {"retry_after": None, "status": 429}, 60),
    ("status", {"status": 403, "retry_after": 5}, 5),
    ("status", {"status": 429}, 60),
]


@pytest.mark.parametrize(("kind", "how", "seconds"), LIMITS)
async def test_a_rate_limit_says_until_when(hub, kind, how, seconds):
    """Retry-After, else the reset time, else a minute."""
    client = hub.client()
    await client.registration_token(REPO)
    await hub.break_(kind, **how)
    with pytest.raises(RateLimited) as caught:
        await client.registration_token(REPO)
    assert hub.clock() + seconds - 1.1 <= caught.value.until <= time.time() + seconds + 3


async def test_a_rate_limit_while_signing_in_is_one_too(hub):
    """The App's own calls are limited as others are."""
    for prefix in ("/repos", "/app"):
        await hub.break_("secondary_limit", retry_after=7, path_prefix=prefix)
        with pytest.raises(RateLimited):
            await hub.client().registration_token(REPO)
        await hub.call("DELETE", "faults")


async def test_a_5xx_with_retry_after_is_no_rate_limit(hub):
    """GitHub is down for everybody: no organization is paused for it."""
    await hub.break_("status", status=503, retry_after=30)
    with pytest.raises(GitHubUnavailable):
        await (await hub.person()).registration_token(REPO)


async def test_nobody_there(hub):
    """A refused connection is worth another try."""
    url = f"http://127.0.0.1:{ports.free('127.0.0.1', 0)}"
    with pytest.raises(GitHubUnavailable, match="ConnectError") as caught:
        await hub.client(url=url).registration_token(REPO)
    assert "PRIVATE KEY" not in told(caught.value)


async def test_silence(hub, monkeypatch):
    """A time-out is one too, at any step."""
    monkeypatch.setattr(github_http, "TIMEOUT", httpx.Timeout(0.2))
    client = await hub.person()
    await hub.break_("slow", seconds=0.5)
    with pytest.raises(GitHubUnavailable, match="ReadTimeout") as caught:
        await client.registration_token(REPO)
    assert PAT not in told(caught.value)


async def test_an_answer_that_comes_in_drops(hub, monkeypatch):
    """No pause between two bytes is long enough; the whole is."""
    monkeypatch.setattr(github_http, "WHOLE_SECONDS", 0.5)
    over = asyncio.Event()

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 10000\r\n\r\n")
        while not over.is_set():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = hub.client(github.Credentials(token=PAT), url=url)
        with pytest.raises(GitHubUnavailable, match="TimeoutError"):
            await client.registration_token(REPO)
        await client.close()
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def answering(answer: bytes):
    """A server that says the same to everybody, then hangs up; gives its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def page(status: str, body: str, *headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()


ODD = {
    "hangs up": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "cut short": page("201 Created", "{}").replace(b"Length: 2", b"Length: 99"),
    "a proxy's page": page("201 Created", "<html>Please sign in</html>"),
    "a list": page("201 Created", "[1]"),
    "no object": page("201 Created", '"token"'),
    "nothing": page("201 Created", ""),
    "no token": page("201 Created", '{"message": "hello"}'),
    "no gzip": page("201 Created", "{}", "Content-Encoding: gzip"),
    "an error page": page("502 Bad Gateway", "<html>502</html>"),
    "an odd error": page("500 Oh", "[1, 2]"),
    "in circles": page("302 Found", "", "Location: /again"),
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
async def test_an_answer_without_sense_is_worth_another_try(hub, answer):
    """Whatever comes in place of GitHub's answer is told as unavailable, without a credential."""
    async with answering(answer) as url:
        client = hub.client(github.Credentials(token=PAT), url=url)
        with pytest.raises(GitHubUnavailable) as caught:
            await client.registration_token(REPO)
        assert PAT not in told(caught.value)
        await client.close()
