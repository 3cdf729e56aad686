"""Which priority a job gets: the payload's own word, then the operator's rules, then the defaults.

The first rule whose conditions all hold decides. Patterns are globs in which `*` matches `/` too;
only branches mind case, as at GitHub. What a name can be trusted for: docs/priorities.md.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from policy.admission import JobEvent
from policy.priority import DEFAULT_PRIORITY, PRIORITIES

DEFAULT_BRANCH = "@default"  # in a rule: whatever the repository's default branch is called
ASSUMED_DEFAULT_BRANCHES = ("main", "master")  # for old payloads that do not name it


@dataclass(frozen=True)
class Rule:
    """A priority and its conditions; an empty condition holds always, `labels` means all of them.

    `environment` is the deployment environment that GitHub names in the event.
    """

    priority: str
    repo: str = ""
    branch: str = ""
    workflow: str = ""
    environment: str = ""
    labels: tuple[str, ...] = ()

    @property
    def conditions(self) -> str:
        """What must hold, for people: `repo acme/*, branch @default`."""
        texts = (
            ("repo", self.repo),
            ("branch", self.branch),
            ("workflow", self.workflow),
            ("environment", self.environment),
            ("labels", " ".join(self.labels)),
        )
        return ", ".join(f"{name} {text}" for name, text in texts if text) or "any job"


DEFAULT_RULES = (
    *(
        Rule("critical", environment=pattern)
        for pattern in ("prod", "production", "prod-*", "production-*", "*-prod", "*-production")
    ),
    *(
        Rule("low", branch=pattern)
        for pattern in (
            "experiment/*",
            "experimental/*",
            "exp/*",
            "spike/*",
            "wip/*",
            "sandbox/*",
            "personal/*",
            "user/*",
            "users/*",
        )
    ),
    *(
        Rule("high", branch=pattern)
        for pattern in (DEFAULT_BRANCH, "release", "release/*", "releases/*", "release-*")
    ),
    Rule("high", branch="v[0-9]*"),  # a tag, which GitHub names where a branch stands
)


@dataclass(frozen=True)
class Priorities:
    """The rules in force; `trust_payload`: a `priority` in the payload goes before them."""

    rules: tuple[Rule, ...] = DEFAULT_RULES
    trust_payload: bool = True


@dataclass(frozen=True)
class Classified:
    """A priority and why."""

    priority: str
    why: str


def classify(event: JobEvent, priorities: Priorities) -> Classified:
    """The priority of a job."""
    asked = event.priority.strip().lower()
    if priorities.trust_payload and asked in PRIORITIES:
        return Classified(asked, "the payload says so")
    for rule in priorities.rules:
        if matches(rule, event):
            return Classified(rule.priority, rule.conditions)
    return Classified(DEFAULT_PRIORITY, "no rule matches")


def matches(rule: Rule, event: JobEvent) -> bool:
    """Whether every condition of the rule holds for the job."""
    labels = {label.lower() for label in event.labels}
    return (
        _named(rule.repo, event.repo)
        and (not rule.branch or _branch(rule.branch, event))
        and _named(rule.workflow, event.workflow)
        and _named(rule.environment, event.environment)
        and all(label.lower() in labels for label in rule.labels)
    )


def _named(pattern: str, name: str) -> bool:
    """No condition, or one that a name fulfils; what the event does not name fulfils none."""
    return not pattern or (bool(name) and fnmatchcase(name.lower(), pattern.lower()))


def _branch(pattern: str, event: JobEvent) -> bool:
    if not event.branch:
        return False
    if pattern != DEFAULT_BRANCH:
        return fnmatchcase(event.branch, pattern)
    if event.default_branch:
        return event.branch == event.default_branch
    return event.branch in ASSUMED_DEFAULT_BRANCHES
