"""A world of one Fleet, its semaphores, their jobs and the messages between them.

Both sides are the real policies, driven as workflows/fleet.py and workflows/repo_semaphore.py
drive them: inbox → receive → rebalance → send, and inbox → grants → report when one is due.
Messages lie in a bag until somebody delivers them, in any order. Of what the model leaves out,
only this matters: a Fleet started afresh finds every semaphore that holds permits.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from policy import allotment, fleet, messages, sweep
from policy import job as jobs
from policy import semaphore as rules
from policy.allotment import Book
from policy.fleet import FleetState, Rebuild
from policy.job import JobState
from policy.limits import Limits, org_of
from policy.messages import Acquire, Allot, Claim, Granted, Release, Report
from policy.semaphore import Grant
from policy.semaphore_state import SemaphoreState, close, reopen

FLEET = ""  # the key of the whole fleet among the sums


@dataclass
class Semaphore:
    """One running RepoSemaphore; `claims` while it rebuilds itself from its running jobs."""

    state: SemaphoreState
    inbox: list[Acquire | Release | Allot] = field(default_factory=list)
    claims: list[Claim] | None = None


@dataclass
class Job:
    """One running RunnerJob."""

    id: str
    repo: str
    priority: str
    state: JobState


@dataclass
class Envelope:
    """A message on its way; `life` is the sender's epoch for a grant, which dies with it."""

    kind: str  # report, allot, granted, acquire, release
    to: str  # a repository or a job
    body: Report | Allot | Granted | Acquire | Release
    life: str = ""


class Violated(AssertionError):
    """The world is in a state that no history may reach."""


