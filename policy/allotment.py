"""The Fleet's book: what is reserved for each repository, and which allotments to send next.

Reserved for a repository is the most that it can have out: `max(in use as reported, every n sent
with a sequence at or after the one it acknowledged)`. An allotment is raised only while the sum of
reservations stays within the capacity (and the organization's sum within its limit); one is taken
back by sending a lower n, and counts as free only when that is acknowledged. Since all messages
are state, lost order and duplicates change nothing (docs/decisions/0001-allotments.md).
"""

from dataclasses import dataclass, field, replace

from policy.allocation import Allocation, Demand, Snapshot, allocation, org_cap
from policy.handover import hand_over
from policy.limits import Limits, org_of
from policy.messages import Allot, Report, Waiting
from policy.usage import Usage, hold, used


@dataclass
class Account:
    """What the Fleet knows of one repository's semaphore."""

    repo: str
    epoch: str = ""
    number: int = 0
    acked: int = 0
    in_use: int = 0
    sequence: int = 0
    allotment: int = 0
    outstanding: dict[int, int] = field(default_factory=dict[int, int])  # sequence → n
    # As reported, then moved on by what our own allotments let it do (see `_foresee`).
    likely_in_use: int = 0
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    held_up: int = 0
    running_since: list[float] = field(default_factory=list[float])
    durations: list[float] = field(default_factory=list[float])
    samples: int = 0
    usage: Usage = field(default_factory=Usage)
    settled: bool = True  # False until it has reported in the Fleet's present epoch

    @property
    def backlog(self) -> int:
        """All its waiters, those included that cannot take a permit yet."""
        return self.held_up + sum(group.count for group in self.waiting)

    @property
    def reserved(self) -> int:
        """The most permits it can have out now."""
        return max(self.in_use, *self.outstanding.values(), 0)


@dataclass
class Book:
    """The Fleet's memory of all semaphores."""

    epoch: str = ""
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])

    @property
    def settled(self) -> bool:
        """Whether every known semaphore has reported in this epoch; nothing is raised before."""
        return all(account.settled for account in self.accounts.values())


def meet(book: Book, repo: str) -> Allot:
    """First word of a Fleet started afresh to a semaphore that it found running.

    It is meant for whichever life of it hears it, and each freezes and reports.
    """
    return _introduce(book, book.accounts.setdefault(repo, Account(repo)), 0)


def receive(book: Book, report: Report) -> list[Allot]:
    """Enter a report; the answer is what must be said at once (an introduction, or nothing).

    Raises RolledBack when the report shows that this book has lost its newest pages.
    """
    account = book.accounts.get(report.repo)
    if account is None:
        account = book.accounts[report.repo] = Account(report.repo)
    if report.epoch < account.epoch:
        return []
    if report.epoch == account.epoch and report.number <= account.number:
        return []
    known = report.fleet_epoch == book.epoch
    if report.fleet_epoch > book.epoch or (known and report.acked > account.sequence):
        raise RolledBack(report.repo)
    if report.closing and not report.in_use:
        # A word of ours that it has not heard is on its way, and will revive it.
        heard = report.acked == account.sequence if known else account.settled
        if heard:
            del book.accounts[report.repo]
        return []
    if report.epoch > account.epoch:
        # What was sent to its former life is void there; what that life took is in `allotment`.
        account.epoch = report.epoch
        account.outstanding.clear()
        account.outstanding[report.acked if known else 0] = report.allotment
    account.number = report.number
    account.in_use = account.likely_in_use = report.in_use
    account.waiting = report.waiting
    account.held_up = report.held_up
    account.running_since = report.running_since
    account.durations = report.durations
    account.samples = report.samples
    if not known and (report.fleet_epoch or not account.settled):
        # It believes another Fleet, or may yet hear from one: what that has sent is still on its
        # way. It will freeze at our word, then tell us the truth.
        account.outstanding[0] = max(report.allotment, account.reserved)
        return [_introduce(book, account, 0)]
    account.settled = True
    if known:
        account.acked = report.acked
        account.outstanding = {
            sequence: n for sequence, n in account.outstanding.items() if sequence >= report.acked
        }
        # A frozen or revived semaphore may believe less than we sent: its word counts.
        account.outstanding[report.acked] = report.allotment
    account.allotment = account.outstanding[max(account.outstanding, default=0)]
    _foresee(account)
    return []


class RolledBack(Exception):
    """A semaphore knows more of our messages than we do: the book must begin a new epoch."""


def restart(book: Book, epoch: str) -> list[Allot]:
    """Begin a new epoch over the accounts known: reserve all of it until each has reported."""
    book.epoch = epoch
    # Not what is reserved: who froze lower meanwhile would take that for a raise.
    return [_introduce(book, account, 0) for account in book.accounts.values()]


def unanswered(book: Book) -> list[str]:
    """Repositories whose word is owed: an introduction, or an allotment taken back."""
    return [
        a.repo
        for a in book.accounts.values()
        if not a.settled or a.reserved > max(a.in_use, a.allotment)
    ]


def repeat(book: Book, repo: str) -> Allot:
    """The last word to a repository again: it may have ended before it read it."""
    account = book.accounts[repo]
    epoch = account.epoch if account.settled else ""
    return Allot(repo, book.epoch, epoch, account.sequence, account.allotment)


