"""The limits that operators set, and what they mean for one repository or organization."""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, cast

from policy.thresholds import STRATEGIES, Thresholds, ThresholdsChange

N = TypeVar("N", int, float)
MAX_WEIGHT = 100.0
MAX_RUNNERS_CEILING = 10_000  # GitHub's own ceiling of runners in one group (docs: Actions limits)
MAX_DEPTH = 1_000_000


class InvalidLimits(ValueError):
    """A limit that cannot be; the message names the key and what it takes."""


class LimitsMoved(ValueError):
    """A change was meant for other limits than those that hold; `digest` is of those that hold."""

    def __init__(self, digest: str) -> None:
        super().__init__("the limits are no longer those that the change was made for")
        self.digest = digest


@dataclass
class Limits:
    """How many permits may be out at once: in the fleet, per organization, per repository.

    `max_repo_share` is the part of `max_runners` that one repository may have at most. A weight
    (1 by default) says how much of the fleet a repository gets beside others that wait: twice the
    weight, twice the permits. Names of repositories (`owner/repo`) and owners are lower case.
    `pressure` says when the fleet counts as overloaded.
    """

    max_runners: int = 6
    max_repo_share: float = 0.5
    default: int = 2
    repos: dict[str, int] = field(default_factory=dict[str, int])
    orgs: dict[str, int] = field(default_factory=dict[str, int])
    weights: dict[str, float] = field(default_factory=dict[str, float])
    pressure: Thresholds = field(default_factory=Thresholds)

    @property
    def share_cap(self) -> int:
        """The most permits any one repository may have by its share; never less than one."""
        return max(1, int(self.max_repo_share * self.max_runners))

    def repo_cap(self, repo: str) -> int:
        """The most permits the repository may have: its own limit and its share of the fleet."""
        return min(self.repos.get(repo, self.default), self.share_cap)

    def repo_caps(self, repos: list[str]) -> dict[str, int]:
        """`repo_cap` of many at once."""
        share = self.share_cap
        common = min(self.default, share)
        caps = dict.fromkeys(repos, common)
        for repo, limit in self.repos.items():
            if repo in caps:
                caps[repo] = min(limit, share)
        return caps

    def org_cap(self, org: str) -> int:
        """The most permits all repositories of the organization may have together."""
        return min(self.orgs.get(org, self.max_runners), self.max_runners)


@dataclass
class LimitsChange:
    """A change of some limits; what is None stays. A null in a table unsets that entry."""

    max_runners: int | None = None
    max_repo_share: float | None = None
    default: int | None = None
    repos: dict[str, int | None] = field(default_factory=dict[str, int | None])
    orgs: dict[str, int | None] = field(default_factory=dict[str, int | None])
    weights: dict[str, float | None] = field(default_factory=dict[str, float | None])
    pressure: ThresholdsChange = field(default_factory=ThresholdsChange)
    actor: str = ""
    reason: str = ""
    if_match: str = ""  # the digest of the limits that it was made for; empty if any will do


def digest(limits: Limits | dict[str, Any]) -> str:
    """A name for these limits, all of them: equal limits have one, whoever works it out.

    `limits` may be the table that JSON carried: 1.0 and 1 are the same number.
    """
    table = limits if isinstance(limits, dict) else asdict(limits)
    written = json.dumps(_plain(table), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:32]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        table = cast(dict[str, object], value)
        return {key: _plain(entry) for key, entry in table.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_match(limits: Limits, change: LimitsChange) -> None:
    """Raise LimitsMoved if the change was made for other limits than these."""
    held = digest(limits)
    if change.if_match and change.if_match != held:
        raise LimitsMoved(held)


def merge(limits: Limits, change: LimitsChange) -> Limits:
    """The limits after the change. Raises InvalidLimits and changes nothing if one cannot be."""
    merged = Limits(
        limits.max_runners if change.max_runners is None else change.max_runners,
        limits.max_repo_share if change.max_repo_share is None else change.max_repo_share,
        limits.default if change.default is None else change.default,
        _merged(limits.repos, change.repos),
        _merged(limits.orgs, change.orgs),
        _merged(limits.weights, change.weights),
        change.pressure.upon(limits.pressure),
    )
    validate(merged)
    return merged


def after(limits: Limits, changes: Iterable[LimitsChange]) -> Limits:
    """The limits after changes that were each valid when they were taken, one upon the other.

    One that cannot be any more, because of what was changed before it, changes nothing.
    """
    for change in changes:
        with contextlib.suppress(InvalidLimits):
            limits = merge(limits, change)
    return limits


def _merged(old: dict[str, N], new: dict[str, N | None]) -> dict[str, N]:
    both: dict[str, N | None] = {**old, **{key.lower(): value for key, value in new.items()}}
    return {key: value for key, value in sorted(both.items()) if value is not None}


def difference(old: Limits, new: Limits) -> str:
    """What changed, in a few words: `max_runners 6 → 12, repos.acme/api 2 → unset`."""
    before, after = _flat(old), _flat(new)
    changed = [
        f"{key} {before.get(key, 'unset')} → {after.get(key, 'unset')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    return ", ".join(changed) or "nothing"


def _flat(limits: Limits) -> dict[str, int | float | str]:
    flat: dict[str, int | float | str] = {}
    for key, value in asdict(limits).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": n for name, n in value.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        else:
            flat[key] = value
    return flat


def org_of(repo: str) -> str:
    """The owner's part of `owner/repo`."""
    return repo.partition("/")[0]


def validate(limits: Limits) -> None:
    """Raise InvalidLimits at the first limit that cannot be."""
    _whole("max_runners", limits.max_runners, 0)
    _whole("default", limits.default, 0)
    _above_zero("max_repo_share", limits.max_repo_share, 1)
    for repo, limit in limits.repos.items():
        _repository("repos", repo)
        _whole(f"repos.{repo}", limit, 0)
    for repo, weight in limits.weights.items():
        _repository("weights", repo)
        _weight(f"weights.{repo}", weight)
    for org, limit in limits.orgs.items():
        if not org or "/" in org or org != org.lower():
            raise InvalidLimits(f"orgs: {org!r} must be an owner's name in lower case")
        _whole(f"orgs.{org}", limit, 0)
    _thresholds(limits.pressure)


def _thresholds(of: Thresholds) -> None:
    if of.strategy not in STRATEGIES:
        raise InvalidLimits(f"pressure.strategy must be queue or reject, not {of.strategy!r}")
    _whole("pressure.max_queue_depth", of.max_queue_depth, 1, MAX_DEPTH)
    _above_zero("pressure.max_concurrency_percent", of.max_concurrency_percent, 100)
    _above_zero("pressure.max_error_rate", of.max_error_rate, 1)


def _repository(table: str, repo: str) -> None:
    owner, slash, name = repo.partition("/")
    if not (owner and slash and name) or "/" in name or repo != repo.lower():
        raise InvalidLimits(f"{table}: {repo!r} must be 'owner/repo' in lower case")


def _whole(key: str, value: object, least: int, most: int = MAX_RUNNERS_CEILING) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidLimits(f"{key} must be a whole number from {least} to {most}, not {value!r}")


def _weight(key: str, value: object) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 1 / MAX_WEIGHT <= value <= MAX_WEIGHT
    ):
        raise InvalidLimits(
            f"{key} must be a number from {1 / MAX_WEIGHT:g} to {MAX_WEIGHT:g}, not {value!r}"
        )


def _above_zero(key: str, value: object, most: int) -> None:
    # bool is an int in Python, and NaN compares false with everything: both are caught here.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise InvalidLimits(f"{key} must be above 0 and at most {most}, not {value!r}")
