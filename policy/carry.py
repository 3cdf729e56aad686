"""The Fleet's book in few bytes, for continue-as-new: rows without names instead of objects.

Temporal refuses payloads over 2 MB and warns from 512 KiB (reference: Temporal's default limits
blobSizeLimitError and blobSizeLimitWarn). As JSON objects 2,000 accounts take over 1 MB, most of
it the names of their fields.
"""

from typing import Any, cast

from policy.allotment import Account, Book
from policy.messages import Waiting
from policy.priority import PRIORITIES
from policy.usage import Usage

Row = list[Any]
_BASE = 1_700_000_000  # epoch seconds; times are carried as tenths of seconds from here


def pack(book: Book) -> list[Row]:
    """One row an account; `unpack` gives back an equal one, times rounded to 0.1 s."""
    return [
        [
            a.repo,
            a.epoch,
            a.number,
            a.acked,
            a.in_use,
            a.sequence,
            a.allotment,
            [part for pair in a.outstanding.items() for part in pair],
            a.likely_in_use,
            [
                [PRIORITIES.index(g.priority), g.count, _tenths(g.oldest)]
                for g in a.waiting
                if g.priority in PRIORITIES
            ],
            a.held_up,
            [_tenths(since) for since in a.running_since],
            [round(seconds, 1) for seconds in a.durations],
            a.samples,
            int(a.settled),
            [round(a.usage.amount, 1), _tenths(a.usage.at), a.usage.held],
        ]
        for a in book.accounts.values()
    ]


def unpack(rows: list[Row]) -> dict[str, Account]:
    """The accounts of `pack`, by repository."""
    return {account.repo: account for account in map(_account, rows)}


def _tenths(time: float) -> int:
    return round((time - _BASE) * 10)


def _time(tenths: int) -> float:
    return round(tenths / 10 + _BASE, 1)


def _account(row: Row) -> Account:
    (
        repo, epoch, number, acked, in_use, sequence, allotment, outstanding, likely, waiting,
        held_up, since, durations, samples, settled, usage,
    ) = row  # fmt: skip
    pairs = cast(list[int], outstanding)
    return Account(
        repo=repo,
        epoch=epoch,
        number=number,
        acked=acked,
        in_use=in_use,
        sequence=sequence,
        allotment=allotment,
        outstanding=dict(zip(pairs[::2], pairs[1::2], strict=True)),
        likely_in_use=likely,
        waiting=[
            Waiting(PRIORITIES[level], count, _time(oldest))
            for level, count, oldest in cast(list[list[int]], waiting)
        ],
        held_up=held_up,
        running_since=[_time(tenths) for tenths in since],
        durations=durations,
        samples=samples,
        usage=Usage(usage[0], _time(usage[1]), usage[2]),
        settled=bool(settled),
    )
