"""The Fleet's answer for metrics: numbers only, small enough for thousands of repositories."""

from typing import Any

from policy import drain, fleet, launches
from policy.fleet import FleetState
from policy.limits import org_of


def gauges(state: FleetState, now: float, *, estimate: bool = True) -> dict[str, Any]:
    """What metrics are made of (policy/figures.py), in one answer, a short row a repository.

    Without `estimate` it has no `drain`: with thousands of repositories that is nearly all of the
    work (1.3 s of 10,000), and the Fleet does nothing else meanwhile.
    """
    told = fleet.overview(state, now)
    seen = launches.tally(fleet.spans(state), now - launches.WINDOW_SECONDS)
    return {
        **{
            key: told[key]
            for key in ("mode", "running", "waiting", "capacity", "max_runners", "error_rate")
        },
        "max_queue_depth": state.limits.pressure.max_queue_depth,
        "max_error_rate": state.limits.pressure.max_error_rate,
        "launches": seen.samples,
        "cooling": len(told["cooling"]),
        **(_drain(state, now) if estimate else {}),
        "last_drain_seconds": state.last_drain_seconds,
        "repos": [
            [
                a.repo,
                a.likely_in_use,
                a.backlog,
                state.limits.repo_cap(a.repo),
                state.limits.org_cap(org_of(a.repo)),
                round(max((now - g.oldest for g in a.waiting), default=0.0), 1),
            ]
            for a in sorted(state.book.accounts.values(), key=lambda a: a.repo)
        ],
    }


def _drain(state: FleetState, now: float) -> dict[str, Any]:
    whole = drain.forecast(fleet.loads(state, now), fleet.capacity(state)).whole
    return {"drain": {"p50": whole.p50, "p90": whole.p90}}
