"""Rules that break things on purpose: which of many, how often, what then."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.state.model import Json

DELIVERY_KINDS = ("lose", "vanish", "late", "duplicate", "delay", "reorder", "bad_signature")
API_KINDS = ("status", "lost_answer", "slow", "primary_limit", "secondary_limit")
_DELIVERY_MATCH = {"event", "action", "owner", "repo", "job_id", "nth", "redelivery"}
_API_FIELDS = {"path_prefix", "route", "method", "nth", "status", "retry_after", "message"}
_COMMON = {"kind", "times", "seconds"}


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault; `times` 0 means always, `seen` counts what it matched, `used` what it broke."""

    id: int
    kind: str
    times: int = 1
    nth: int = 0
    wanted: Json
    match: Json = field(default_factory=dict[str, Any])
    seen: int = 0
    used: int = 0

    def strikes(self) -> bool:
        """Count one match; True if this one is to break."""
        self.seen += 1
        if self.nth and self.seen != self.nth:
            return False
        if self.times and self.used >= self.times:
            return False
        self.used += 1
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter of the fault."""
        return self.wanted.get(name, default)

    def view(self) -> Json:
        return {**self.wanted, "id": self.id, "used": self.used}


class Faults:
    """All rules, oldest first: the first that matches and is not used up strikes."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._ids = itertools.count(1)

    def add(self, wanted: Json) -> Rule:
        """Add a rule; ValueError says what is wrong with it."""
        kind: Any = wanted.get("kind")
        match: Json = wanted.get("match", {})
        unknown = set(wanted) - _COMMON
        if kind in DELIVERY_KINDS:
            unknown = (unknown - {"match", "new_guid"}) | (set(match) - _DELIVERY_MATCH)
        elif kind in API_KINDS:
            unknown -= _API_FIELDS
        else:
            raise ValueError(f"kind must be one of {', '.join(DELIVERY_KINDS + API_KINDS)}")
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        rule = Rule(
            id=next(self._ids),
            kind=kind,
            times=int(wanted.get("times", 1)),
            nth=int(match.get("nth", wanted.get("nth", 0))),
            wanted=dict(wanted),
            match={key: value for key, value in match.items() if key != "nth"},
        )
        self.rules.append(rule)
        return rule

    def clear(self, rule_id: int | None = None) -> int:
        """Delete one rule or all; say how many went."""
        before = len(self.rules)
        self.rules = [one for one in self.rules if rule_id is not None and one.id != rule_id]
        return before - len(self.rules)

    def for_delivery(self, facts: Mapping[str, Any]) -> Rule | None:
        """The rule that breaks this delivery, if one does."""

        def fits(rule: Rule) -> bool:
            wanted = {"redelivery": False} | rule.match
            return all(_same(facts.get(name), value) for name, value in wanted.items())

        return self._first(DELIVERY_KINDS, fits)

    def for_call(self, method: str, path: str, route: str) -> Rule | None:
        """The rule that breaks this API call, if one does."""

        def fits(rule: Rule) -> bool:
            return (
                path.startswith(str(rule.get("path_prefix", "/")))
                and rule.get("route", route) == route
                and str(rule.get("method", method)).upper() == method
            )

        return self._first(API_KINDS, fits)

    def _first(self, kinds: tuple[str, ...], fits: Callable[[Rule], bool]) -> Rule | None:
        for rule in self.rules:
            if rule.kind in kinds and fits(rule) and rule.strikes():
                return rule
        return None


def _same(fact: Any, wanted: Any) -> bool:
    if isinstance(fact, str) and isinstance(wanted, str):
        return fact.lower() == wanted.lower()
    return fact == wanted
