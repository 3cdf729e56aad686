"""Who is let in at /admin, with what scope: keys, AWS identities, and limits on guessing."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from api import keys
from api.iam import Identities
from api.problems import Problem
from policy import attempts
from policy.access import AdminKey, Scope, may, wanted
from policy.attempts import Attempts
from policy.iam import SCHEME
from policy.token_bucket import Rate


@dataclass(frozen=True)
class Caller:
    """Who was let in: a key's name or an AWS identity, as the audit trail has it."""

    actor: str
    name: str
    scope: Scope


class Access:
    """Lets in, or says why not."""

    def __init__(
        self,
        known: Sequence[AdminKey],
        identities: Identities | None = None,
        failures_per_minute: int = 10,
    ) -> None:
        self._keys = tuple(known)
        self._identities = identities
        self._attempts = Attempts(Rate(failures_per_minute, 60.0))
        schemes = ["Bearer"] + [SCHEME] * (identities is not None)
        self._challenge = {"WWW-Authenticate": ", ".join(schemes)}

    async def identify(self, request: Request) -> Caller:
        """Who asks. Raises Problem.

        401 without a key, or with a wrong one: each counts for the client's address, and from one
        with too many nothing is heard for a while (429), a right key included. 403 for an AWS
        identity that nobody let in, and while nobody at all is let in. 503 if STS cannot be asked.
        """
        self._hear(request)
        try:
            return await self._identify(request)
        except Problem as problem:
            self._count(request, problem)
            raise

    def sign_in(self, request: Request, given: str) -> AdminKey:
        """The key that somebody gives in a form. Raises Problem as `identify` does."""
        self._hear(request)
        try:
            return self._key(given)
        except Problem as problem:
            self._count(request, problem)
            raise

    def check(self, caller: Caller, method: str) -> None:
        """Whether the caller's scope is enough for the method. Raises Problem 403."""
        if not may(caller.scope, method):
            why = f"{caller.actor} has scope {caller.scope}; {method} takes {wanted(method)}"
            raise Problem(403, why)

    def _hear(self, request: Request) -> None:
        """Raise Problem if nobody is let in, or nothing is heard from this address for now."""
        if not self._keys and self._identities is None:
            raise Problem(403, "no admin key is configured: penstock admin-key create makes one")
        if wait := attempts.shut(self._attempts, address_of(request), time.monotonic()):
            raise Problem(
                429,
                "too many failed attempts from this address; a right key is not heard either",
                retry_after=math.ceil(wait),
            )

    def _count(self, request: Request, problem: Problem) -> None:
        if problem.status in (401, 403):
            attempts.failed(self._attempts, address_of(request), time.monotonic())

    async def _identify(self, request: Request) -> Caller:
        given = request.headers.getlist("authorization")
        if len(given) != 1:
            raise self._refusal("give an admin key: Authorization: Bearer KEY")
        scheme, _, credential = given[0].partition(" ")
        credential = credential.strip()
        if scheme.lower() == SCHEME.lower() and self._identities:
            return await self._by_iam(self._identities, credential)
        if scheme.lower() != "bearer":
            raise self._refusal("give an admin key: Authorization: Bearer KEY")
        return caller_by(self._key(credential))

    def _key(self, given: str) -> AdminKey:
        key = keys.find(self._keys, given)
        if key is None:
            raise self._refusal("this admin key is not known here")
        if time.time() >= key.not_after:
            raise self._refusal(f"the admin key {key.name} has expired")
        return key

    async def _by_iam(self, identities: Identities, credential: str) -> Caller:
        try:
            arn = await identities.identify(credential)
        except Problem as problem:
            raise self._refusal(problem.detail) if problem.status == 401 else problem from None
        scope = identities.scope_of(arn)
        if scope is None:
            raise Problem(403, f"{arn} is let in by no pattern of gateway.iam")
        return Caller(f"iam {arn}", arn, scope)

    def _refusal(self, why: str) -> Problem:
        return Problem(401, why, headers=self._challenge)


def caller_by(key: AdminKey) -> Caller:
    """Who comes with this key."""
    return Caller(f"key {key.name}", key.name, key.scope)


def address_of(request: Request) -> str:
    """The client's address, as the server knows it (behind a trusted proxy, the proxy's word)."""
    return request.client.host if request.client else ""
