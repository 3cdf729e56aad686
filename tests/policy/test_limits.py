"""Limits: what they mean, and that a bad change changes nothing."""

import copy
from typing import Any

import pytest

from policy.limits import (
    InvalidLimits,
    Limits,
    LimitsChange,
    difference,
    merge,
    org_of,
    validate,
)

LIMITS = Limits(8, 0.5, 2, {"acme/a": 5, "acme/b": 0}, {"acme": 6, "beta": 99})


@pytest.mark.parametrize(
    ("repo", "cap"), [("acme/a", 4), ("acme/b", 0), ("acme/c", 2), ("beta/a", 2)]
)
def test_a_repository_has_its_own_limit_and_its_share(repo: str, cap: int) -> None:
    """The lower of both; the default if none is set."""
    assert LIMITS.repo_cap(repo) == cap


def test_a_share_is_one_permit_at_least() -> None:
    """A small fleet is not shared out to nobody."""
    assert Limits(1, 0.1).repo_cap("acme/a") == 1


def test_an_organization_never_has_more_than_the_fleet() -> None:
    """Its own limit, or the whole."""
    assert [LIMITS.org_cap(org) for org in ("acme", "beta", "gamma")] == [6, 8, 8]
    assert org_of("acme/a") == "acme"


def test_a_change_changes_what_it_names() -> None:
    """What is None stays, a null unsets, names are lower case."""
    change = LimitsChange(max_runners=10, repos={"Acme/C": 3, "acme/a": None}, orgs={"acme": None})
    assert merge(LIMITS, change) == Limits(10, 0.5, 2, {"acme/b": 0, "acme/c": 3}, {"beta": 99})
    assert merge(LIMITS, LimitsChange(max_repo_share=1.0, default=4)) == Limits(
        8, 1.0, 4, LIMITS.repos, LIMITS.orgs
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"max_runners": -1}, "max_runners"),
        ({"max_runners": True}, "max_runners"),
        ({"max_runners": 2.5}, "max_runners"),
        ({"max_runners": 10_001}, "max_runners"),
        ({"default": -1}, "default"),
        ({"default": "2"}, "default"),
        ({"max_repo_share": 0}, "max_repo_share"),
        ({"max_repo_share": 1.01}, "max_repo_share"),
        ({"max_repo_share": True}, "max_repo_share"),
        ({"max_repo_share": float("nan")}, "max_repo_share"),
        ({"max_repo_share": "half"}, "max_repo_share"),
        ({"repos": {"acme": 1}}, "acme"),
        ({"repos": {"acme/a/b": 1}}, "acme/a/b"),
        ({"repos": {"/a": 1}}, "/a"),
        ({"repos": {"acme/": 1}}, "acme/"),
        ({"repos": {"acme/ok": 1, "acme/x": -1}}, "repos.acme/x"),
        ({"orgs": {"": 1}}, "orgs"),
        ({"orgs": {"acme/a": 1}}, "acme/a"),
        ({"orgs": {"acme": True}}, "orgs.acme"),
        ({"weights": {"acme": 1}}, "acme"),
        ({"weights": {"acme/a": 0}}, "weights.acme/a"),
        ({"weights": {"acme/a": 101}}, "weights.acme/a"),
        ({"weights": {"acme/a": True}}, "weights.acme/a"),
        ({"weights": {"acme/a": float("nan")}}, "weights.acme/a"),
        ({"weights": {"acme/a": "2"}}, "weights.acme/a"),
    ],
)
def test_a_bad_value_is_refused_whole_and_named(change: dict[str, Any], key: str) -> None:
    """The message names the key; nothing of the change holds."""
    before = copy.deepcopy(LIMITS)
    with pytest.raises(InvalidLimits, match=key.replace(".", r"\.")):
        merge(LIMITS, LimitsChange(**{"default": 3, **change}))
    assert before == LIMITS


@pytest.mark.parametrize("limits", [Limits(repos={"Acme/a": 1}), Limits(orgs={"Acme": 1})])
def test_names_are_lower_case(limits: Limits) -> None:
    """As they are compared."""
    with pytest.raises(InvalidLimits, match="lower case"):
        validate(limits)


def test_nothing_may_run_at_all() -> None:
    """Zero is a limit like any other."""
    validate(Limits(0, 0.5, 0, {"acme/a": 0}, {"acme": 0}))


def test_many_caps_are_as_one() -> None:
    """Repositories configured ahead of their first job included."""
    repos = ["acme/a", "acme/b", "acme/c"]
    assert LIMITS.repo_caps(repos) == {repo: LIMITS.repo_cap(repo) for repo in repos}
    assert LIMITS.repo_caps([]) == {}


def test_weights_are_set_and_unset() -> None:
    """Like the limits of repositories."""
    heavy = merge(LIMITS, LimitsChange(weights={"Acme/A": 2.5}))
    assert heavy.weights == {"acme/a": 2.5}
    assert merge(heavy, LimitsChange(weights={"acme/a": None})) == LIMITS


def test_a_difference_names_what_changed() -> None:
    """For the audit list: short however many limits there are."""
    changed = merge(
        LIMITS, LimitsChange(max_runners=12, repos={"acme/a": None, "x/y": 1}, weights={"x/y": 2})
    )
    assert difference(LIMITS, changed) == (
        "max_runners 8 → 12, repos.acme/a 5 → unset, repos.x/y unset → 1, weights.x/y unset → 2"
    )
    assert difference(LIMITS, LIMITS) == "nothing"