def rebalance(
    book: Book, limits: Limits, capacity: int, now: float, cooling: dict[str, float]
) -> list[Allot]:
    """The allotments to send now: first what must come down, then what can go up."""
    for account in book.accounts.values():
        hold(account.usage, account.likely_in_use, now)
    snapshot = snapshot_of(book, limits, capacity, now, cooling)
    goal = allocation(snapshot, now)
    targets = dict(goal.allotments)
    for repo, n in hand_over(snapshot, goal, now).items():
        targets[repo] -= n
    sent = _take_back(book, snapshot, targets, now)
    if book.settled:
        sent += _raise(book, snapshot, goal, now)
    for allot in sent:
        account = book.accounts[allot.repo]
        hold(account.usage, account.likely_in_use, now)
    return sent


def snapshot_of(
    book: Book, limits: Limits, capacity: int, now: float, cooling: dict[str, float]
) -> Snapshot:
    """What `allocate` is asked: the demand as the Fleet pictures it now."""
    demands = [
        Demand(a.repo, a.likely_in_use, a.waiting, used(a.usage, now))
        for a in book.accounts.values()
    ]
    return Snapshot(limits, capacity, demands, cooling)


@dataclass
class _Sums:
    """One pass over the accounts: totals of the fleet (key "") and of each organization."""

    reserved: dict[str, int] = field(default_factory=dict[str, int])
    returning: dict[str, int] = field(default_factory=dict[str, int])  # lowered, not yet acked
    allotted: dict[str, int] = field(default_factory=dict[str, int])
    lacking: dict[str, int] = field(default_factory=dict[str, int])


def _sums(book: Book, targets: dict[str, int]) -> _Sums:
    sums = _Sums()
    for account in book.accounts.values():
        reserved = account.reserved
        for key in ("", org_of(account.repo)):
            for total, amount in (
                (sums.reserved, reserved),
                (sums.returning, reserved - max(account.in_use, account.allotment)),
                (sums.allotted, account.allotment),
                (sums.lacking, max(0, targets[account.repo] - reserved)),
            ):
                total[key] = total.get(key, 0) + amount
    return sums


def _take_back(book: Book, snapshot: Snapshot, targets: dict[str, int], now: float) -> list[Allot]:
    """Lower what is over a limit at once, and idle allotments only as far as others need them."""
    sums = _sums(book, targets)
    caps = {org: org_cap(snapshot, org, now) for org in sums.reserved if org}
    caps[""] = snapshot.capacity
    # How much must come free beyond what is free or on its way back already.
    short = {
        key: lacking + sums.reserved[key] - sums.returning[key] - caps[key] if lacking else 0
        for key, lacking in sums.lacking.items()
    }
    sent: list[Allot] = []
    idlest_first = sorted(
        book.accounts.values(), key=lambda a: (a.likely_in_use - a.allotment, a.repo)
    )
    for account in idlest_first:
        spare = account.allotment - targets[account.repo]
        if spare <= 0:
            continue
        org = org_of(account.repo)
        forced = (
            targets[account.repo] < account.likely_in_use
            or account.allotment > snapshot.limits.repo_cap(account.repo)
            or sums.allotted[org] > caps[org]
            or sums.allotted[""] > caps[""]
        )
        give = spare if forced else min(spare, max(short[""], short[org]))
        if give <= 0:
            continue
        for key in ("", org):
            short[key] -= give
        sent.append(_send(book, account, account.allotment - give))
    return sent


def _raise(book: Book, snapshot: Snapshot, goal: Allocation, now: float) -> list[Allot]:
    """Give free permits in the order of the allocation, each repository in one message."""
    reserved = _sums(book, goal.allotments).reserved
    raised: dict[str, int] = {}
    steps: dict[str, int] = {}
    for repo in goal.order:
        account = book.accounts[repo]
        org = org_of(repo)
        steps[repo] = steps.get(repo, 0) + 1
        n = account.likely_in_use + steps[repo]
        cost = max(0, n - max(account.reserved, raised.get(repo, 0)))
        room = min(snapshot.capacity - reserved[""], org_cap(snapshot, org, now) - reserved[org])
        if cost > room:
            continue
        reserved[""] += cost
        reserved[org] += cost
        raised[repo] = n
    return [_send(book, book.accounts[repo], n) for repo, n in raised.items()]


def _introduce(book: Book, account: Account, n: int) -> Allot:
    account.settled = False
    return replace(_send(book, account, n), epoch="")


def _send(book: Book, account: Account, n: int) -> Allot:
    account.sequence += 1
    account.allotment = n
    account.outstanding[account.sequence] = n
    _foresee(account)
    return Allot(account.repo, book.epoch, account.epoch, account.sequence, n)


def _foresee(account: Account) -> None:
    """Move waiters to permits as the semaphore will with this allotment.

    Only for the picture of demand: reservations never rest on it.
    """
    gained = account.allotment - account.likely_in_use
    groups: list[Waiting] = []
    for group in account.waiting:
        taken = max(0, min(gained, group.count))
        gained -= taken
        account.likely_in_use += taken
        if group.count > taken:
            groups.append(Waiting(group.priority, group.count - taken, group.oldest))
    account.waiting = groups
