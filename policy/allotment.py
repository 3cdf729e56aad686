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
    silent: bool = False  # not for long now: the Fleet goes on without it (see `go_on_without`)

    @property
    def backlog(self) -> int:
        """All its waiters, those included that cannot take a permit yet."""
        return self.held_up + sum(group.count for group in self.waiting)

    @property
    def reserved(self) -> int:
        """The most permits it can have out now."""
        return max(self.in_use, max(self.outstanding.values(), default=0))


@dataclass
class Book:
    """The Fleet's memory of all semaphores."""

    epoch: str = ""
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])

    @property
    def settled(self) -> bool:
        """Whether every known semaphore has reported in this epoch."""
        return all(account.settled for account in self.accounts.values())

    @property
    def ready(self) -> bool:
        """Whether allotments may be raised: each has reported, or is counted without its word."""
        return all(account.settled or account.silent for account in self.accounts.values())


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
        account.outstanding[0] = report.allotment
    account.silent = False
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
    account.allotment = account.outstanding[max(account.outstanding)]
    _foresee(account)
    return []


class RolledBack(Exception):
    """A semaphore knows more of our messages than we do: the book must begin a new epoch."""


def restart(book: Book, epoch: str) -> list[Allot]:
    """Begin a new epoch over the accounts known: reserve all of it until each has reported."""
    book.epoch = epoch
    for account in book.accounts.values():
        account.silent = False
    # Not what is reserved: who froze lower meanwhile would take that for a raise.
    return [_introduce(book, account, 0) for account in book.accounts.values()]


def go_on_without(book: Book, repo: str, most: int) -> None:
    """Count a semaphore that does not answer as one that has `most` permits out, and wait no more.

    Never fewer than are reserved for it. It is given nothing before it has answered: its waiters
    are known, and can take no permit.
    """
    account = book.accounts[repo]
    account.outstanding[0] = max(account.reserved, most)
    account.in_use = account.likely_in_use = account.reserved  # nothing of it is on its way back
    account.held_up, account.waiting = account.backlog, []
    account.silent = True


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
    book: Book,
    limits: Limits,
    capacity: int,
    now: float,
    cooling: dict[str, float],
    *,
    by_use: bool = True,
    exact: bool = True,
) -> list[Allot]:
    """The allotments to send now: first what must come down, then what can go up.

    `by_use`: what is in use beyond an allotment that was lowered counts against the limits above.
    `exact`: nothing is granted again while more is in use than a limit lets (see `_ceilings`).
    """
    for account in book.accounts.values():
        hold(account.usage, account.likely_in_use, now)
    snapshot = snapshot_of(book, limits, capacity, now, cooling)
    goal = allocation(snapshot, now)
    targets = dict(goal.allotments)
    for repo, n in hand_over(snapshot, goal, now).items():
        targets[repo] -= n
    if exact:
        for repo, most in _ceilings(book, snapshot, now).items():
            targets[repo] = min(targets[repo], most)
    sent = _take_back(book, snapshot, targets, now, by_use=by_use)
    if book.ready:
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


@dataclass(slots=True)
class _Sum:
    """Of the fleet, or of one organization."""

    reserved: int = 0
    allotted: int = 0
    out: int = 0  # allotted, or in use beyond it
    idle: int = 0
    lacking: int = 0


def _sums(book: Book, targets: dict[str, int]) -> dict[str, _Sum]:
    """One pass over the accounts: totals of the fleet (key "") and of each organization."""
    whole = _Sum()
    sums = {"": whole}
    # Comparisons, not max: a Fleet of a thousand repositories does this at each word it hears.
    for repo, account in book.accounts.items():
        org = org_of(repo)
        one = sums.get(org)
        if one is None:
            one = sums[org] = _Sum()
        in_use, allotted, reserved = account.in_use, account.allotment, account.reserved
        one.reserved += reserved
        one.allotted += allotted
        if allotted > in_use:
            one.out += allotted
            one.idle += allotted - in_use
        else:
            one.out += in_use
        if targets[repo] > reserved:
            one.lacking += targets[repo] - reserved
    for org, one in sums.items():
        if org:
            whole.reserved += one.reserved
            whole.allotted += one.allotted
            whole.out += one.out
            whole.idle += one.idle
            whole.lacking += one.lacking
    return sums


def over_by_use_alone(
    book: Book, limits: Limits, capacity: int, now: float, cooling: dict[str, float]
) -> bool:
    """Whether idle allotments would stay but for what is in use beyond a lowered allotment.

    A repository whose limit was lowered still uses what it had: the idle allotments of others must
    come back too, if the fleet's or the organization's limit is lowered after it.
    """
    if all(account.in_use <= account.allotment for account in book.accounts.values()):
        return False
    snapshot = Snapshot(limits, capacity, [], cooling)
    sums = _sums(book, dict.fromkeys(book.accounts, 0))
    caps = _caps(sums, snapshot, now)
    return any(one.allotted <= caps[key] < one.out and one.idle for key, one in sums.items())


def over_in_use(
    book: Book, limits: Limits, capacity: int, now: float, cooling: dict[str, float]
) -> bool:
    """Whether `exact` makes a difference: somebody may grant again what must not be."""
    ceilings = _ceilings(book, Snapshot(limits, capacity, [], cooling), now)
    return any(book.accounts[repo].allotment > most for repo, most in ceilings.items())


def _ceilings(book: Book, snapshot: Snapshot, now: float) -> dict[str, int]:
    """How many permits each repository may have where more is in use than a limit lets.

    A semaphore grants again at once what comes back to it, up to its allotment. So long as the
    fleet, or its organization, has an excess in use, none may: whoever gives back first, and
    however often, before the excess is gone. What one that does not answer can have out at most
    is no excess: nobody else could be served for as long as it is silent.
    """
    used: dict[str, int] = {}
    for repo, account in book.accounts.items():
        if account.in_use and not account.silent:
            org = org_of(repo)
            used[org] = used.get(org, 0) + account.in_use
    excess = {org: n - org_cap(snapshot, org, now) for org, n in used.items()}
    whole = sum(used.values()) - snapshot.capacity
    ceilings: dict[str, int] = {}
    if max(whole, *excess.values(), 0) <= 0:
        return ceilings
    for repo, account in book.accounts.items():
        most = max(whole, excess.get(org_of(repo), 0))
        if most > 0:
            ceilings[repo] = max(0, account.in_use - most)
    return ceilings


def _caps(sums: dict[str, _Sum], snapshot: Snapshot, now: float) -> dict[str, int]:
    """The limits of the fleet (key "") and of each organization."""
    caps = {org: org_cap(snapshot, org, now) for org in sums if org}
    caps[""] = snapshot.capacity
    return caps


def _take_back(
    book: Book, snapshot: Snapshot, targets: dict[str, int], now: float, *, by_use: bool
) -> list[Allot]:
    """Lower what is over a limit at once, and idle allotments only as far as others need them."""
    sums = _sums(book, targets)
    caps = _caps(sums, snapshot, now)
    over = {key: (one.out if by_use else one.allotted) > caps[key] for key, one in sums.items()}
    # How much must come free beyond what is free or on its way back already.
    short = {
        key: one.lacking + one.out - caps[key] if one.lacking else 0 for key, one in sums.items()
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
            or over[org]
            or over[""]
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
    if not goal.order:
        return []
    reserved = {key: one.reserved for key, one in _sums(book, goal.allotments).items()}
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
