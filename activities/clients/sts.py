"""AWS STS over HTTP: asks it who signed a request (the port is in api/iam.py), and signs one.

Nothing of a client's chooses where a request goes: the endpoint is the configuration's, redirects
are not followed, the answer is read to a bound, and all of it ends within five seconds.
"""

import asyncio

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from activities.clients.aws import AwsError, told
from policy.iam import BODY, LARGEST_ANSWER, SERVER_HEADER, SignedRequest, StsAnswer

TIMEOUT_SECONDS = 5.0
AT_ONCE = 8
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


class StsClient:
    """The adapter for one endpoint. `close` it."""

    def __init__(self, url: str) -> None:
        """`url` is the configuration's, https."""
        self._url = f"{url.rstrip('/')}/"
        self._http = httpx.AsyncClient(follow_redirects=False, timeout=TIMEOUT_SECONDS)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, request: SignedRequest) -> StsAnswer:
        """What STS says to this request, or status 0 and why it says nothing."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._room:
                return await self._ask(request)
        except TimeoutError:
            return StsAnswer(0, f"no answer within {TIMEOUT_SECONDS:.0f} s")
        except httpx.HTTPError as error:
            return StsAnswer(0, type(error).__name__)

    async def _ask(self, request: SignedRequest) -> StsAnswer:
        body = b""
        async with self._http.stream(
            "POST", self._url, content=request.body, headers=request.headers
        ) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    return StsAnswer(0, "its answer is too long")
        return StsAnswer(answer.status_code, body.decode("utf-8", "replace"))


def signed_headers(url: str, server_id: str, region: str) -> dict[str, str]:
    """The headers of a GetCallerIdentity signed for this Penstock, by the usual credentials.

    Raises AwsError if there are none.
    """
    try:
        found = boto3.Session().get_credentials()
        credentials = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        raise AwsError(f"AWS credentials: {told(error)}") from None
    if credentials is None:
        raise AwsError("there are no AWS credentials: set AWS_PROFILE, or sign in (aws sso login)")
    request = AWSRequest(
        method="POST",
        url=f"{url.rstrip('/')}/",
        data=BODY,
        headers={SERVER_HEADER: server_id, "Content-Type": CONTENT_TYPE},
    )
    SigV4Auth(credentials, "sts", region).add_auth(request)
    host = httpx.URL(url).netloc.decode()
    return {"Host": host, **{name: str(value) for name, value in request.headers.items()}}
