"""The limits that operators set, and what they mean for one repository or organization."""

from dataclasses import dataclass, field

MAX_RUNNERS_CEILING = 10_000  # GitHub's own ceiling of runners in one group (docs: Actions limits)


class InvalidLimits(ValueError):
    """A limit that cannot be; the message names the key and what it takes."""


@dataclass
class Limits:
    """How many permits may be out at once: in the fleet, per organization, per repository.

    `max_repo_share` is the part of `max_runners` that one repository may have at most.
    Names of repositories (`owner/repo`) and owners are lower case.
    """

    max_runners: int = 6
    max_repo_share: float = 0.5
    default: int = 2
    repos: dict[str, int] = field(default_factory=dict[str, int])
    orgs: dict[str, int] = field(default_factory=dict[str, int])

    def repo_cap(self, repo: str) -> int:
        """The most permits the repository may have: its own limit and its share of the fleet."""
        share = max(1, int(self.max_repo_share * self.max_runners))
        return min(self.repos.get(repo, self.default), share)

    def org_cap(self, org: str) -> int:
        """The most permits all repositories of the organization may have together."""
        return min(self.orgs.get(org, self.max_runners), self.max_runners)


@dataclass
class LimitsChange:
    """A change of some limits; what is None stays. A null in `repos` or `orgs` unsets a limit."""

    max_runners: int | None = None
    max_repo_share: float | None = None
    default: int | None = None
    repos: dict[str, int | None] = field(default_factory=dict[str, int | None])
    orgs: dict[str, int | None] = field(default_factory=dict[str, int | None])
    actor: str = ""
    reason: str = ""


def merge(limits: Limits, change: LimitsChange) -> Limits:
    """The limits after the change. Raises InvalidLimits and changes nothing if one cannot be."""
    merged = Limits(
        limits.max_runners if change.max_runners is None else change.max_runners,
        limits.max_repo_share if change.max_repo_share is None else change.max_repo_share,
        limits.default if change.default is None else change.default,
        _merged(limits.repos, change.repos),
        _merged(limits.orgs, change.orgs),
    )
    validate(merged)
    return merged


def _merged(old: dict[str, int], new: dict[str, int | None]) -> dict[str, int]:
    both = {**old, **{key.lower(): value for key, value in new.items()}}
    return {key: value for key, value in sorted(both.items()) if value is not None}


def org_of(repo: str) -> str:
    """The owner's part of `owner/repo`."""
    return repo.partition("/")[0]


def validate(limits: Limits) -> None:
    """Raise InvalidLimits at the first limit that cannot be."""
    _whole("max_runners", limits.max_runners, 0)
    _whole("default", limits.default, 0)
    _share(limits.max_repo_share)
    for repo, limit in limits.repos.items():
        owner, slash, name = repo.partition("/")
        if not (owner and slash and name) or "/" in name or repo != repo.lower():
            raise InvalidLimits(f"repos: {repo!r} must be 'owner/repo' in lower case")
        _whole(f"repos.{repo}", limit, 0)
    for org, limit in limits.orgs.items():
        if not org or "/" in org or org != org.lower():
            raise InvalidLimits(f"orgs: {org!r} must be an owner's name in lower case")
        _whole(f"orgs.{org}", limit, 0)


def _whole(key: str, value: object, least: int) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= MAX_RUNNERS_CEILING
    ):
        raise InvalidLimits(
            f"{key} must be a whole number from {least} to {MAX_RUNNERS_CEILING}, not {value!r}"
        )


def _share(value: object) -> None:
    # bool is an int in Python, and NaN compares false with everything: both are caught here.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise InvalidLimits(f"max_repo_share must be above 0 and at most 1, not {value!r}")
