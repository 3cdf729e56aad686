"""Which priority a job gets, and why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.admission import JobEvent
from policy.priority import PRIORITIES
from policy.priority_rules import DEFAULT_RULES, Priorities, Rule, classify, matches

EVENT = JobEvent(
    "queued",
    "Acme",
    "acme/api",
    "7",
    ["self-hosted", "Linux"],
    branch="feature/x",
    default_branch="trunk",
    workflow="CI",
)


@pytest.mark.parametrize(
    ("facts", "priority"),
    [
        ({}, "normal"),
        ({"branch": ""}, "normal"),
        ({"branch": "trunk"}, "high"),
        ({"branch": "main"}, "normal"),  # here the default branch is called trunk
        ({"branch": "main", "default_branch": ""}, "high"),
        ({"branch": "Trunk"}, "normal"),  # branches mind case
        ({"branch": "release/1.2"}, "high"),
        ({"branch": "release-1.2"}, "high"),
        ({"branch": "releases/2026/11"}, "high"),
        ({"branch": "v1.2.3"}, "high"),
        ({"branch": "very-new"}, "normal"),
        ({"branch": "prerelease/x"}, "normal"),
        ({"environment": "production"}, "critical"),
        ({"environment": "Prod-EU"}, "critical"),
        ({"environment": "eu-prod", "branch": "wip/x"}, "critical"),
        ({"environment": "products"}, "normal"),
        ({"environment": "staging", "branch": "trunk"}, "high"),
        ({"branch": "experimental/gpu"}, "low"),
        ({"branch": "users/ada/idea"}, "low"),
        ({"branch": "experimental"}, "normal"),
    ],
)
def test_the_defaults(facts: dict[str, str], priority: str) -> None:
    """Production first, the default branch and releases before the rest, experiments last."""
    assert classify(replace(EVENT, **facts), Priorities()).priority == priority


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (Rule("low"), True),
        (Rule("low", repo="ACME/*"), True),
        (Rule("low", repo="acme/web"), False),
        (Rule("low", branch="feature/*"), True),
        (Rule("low", branch="@default"), False),
        (Rule("low", workflow="ci"), True),
        (Rule("low", workflow="deploy*"), False),
        (Rule("low", environment="*"), False),  # none was named
        (Rule("low", labels=("linux",)), True),
        (Rule("low", labels=("linux", "gpu")), False),
        (Rule("low", repo="acme/*", branch="feature/*", workflow="CI", labels=("LINUX",)), True),
    ],
)
def test_all_conditions_of_a_rule_must_hold(rule: Rule, holds: bool) -> None:
    """An empty one holds always."""
    assert matches(rule, EVENT) is holds


def test_the_first_rule_that_matches_decides_and_is_named() -> None:
    """The operator's rules stand before the defaults."""
    rules = (Rule("low", repo="acme/*", branch="@default"), *DEFAULT_RULES)
    found = classify(replace(EVENT, branch="trunk"), Priorities(rules))
    assert (found.priority, found.why) == ("low", "repo acme/*, branch @default")
    assert classify(EVENT, Priorities((Rule("high"),))).why == "any job"
    assert classify(EVENT, Priorities(())).why == "no rule matches"


def test_the_payload_may_say_it_if_it_is_trusted() -> None:
    """A word that is no priority is no word."""
    asked = replace(EVENT, priority=" Critical ", branch="wip/x")
    assert classify(asked, Priorities()).priority == "critical"
    assert classify(asked, Priorities()).why == "the payload says so"
    assert classify(asked, Priorities(trust_payload=False)).priority == "low"
    assert classify(replace(asked, priority="urgent"), Priorities()).priority == "low"


TEXT = st.text(max_size=12)


@given(
    st.builds(
        Rule,
        priority=st.sampled_from(PRIORITIES),
        repo=TEXT,
        branch=st.one_of(TEXT, st.just("@default")),
        workflow=TEXT,
        environment=TEXT,
        labels=st.lists(TEXT, max_size=2).map(tuple),
    ),
    TEXT,
    TEXT,
    TEXT,
)
def test_any_event_gets_a_priority_and_a_reason(
    rule: Rule, branch: str, workflow: str, asked: str
) -> None:
    """Whatever names people think of: no error, no unknown level, one of the two ways."""
    event = replace(EVENT, branch=branch, workflow=workflow, priority=asked)
    found = classify(event, Priorities((rule,), trust_payload=False))
    assert found.why
    assert found.priority == (rule.priority if matches(rule, event) else "normal")
