"""What the demo says at its end."""

from typing import Any

from rich.console import Console
from rich.table import Table

from checker import Violation
from demo.scenario import Scenario


def show(
    console: Console, figures: dict[str, Any], scenario: Scenario, violations: list[Violation]
) -> None:
    """Figures first, then whether every law held."""
    console.print(figures)
    for note in scenario.progress.notes:
        console.print(note, highlight=False)
    if violations:
        console.print(f"{len(violations)} violations of the laws:", style="red")
        for violation in violations[:20]:
            console.print(f"  {violation}", highlight=False)
        return
    _ = Table
    console.print("every law held", style="green")
