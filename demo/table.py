"""The demo's live table."""

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.scenario import Progress


class LiveTable:
    """Redraws in place on a terminal; elsewhere prints one line whenever the phase changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=5, transient=True)
        self._phase = ""

    def __enter__(self) -> "LiveTable":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw."""
        if self._console.is_terminal:
            self._live.update(_table(progress))
            return
        drain = progress.drain
        line = progress.phase
        if drain.get("mode") == "draining":
            line += (
                f" · running {drain['running']}, waiting {drain['waiting']},"
                f" about {drain['eta_seconds']['p50']:.0f} s to go"
            )
        if line != self._phase:
            self._phase = line
            self._console.print(line, highlight=False)


def _table(progress: Progress) -> Table:
    status, drain = progress.status, progress.drain
    done = progress.jobs.get("completed", 0)
    title = f"{progress.phase}  ·  {done}/{progress.total} jobs done"
    table = Table(title=title, title_justify="left", expand=False)
    for name in ("repository", "running", "limit", "waiting", "oldest wait"):
        table.add_column(name, justify="left" if name == "repository" else "right")
    for repo in status.get("repos", []):
        bar = "■" * repo["running"] + "□" * max(0, repo["limit"] - repo["running"])
        table.add_row(
            repo["repo"],
            f"{bar} {repo['running']}",
            str(repo["limit"]),
            str(repo["waiting"]),
            f"{repo['oldest_wait_seconds']:.1f} s",
        )
    table.add_section()
    eta = drain.get("eta_seconds", {}).get("p50", 0.0)
    table.add_row(
        f"fleet · {status.get('mode', '?')}",
        str(status.get("running", 0)),
        str(status.get("capacity", 0)),
        str(status.get("waiting", 0)),
        f"empty in {eta:.1f} s",
    )
    return table
