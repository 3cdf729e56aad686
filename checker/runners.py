"""Runners that were alive, from launches, their reported ends, and the simulator's records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checker.jobs import JobRun, Launch, job_of_runner
from checker.permits import Lease
from checker.simulated import SimulatedRunner, SimulatorLog


@dataclass(frozen=True)
class LiveRunner:
    """One life of a runner; `until` is None while it lives. `repo` whose permit it uses."""

    name: str
    workflow_id: str  # empty if no workflow of the evidence launched it
    repo: str
    since: float
    until: float | None
    permit_since: float


def read(
    jobs: Mapping[str, JobRun], leases: Iterable[Lease], simulated: SimulatorLog | None
) -> list[LiveRunner]:
    """All lives of Penstock's runners.

    A life begins when the runner registers at the simulator, or, if that does not know it, when
    its launch is scheduled and then succeeds. It ends when it leaves the simulator's list or when
    its workflow hears of its end, whichever is first: a runner that died stays on GitHub's list.
    Where neither is known and its workflow has closed, it ends with the workflow's last lease, for
    that is given back only after the runner was seen off.
    """
    records: dict[str, list[SimulatedRunner]] = {}
    for record in simulated.runners if simulated else []:
        if job_of_runner(record.name):
            records.setdefault(record.name, []).append(record)
    ends: dict[str, float] = {}
    for lease in leases:
        if lease.ended_at is not None:
            ends[lease.job] = max(lease.ended_at, ends.get(lease.job, 0.0))
    lives: list[LiveRunner] = []
    for job in jobs.values():
        known: set[str] = set()
        for launch in job.launches:
            if launch.name in known:
                continue  # launching is idempotent by name; L3 compares what each launch found
            if launch.completed_at is not None:
                known.add(launch.name)
            found = records.pop(launch.name, [])
            for record in found:
                lives.append(_registered(job, launch, record))
            if not found and launch.completed_at is not None:
                until = launch.gone_at
                if until is None and job.last.closed:
                    until = ends.get(job.workflow_id)
                since = job.permit_since(launch.scheduled_at)
                lives.append(
                    LiveRunner(
                        launch.name, job.workflow_id, job.repo, launch.scheduled_at, until, since
                    )
                )
    for left in records.values():
        for record in left:
            lives.append(
                LiveRunner(
                    record.name,
                    "",
                    record.scope,
                    record.registered_at,
                    record.removed_at,
                    record.registered_at,
                )
            )
    return sorted(lives, key=lambda life: life.since)


def _registered(job: JobRun, launch: Launch, record: SimulatedRunner) -> LiveRunner:
    ends = [at for at in (record.removed_at, launch.gone_at) if at is not None]
    return LiveRunner(
        record.name,
        job.workflow_id,
        job.repo,
        record.registered_at,
        min(ends, default=None),
        job.permit_since(launch.scheduled_at),
    )
