"""AWS identities at the admin interface: a signed question is passed to STS, whose answer counts.

The rules are in policy/iam.py; here are the port to STS and what is remembered: a good answer for
a minute, by the hash of the signed request, so that a script's calls do not each ask STS.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Protocol

from api.problems import Problem
from policy import iam
from policy.access import Scope
from policy.iam import IamRules, Refused, SignedRequest, StsAnswer, Unavailable

REMEMBERED = 1000
REMEMBERED_SECONDS = 60.0


class Sts(Protocol):
    """The one STS endpoint of the configuration."""

    async def ask(self, request: SignedRequest) -> StsAnswer:
        """Pass the request on; no answer is an answer too (status 0), never an exception."""
        ...


class Identities:
    """Whom AWS names, and what that is good for here."""

    def __init__(self, rules: IamRules, sts: Sts) -> None:
        self._rules = rules
        self._sts = sts
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def identify(self, credential: str) -> str:
        """The ARN of whoever signed. Raises Problem: 401 refused, 503 STS cannot be asked."""
        request = self._checked(credential)
        name = hashlib.sha256(credential.encode()).hexdigest()
        until, arn = self._known.get(name, (0.0, ""))
        if time.monotonic() < until:
            return arn
        heard = iam.heard(await self._sts.ask(request))
        if isinstance(heard, Refused):
            raise Problem(401, heard.why)
        if isinstance(heard, Unavailable):
            raise Problem(503, heard.why)
        self._known[name] = time.monotonic() + REMEMBERED_SECONDS, heard.arn
        self._known.move_to_end(name)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return heard.arn

    def scope_of(self, arn: str) -> Scope | None:
        """What the identity may; None if it is not let in."""
        return iam.scope_of(arn, self._rules)

    def _checked(self, credential: str) -> SignedRequest:
        """The request, before anything is sent: a remembered one grows old too."""
        found = iam.read(credential)
        refused = (
            found if isinstance(found, Refused) else iam.check(found, self._rules, time.time())
        )
        if isinstance(found, SignedRequest) and refused is None:
            return found
        why = refused.why if refused else ""
        raise Problem(401, f"{why} (penstock admin-key iam signs a good one)")
