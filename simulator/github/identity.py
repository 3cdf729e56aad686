"""Who calls: the App by its JWT, an installation by its token, a person by a PAT."""

from dataclasses import dataclass, field
from typing import Any

import jwt

from simulator.clock import Clock
from simulator.limits import Limits
from simulator.state.model import Installation, Repository
from simulator.state.world import CAPITALS, PERMISSIONS, World
from simulator.web import ApiError

JWT_MAX_SECONDS = 600
JWT_FUTURE_SECONDS = 60  # how far iat may lie ahead
BAD_JWT = "A JSON web token could not be decoded"
_CLAIMS = ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
_UNCHECKED: Any = {f"verify_{claim}": False for claim in _CLAIMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls; `key`: whose limits are used; `installation` None: the App, or a PAT for all."""

    kind: str  # app, installation, pat, anonymous
    key: str
    installation: Installation | None = None
    repositories: frozenset[str] | None = None  # lower-case names; None: all of the installation
    permissions: dict[str, str] = field(default_factory=dict[str, str])
    expires_at: float | None = None

    def may(self, permission: tuple[str, str] | None) -> bool:
        """True when the token carries a permission; a PAT carries all."""
        if permission is None or self.kind != "installation":
            return True
        name, level = permission
        held = self.permissions.get(name)
        return held in {level, "write"}

    def sees(self, owner: str, repo: str | None) -> bool:
        """True when this token reaches an organization, or a repository of it."""
        if self.installation is None:
            return self.kind == "pat"
        if self.installation.org.lower() != owner.lower():
            return False
        if repo is None:
            return True
        selected = self.installation.repositories
        return all(
            names is None or repo.lower() in names for names in (selected, self.repositories)
        )


ANONYMOUS = Caller(kind="anonymous", key="anonymous")


class AppIdentity:
    """The App as GitHub knows it: its ids and its public key; a client has the other half."""

    def __init__(self, app_id: int, client_id: str, public_key: str | None, clock: Clock) -> None:
        self.app_id = app_id
        self.client_id = client_id
        self._key = public_key
        self._clock = clock

    def verify(self, token: str) -> Caller:
        """The App, if the JWT is good; ApiError 401 in GitHub's words."""
        if self._key is None:
            raise ApiError(401, BAD_JWT)
        try:
            claims = jwt.decode(token, self._key, algorithms=["RS256"], options=_UNCHECKED)
        except jwt.PyJWTError:
            raise ApiError(401, BAD_JWT) from None
        now = self._clock.jwt_now()
        issued, expires = _integer(claims.get("iat")), _integer(claims.get("exp"))
        if issued is None or issued > now + JWT_FUTURE_SECONDS:
            raise ApiError(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the "
                "assertion was issued",
            )
        if expires is None or expires <= now:
            raise ApiError(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future "
                "time at which the assertion expires",
            )
        if expires > now + JWT_MAX_SECONDS:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
        if claims.get("iss") not in (str(self.app_id), self.client_id):
            raise ApiError(401, "'Issuer' claim ('iss') must be an Integer")
        return Caller(kind="app", key="app")


class Tokens:
    """The tokens this GitHub has given out; they die by its clock."""

    def __init__(self, world: World, limits: Limits, app: AppIdentity) -> None:
        self._world = world
        self._limits = limits
        self._app = app
        self._callers: dict[str, Caller] = {}

    def who(self, credential: str) -> Caller:
        """The caller behind a credential; ApiError 401."""
        if not credential:
            raise ApiError(401, "Requires authentication")
        if credential.count(".") == 2 and not credential.startswith("gh"):
            return self._app.verify(credential)
        caller = self._callers.get(credential)
        if caller is None:
            raise ApiError(401, "Bad credentials")
        if caller.expires_at is not None and caller.expires_at <= self._world.clock.now():
            del self._callers[credential]
            raise ApiError(401, "Bad credentials")
        return caller

    def register_pat(self, token: str | None, installation: Installation | None) -> str:
        """A personal access token, of one organization or of all."""
        made = token or self._world.secret("ghp_", 36)
        key = f"pat:{made[-6:]}"
        self._callers[made] = Caller(kind="pat", key=key, installation=installation)
        return made

    def issue(
        self,
        installation: Installation,
        repositories: list[Repository] | None,
        permissions: dict[str, str] | None,
    ) -> tuple[str, float, dict[str, str]]:
        """A new installation token, when it dies, and what it may do.

        Its form is that of 2026: long, of no fixed length, with dots and `-`.
        """
        expires_at = self._world.clock.now() + self._limits.installation_token_seconds
        secret, length = self._world.secret, self._world.rng.randrange(300, 380)
        head, claims = secret("eyJ", 90), secret("eyJ", length)
        token = f"ghs_{self._app.app_id}_{head}.{claims}.{secret('', 40)}-{secret('', 44)}"
        granted = PERMISSIONS if permissions is None else {"metadata": "read"} | permissions
        names = None
        if repositories is not None:
            names = frozenset(repo.name.lower() for repo in repositories)
        self._callers[token] = Caller(
            kind="installation",
            key=f"installation:{installation.id}",
            installation=installation,
            repositories=names,
            permissions=granted,
            expires_at=expires_at,
        )
        return token, expires_at, granted


class RegistrationTokens:
    """Tokens with which runners register; one serves any number of them for an hour."""

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._tokens: dict[str, tuple[str, float]] = {}

    def issue(self, scope: str) -> tuple[str, float]:
        """A new token, and when it dies."""
        token = self._world.secret("A", 28, CAPITALS)
        expires_at = self._world.clock.now() + self._limits.registration_token_seconds
        self._tokens[token] = (scope, expires_at)
        return token, expires_at

    def check(self, token: str, scope: str) -> None:
        """ApiError 404 for an unknown token or another scope's, 401 for a dead one."""
        known, expires_at = self._tokens.get(token, ("", 0.0))
        if known != scope:
            raise ApiError(404, "Not Found")
        if expires_at <= self._world.clock.now():
            raise ApiError(401, "Token expired.")


def _integer(value: object) -> int | None:
    """GitHub takes whole numbers only; True is one to Python, not to GitHub."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
