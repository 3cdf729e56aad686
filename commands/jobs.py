"""`penstock jobs`: jobs that wait or run; one of them; and its end by an operator."""

import sys
from pathlib import Path
from typing import Any, cast

import typer
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

import settings as configuration
from api.explain import UnknownJob
from api.job_list import open_jobs, with_reasons
from commands.arguments import job_number, repository
from commands.common import CONFIG, OUTPUT, actor, none_before, run
from commands.exits import FAILED
from commands.explain import ask_job
from commands.output import is_data, print_data, print_table, say
from embedded.connect import connect
from policy import names

app = typer.Typer(help="Jobs that wait or run.")

REPO = typer.Option("", help="Only this repository's (owner/repo).")
LIMIT = typer.Option(50, min=1, max=1000, help="At most so many.")
REPO_ARGUMENT = typer.Argument(metavar="OWNER/REPO", help="Its repository.")
JOB_ARGUMENT = typer.Argument(metavar="JOB", help="The job's number at GitHub.")


@app.callback(invoke_without_command=True, epilog="Example: penstock jobs --repo acme/api")
def list_or_more(
    context: typer.Context,
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    repo: str = REPO,
    limit: int = LIMIT,
) -> None:
    """Jobs that wait or run, each with why; without a command, a list."""
    if context.invoked_subcommand:
        none_before(context, "jobs")
    else:
        list_(config, output, repo, limit)


@app.command("list", epilog="Example: penstock jobs list --repo acme/api -o json")
def list_(
    config: Path | None = CONFIG, output: str = OUTPUT, repo: str = REPO, limit: int = LIMIT
) -> None:
    """List them with why they wait, the newest first."""
    if repo:
        repository(repo, "--repo")

    async def work() -> list[dict[str, Any]]:
        client = await connect(configuration.load(config).state_dir)
        return await with_reasons(client, await open_jobs(client, repo, limit))

    answers = run(work())
    if is_data(output):
        print_data(output, answers)
        return
    rows = [(a["repo"], a["job_id"], a["state"], a["permit"], a["why"]) for a in answers]
    print_table(("repository", "job", "state", "permit", "why"), rows)


@app.command(epilog="Example: penstock jobs show acme/api 29679449526")
def show(
    repo: str = REPO_ARGUMENT,
    job: str = JOB_ARGUMENT,
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """All that is known of one, ended or not. In a few words: penstock explain."""
    answer = ask_job(config, repo, job)
    if is_data(output):
        print_data(output, answer)
    else:
        print_table(("what", "value"), rows_of(answer))


@app.command(epilog="Example: penstock jobs cancel acme/api 29679449526 --yes")
def cancel(
    repo: str = REPO_ARGUMENT,
    job: str = JOB_ARGUMENT,
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = typer.Option("", "--reason", "-r", help="Why; kept in its history."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask whether it is meant."),
) -> None:
    """Ask its workflow to end: its place in line is given up, its runner is seen off.

    A runner that works is left to finish. GitHub is not told: a job that still waits there waits
    on, and no runner comes for it; cancel its run at GitHub too. Exit 1 if it has ended already.
    """
    workflow_id = names.runner_job_id(repository(repo), job_number(job))
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("say --yes: nobody is here to be asked", param_hint="--yes")
        typer.confirm(f"Cancel job {job} of {repo}?", abort=True, err=True)
    settings = configuration.load(config)

    async def work() -> str:
        return await _cancel(await connect(settings.state_dir), workflow_id, reason)

    ended = run(work())
    if ended:
        typer.echo(f"penstock: job {job} of {repo} has ended already: {ended}", err=True)
        raise typer.Exit(FAILED)
    answer = {"repo": repo.lower(), "job_id": job, "workflow_id": workflow_id, "asked": True}
    say(output, answer, f"job {job} of {repo} is asked to end; cancel its run at GitHub too")


async def _cancel(client: Client, workflow_id: str, reason: str) -> str:
    """How it had ended before; empty if it is asked to end now. Raises UnknownJob, RPCError."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        status = (await handle.describe()).status
        if status == WorkflowExecutionStatus.RUNNING:
            await handle.cancel(reason=f"{actor()}: {reason}" if reason else actor())
            return ""
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise UnknownJob(f"no job {workflow_id} is known") from None
    return status.name.lower() if status else "unknown"


def rows_of(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    """A row each thing known; what is in another is named with it."""
    rows: list[tuple[str, Any]] = []
    for key, value in answer.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            parts = cast(dict[str, Any], value)
            rows += [(f"{name}: {part}", held) for part, held in parts.items()]
        elif isinstance(value, list):
            rows.append((name, "; ".join(map(str, cast(list[Any], value)))))
        else:
            rows.append((name, "" if value is None else value))
    return rows
