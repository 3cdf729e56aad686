"""How answers look: tables, JSON and YAML as files, for who looks and for who does not."""

import io
import json

import pytest
import yaml
from rich.console import Console

from commands import explain, jobs, limits, output, status
from tests.commands.snapshot import WIDTH, same

STATUS = {
    "mode": "draining",
    "since": 1795561200.5,
    "reason": "kernel update",
    "limits": {
        "max_runners": 12,
        "max_repo_share": 0.5,
        "default": 2,
        "repos": {"acme/api": 3},
        "orgs": {"acme": 8},
        "weights": {"acme/api": 2.0},
        "pressure": {
            "strategy": "queue",
            "max_queue_depth": 100,
            "max_concurrency_percent": 80.0,
            "max_error_rate": 0.05,
        },
    },
    "capacity": 6,
    "effective_cause": "launches fail",
    "running": 4,
    "waiting": 7,
    "repos": [
        {
            "repo": f"acme/{name}",
            "running": running,
            "waiting": waiting,
            "oldest_wait_seconds": waiting * 10.4,
            "allotment": 3,
            "limit": 3,
            "settled": True,
            "org_limit": 8,
        }
        for name, running, waiting in (("api", 3, 7), ("web", 1, 0))
    ],
}
JOB = {
    "repo": "acme/api",
    "job_id": "29679449526",
    "priority": "high",
    "state": "queued",
    "runner": {"name": "", "state": "none"},
    "why": "2 of 7 in line of acme/api; acme/api is at its limit of 3 (3 in use)",
    "permit": "waiting",
    "waited_seconds": 72.8,
    "launches": 0,
    "not_before": 0.0,
    "reasons": ["GitHub answered 503", "[red]no markup[/red] \x1b[31mno escape"],
    "semaphore": "repo-semaphore/acme/api",
    "workflow_id": "runner-job/acme/api/29679449526",
    "position": 2,
    "waiting_in_repo": 7,
    "priority_now": "high",
    "limit": "repo",
    "estimate": {"p50": 30.0, "p90": 80.0, "upper": 120.0, "method": "repository", "samples": 40},
}
DRAIN = {
    "mode": "draining",
    "running": 4,
    "waiting": 7,
    "drained": False,
    "eta_seconds": {"p50": 60.0, "p90": 180.0, "upper": 240.0},
    "method": "fleet",
    "samples": 41,
    "blocking": [{"repo": "acme/api", "running": 3, "waiting": 7, "p90": 180.0}],
}


def everything() -> None:
    """One of each kind of answer."""
    status.show(STATUS)
    limits.show("table", STATUS["limits"])
    for line in explain.lines(JOB):
        output.print_line(line)
    output.print_table(("what", "value"), jobs.rows_of(JOB))
    output.print_drain(DRAIN)


def screen(monkeypatch, **how):
    """A console of a fixed width, in place of the process's own."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if how.pop("no_color", False):
        monkeypatch.setenv("NO_COLOR", "1")
    made = Console(width=WIDTH, **how)
    monkeypatch.setattr(output, "console", made)
    return made


def test_answers_that_go_to_a_file(monkeypatch, capsys):
    """No colour, no lines, and longer than any screen where they must be."""
    screen(monkeypatch)
    everything()
    said = capsys.readouterr().out
    assert "\x1b" not in said
    same("tables-plain", said)


def test_answers_on_a_terminal(monkeypatch, capsys):
    """With lines, within the width, and what a payload brought is not obeyed."""
    screen(monkeypatch, force_terminal=True, color_system=None)
    everything()
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= WIDTH
    same("tables-terminal", said)


def test_no_color_is_heeded_on_a_terminal(monkeypatch, capsys):
    """Then all is as in a file, and nothing moves."""
    screen(monkeypatch, force_terminal=True, no_color=True)
    everything()
    with output.doing("nothing"):
        pass
    said = capsys.readouterr().out
    assert "\x1b" not in said
    same("tables-plain", said)


def test_the_watch_fits_on_the_screen(monkeypatch):
    """A thousand repositories: the busiest are shown, the others counted."""
    drawn = screen(
        monkeypatch, force_terminal=True, color_system=None, height=20, file=io.StringIO()
    )
    monkeypatch.setattr(status, "console", drawn)
    many = [{**STATUS["repos"][1], "repo": f"acme/r{n:03}"} for n in range(1000)]
    drawn.print(status.frame({**STATUS, "repos": [*many, STATUS["repos"][0]]}, ""))
    said = drawn.file.getvalue()
    assert len(said.splitlines()) <= 20
    same("watch", said)


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_data(kind, capsys):
    output.print_data(kind, {"status": STATUS, "jobs": [JOB]})
    said = capsys.readouterr().out
    same(f"data-{kind}", said)
    read = json.loads(said) if kind == "json" else yaml.safe_load(said)
    assert read == {"status": STATUS, "jobs": [JOB]}


def test_status_says_of_a_semaphore_why_the_fleet_goes_on_without_it(capsys):
    """Under the table, in a line of its own; of the others nothing."""
    api, web = STATUS["repos"]
    status.show({**STATUS, "repos": [{**api, "cause": "no answer"}, {**web, "cause": ""}]})
    said = capsys.readouterr().out
    assert "acme/api: no answer" in said
    assert "acme/web:" not in said
