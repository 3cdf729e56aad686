"""Why a repository gets no further permit: the limit that is named is the one that holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import allotment, explain, fleet
from policy.allocation import Demand, Snapshot, allocate
from policy.allotment import Account
from policy.explain import InLine
from policy.fleet import CapacityChange, FleetState, ModeChange
from policy.limits import Limits, org_of
from policy.messages import Waiting

NOW = 1000.0


def state(limits: Limits, **in_use: int) -> FleetState:
    """A settled Fleet in which repositories (`acme__a`) use permits, and nothing is on its way."""
    made = FleetState(limits)
    made.book.epoch = "f1"
    for name, n in in_use.items():
        repo = name.replace("__", "/")
        made.book.accounts[repo] = Account(
            repo, "e1", in_use=n, likely_in_use=n, allotment=n, outstanding={0: n}
        )
    return made


@pytest.mark.parametrize(
    ("limits", "in_use", "limit", "why"),
    [
        (Limits(9, 1.0, 2), {"acme__a": 2}, "repo", "acme/a is at its limit of 2 (2 in use)"),
        (Limits(4, 0.5, 3), {"acme__a": 2}, "share", "share of the fleet, 2 (50% of 4)"),
        (
            Limits(9, 1.0, 3, orgs={"acme": 2}),
            {"acme__a": 1, "acme__b": 1},
            "org",
            "acme is at its limit of 2 (acme/a 1, acme/b 1)",
        ),
        (
            Limits(5, 1.0, 3),
            {"acme__a": 1, "b__b": 2, "c__c": 1, "d__d": 1},
            "fleet",
            "all 5 permits of the fleet are out (b/b 2, acme/a 1, c/c 1, 1 others)",
        ),
        (Limits(5, 1.0, 3), {"acme__a": 1, "b__b": 2}, "none", "on its way"),
        (Limits(0, 1.0, 3), {}, "fleet", "all 0 permits of the fleet are out"),
    ],
)
def test_the_limit_that_holds_is_named(
    limits: Limits, in_use: dict[str, int], limit: str, why: str
) -> None:
    """With its number, and with those who have the permits."""
    held = explain.limit_of(state(limits, **in_use), "acme/a", NOW)
    assert held.limit == limit
    assert why in held.why


def test_what_stops_everybody_comes_first() -> None:
    """Maintenance, then a pause of the organization, then a rebuild, then the limits."""
    made = state(Limits(9, 1.0, 2), acme__a=2)
    made.unmet = True
    assert explain.limit_of(made, "acme/a", NOW).limit == "rebuild"
    made.unmet = False
    made.book.accounts["acme/a"].settled = False
    assert explain.limit_of(made, "acme/a", NOW).limit == "rebuild"
    fleet.cool_down(made, "acme", NOW + 60)
    held = explain.limit_of(made, "acme/a", NOW)
    assert (held.limit, held.until) == ("cool-down", NOW + 60)
    assert explain.limit_of(made, "beta/a", NOW).limit == "rebuild"
    fleet.set_mode(made, "maintenance", ModeChange("new disks"), NOW)
    held = explain.limit_of(made, "acme/a", NOW)
    assert (held.limit, "(new disks)" in held.why) == ("mode", True)
    made.reason = ""
    assert explain.limit_of(made, "acme/a", NOW).why.startswith("the fleet is in maintenance:")


def test_back_pressure_is_told_from_a_full_fleet() -> None:
    """With its cause, if it has one."""
    made = state(Limits(8, 1.0, 4), acme__a=1, acme__b=1)
    fleet.set_effective(made, CapacityChange(2, "launches fail"))
    held = explain.limit_of(made, "acme/a", NOW)
    assert held.limit == "back-pressure"
    assert held.why == "back-pressure holds the fleet at 2 of 8: launches fail"
    fleet.set_effective(made, CapacityChange(2))
    assert explain.limit_of(made, "acme/a", NOW).why.endswith("2 of 8")


def test_an_allotment_that_is_not_used_yet_is_on_its_way() -> None:
    """Whatever the sums say."""
    made = state(Limits(2, 1.0, 2), acme__a=0, acme__b=1)
    made.book.accounts["acme/a"].outstanding = {0: 0, 1: 1}
    made.book.accounts["acme/a"].allotment = 1
    assert explain.limit_of(made, "acme/a", NOW).limit == "none"


def test_the_answer_has_an_estimate_unless_an_operator_decides() -> None:
    """Never shorter than a pause that is known."""
    made = state(Limits(2, 1.0, 1), acme__a=1)
    made.book.accounts["acme/a"].running_since = [NOW - 5]
    told = explain.answer(made, "acme/a", 2, NOW)
    assert (told["limit"], told["mode"]) == ("repo", "normal")
    assert 0 < told["estimate"]["p50"] <= told["estimate"]["p90"]
    fleet.cool_down(made, "acme", NOW + 9e5)
    assert explain.answer(made, "acme/a", 2, NOW)["estimate"]["p50"] == 9e5
    fleet.set_mode(made, "maintenance", ModeChange(), NOW)
    assert explain.answer(made, "acme/a", 2, NOW)["estimate"] is None


def test_many_places_are_told_at_once_in_the_order_asked() -> None:
    """Each as it is told alone; a pause of one organization is not the others'."""
    made = state(Limits(2, 1.0, 1, repos={"acme/none": 0}), acme__a=1, acme__none=0, beta__b=1)
    for account in made.book.accounts.values():
        account.running_since = [NOW - 5]
    fleet.cool_down(made, "acme", NOW + 9e5)
    asked = [InLine("beta/b", 2), InLine("acme/a"), InLine("beta/b", 2), InLine("acme/none")]
    told = explain.answers(made, asked, NOW)
    assert told[0] == told[2]
    assert told[0]["why"] == explain.answer(made, "beta/b", 2, NOW)["why"]
    assert told[1]["why"] == explain.answer(made, "acme/a", 1, NOW)["why"]
    assert [one["repo"] for one in told] == [one.repo for one in asked]
    assert [one["limit"] for one in told] == ["repo", "cool-down", "repo", "cool-down"]
    assert told[0]["estimate"]["p50"] < told[1]["estimate"]["p50"] == 9e5
    assert told[3]["estimate"] is None
    assert explain.answers(made, [], NOW) == []


