"""`penstock explain`: why one job waits, or where it is."""

from pathlib import Path
from typing import Any

import typer

import settings as configuration
from api.explain import explain
from commands.arguments import job_number, repository
from commands.common import CONFIG, OUTPUT, run
from commands.output import is_data, print_data, print_line
from embedded.connect import connect


def explain_job(
    repo: str = typer.Argument(help="owner/repo."),
    job: str = typer.Argument(help="The job's number at GitHub."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Why a job waits: the limit that holds it, its place in line, and for how long."""
    answer = ask_job(config, repo, job)
    if is_data(output):
        print_data(output, answer)
        return
    for line in lines(answer):
        print_line(line)


def ask_job(config: Path | None, repo: str, job: str) -> dict[str, Any]:
    """All that is known of one job. Raises UnknownJob, JobSilent."""
    repository(repo)
    job_number(job)

    async def work() -> dict[str, Any]:
        client = await connect(configuration.load(config).state_dir)
        return await explain(client, repo, job)

    return run(work())


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
