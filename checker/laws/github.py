"""L8 GitHub's limits are kept, L12 refused deliveries are paid, L13 no runner is left over."""

from checker.evidence import Evidence, Violation
from checker.jobs import job_of_runner
from checker.simulated import SimulatedDelivery

LIMITED = (403, 429)


def limits_kept(evidence: Evidence) -> list[Violation]:
    """L8. No call ran into a limit that was not put up on purpose, none came before its time.

    A refusal by an injected fault is the test's doing; that the next call waits for the time it
    named is noted by the simulator itself (`early`). A call that came within
    `bounds.call_under_way` of the refusal was on its way already: another worker's, say. If the
    fault used up what the caller had left, that call is refused as well.
    """
    log = evidence.simulated
    if log is None:
        return []
    refused = [call for call in log.calls if call.status in LIMITED]
    provoked = [(call.caller, call.time) for call in refused if call.fault]
    broken = [
        Violation("L8", f"{call.method} {call.path}", call.time, f"answered {call.status}")
        for call in refused
        if not call.fault
        and not any(
            call.caller == caller and 0 <= call.time - at <= evidence.bounds.call_under_way
            for caller, at in provoked
        )
    ]
    early = sum(seconds > evidence.bounds.call_under_way for seconds in log.early)
    if early:
        why = f"{early} calls came before the time that GitHub had named"
        broken.append(Violation("L8", "calls", evidence.now, why))
    return broken


def debts_paid(evidence: Evidence) -> list[Violation]:
    """L12. Each guid of a job event that was not delivered has a later attempt that was.

    While not at rest, a debt younger than `bounds.recovery` is no violation yet.
    """
    attempts: dict[str, list[SimulatedDelivery]] = {}
    for one in evidence.simulated.deliveries if evidence.simulated else []:
        if one.event == "workflow_job":
            attempts.setdefault(one.guid, []).append(one)
    broken: list[Violation] = []
    for guid, found in attempts.items():
        failures = [one.delivered_at for one in found if not one.ok]
        if not failures:
            continue
        last = max(failures)
        paid = any(one.ok and one.delivered_at >= last for one in found)
        due = evidence.at_rest or evidence.now > last + evidence.bounds.recovery
        if not paid and due:
            what = f"{found[0].action} of job {found[0].job_id}"
            why = f"{what} was never delivered: {found[-1].status_code} {found[-1].status}"
            broken.append(Violation("L12", f"delivery {guid}", last, why))
    return broken


def no_orphans(evidence: Evidence) -> list[Violation]:
    """L13. No runner of ours is still registered `bounds.orphan` after its workflow's end.

    Online or offline, GitHub still counts it; one without any workflow counts from its start.
    """
    if evidence.simulated is None:
        return []
    jobs = {job.job_id: job for job in evidence.jobs.values()}
    broken: list[Violation] = []
    for runner in evidence.simulated.runners:
        job_id = job_of_runner(runner.name)
        if not job_id or runner.removed_at is not None:
            continue
        job = jobs.get(job_id)
        since = runner.registered_at
        if job:
            closed_at = job.last.closed_at
            if closed_at is None:
                continue
            since = max(since, closed_at)
        if evidence.now > since + evidence.bounds.orphan:
            why = f"it is {runner.status} and no workflow runs for it"
            broken.append(Violation("L13", runner.name, since, why))
    return broken
