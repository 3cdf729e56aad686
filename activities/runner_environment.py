"""What a runner is told by its environment, whichever launcher starts it (docs/runners.md).

And what a process that Penstock starts may find there of Penstock's own environment, which holds
keys of AWS and GitHub.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from activities.runners import LaunchRequest

HARMLESS = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "SHELL")
# Where a program may have its own libraries, and what Go's runtime is told.
OF_PROGRAMS = (
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG"),
)


@dataclass(frozen=True)
class RunnerHome:
    """The GitHub that runners belong to. `url` and `api_url` without a slash at their end."""

    url: str
    api_url: str
    scope: str = "repository"  # or organization
    group: str = ""  # a runner group's name

    def environment(self, request: LaunchRequest) -> Mapping[str, str]:
        """All but the secret, which each launcher hands over in its own way."""
        owner = request.repo.partition("/")[0]
        target = owner if self.scope == "organization" else request.repo
        told = {
            "PENSTOCK_GITHUB_URL": self.api_url,
            "PENSTOCK_RUNNER_URL": f"{self.url.rstrip('/')}/{target}",
            "PENSTOCK_RUNNER_NAME": request.name,
            "PENSTOCK_RUNNER_LABELS": ",".join(request.labels),
        }
        if self.group:
            told["PENSTOCK_RUNNER_GROUP"] = self.group
        return told


def harmless(environment: Mapping[str, str], *more: str) -> dict[str, str]:
    """What others may inherit, and `more`: a job, other people's code, must see no key of ours."""
    return {
        key: value
        for key, value in environment.items()
        if key in (*HARMLESS, *more) or key.startswith("LC_")
    }
