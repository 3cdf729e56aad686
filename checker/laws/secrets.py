"""L10 no secret stands in a history, nor in any text handed in."""

import re
from collections.abc import Iterable
from typing import Any, cast

from checker.evidence import Evidence, Violation

# Formats: docs.github.com "About authentication to GitHub" (token prefixes); RFC 7515 (JWT:
# base64url of `{"` begins with eyJ); RFC 7468 (PEM); GitHub's answer to generate-jitconfig.
PATTERNS = {
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9_]{16,}|github_pat_[A-Za-z0-9_]{20,})",
    "a JSON web token": r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a runner's JIT configuration": r"encoded_jit_config",
}
KINDS = tuple(PATTERNS)


def no_secret(evidence: Evidence) -> list[Violation]:
    """L10. Names the event and the kind of secret, and never repeats the secret."""
    canaries = sorted({word for word in evidence.canaries if word}, key=len, reverse=True)
    parts = [f"({pattern})" for pattern in PATTERNS.values()]
    if canaries:
        parts.append(f"({'|'.join(re.escape(word) for word in canaries)})")
    pattern = re.compile("|".join(parts))
    broken: list[Violation] = []
    for history in evidence.histories:
        # One search a history; only one that has a secret is looked at event by event.
        if not pattern.search("\n".join(_strings(event.attributes for event in history.events))):
            continue
        for event in history.events:
            found = pattern.search("\n".join(_strings([event.attributes])))
            if found:
                why = f"{_kind(found)} stands in event {event.id}, {event.type}"
                broken.append(Violation("L10", history.workflow_id, event.time, why))
    for name, text in evidence.texts.items():
        found = pattern.search(text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            why = f"{_kind(found)} stands in line {line}"
            broken.append(Violation("L10", name, evidence.now, why))
    return broken


def _kind(found: re.Match[str]) -> str:
    place = (found.lastindex or 1) - 1
    return KINDS[place] if place < len(KINDS) else "one of the run's own secrets"


def _strings(values: Iterable[Any]) -> Iterable[str]:
    """Every text in the values, keys too, in no useful order."""
    stack: list[Any] = list(values)
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            table = cast(dict[str, Any], value)
            stack.extend(table)
            stack.extend(table.values())
        elif isinstance(value, list):
            stack.extend(cast(list[Any], value))
