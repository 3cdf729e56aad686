"""Accounts, installations and repositories, and the numbers GitHub gives out."""

import itertools
import random
import string

from simulator.clock import Clock
from simulator.limits import Limits
from simulator.state.model import Installation, Repository, Run, Scope

# Realistic sizes: job ids no longer fit 32 bits, and a client that keeps them so must fail here.
FIRST_JOB, FIRST_RUN, FIRST_RUNNER = 53_117_402_911, 18_904_771_205, 21
EPOCH = 1_767_225_600  # 2026-01-01: numbers grow by a thousand a second from there
LETTERS = string.ascii_letters + string.digits
CAPITALS = string.ascii_uppercase + string.digits
FIRST_REPOSITORY, FIRST_ACCOUNT, FIRST_INSTALLATION = 780_114_301, 140_552_201, 57_340_118

PERMISSIONS = {
    "actions": "write",
    "administration": "write",
    "metadata": "read",
    "organization_hooks": "write",
    "organization_self_hosted_runners": "write",
    "repository_hooks": "write",
}


class World:
    """The directory: who exists. Names are compared without regard to case."""

    def __init__(self, clock: Clock, limits: Limits, seed: int, base_url: str) -> None:
        self.secrets: list[str] = []  # all that were ever made: none may turn up anywhere
        self.clock = clock
        self.limits = limits
        self.base_url = base_url
        self.rng = random.Random(seed)
        self.installations: dict[int, Installation] = {}
        self.runs: dict[int, Run] = {}
        self._by_org: dict[str, Installation] = {}
        self._repositories: dict[Scope, Repository] = {}
        self._accounts = itertools.count(FIRST_ACCOUNT, 7)
        self._installations = itertools.count(FIRST_INSTALLATION, 3)
        self._repository_ids = itertools.count(FIRST_REPOSITORY, 11)
        # GitHub never gives a number twice; this process knows nothing of the one before it.
        later = 1000 * int(clock.now() - EPOCH)
        self.run_ids = itertools.count(FIRST_RUN + later)
        self.job_ids = itertools.count(FIRST_JOB + later)
        self.runner_ids = itertools.count(FIRST_RUNNER)

    def installation_of(self, org: str) -> Installation | None:
        """The installation in an organization, if there is one."""
        return self._by_org.get(org.lower())

    def install(
        self, org: str, repositories: list[str] | None = None, wanted_id: int | None = None
    ) -> Installation:
        """The installation in an organization, made if need be; names given join its selection."""
        found = self._by_org.get(org.lower())
        if found is None:
            found = Installation(
                id=wanted_id or next(self._installations),
                account_id=next(self._accounts),
                org=org,
                created_at=self.clock.now(),
                repositories=None if repositories is None else set(),
            )
            self._by_org[org.lower()] = found
            self.installations[found.id] = found
        for name in repositories or []:
            if found.repositories is not None:
                found.repositories.add(name.lower())
            self.create_repository(org, name)
        return found

    def repository(self, owner: str, name: str) -> Repository | None:
        """A repository, if it exists."""
        return self._repositories.get(Scope.of(owner, name))

    def repositories_of(self, org: str) -> list[Repository]:
        """All repositories of an organization, in order of creation."""
        return [repo for scope, repo in self._repositories.items() if scope.owner == org.lower()]

    def create_repository(self, owner: str, name: str, default_branch: str = "main") -> Repository:
        """A repository, made if need be, with its organization's installation."""
        found = self.repository(owner, name)
        if found is None:
            found = Repository(
                id=next(self._repository_ids),
                owner=owner,
                name=name,
                default_branch=default_branch,
                installation=self.install(owner),
                created_at=self.clock.now(),
            )
            self._repositories[found.scope] = found
        return found

    def secret(self, prefix: str, length: int, letters: str = LETTERS) -> str:
        """A secret-looking string: reproducible by the seed, so never one for a real system.

        Use it as it is: what is made of it is not what a test looks for.
        """
        made = prefix + "".join(self.rng.choices(letters, k=length))
        self.secrets.append(made)
        return made
