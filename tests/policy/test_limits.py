"""Limits: what they mean, and that a bad change changes nothing."""

import copy
import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from policy.limits import (
    InvalidLimits,
    Limits,
    LimitsChange,
    LimitsMoved,
    after,
    check_match,
    difference,
    digest,
    merge,
    org_of,
    validate,
)
from policy.thresholds import Thresholds, ThresholdsChange

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


def test_changes_come_one_upon_the_other() -> None:
    """One that cannot be any more changes nothing; those behind it hold."""
    bad = LimitsChange(default=-1, max_runners=7)
    changes = [LimitsChange(max_runners=10), bad, LimitsChange(default=4)]
    assert after(LIMITS, changes) == replace(LIMITS, max_runners=10, default=4)
    assert after(LIMITS, []) == LIMITS


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


def test_a_digest_names_the_limits_whole() -> None:
    """Equal limits have one, whoever works it out; any other limit is another one."""
    first = digest(LIMITS)
    assert first == digest(asdict(LIMITS)) == digest(json.loads(json.dumps(asdict(LIMITS))))
    assert digest(Limits(max_repo_share=1)) == digest(Limits(max_repo_share=1.0))
    assert digest(Limits(repos={"a/b": 1, "c/d": 2})) == digest(Limits(repos={"c/d": 2, "a/b": 1}))
    for name, value in asdict(LIMITS).items():
        other = {**asdict(LIMITS), name: {"x/y": 7} if isinstance(value, dict) else value / 2}
        assert digest(other) != first, f"{name} has no part in it"


def test_a_change_meant_for_other_limits_is_refused() -> None:
    """It names those that hold; one meant for any goes through."""
    check_match(LIMITS, LimitsChange(default=1))
    check_match(LIMITS, LimitsChange(default=1, if_match=digest(LIMITS)))
    with pytest.raises(LimitsMoved) as caught:
        check_match(LIMITS, LimitsChange(default=1, if_match=digest(Limits(99))))
    assert caught.value.digest == digest(LIMITS)


def test_thresholds_change_like_limits() -> None:
    """What is None stays; the audit list names them."""
    change = LimitsChange(pressure=ThresholdsChange("reject", max_error_rate=0.1))
    merged = merge(LIMITS, change)
    assert merged.pressure == Thresholds("reject", 100, 80.0, 0.1)
    assert LIMITS.pressure == Thresholds()
    said = "pressure.max_error_rate 0.05 → 0.1, pressure.strategy queue → reject"
    assert difference(LIMITS, merged) == said


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"strategy": "drop"}, "pressure.strategy"),
        ({"max_queue_depth": 0}, "pressure.max_queue_depth"),
        ({"max_queue_depth": 1_000_001}, "pressure.max_queue_depth"),
        ({"max_queue_depth": 1.5}, "pressure.max_queue_depth"),
        ({"max_concurrency_percent": 0}, "pressure.max_concurrency_percent"),
        ({"max_concurrency_percent": 100.1}, "pressure.max_concurrency_percent"),
        ({"max_concurrency_percent": float("nan")}, "pressure.max_concurrency_percent"),
        ({"max_error_rate": True}, "pressure.max_error_rate"),
        ({"max_error_rate": 1.1}, "pressure.max_error_rate"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused_whole(change: dict[str, Any], key: str) -> None:
    """With its name."""
    with pytest.raises(InvalidLimits, match=key):
        merge(LIMITS, LimitsChange(max_runners=9, pressure=ThresholdsChange(**change)))


def test_a_digest_is_the_same_in_every_release() -> None:
    """An If-Match may have been written down: the text that it is of does not change."""
    assert digest(Limits(6, repos={"acme/a": 3})) == "c319e42851da03ed5edfa182351531c7"
    assert len(digest(Limits())) == 32
    assert str(LimitsMoved("x")).startswith("the limits are no longer those")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_runners=-1), "max_runners must be a whole number from 0 to 10000, not -1"),
        (Limits(default=-1), "default must be a whole number from 0 to 10000, not -1"),
        (Limits(max_repo_share=0), "max_repo_share must be above 0 and at most 1, not 0"),
        (Limits(repos={"a": 1}), "repos: 'a' must be 'owner/repo' in lower case"),
        (Limits(weights={"a": 1}), "weights: 'a' must be 'owner/repo' in lower case"),
        (
            Limits(weights={"a/b": 101}),
            "weights.a/b must be a number from 0.01 to 100, not 101",
        ),
        (
            Limits(pressure=Thresholds(max_queue_depth=0)),
            "pressure.max_queue_depth must be a whole number from 1 to 1000000, not 0",
        ),
        (
            Limits(pressure=Thresholds(max_concurrency_percent=0)),
            "pressure.max_concurrency_percent must be above 0 and at most 100, not 0",
        ),
        (
            Limits(pressure=Thresholds(max_error_rate=0)),
            "pressure.max_error_rate must be above 0 and at most 1, not 0",
        ),
    ],
)
def test_a_refusal_names_the_limit_and_what_it_takes(limits: Limits, said: str) -> None:
    """To the letter: an operator reads it and mends the file."""
    with pytest.raises(InvalidLimits) as caught:
        validate(limits)
    assert str(caught.value) == said


def test_the_outermost_limits_are_taken() -> None:
    """Both ends of each range."""
    validate(Limits(10_000, 1, 10_000, {"a/b": 10_000}, {"a": 10_000}, {"a/b": 100, "a/c": 0.01}))
    for depth in (1, 1_000_000):
        validate(Limits(0, pressure=Thresholds("queue", depth, 100, 1)))
