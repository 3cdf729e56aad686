"""What a person reads: progress, one line a seed at the end, what was broken."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from chaos.plan import KINDS
from chaos.run import Result


def table(results: Sequence[Result]) -> Table:
    """A line a seed."""
    made = Table("seed", "s", "workers", "faults", "jobs", "run once", "recovery s", "laws broken")
    for column in made.columns:
        column.justify = "right"
    for one in results:
        broken = ", ".join(sorted({v.law for v in one.violations})) or "none"
        broken += " · not recovered" if one.missing else ""
        made.add_row(
            *(str(one.plan.seed), f"{one.plan.seconds:.0f}", str(one.plan.workers)),
            *(str(sum(one.faults.values())), str(one.jobs), str(one.ran_once)),
            *(f"{one.recovery_seconds:.1f}", broken),
        )
    return made


def by_kind(results: Sequence[Result]) -> str:
    """All faults injected, by kind."""
    total = {kind: sum(one.faults.get(kind, 0) for one in results) for kind in KINDS}
    return " · ".join(f"{kind} {number}" for kind, number in total.items() if number)


def show(console: Console, results: Sequence[Result]) -> None:
    """The table, the kinds, the failures, and the figures in one line."""
    console.print(table(results))
    console.print(f"faults by kind: {by_kind(results)}", highlight=False)
    for one in results:
        if one.good:
            continue
        console.print(f"seed {one.plan.seed}, evidence in {one.folder}:", highlight=False)
        for line in one.missing:
            console.print(f"  not recovered: {line}", highlight=False)
        for violation in one.violations:
            console.print(f"  {violation}", highlight=False)
    good = sum(one.good for one in results)
    restarts = Counter(restart for one in results for restart in one.restarts)
    said = ", ".join(f"{number} × {what}" for what, number in sorted(restarts.items()))
    console.print(
        f"{good} of {len(results)} seeds kept every law; 0 repairs by hand;"
        f" ended by themselves and started again by the supervisor: {said or 'none'}",
        highlight=False,
    )
