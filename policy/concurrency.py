"""The table of what runs, repository by repository: when to look again, and what to write.

The truth is the semaphores'. The Fleet hears of every change of theirs, so that its word says
where to look; it is a hint, and what is written is what a semaphore said.
"""

from dataclasses import dataclass

# A row that says that something runs or waits is written anew at least so often, though nothing
# changed: who reads it can tell a quiet repository from a publisher that is gone.
FRESH_SECONDS = 60.0


@dataclass(frozen=True)
class Picture:
    """What is true of one repository."""

    running: int  # permits out: what runners occupy
    waiting: int
    epoch: str = ""  # the life of the semaphore that said so


@dataclass(frozen=True)
class Row:
    """What the table says of one repository. `written_at` is in epoch seconds."""

    repo: str
    running: int = 0
    waiting: int = 0
    limit: int = 0
    epoch: str = ""
    version: int = 0  # 0: there is no row, or none of ours
    written_at: float = 0.0


@dataclass(frozen=True)
class Hint:
    """The Fleet's word on one repository; of `waiting` it hears only what matters to it."""

    running: int = 0
    waiting: int = 0


NOTHING = Hint()


def is_due(row: Row | None, hint: Hint, before: Hint, limit: int, now: float) -> bool:
    """Whether to ask the semaphore. `before` is what the Fleet said at the last look."""
    if row is None:
        return hint != NOTHING
    if hint != before or hint.running != row.running or limit != row.limit:
        return True
    return _is_stale(row, now)


def next_row(
    row: Row | None, repo: str, picture: Picture, limit: int | None, now: float
) -> Row | None:
    """The row to write in place of `row`; None if that one will do.

    `limit` is None if nobody knows it now. The first version of a row grows with time, so that a
    row made anew after somebody deleted it is never taken for the old one.
    """
    old = row or Row(repo)
    limit = max(0, old.limit) if limit is None else limit
    said = (picture.running, picture.waiting, limit, picture.epoch or old.epoch)
    same = said == (old.running, old.waiting, old.limit, old.epoch)
    if row and row.version and same and not _is_stale(row, now):
        return None
    return Row(repo, *said, old.version + 1 if old.version else max(1, int(now * 1000)), now)


def _is_stale(row: Row, now: float) -> bool:
    return bool(row.running or row.waiting) and now - row.written_at >= FRESH_SECONDS
