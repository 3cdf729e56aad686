"""Three answers put together: who does not answer leaves a gap that is named."""

import pytest

from api.explain import compose
from commands.explain import lines

TOLD = {
    "repo": "acme/api",
    "job_id": "7",
    "state": "queued",
    "priority": "normal",
    "permit": "waiting",
    "why": "it waits for a permit of its repository",
    "waited_seconds": 12.0,
    "not_before": 0.0,
    "runner": {"name": "", "state": "none"},
}
PLACE = {"repo": "acme/api", "position": 2, "waiting": 5, "priority_now": "high"}
ESTIMATE = {"p50": 30.0, "p90": 60.0, "upper": 99.0, "method": "repository", "samples": 40}
HELD = {"limit": "repo", "why": "acme/api is at its limit of 2 (2 in use)", "estimate": ESTIMATE}


@pytest.mark.parametrize(
    ("told", "place", "held", "limit", "why"),
    [
        ({}, PLACE, HELD, "repo", f"2 of 5 in line of acme/api; {HELD['why']}"),
        ({}, PLACE, None, "unknown", "2 of 5 in line of acme/api; the Fleet does not answer"),
        ({}, None, HELD, "repo", f"its semaphore does not answer; {HELD['why']}"),
        (
            {},
            {**PLACE, "position": 0, "priority_now": ""},
            HELD,
            "repo",
            f"its semaphore has not heard of it yet; {HELD['why']}",
        ),
        (
            {"not_before": 2000.0, "why": "no runner token: GitHub throttles"},
            PLACE,
            HELD,
            "not-before",
            "2 of 5 in line of acme/api; no runner token: GitHub throttles",
        ),
        ({"not_before": 900.0}, PLACE, HELD, "repo", f"2 of 5 in line of acme/api; {HELD['why']}"),
    ],
)
def test_gaps_are_named(told, place, held, limit, why):
    """The limit is the Fleet's word unless the job itself may take no permit yet."""
    found = compose({**TOLD, **told}, place, held, 1000.0)
    assert (found["limit"], found["why"]) == (limit, why)
    assert found["position"] == (place["position"] or None if place else None)
    assert found["estimate"] == (ESTIMATE if held else None)


def test_who_does_not_answer_is_named_with_what_to_look_at():
    """Where that is known."""
    why = "is a worker running (penstock worker)?"
    found = compose(TOLD, None, None, 1000.0, semaphore="its task fails", fleet=why)
    assert found["why"] == (
        f"its semaphore does not answer: its task fails; the Fleet does not answer: {why}"
    )


def test_it_reads_well_in_a_few_lines():
    """With the estimate, and without one."""
    answer = {**TOLD, **compose(TOLD, PLACE, HELD, 1000.0)}
    assert lines(answer) == [
        "job 7 of acme/api: queued, priority normal, permit waiting",
        f"why: 2 of 5 in line of acme/api; {HELD['why']}",
        "limit: repo · waited 12 s",
        "its permit comes in about 30 s (90 %: 60 s; by repository, 40 samples)",
    ]
    assert len(lines({**TOLD, **compose(TOLD, None, None, 1000.0)})) == 3
    runs = {**TOLD, "permit": "held", "runner": {"name": "penstock-7-1", "state": "busy"}}
    assert lines(runs)[-1] == "runner: penstock-7-1 (busy)"
