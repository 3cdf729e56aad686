"""Where a runner's task may run, and in which order the places are tried.

A place is a capacity provider (or launch type) and one subnet, so one zone: ECS says that a zone
has no room, and the next place may have some. The first provider is tried in all subnets before
the second one; each runner begins at a subnet of its own, so that the zones share the load.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One RunTask's choice. Empty: ECS's own default."""

    provider: str = ""
    launch_type: str = ""
    subnet: str = ""

    def __str__(self) -> str:
        kind = self.provider or self.launch_type or "the cluster's default"
        return f"{kind} in {self.subnet}" if self.subnet else kind


@dataclass(frozen=True)
class Profile:
    """How runners of jobs with all of `labels` are run. Without labels: of every job."""

    labels: tuple[str, ...] = ()
    task_definition: str = ""
    container: str = "runner"
    providers: tuple[str, ...] = ()  # in the order of choice; they go before the launch type
    launch_type: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    public_ip: bool = False
    cpu: str = ""  # ECS's units; empty: the task definition's
    memory: str = ""  # MiB
    platform_version: str = ""  # Fargate's

    def places(self, name: str) -> list[Place]:
        """Where the runner of this name may run, the first choice first; always the same."""
        kinds = [(provider, "") for provider in self.providers] or [("", self.launch_type)]
        subnets = turned(self.subnets, name) or [""]
        return [Place(provider, kind, net) for provider, kind in kinds for net in subnets]


def turned(subnets: Sequence[str], name: str) -> list[str]:
    """The subnets from one that the name chooses, around."""
    if not subnets:
        return []
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(subnets)
    return [*subnets[first:], *subnets[:first]]


def profile_for(labels: Collection[str], profiles: Sequence[Profile]) -> Profile | None:
    """The first whose labels the job all asks for; case does not matter, as at GitHub."""
    asked = {label.lower() for label in labels}
    fits = (p for p in profiles if asked.issuperset(label.lower() for label in p.labels))
    return next(fits, None)
