"""Handing jobs to runners: the only place where a job and a runner meet."""

import asyncio

from simulator.limits import Limits
from simulator.state.model import Job, Json, Runner
from simulator.state.queue import IdleRunners, JobQueue


def tell(runner: Runner, message: Json) -> None:
    """Send a message through the runner's open poll, or keep it for the next one."""
    if runner.poll is not None and not runner.poll.done():
        runner.poll.set_result(message)
    else:
        runner.inbox.append(message)


def job_message(job: Job) -> Json:
    """What a runner is told of its job."""
    return {"type": "job", "job_id": job.id, "seconds": job.seconds, "name": job.name}


class Assignment:
    """Matches queued jobs and idle runners as soon as there is one of each."""

    def __init__(self, queue: JobQueue, limits: Limits) -> None:
        self.queue = queue
        self._idle = IdleRunners()
        self._limits = limits

    def enqueue(self, job: Job, *, first: bool = False) -> None:
        """A job wants a runner: an idle one gets it now, else it waits."""
        runner = self._idle.take(job)
        if runner is None:
            self.queue.add(job, first=first)
        else:
            self._hand_out(job, runner)

    def ask(self, runner: Runner) -> None:
        """A runner wants a job: the queue gives one now, else it waits."""
        job = self.queue.take(runner)
        if job is None:
            self._idle.add(runner)
        else:
            self._hand_out(job, runner)

    def leave(self, runner: Runner) -> None:
        """The runner no longer asks."""
        self._idle.remove(runner)

    def withdraw(self, job: Job) -> None:
        """The job wants no runner: out of the queue, or back from one that has not begun."""
        self.queue.remove(job)
        runner = job.runner
        if runner is not None and not runner.accepted:
            job.runner = None
            runner.job = None

    def _hand_out(self, job: Job, runner: Runner) -> None:
        job.runner, runner.job, runner.accepted = runner, job, False
        if job.timer is not None:
            job.timer.cancel()
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(self._limits.runner_pickup_seconds, self._not_accepted, job)
        tell(runner, job_message(job))

    def _not_accepted(self, job: Job) -> None:
        """Queue it again (GitHub: not picked up within 60 s)."""
        if job.status == "queued" and job.runner is not None:
            self.withdraw(job)
            self.enqueue(job, first=True)
