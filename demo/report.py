"""What the demo says at its end."""

from rich.console import Console
from rich.table import Table

from checker import Violation
from checker.figures import Figures, Peak, Spread
from demo.scenario import Scenario


def show(
    console: Console, figures: Figures, scenario: Scenario, violations: list[Violation]
) -> None:
    """Figures first, then whether every law held."""
    console.print(_figures(figures, scenario))
    console.print(_peaks(figures))
    for note in scenario.progress.notes:
        console.print(note, highlight=False)
    if not violations:
        console.print("every law held", style="green")
        return
    console.print(f"{len(violations)} violations of the laws:", style="red")
    for violation in violations[:20]:
        console.print(f"  {violation}", highlight=False, soft_wrap=True)


def _figures(figures: Figures, scenario: Scenario) -> Table:
    table = Table(title="what happened", title_justify="left", show_header=False)
    launch = figures.delivery_to_launch_seconds
    free = figures.delivery_to_launch_permit_free_seconds
    rows = [
        ("jobs accepted", figures.jobs_accepted),
        ("jobs completed", figures.jobs_by_outcome.get("completed", 0)),
        ("webhooks refused while draining", scenario.refused),
        ("refused jobs, all paid later", figures.jobs_refused),
        ("duplicate deliveries", figures.deliveries_duplicate),
        ("webhook → runner launched, p50 / p95", _seconds(launch)),
        ("  of these, a permit was free", f"{_seconds(free)} ({free.samples} jobs)"),
        ("release → next grant, p50 / p95", _seconds(figures.release_to_next_grant_seconds)),
        ("longest that a permit lay free", f"{figures.longest_idle_permit_seconds} s"),
        ("GitHub calls per job", figures.github_calls_per_job),
        ("billable Temporal actions per job", figures.billable_actions_per_job),
        ("history events per job", figures.history_events_per_job),
    ]
    for name, value in rows:
        table.add_row(name, str(value))
    return table


def _peaks(figures: Figures) -> Table:
    table = Table(title="highest concurrency", title_justify="left")
    table.add_column("scope")
    table.add_column("permits", justify="right")
    table.add_column("limit", justify="right")
    peaks: list[tuple[str, Peak]] = [("fleet", figures.peak_fleet)]
    peaks += [(f"organization {name}", peak) for name, peak in figures.peak_by_org.items()]
    peaks += list(figures.peak_by_repo.items())
    for name, peak in peaks:
        table.add_row(name, str(peak.in_use_permits), str(peak.limit_permits))
    return table


def _seconds(spread: Spread) -> str:
    if spread.p50 is None or spread.p95 is None:
        return "no sample"
    return f"{spread.p50:.2f} / {spread.p95:.2f} s"
