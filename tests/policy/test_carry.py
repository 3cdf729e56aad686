"""The Fleet's book on its way to the next run: nothing is lost, and it is small."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import messages
from policy.allotment import Account, Book
from policy.carry import pack, unpack
from policy.messages import Waiting
from policy.priority import PRIORITIES
from policy.usage import Usage

COUNTS = st.integers(0, 100)
TIMES = st.integers(0, 2**31).map(float)
ACCOUNTS = st.builds(
    Account,
    repo=st.sampled_from(["acme/a", "acme/b", "beta/c"]),
    epoch=st.sampled_from(["", "e1", "e2~"]),
    number=COUNTS,
    acked=COUNTS,
    in_use=COUNTS,
    sequence=COUNTS,
    allotment=COUNTS,
    outstanding=st.dictionaries(COUNTS, COUNTS, max_size=3),
    likely_in_use=COUNTS,
    waiting=st.lists(
        st.builds(Waiting, priority=st.sampled_from(PRIORITIES), count=COUNTS, oldest=TIMES),
        max_size=3,
    ),
    held_up=COUNTS,
    running_since=st.lists(TIMES, max_size=3),
    durations=st.lists(TIMES, max_size=3),
    samples=COUNTS,
    usage=st.builds(Usage, amount=TIMES, at=TIMES, held=COUNTS),
    settled=st.booleans(),
)


@given(st.lists(ACCOUNTS, unique_by=lambda account: account.repo))
def test_what_is_packed_is_unpacked_unchanged(accounts: list[Account]) -> None:
    """Through JSON, as Temporal carries it."""
    book = Book("f1", {account.repo: account for account in accounts})
    rows = json.loads(json.dumps(pack(book)))
    assert unpack(rows) == book.accounts
    assert all(asdict(unpack(rows)[a.repo]) == asdict(a) for a in accounts)


TIME = 1_790_000_000.0


def carried(account: Account) -> Account:
    """The account as the next run finds it."""
    return unpack(json.loads(json.dumps(pack(Book("f1", {account.repo: account})))))[account.repo]


@pytest.mark.parametrize(("exact", "kept"), [(0.04, 0.0), (0.05001, 0.1), (12.3456, 12.3)])
def test_times_and_durations_are_kept_to_a_tenth_of_a_second(exact: float, kept: float) -> None:
    """Fewer digits make the book small; a tenth is less than anybody decides by."""
    account = carried(
        Account(
            "acme/a",
            waiting=[Waiting("low", 1, TIME + exact)],
            running_since=[TIME + exact],
            durations=[exact],
            usage=Usage(exact, TIME + exact, 1),
        )
    )
    assert account.waiting == [Waiting("low", 1, TIME + kept)]
    assert account.running_since == [TIME + kept]
    assert account.durations == [kept]
    assert account.usage == Usage(kept, TIME + kept, 1)


def test_each_number_of_an_account_keeps_its_place() -> None:
    """All of them different, so that no two can be exchanged unseen."""
    account = Account(
        "acme/a", "e1", 2, 3, 4, 5, 6, {7: 8, 9: 10}, 11, [Waiting("high", 12, TIME + 13)],
        14, [TIME + 15], [16.5], 17, Usage(18.5, TIME + 19, 20), settled=False,
    )  # fmt: skip
    assert asdict(carried(account)) == asdict(account)
    account.settled = True
    assert carried(account).settled is True


def test_waiters_of_a_priority_that_is_no_more_are_not_carried() -> None:
    """A semaphore of another version may know more levels; its next report tells anew."""
    account = Account("acme/a", waiting=[Waiting("urgent", 1, TIME), Waiting("low", 2, TIME)])
    assert carried(account).waiting == [Waiting("low", 2, TIME)]


def test_a_torn_row_is_refused() -> None:
    """Half of a pair (sequence, permits) would silently be an allotment that nobody reserved."""
    (row,) = pack(Book("f1", {"acme/a": Account("acme/a", outstanding={1: 2, 2: 3})}))
    place = row.index([1, 2, 2, 3])
    row[place] = [1, 2, 2]
    with pytest.raises(ValueError, match="zip"):
        unpack([row])


def test_two_thousand_busy_repositories_stay_under_512_kib() -> None:
    """Where Temporal begins to warn; with all that an account can say."""
    began = 1_790_000_000.123
    book = Book("f1")
    for i in range(2000):
        repo = f"organization-{i % 40}/repository-{i:04d}"
        book.accounts[repo] = Account(
            repo,
            messages.epoch(began + i, "5f0c2a7e-8a43-4c1b-9d65-0e7b6f3a1c22"),
            4321,
            1234,
            2,
            1236,
            2,
            {1234: 2, 1235: 1, 1236: 2},
            2,
            [Waiting("high", 3, began + i), Waiting("normal", 17, began - i)],
            1,
            [began + i + 0.456, began + i + 70.789],
            [round(12.3 * (k + 1) ** 1.7, 1) for k in range(11)],
            64,
            Usage(431.234, began + i, 2),
        )
    packed = json.dumps(pack(book), separators=(",", ":"))
    assert len(packed) < 512 * 1024, len(packed)
    assert len(packed) < len(json.dumps(asdict(book))) / 2
