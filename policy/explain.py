"""Why a repository gets no further permit now: which limit holds it, in people's words."""

from dataclasses import asdict, dataclass
from typing import Any

from policy import drain
from policy.fleet import FleetState, capacity, loads, lowered_by, silence
from policy.limits import org_of

HOLDERS_NAMED = 3


@dataclass(frozen=True)
class Held:
    """`limit`: mode, cool-down, rebuild, repo, share, org, back-pressure, fleet, or none."""

    limit: str
    why: str
    until: float = 0.0  # epoch seconds, where the end is known


@dataclass(frozen=True)
class InLine:
    """A place in a repository's line, 1 first."""

    repo: str
    position: int = 1


def answer(state: FleetState, repo: str, position: int, now: float) -> dict[str, Any]:
    """What the Fleet's query `holds` answers; the estimate is that of the n-th waiter, seconds."""
    return answers(state, [InLine(repo, position)], now)[0]


def answers(state: FleetState, asked: list[InLine], now: float) -> list[dict[str, Any]]:
    """What `holds_each` answers: the work is played through once for all of them."""
    held = {one.repo: limit_of(state, one.repo, now) for one in asked}
    # While a mode holds nobody knows when an operator will end it.
    timed = [one for one in asked if held[one.repo].limit != "mode"]
    found = drain.times_to_permits(
        loads(state, now), [(one.repo, one.position) for one in timed], capacity(state)
    )
    times = {one: time for one, time in zip(timed, found, strict=True) if time}
    return [
        {
            "repo": one.repo,
            **asdict(held[one.repo]),
            "mode": state.mode,
            "estimate": _not_before(times[one], held[one.repo].until - now)
            if one in times
            else None,
        }
        for one in asked
    ]


def _not_before(found: drain.Estimate, wait: float) -> dict[str, Any]:
    """The estimate of who must wait so many seconds anyway."""
    told: dict[str, Any] = asdict(found)
    for quantile in ("p50", "p90", "upper"):
        told[quantile] = max(told[quantile], wait)
    return told


def limit_of(state: FleetState, repo: str, now: float) -> Held:
    """The first limit that holds the repository's next waiter, the widest reason first.

    Mode, cool-down and rebuild stop everybody concerned; then come the repository's own limits,
    which no permit that others give back would mend; then the organization's and the fleet's.
    """
    org = org_of(repo)
    until = state.cooling.get(org, 0.0)
    if state.mode == "maintenance":
        reason = f" ({state.reason})" if state.reason else ""
        return Held("mode", f"the fleet is in maintenance{reason}: nothing is granted")
    if until > now:
        why = f"GitHub throttles {org}: nothing is granted to it for {until - now:.0f} s"
        return Held("cool-down", why, until)
    if state.unmet or not state.book.ready:
        return Held("rebuild", "the Fleet waits for every semaphore's word on what it holds")
    if repo in state.book.accounts and (why := silence(state, repo, now)):
        return Held("rebuild", why)
    return _own(state, repo) or _of_org(state, org) or _of_fleet(state, repo)


def _own(state: FleetState, repo: str) -> Held | None:
    account = state.book.accounts.get(repo)
    in_use = account.likely_in_use if account else 0
    limits = state.limits
    if in_use < limits.repo_cap(repo):
        return None
    own, share = limits.repos.get(repo, limits.default), limits.share_cap
    if own <= share:
        return Held("repo", f"{repo} is at its limit of {own} ({in_use} in use)")
    percent = f"{limits.max_repo_share:.0%} of {limits.max_runners}"
    return Held("share", f"{repo} is at its share of the fleet, {share} ({percent})")


def _of_org(state: FleetState, org: str) -> Held | None:
    of_org = {a.repo: a.reserved for a in state.book.accounts.values() if org_of(a.repo) == org}
    cap = state.limits.org_cap(org)
    if org not in state.limits.orgs or sum(of_org.values()) < cap:
        return None
    return Held("org", f"{org} is at its limit of {cap}{_holders(of_org)}")


def _of_fleet(state: FleetState, repo: str) -> Held:
    account = state.book.accounts.get(repo)
    if account and account.allotment > account.likely_in_use:
        return Held("none", "a permit is on its way to it")
    held = {a.repo: a.reserved for a in state.book.accounts.values()}
    most = capacity(state)
    if sum(held.values()) < most:
        return Held("none", "a permit is on its way to it")
    if most < state.limits.max_runners:
        cause = f": {lowered_by(state)}" if lowered_by(state) else ""
        why = f"back-pressure holds the fleet at {most} of {state.limits.max_runners}{cause}"
        return Held("back-pressure", why)
    return Held("fleet", f"all {most} permits of the fleet are out{_holders(held)}")


def _holders(held: dict[str, int]) -> str:
    """` (acme/a 3, acme/b 2, 4 others)`; empty if nobody holds any."""
    most = sorted((-n, repo) for repo, n in held.items() if n)
    if not most:
        return ""
    named = [f"{repo} {-n}" for n, repo in most[:HOLDERS_NAMED]]
    others = len(most) - HOLDERS_NAMED
    if others > 0:
        named.append(f"{others} others")
    return f" ({', '.join(named)})"
