"""What the tests plant before they search: secrets that nobody may read, and a mark to be found.

A search that looks nowhere finds no secret either. So it is made twice, with the secrets and with
the mark, by the same law of the checker: the mark must be found in every kind of place.
"""

from collections.abc import Mapping, Sequence

from activities.clients.sealing import Sealer
from checker.evidence import Evidence
from checker.history import History
from checker.laws.secrets import no_secret
from tests.activities.aws import ENVIRONMENT

MARK = "a-harmless-mark"
MARKED = f"{MARK}/api"  # a repository: its name goes almost everywhere by itself
ECHO = "ghp_anEchoOfASecret0123456789abcdefghij"  # GitHub's own messages quote it
# What gateway and worker find in their environment: what they need, and what an operator's shell
# has besides. Nobody can take it out of what the kernel shows of them; nobody else may inherit it.
OF_AWS = {key: ENVIRONMENT[key] for key in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
GIVEN = {**OF_AWS, "GITHUB_TOKEN": "ghp_ofAnOperatorsShell0123456789abcdefg"}
# What a keeper and a runner inherit too: it shows that their environment is looked at.
INHERITED = {"LC_OF_PENSTOCKS_TESTS": MARK}


def place(name: str) -> str:
    """The kind of place of a text that is named `place: which`."""
    return name.partition(": ")[0]


def found(
    words: Sequence[str], texts: Mapping[str, str], histories: Sequence[History] = ()
) -> list[str]:
    """Where any of the words or a secret by its looks stands: text or workflow, and line."""
    return [
        f"{violation.subject}: {violation.message}"
        for violation in no_secret(Evidence(histories, canaries=words, texts=texts))
    ]


def unmarked(texts: Mapping[str, str]) -> set[str]:
    """The kinds of places where the mark is not found."""
    evidence = Evidence([], canaries=[MARK], texts=texts)
    return set(map(place, texts)) - {place(one.subject) for one in no_secret(evidence)}


def tokens_in(items: Sequence[Mapping[str, Mapping[str, str]]], key: str) -> list[str]:
    """The tokens of a table's items, by the key that seals them: none lies there open."""
    sealer = Sealer({"first": key})
    opened = [
        sealer.open(item["secret"]["S"], item["cacheKey"]["S"])
        for item in items
        if "secret" in item
    ]
    assert None not in opened, "sealed by another key"
    return [token for token in opened if token]


def known(tokens: Sequence[str], canaries: Sequence[str]) -> bool:
    """Whether there are tokens, and each is one that is searched for, or made of such."""
    return bool(tokens) and all(any(word in token for word in canaries) for token in tokens)
