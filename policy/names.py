"""The names that other people's scripts depend on, and how to read them back."""

FLEET_ID = "fleet"
RECOVERY_ID = "recovery"  # Temporal appends the time at which a schedule began a run
RECOVERY_SCHEDULE = "penstock-recovery"
TASK_QUEUE = "penstock"
GITHUB_TASK_QUEUE = "penstock-github"
RUNNER_PREFIX = "penstock-"

RUNNER_JOB = "RunnerJob"
REPO_SEMAPHORE = "RepoSemaphore"
FLEET = "Fleet"
RECOVERY = "Recovery"

SEARCH_ATTRIBUTES = ("PenstockOrg", "PenstockRepo", "PenstockPriority")


def runner_job_id(repo: str, job: str | int) -> str:
    """The workflow of a job; `repo` is `owner/repo` in any case."""
    return f"runner-job/{repo.lower()}/{job}"


def semaphore_id(repo: str) -> str:
    """The workflow of a repository's semaphore."""
    return f"repo-semaphore/{repo.lower()}"


def repo_of(workflow_id: str) -> str:
    """`owner/repo` of a RunnerJob's or RepoSemaphore's id."""
    return "/".join(workflow_id.split("/")[1:3])


def job_of(workflow_id: str) -> str:
    """The job id at the end of a RunnerJob's id."""
    return workflow_id.rsplit("/", 1)[-1]


def runner_name(job: str | int, attempt: int) -> str:
    """A runner's name: fits GitHub's rules (at most 64 characters, none of `" / : < > | * ?`)."""
    return f"{RUNNER_PREFIX}{job}-{attempt}"


def job_of_runner(name: str) -> str:
    """The job id that a runner of ours was launched for; empty if the name is not ours."""
    job, dash, attempt = name.removeprefix(RUNNER_PREFIX).rpartition("-")
    ours = name.startswith(RUNNER_PREFIX) and dash and job.isdigit() and attempt.isdigit()
    return job if ours else ""