REPOS = ("acme/a", "acme/b", "beta/c")


@given(
    st.builds(
        Limits,
        max_runners=st.integers(0, 6),
        max_repo_share=st.sampled_from([0.3, 0.5, 1.0]),
        default=st.integers(0, 4),
        orgs=st.dictionaries(st.sampled_from(["acme", "beta"]), st.integers(0, 4)),
    ),
    st.dictionaries(st.sampled_from(REPOS), st.integers(0, 3)),
    st.one_of(st.none(), st.integers(1, 6)),
    st.sampled_from(REPOS),
)
def test_the_named_limit_is_true_and_none_means_that_nothing_holds(
    limits: Limits,
    in_use: dict[str, int],
    effective: int | None,
    repo: str,
) -> None:
    """Against `allocate` itself: it gives the repository's only waiter a permit or it does not."""
    made = state(limits, **{name.replace("/", "__"): n for name, n in in_use.items()})
    fleet.set_effective(made, CapacityChange(effective))
    held = explain.limit_of(made, repo, NOW)
    demands = [Demand(r, n) for r, n in in_use.items() if r != repo]
    demands.append(Demand(repo, in_use.get(repo, 0), [Waiting("normal", 1, NOW)]))
    granted = allocate(Snapshot(limits, fleet.capacity(made), demands), NOW)[repo]
    assert (granted > in_use.get(repo, 0)) is (held.limit == "none")
    used = in_use.get(repo, 0)
    of_org = sum(n for r, n in in_use.items() if org_of(r) == org_of(repo))
    assert {
        "repo": used >= limits.repos.get(repo, limits.default),
        "share": used >= limits.share_cap,
        "org": of_org >= limits.org_cap(org_of(repo)),
        "back-pressure": sum(in_use.values()) >= fleet.capacity(made) < limits.max_runners,
        "fleet": sum(in_use.values()) >= fleet.capacity(made),
        "none": True,
    }[held.limit]


def test_a_word_that_is_owed_does_not_count_as_free() -> None:
    """Permits on their way back are not free yet."""
    made = state(Limits(2, 1.0, 2), acme__a=0, beta__c=2)
    allot = allotment.rebalance(made.book, made.limits, 2, NOW, {})
    assert allot == []
    made.book.accounts["beta/c"].outstanding[1] = 1
    assert explain.limit_of(made, "acme/a", NOW).limit == "fleet"
