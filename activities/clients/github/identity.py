"""Who we are to GitHub: an App's installation in an organization, or a person's token."""

from dataclasses import dataclass, field

import httpx
import jwt

from activities.clients.github.answers import error_of, object_in, said
from activities.clients.github.http import GitHubHttp, Wanted
from activities.errors import GitHubNotFound, GitHubPermission
from activities.meter import Call
from activities.secret_cache import Kind, SecretCache
from activities.token_store import Secret
from policy.limits import org_of
from policy.token_cache import installation_freshness

JWT_LIFE_SECONDS = 540  # GitHub refuses more than 600
APP, PERSON = "app", "person"  # identities; an installation's is named after its organization

# Shared: what holds for the organization. It is asked for by repository, and may lack one.
INSTALLATION = Kind(
    "installation", lambda secret, now: installation_freshness(secret.expires_at, now)
)


@dataclass(frozen=True)
class Credentials:
    """An App (its client id or app id, and its key in PEM), or a personal access token."""

    app_id: str = ""
    private_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


class Identity:
    """Gives the token to call with, and signs in for it first if need be."""

    def __init__(self, http: GitHubHttp, credentials: Credentials, cache: SecretCache) -> None:
        self._http = http
        self._credentials = credentials
        self._cache = cache
        self._clock = http.clock
        self._ids: dict[str, str] = {}  # organization → installation

    @property
    def is_app(self) -> bool:
        """Whether an App signs in; else it is a person's token."""
        return not self._credentials.token

    def name(self, repo: str) -> str:
        """Whom GitHub counts the calls for this repository for."""
        return f"installation:{org_of(repo)}" if self.is_app else PERSON

    async def calls_needed(self, repo: str) -> int:
        """How many calls signing in would take now: none, one or two."""
        if not self.is_app or await self._cache.peek(INSTALLATION, _key(repo)):
            return 0
        return 1 if org_of(repo) in self._ids else 2

    async def token(self, repo: str) -> str:
        """What to call with. Raises GitHub's errors and Deferred."""
        if not self.is_app:
            return self._credentials.token
        found = await self._cache.get(INSTALLATION, _key(repo), lambda: self._sign_in(repo))
        return found.value

    def know(self, org: str, installation: str) -> None:
        """An installation's number, so that it need not be asked for."""
        self._ids[org] = installation

    async def refused(self, repo: str, token: str) -> bool:
        """GitHub does not accept the token: whether there can be another one."""
        if not self.is_app:
            return False
        await self._cache.forget(_key(repo), token)
        return True

    async def as_app(
        self,
        method: str,
        path: str,
        repo: str,
        *,
        pays: bool,
        spare: bool = False,
        params: dict[str, str] | None = None,
    ) -> httpx.Response:
        """An answer to the App itself. If our clock was wrong for its signature, once more."""
        call = Call(APP, repo, method, pays=pays, spare=spare, urgent=not spare)
        wanted = Wanted(call, path, params=params)
        before = self._clock.skew
        response = await self._http.send(wanted, self._signature())
        corrected = abs(self._clock.skew - before) > self._clock.tolerance
        if response.status_code == 401 and corrected:
            response = await self._http.send(wanted, self._signature())
        return response

    async def _sign_in(self, repo: str) -> Secret:
        org = org_of(repo)
        if org not in self._ids:
            # Asked by repository, if one is named: it serves organizations and users alike.
            place = f"repos/{repo}" if "/" in repo else f"orgs/{repo}"
            found = await self.as_app("GET", f"/{place}/installation", repo, pays=True)
            if found.status_code != 200:
                raise error_of(found)
            self._ids[org] = said(object_in(found), "id")
        path = f"/app/installations/{self._ids[org]}/access_tokens"
        made = await self.as_app("POST", path, repo, pays=True)
        if made.status_code != 201:
            error = error_of(made)
            if isinstance(error, GitHubNotFound):
                del self._ids[org]  # uninstalled, or installed anew
            raise error
        answer = object_in(made)
        return Secret(said(answer, "token"), self._clock(), self._http.end_of(answer))

    def _signature(self) -> str:
        now = int(self._clock())
        # One minute back: GitHub refuses an `iat` ahead of its own clock.
        claims = {"iat": now - 60, "exp": now + JWT_LIFE_SECONDS, "iss": self._credentials.app_id}
        try:
            return jwt.encode(claims, self._credentials.private_key, algorithm="RS256")
        except (ValueError, jwt.PyJWTError):
            # The library's message may quote the key.
            raise GitHubPermission("github.private_key is no RSA key in PEM") from None


def _key(repo: str) -> str:
    # With a colon, which no owner's name has: else a repository `acme` of an owner `installation`
    # would have its runners' token under the key of the installation in `acme`.
    return f"installation:{org_of(repo)}"
