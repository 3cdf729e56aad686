"""How the meter's gates and buckets lie in the token store."""

from dataclasses import asdict, fields
from typing import Any

from activities.token_store import Change, Record
from policy import gate as gates
from policy.gate import Gate
from policy.limits import org_of

GATE_KEPT_SECONDS = 2 * gates.LONGEST_PAUSE_SECONDS


# A colon is in no owner's name: so no record here is ever taken for a repository's token.
def gate_key(identity: str) -> str:
    """Where the gate of an identity lies."""
    return f"gate:{identity}"


def org_key(repo: str) -> str:
    """Where the bucket of the repository's organization lies."""
    return f"calls:{org_of(repo)}"


def repo_key(repo: str) -> str:
    """Where the repository's own bucket lies."""
    return f"calls:{repo.replace('/', '#', 1)}"


def of_bucket(key: str, record: Record | None, arrival: float) -> Change:
    """A bucket's next state. One whose arrival time has passed is full: as good as none."""
    return Change(key, record.version if record else 0, {"arrival": arrival}, "", arrival)


def of_gate(key: str, record: Record | None, gate: Gate, now: float) -> Change:
    """A gate's next state; it is kept for a while after its pause, for how often it refused."""
    kept = max(now, gate.paused_until) + GATE_KEPT_SECONDS
    return Change(key, record.version if record else 0, asdict(gate), "", kept)


def read_gate(value: dict[str, Any]) -> Gate:
    """The gate in a record. A worker of another version may have written fields unknown here."""
    known = {one.name for one in fields(Gate)} & set(value)
    budgets = {
        name: gates.Budget(int(one["limit"]), int(one["remaining"]), float(one["reset"]))
        for name, one in value.get("budgets", {}).items()
    }
    numbers: dict[str, Any] = {name: value[name] for name in known - {"budgets"}}
    return Gate(**numbers, budgets=budgets)
