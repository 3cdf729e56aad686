"""`penstock explain`: why one job waits, or where it is."""

from pathlib import Path
from typing import Any

import typer

import settings as configuration
from api.events import OWNER, REPOSITORY
from api.explain import JobSilent, UnknownJob, explain
from commands.common import CONFIG, OUTPUT, run
from commands.output import as_json, console, print_json
from embedded.connect import connect

FAILED, UNREACHABLE = 1, 3


def explain_job(
    repo: str = typer.Argument(help="owner/repo."),
    job: str = typer.Argument(help="The job's number at GitHub."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Why a job waits: the limit that holds it, its place in line, and for how long."""
    owner, _, name = repo.partition("/")
    if not (OWNER.fullmatch(owner) and REPOSITORY.fullmatch(name)):
        raise typer.BadParameter("a repository is owner/repo", param_hint="REPO")
    if not job.isdigit():
        raise typer.BadParameter("a job is a number", param_hint="JOB")

    async def work() -> dict[str, Any]:
        client = await connect(configuration.load(config).state_dir)
        return await explain(client, repo, job)

    try:
        answer = run(work())
    except (UnknownJob, JobSilent) as error:
        typer.echo(f"penstock: {error}", err=True)
        raise typer.Exit(FAILED if isinstance(error, UnknownJob) else UNREACHABLE) from None
    if as_json(output):
        print_json(answer)
        return
    for line in lines(answer):
        console.print(line, highlight=False, soft_wrap=True)


def lines(answer: dict[str, Any]) -> list[str]:
    """The answer in a few lines."""
    job = f"job {answer['job_id']} of {answer['repo']}"
    said = [
        f"{job}: {answer['state']}, priority {answer['priority']}, permit {answer['permit']}",
        f"why: {answer['why']}",
    ]
    if answer["permit"] == "waiting":
        said.append(f"limit: {answer['limit']} · waited {answer['waited_seconds']:.0f} s")
        if answer["estimate"]:
            about = answer["estimate"]
            said.append(
                f"its permit comes in about {about['p50']:.0f} s (90 %: {about['p90']:.0f} s; by "
                f"{about['method']}, {about['samples']} samples)"
            )
    if answer["runner"]["name"]:
        said.append(f"runner: {answer['runner']['name']} ({answer['runner']['state']})")
    return said