class World:
    """All there is; every method is one step that may happen at any time."""

    def __init__(self, repos: Iterable[str], limits: Limits) -> None:
        self.now = 0.0
        self.lives = 0
        self.made = 0
        self.bag: list[Envelope] = []
        self.jobs: dict[str, Job] = {}
        self.semaphores: dict[str, Semaphore | None] = dict.fromkeys(repos)
        self.fleet = FleetState(limits=limits)
        self.fleet.book.epoch = self._epoch()
        self.fleet_inbox: list[Report] = []
        self.heard: list[Report] = []  # what Temporal applies again after a reset
        self.rolled_back = False
        self.potential = self._potentials()
        self.permitted = self._permissions()

    # Jobs

    def submit(self, repo: str, priority: str = "normal", not_before: float = 0.0) -> str:
        """A job begins and asks for a permit."""
        self.made += 1
        job = Job(f"{repo}#{self.made}", repo, priority, JobState(self.now, not_before=not_before))
        self.jobs[job.id] = job
        self.ask(job)
        return job.id

    def ask(self, job: Job) -> None:
        """It asks, or asks again because it has waited for long."""
        state = job.state
        self.tell(job.repo, Acquire(job.id, job.priority, state.queued_at, state.not_before))
        if not state.lease:
            jobs.asked(state, self.now)

    def end(self, job: Job) -> None:
        """It needs no permit any more: gives its lease back, or leaves the queue, and closes."""
        lease = job.state.lease
        jobs.completed(job.state, "success", "", self.now)
        if lease or job.state.waiting_since:
            self.tell(job.repo, Release(job.id, lease, 1.0 if lease else 0.0))
        del self.jobs[job.id]

    def kill(self, job: Job) -> None:
        """Its workflow is terminated and says nothing."""
        del self.jobs[job.id]

    def hold_up(self, job: Job, until: float) -> None:
        """GitHub throttles: the lease goes back, and it queues again for later."""
        jobs.hold_up(job.state, "throttled", until)
        self.tell(job.repo, Release(job.id, job.state.lease))
        jobs.released(job.state, job.state.lease)
        self.ask(job)

    def tell(self, repo: str, message: Acquire | Release) -> None:
        """A signal to a semaphore, with start."""
        semaphore = self.semaphores[repo] or self.revive(repo)
        semaphore.inbox.append(message)

    # Semaphores

    def revive(self, repo: str) -> Semaphore:
        """Start a semaphore without memory: it asks all running jobs what they hold."""
        state = SemaphoreState(repo)
        rules.begin(state, self._epoch(), self.now)
        semaphore = Semaphore(state, claims=[_claim(j) for j in self._jobs_of(repo)])
        self.semaphores[repo] = semaphore
        return semaphore

    def turn(self, repo: str) -> None:
        """One round of a semaphore's loop."""
        semaphore = self.semaphores[repo]
        if semaphore is None:
            return
        state = semaphore.state
        if semaphore.claims is not None:
            rules.adopt(state, semaphore.claims, self.now)
            semaphore.claims = None
        due = sweep.next_look_at(state)
        if due is not None and self.now >= due:
            found = sweep.suspects(state, self.now)
            sweep.reap(state, [job for job in found if job not in self.jobs], self.now)
        for job in sweep.nudges(state, self.now):
            if job not in self.jobs:
                sweep.nudge_failed(state, job, self.now)
        again = rules.repeat(state) + self._take_inbox(semaphore)
        for grant in again + rules.grants(state, self.now):
            self.bag.append(Envelope("granted", grant.job, grant.granted, state.epoch))
        if rules.report_due(state, self.now):
            self.bag.append(Envelope("report", repo, rules.report(state, self.now)))

    def continue_as_new(self, repo: str) -> None:
        """The inbox goes into the state, the state into the next run. Its grants have arrived."""
        semaphore = self.semaphores[repo]
        if semaphore is None or semaphore.claims is not None:
            return
        self._settle_grants(semaphore.state.epoch, lambda: True)
        semaphore.state.unsaid = [grant.job for grant in self._take_inbox(semaphore)]
        semaphore.state = close(semaphore.state)
        semaphore.state.packed = json.loads(json.dumps(semaphore.state.packed))
        reopen(semaphore.state)
        rules.begin(semaphore.state, self._epoch(), self.now)

    def terminate(self, repo: str, arrives: Callable[[], bool]) -> None:
        """A semaphore loses its memory, its inbox and those of its grants that did not arrive."""
        semaphore = self.semaphores[repo]
        if semaphore is not None:
            self.semaphores[repo] = None
            self._settle_grants(semaphore.state.epoch, arrives)

    def close_idle(self, repo: str, *, asked_meanwhile: bool) -> bool:
        """An idle semaphore says good-bye; somebody may ask while it does. False if not idle.

        It waits for each of its reports to arrive, so none of them can come after this one.
        """
        semaphore = self.semaphores[repo]
        if semaphore is None or semaphore.claims is not None or semaphore.inbox:
            return False
        if semaphore.state.holders or semaphore.state.waiters:
            return False
        if any(e.kind == "report" and e.to == repo for e in self.bag):
            return False
        farewell = rules.report(semaphore.state, self.now, closing=True)
        self.bag.append(Envelope("report", repo, farewell))
        rules.forget_report(semaphore.state)
        if asked_meanwhile:
            self.submit(repo)
        else:
            self.semaphores[repo] = None
        return True

    def _take_inbox(self, semaphore: Semaphore) -> list[Grant]:
        again: list[Grant] = []
        for message in semaphore.inbox:
            if isinstance(message, Acquire):
                repeated = rules.acquire(semaphore.state, message)
                if repeated:
                    again.append(repeated)
            elif isinstance(message, Release):
                rules.release(semaphore.state, message, self.now)
            else:
                rules.allot(semaphore.state, message)
        semaphore.inbox.clear()
        return again

    def _settle_grants(self, life: str, arrives: Callable[[], bool]) -> None:
        mine = [e for e in self.bag if e.kind == "granted" and e.life == life]
        self.bag = [e for e in self.bag if e not in mine]
        for envelope in mine:
            if arrives():
                self._receive_grant(envelope)

    # The Fleet

    def turn_fleet(self) -> None:
        """One round of the Fleet's loop."""
        allots = self._take_reports()
        fleet.go_on_without(self.fleet, fleet.overdue(self.fleet, self.now))
        by_use = fleet.over_by_use_alone(self.fleet, self.now)
        exact = fleet.over_in_use(self.fleet, self.now)
        self._send(allots + fleet.rebalance(self.fleet, self.now, by_use=by_use, exact=exact))

    def start_fleet_afresh(self) -> None:
        """The Fleet loses its book and its inbox; mode and limits are handed over."""
        for repo, semaphore in self.semaphores.items():
            if semaphore is None and self._jobs_of(repo):
                self.revive(repo)
        self.fleet = fleet.heritage(self.fleet)
        self.fleet.book.epoch = self._epoch()
        self.fleet_inbox.clear()
        self.heard.clear()
        found = [repo for repo, semaphore in self.semaphores.items() if semaphore]
        allots = [allotment.meet(self.fleet.book, repo) for repo in found]
        self._send(allots + fleet.rebalance(self.fleet, self.now))

    def rebuild(self) -> None:
        """An operator distrusts the book: everybody is asked anew."""
        self._send(fleet.rebuild(self.fleet, Rebuild(), self._epoch(), self.now))
        known = self.fleet.book.accounts
        found = [repo for repo, s in self.semaphores.items() if s and repo not in known]
        self._send([allotment.meet(self.fleet.book, repo) for repo in found])

    def continue_fleet(self) -> None:
        """The Fleet's inbox goes into its state, the state through its packed form."""
        self._send(self._take_reports())
        self.fleet = fleet.close(self.fleet)
        self.fleet.packed = json.loads(json.dumps(self.fleet.packed))
        fleet.reopen(self.fleet)

    def roll_back(self, book: Book, heard_since: list[Report]) -> None:
        """A reset: an older copy of the book; Temporal applies the signals since then again."""
        self.fleet.book = book
        self.fleet_inbox = [*heard_since, *self.fleet_inbox]
        self.rolled_back = True

    def _take_reports(self) -> list[Allot]:
        allots: list[Allot] = []
        for report in self.fleet_inbox:
            self.heard.append(report)
            try:
                allots += allotment.receive(self.fleet.book, report)
            except allotment.RolledBack:
                if not self.rolled_back:
                    raise Violated(f"no book was lost, but {report} says so") from None
                allots = allotment.restart(self.fleet.book, self._epoch())
        self.fleet_inbox.clear()
        return allots

    def _send(self, allots: list[Allot]) -> None:
        self.bag += [Envelope("allot", allot.repo, allot) for allot in allots]

    # Messages

    def deliver(self, index: int, *, keep: bool = False) -> None:
        """One message arrives; `keep`: it will come once more."""
        envelope = self.bag[index] if keep else self.bag.pop(index)
        if envelope.kind == "report":
            self.fleet_inbox.append(envelope.body)
        elif envelope.kind == "granted":
            self._receive_grant(envelope)
        elif envelope.kind == "allot":
            semaphore = self.semaphores[envelope.to]
            if semaphore:
                semaphore.inbox.append(envelope.body)
            else:
                self.revive(envelope.to)
        else:
            self.tell(envelope.to, envelope.body)

    def _receive_grant(self, envelope: Envelope) -> None:
        grant = envelope.body
        job = self.jobs.get(envelope.to)
        if job is None:
            repo = envelope.to.partition("#")[0]
            semaphore = self.semaphores[repo]
            if semaphore and semaphore.state.epoch == envelope.life:
                rules.release(semaphore.state, Release(envelope.to, grant.lease), self.now)
            return
        unwanted = jobs.granted(job.state, grant.lease, self.now)
        if unwanted:
            self.tell(job.repo, Release(job.id, unwanted))

    # What must hold

    def check(self) -> None:
        """Permits that are, or may still come, out never grow beyond a limit.

        With fixed limits that says: never more in use than the limit. A limit set below what is
        out revokes nothing, but then the sum only shrinks until it fits; and so does what may be
        granted anew, which is less where more is in use than is allotted.
        """
        before, self.potential = self.potential, self._potentials()
        permitted, self.permitted = self.permitted, self._permissions()
        for repo, semaphore in self.semaphores.items():
            if semaphore is None or semaphore.claims is not None:
                continue
            known = {lease.id for lease in semaphore.state.holders.values()}
            for job in self._jobs_of(repo):
                if job.state.lease and job.state.lease not in known:
                    raise Violated(f"{job.id} holds {job.state.lease}, its semaphore forgot")
        if self.rolled_back:
            return  # between a reset and its discovery nothing can be promised
        for key, out in self.potential.items():
            if out > max(self.cap(key), before[key]):
                raise Violated(f"{key or 'fleet'}: {before[key]} → {out} over {self.cap(key)}")
        for key, out in self.permitted.items():
            if out > max(self.cap(key), permitted[key]):
                raise Violated(f"{key or 'fleet'}: permission for {permitted[key]} → {out}")

    def check_quiet(self) -> None:
        """With nothing on its way: all is settled, and no waiter could have a free permit."""
        if not self.fleet.book.settled:
            raise Violated("a semaphore has never reported")
        used = self._sums({repo: self._in_use(repo) for repo in self.semaphores})
        for repo, semaphore in self.semaphores.items():
            account = self.fleet.book.accounts.get(repo)
            if semaphore is None:
                if any(job.state.waiting_since for job in self._jobs_of(repo)):
                    raise Violated(f"{repo} has waiters and no semaphore")
                continue  # terminated: the Fleet finds out when it wants something back
            if account and account.likely_in_use != semaphore.state.in_use:
                raise Violated(f"{repo}: the Fleet sees {account}, truth {semaphore.state}")
            waiting = any(w.not_before <= self.now for w in semaphore.state.waiters.values())
            if waiting and all(used[k] < self.cap(k) for k in (FLEET, org_of(repo), repo)):
                raise Violated(f"{repo} waits while permits are free: {used}")

    def cap(self, key: str) -> int:
        """The limit in force of the fleet, an organization or a repository."""
        limits = self.fleet.limits
        if key == FLEET:
            return fleet.capacity(self.fleet)
        if "/" in key:
            return limits.repo_cap(key)
        return 0 if self.fleet.cooling.get(key, 0.0) > self.now else limits.org_cap(key)

    def _in_use(self, repo: str) -> int:
        leases = {job.state.lease for job in self._jobs_of(repo) if job.state.lease}
        semaphore = self.semaphores[repo]
        if semaphore and semaphore.claims:
            leases |= {claim.lease for claim in semaphore.claims if claim.lease}
        if semaphore:
            leases |= {lease.id for lease in semaphore.state.holders.values()}
        return len(leases)

    def _potentials(self) -> dict[str, int]:
        return self._sums({repo: self._potential(repo) for repo in self.semaphores})

    def _potential(self, repo: str) -> int:
        """The most permits of the repository that can be out with what the Fleet has said."""
        return max(self._in_use(repo), self._permission(repo))

    def _permissions(self) -> dict[str, int]:
        return self._sums({repo: self._permission(repo) for repo in self.semaphores})

    def _permission(self, repo: str) -> int:
        """Up to how many permits of the repository are granted with what the Fleet has said."""
        semaphore = self.semaphores[repo]
        if semaphore is None:
            return 0
        state = semaphore.state
        sent = [m for m in semaphore.inbox if isinstance(m, Allot)]
        sent += [e.body for e in self.bag if e.kind == "allot" and e.to == repo]
        most = state.allotment
        for message in sent:
            if message.epoch not in ("", state.epoch) or message.fleet_epoch < state.fleet_epoch:
                continue
            if message.fleet_epoch == state.fleet_epoch:
                counts = message.sequence > state.sequence
            else:  # it freezes at the first word of a new Fleet, and takes what comes after
                first = min(m.sequence for m in sent if m.fleet_epoch == message.fleet_epoch)
                fresh = not state.fleet_epoch and message.epoch == state.epoch
                counts = fresh or message.sequence > first
            if counts:
                most = max(most, message.n)
        return most

    def _sums(self, by_repo: dict[str, int]) -> dict[str, int]:
        sums = {FLEET: sum(by_repo.values()), **by_repo}
        for repo, n in by_repo.items():
            sums[org_of(repo)] = sums.get(org_of(repo), 0) + n
        return sums

    def _jobs_of(self, repo: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.repo == repo]

    def _epoch(self) -> str:
        self.lives += 1
        return messages.epoch(self.lives / 1e6, "run")


def _claim(job: Job) -> Claim:
    state = job.state
    waiting = bool(state.waiting_since)
    return Claim(
        job.id,
        state.lease,
        state.granted_at,
        waiting,
        job.priority,
        state.queued_at,
        state.not_before,
    )
