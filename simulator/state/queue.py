"""Who gets which job: queued jobs and idle runners, each indexed by place and label set.

Nothing binds a job to the runner that was started for it: any idle runner whose labels cover the
job's and whose scope covers its repository may get it (docs:self-hosted runners reference;
actions/runner#620).
"""

import random
from collections import OrderedDict
from collections.abc import Iterator

from simulator.state.model import Job, Runner, Scope

ORDERS = ("oldest", "newest", "random")


class JobQueue:
    """Jobs without a runner: organization -> repository -> label set -> jobs, oldest first."""

    def __init__(self, rng: random.Random) -> None:
        self.order = "oldest"
        self._rng = rng
        self._jobs: dict[str, dict[str, dict[frozenset[str], OrderedDict[int, Job]]]] = {}

    def add(self, job: Job, *, first: bool = False) -> None:
        """Queue a job; `first`: it was handed out before, so it goes back to the head."""
        owner, repo = job.run.repository.scope
        group = self._jobs.setdefault(owner, {}).setdefault(repo or "", {})
        line = group.setdefault(job.wants, OrderedDict())
        line[job.id] = job
        if first:
            line.move_to_end(job.id, last=False)

    def remove(self, job: Job) -> None:
        """Forget a job, if it is queued at all."""
        owner, repo = job.run.repository.scope
        groups = self._jobs.get(owner, {}).get(repo or "", {})
        line = groups.get(job.wants)
        if line is not None and line.pop(job.id, None) and not line:
            del groups[job.wants]  # labels such as run-id=7 are used once

    def take(self, runner: Runner) -> Job | None:
        """Remove and return the job this runner gets, by the order asked for; None: none."""
        lines = list(self._lines(runner))
        if not lines:
            return None
        if self.order == "random":
            every = [one for line in lines for one in line.values()]
            job = self._rng.choice(every)
        elif self.order == "newest":
            job = max((next(reversed(line.values())) for line in lines), key=_age)
        else:
            job = min((next(iter(line.values())) for line in lines), key=_age)
        self.remove(job)
        return job

    def _lines(self, runner: Runner) -> Iterator[OrderedDict[int, Job]]:
        repositories = self._jobs.get(runner.scope.owner, {})
        repo = runner.scope.repo
        groups = repositories.values() if repo is None else [repositories.get(repo, {})]
        for group in groups:
            for wants, line in group.items():
                if wants <= runner.has:
                    yield line


class IdleRunners:
    """Runners that wait in a long poll, longest waiting first."""

    def __init__(self) -> None:
        self._runners: dict[Scope, dict[frozenset[str], OrderedDict[int, Runner]]] = {}

    def add(self, runner: Runner) -> None:
        """The runner has asked for a job."""
        group = self._runners.setdefault(runner.scope, {})
        group.setdefault(runner.has, OrderedDict())[runner.id] = runner

    def remove(self, runner: Runner) -> None:
        """It no longer asks; harmless if it never did."""
        group = self._runners.get(runner.scope, {})
        line = group.get(runner.has)
        if line is not None and line.pop(runner.id, None) and not line:
            del group[runner.has]

    def take(self, job: Job) -> Runner | None:
        """Remove and return the runner that gets this job; None: nobody fits."""
        owner, repo = job.run.repository.scope
        for scope in (Scope(owner, repo), Scope(owner, None)):
            for has, line in self._runners.get(scope, {}).items():
                if job.wants <= has:
                    runner = next(iter(line.values()))
                    self.remove(runner)
                    return runner
        return None


def _age(job: Job) -> int:
    return job.order
