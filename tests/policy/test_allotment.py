"""The Fleet's book: single stories; whole histories are in test_protocol.py."""

import pytest

from policy import allotment
from policy.allotment import Account, Book
from policy.limits import Limits
from policy.messages import Allot, Report, Waiting
from policy.usage import Usage

LIMITS = Limits(2, 1.0, 2)
ONE = [Waiting("normal", 1, 10.0)]


def balance(book: Book, capacity: int = 2) -> list[tuple[str, int]]:
    """What is sent now, without its bookkeeping."""
    sent = allotment.rebalance(book, LIMITS, capacity, 100.0, {})
    return [(allot.repo, allot.n) for allot in sent]


def report(repo: str, number: int, acked: int, n: int, in_use: int, **rest: object) -> Report:
    """A report of a semaphore that believes Fleet f1."""
    return Report(repo, "e1", number, "f1" if acked else "", acked, n, in_use, **rest)


def account(
    repo: str, in_use: int = 0, n: int = 0, waiting: list[Waiting] | None = None
) -> Account:
    """One that has acknowledged its allotment of n."""
    return Account(
        repo, "e1", 1, 1, in_use, 1, n, {1: n}, likely_in_use=in_use, waiting=list(waiting or [])
    )


def test_what_is_taken_back_is_free_when_it_is_acknowledged() -> None:
    """An idle allotment goes to who needs it, one message later."""
    book = Book("f1")
    assert (
        allotment.receive(book, report("acme/a", 1, 0, 0, 0, waiting=[Waiting("low", 2, 9)])) == []
    )
    assert balance(book) == [("acme/a", 2)]
    allotment.receive(book, report("acme/a", 2, 1, 2, 0))
    allotment.receive(book, report("acme/b", 1, 0, 0, 0, waiting=ONE))
    assert balance(book) == [("acme/a", 1)], "asked back, not yet given on"
    assert balance(book) == []
    allotment.receive(book, report("acme/a", 3, 2, 1, 0))
    assert balance(book) == [("acme/b", 1)]


def test_an_old_or_doubled_report_is_void() -> None:
    """Numbers grow within a life, lives sort by age."""
    book = Book("f1")
    allotment.receive(book, report("acme/a", 2, 0, 0, 1))
    allotment.receive(book, report("acme/a", 2, 0, 0, 5))
    allotment.receive(book, report("acme/a", 1, 0, 0, 5))
    allotment.receive(book, Report("acme/a", "e0", 9, in_use=5))
    assert book.accounts["acme/a"].in_use == 1


def test_nothing_is_given_before_each_running_semaphore_has_spoken() -> None:
    """A Fleet without memory does not know what is out."""
    book = Book("f2")
    met = allotment.meet(book, "acme/a")
    assert met == Allot("acme/a", "f2", "", 1, 0)
    allotment.receive(book, report("acme/b", 1, 0, 0, 0, waiting=ONE))
    assert balance(book) == []
    # A word spoken before it heard us proves nothing: its old Fleet's answer may be on its way.
    again = allotment.receive(book, report("acme/a", 1, 0, 0, 0))
    assert [(a.epoch, a.sequence, a.n) for a in again] == [("", 2, 0)]
    assert balance(book) == []
    allotment.receive(book, Report("acme/a", "e1", 2, "f2", 1, 1, 1))
    assert book.settled
    assert balance(book) == [("acme/b", 1)]


def test_late_words_from_an_earlier_fleets_time_hold_nothing_back() -> None:
    """However many come: once it has frozen and said so, only that counts."""
    book = Book("f2")
    allotment.meet(book, "acme/a")
    for number in (1, 2):
        allotment.receive(book, report("acme/a", number, 4, 2, 1))
        assert book.accounts["acme/a"].reserved == 2
    allotment.receive(book, Report("acme/a", "e1", 3, "f2", 3, 0, 0))
    assert book.settled
    assert book.accounts["acme/a"].reserved == 0


def test_a_book_that_lost_pages_begins_anew() -> None:
    """An acknowledgement of what was never sent, or the word of a later Fleet."""
    book = Book("f1")
    with pytest.raises(allotment.RolledBack):
        allotment.receive(book, report("acme/a", 1, 5, 2, 1))
    with pytest.raises(allotment.RolledBack):
        allotment.receive(book, Report("acme/b", "e1", 1, "f9", 0))
    met = allotment.restart(book, "f2")
    assert {(a.repo, a.fleet_epoch) for a in met} == {("acme/a", "f2"), ("acme/b", "f2")}
    assert not book.settled


def test_a_semaphore_that_ended_is_forgotten() -> None:
    """It keeps nothing; but not while our first word is on its way to it."""
    book = Book("f1")
    allotment.receive(book, report("acme/a", 1, 0, 0, 0))
    allotment.receive(book, report("acme/a", 2, 0, 0, 0, closing=True))
    assert not book.accounts
    allotment.meet(book, "acme/b")
    allotment.receive(book, report("acme/b", 1, 0, 0, 0, closing=True))
    assert "acme/b" in book.accounts
    allotment.receive(book, Report("acme/b", "e1", 2, "f1", 1, closing=True))
    assert not book.accounts


# What a report and a first word leave in the book


def test_a_report_is_entered_whole() -> None:
    """All of it, for what the Fleet says of the fleet and how long it thinks a drain takes."""
    book = Book("f1")
    said = Report(
        "acme/a", "e1", 3, "", 0, 0, 1, [Waiting("low", 2, 9.0)], [5.0], [6.0, 7.0], 8, held_up=4
    )
    assert allotment.receive(book, said) == []
    assert book.accounts == {
        "acme/a": Account(
            "acme/a", "e1", 3, in_use=1, likely_in_use=1, outstanding={0: 0},
            waiting=[Waiting("low", 2, 9.0)], held_up=4, running_since=[5.0],
            durations=[6.0, 7.0], samples=8,
        )
    }  # fmt: skip


def test_a_first_word_is_an_allotment_of_nothing() -> None:
    """Its account is not settled until the semaphore has heard it and said so."""
    book = Book("f1")
    allotment.meet(book, "acme/a")
    begun = Account("acme/a", sequence=1, outstanding={1: 0}, settled=False)
    assert book.accounts == {"acme/a": begun}
    assert allotment.meet(book, "acme/a") == Allot("acme/a", "f1", "", 2, 0)


def test_who_is_met_holding_permits_of_another_fleet_keeps_them_reserved() -> None:
    """Its first word to us: three may be out, whatever we have sent and though one is in use."""
    book = Book("f2")
    assert allotment.receive(book, Report("acme/a", "e1", 1, "f1", 4, 3, 1)) == [
        Allot("acme/a", "f2", "", 1, 0)
    ]
    assert book.accounts["acme/a"].reserved == 3
    book = Book("f2")
    allotment.receive(book, Report("acme/b", "e1", 1))
    allotment.receive(book, Report("acme/b", "e1", 2, "f1", 4, 3, 1))
    assert book.accounts["acme/b"].reserved == 3, "also if it heard of that one a little later"


def test_a_new_life_is_owed_nothing_of_what_its_former_life_was_sent() -> None:
    """What that had in use, the new one has adopted and tells; our word for it is void."""
    book = Book("f1", {"acme/a": account("acme/a", 2, 3)})
    assert allotment.receive(book, Report("acme/a", "e2", 1, in_use=1)) == []
    one = book.accounts["acme/a"]
    assert (one.outstanding, one.allotment, one.reserved, one.settled) == ({0: 0}, 0, 1, True)
    assert balance(book) == [], "one is in use, and none waits"


def test_a_new_life_that_believes_an_earlier_fleet_must_freeze_first() -> None:
    """Whatever its former life had settled with us."""
    book = Book("f2", {"acme/a": account("acme/a", 2, 3)})
    (word,) = allotment.receive(book, Report("acme/a", "e2", 1, "f1", 9, 2, 1))
    assert (word.epoch, word.n, word.sequence) == ("", 0, 2)
    assert not book.settled
    assert book.accounts["acme/a"].reserved == 2


def test_a_new_life_that_heard_us_is_taken_at_its_word() -> None:
    """It took our introduction, and counts from there."""
    book = Book("f1", {"acme/a": account("acme/a", 2, 3)})
    assert allotment.receive(book, Report("acme/a", "e2", 1, "f1", 1, 0, 0)) == []
    assert book.accounts["acme/a"].outstanding == {1: 0}


def test_a_semaphore_that_froze_is_allotted_what_it_says() -> None:
    """Less than was sent: its own word counts, and words sent since then still stand."""
    one = account("acme/a", 1, 4)
    book = Book("f1", {"acme/a": one})
    allotment.receive(book, Report("acme/a", "e1", 2, "f1", 1, 2, 1))
    assert (one.allotment, one.reserved) == (2, 2)
    one.outstanding[2], one.sequence = 3, 2
    allotment.receive(book, Report("acme/a", "e1", 3, "f1", 1, 2, 1))
    assert (one.acked, one.allotment, one.reserved) == (1, 3, 3)
    allotment.receive(book, Report("acme/a", "e1", 4, "f1", 2, 3, 0))
    assert (one.acked, one.outstanding) == (2, {2: 3})


def test_who_says_good_bye_with_permits_out_is_not_forgotten() -> None:
    """It is entered as any other; only who keeps nothing may go."""
    book = Book("f1", {"acme/a": account("acme/a", 2, 2)})
    allotment.receive(book, Report("acme/a", "e1", 2, "f1", 1, 2, 1, closing=True))
    assert book.accounts["acme/a"].in_use == 1


def test_who_believes_no_fleet_may_go_once_it_is_settled() -> None:
    """We owe it no word: it has begun, had no work and ends."""
    book = Book("f1")
    allotment.receive(book, Report("acme/a", "e1", 1, closing=True))
    assert not book.accounts
    book = Book("f1", {"acme/a": account("acme/a", 0, 2)})
    allotment.receive(book, Report("acme/a", "e2", 1, closing=True))
    assert not book.accounts, "a new life that never heard what its former life was sent"
    book = Book("f1", {"acme/a": account("acme/a", 0, 2)})
    book.accounts["acme/a"].sequence = 2
    allotment.receive(book, Report("acme/a", "e1", 2, "f1", 1, 2, closing=True))
    assert list(book.accounts) == ["acme/a"], "our second word is on its way to it"


def test_whose_book_is_older_than_whose_word_is_named() -> None:
    """The semaphore that knew more."""
    with pytest.raises(allotment.RolledBack, match=r"^acme/b$"):
        allotment.receive(Book("f1"), Report("acme/b", "e1", 1, "f9"))


def test_a_new_epoch_asks_everybody_and_waits_for_them_again() -> None:
    """Also for who was counted without its word."""
    book = Book("f1", {"acme/a": account("acme/a", 1, 2), "acme/b": account("acme/b")})
    allotment.go_on_without(book, "acme/b", 1)
    assert allotment.restart(book, "f2") == [
        Allot("acme/a", "f2", "", 2, 0),
        Allot("acme/b", "f2", "", 2, 0),
    ]
    assert book.epoch == "f2"
    assert [(a.silent, a.settled, a.reserved) for a in book.accounts.values()] == [
        (False, False, 2),
        (False, False, 1),
    ]
    assert not book.ready


def test_the_last_word_is_repeated_as_it_was() -> None:
    """To the life that it was meant for; a first word to whichever life hears it."""
    book = Book("f1", {"acme/a": account("acme/a", 0, 0, [Waiting("low", 2, 10.0)])})
    (sent,) = allotment.rebalance(book, LIMITS, 2, 100.0, {})
    assert allotment.repeat(book, "acme/a") == sent == Allot("acme/a", "f1", "e1", 2, 2)
    (first,) = allotment.restart(book, "f2")
    assert allotment.repeat(book, "acme/a") == first == Allot("acme/a", "f2", "", 3, 0)


def test_an_answer_is_owed_to_first_words_and_to_what_is_taken_back() -> None:
    """A raise needs no answer: the permits are the semaphore's from when they are sent."""
    book = Book(
        "f1",
        {
            "acme/idle": account("acme/idle"),
            "acme/raised": account("acme/raised", 1, 3),
            "acme/over": account("acme/over", 3, 1),
            "acme/lowered": account("acme/lowered", 1, 3),
            "acme/used": account("acme/used", 2, 3),
        },
    )
    allotment.meet(book, "acme/met")
    for repo, n in (("acme/lowered", 0), ("acme/used", 2)):
        one = book.accounts[repo]
        one.sequence, one.allotment, one.outstanding[2] = 2, n, n
    assert allotment.unanswered(book) == ["acme/lowered", "acme/used", "acme/met"]
    book.accounts["acme/used"].in_use = 3
    assert allotment.unanswered(book) == ["acme/lowered", "acme/met"], "no less is out than in use"


def test_who_does_not_answer_is_counted_at_its_most_and_given_nothing() -> None:
    """Its waiters are known and can take no permit; the others share the rest."""
    silent = account("acme/a", 0, 0, [Waiting("critical", 3, 10.0)])
    silent.settled, silent.held_up = False, 2
    book = Book("f1", {"acme/a": silent, "acme/b": account("acme/b", 0, 0, ONE)})
    assert balance(book, 2) == [], "its word is waited for"
    allotment.go_on_without(book, "acme/a", 1)
    assert (silent.in_use, silent.likely_in_use, silent.reserved) == (1, 1, 1)
    assert silent.outstanding == {0: 1, 1: 0}, "what it may have stands under no word of ours"
    assert (silent.waiting, silent.held_up, silent.backlog) == ([], 5, 5)
    assert not book.settled
    assert balance(book, 1) == []
    assert balance(book, 2) == [("acme/b", 1)]
    allotment.receive(book, Report("acme/a", "e1", 2, "f1", 1, 0, 0))
    assert (silent.silent, silent.settled, silent.reserved) == (False, True, 0)


def test_who_does_not_answer_keeps_what_is_reserved_for_it() -> None:
    """Four may be out by what was sent, though its limit is two by now."""
    book = Book("f1", {"acme/a": account("acme/a", 1, 4)})
    allotment.go_on_without(book, "acme/a", 2)
    assert book.accounts["acme/a"].in_use == book.accounts["acme/a"].reserved == 4


# What is taken back


def said(limits: Limits, *accounts: Account, capacity: int | None = None) -> list[tuple[str, int]]:
    """What is sent to these, in its order."""
    book = Book("f1", {one.repo: one for one in accounts})
    capacity = limits.max_runners if capacity is None else capacity
    return [(a.repo, a.n) for a in allotment.rebalance(book, limits, capacity, 100.0, {})]


@pytest.mark.parametrize(
    ("waiters", "free", "expected"),
    [
        (0, 0, []),
        (1, 0, [("acme/a", 2)]),
        (3, 0, [("acme/a", 0)]),
        (4, 0, [("acme/a", 0), ("acme/b", 1)]),
        (9, 0, [("acme/a", 0), ("acme/b", 0)]),
        (1, 1, [("acme/c", 1)]),
        (2, 1, [("acme/a", 2), ("acme/c", 1)]),
    ],
)
def test_idle_allotments_are_taken_back_as_far_as_others_need_them(
    waiters: int, free: int, expected: list[tuple[str, int]]
) -> None:
    """Three and two lie idle; what is free anyway is given at once."""
    asks = account("acme/c", 0, 0, [Waiting("normal", waiters, 10.0)] if waiters else [])
    limits = Limits(5 + free, 1.0, 9)
    assert said(limits, account("acme/b", 0, 2), account("acme/a", 0, 3), asks) == expected


def test_the_idlest_gives_first_and_of_equals_the_first_by_name() -> None:
    """Idle is what an allotment has beyond what is in use."""
    asks = account("acme/z", 0, 0, [Waiting("normal", 1, 10.0)])
    busy, idle = account("acme/a", 5, 6), account("acme/b", 0, 2)
    assert said(Limits(8, 1.0, 9), busy, idle, asks) == [("acme/b", 1)]
    asks = account("acme/z", 0, 0, [Waiting("normal", 1, 10.0)])
    equals = [account(f"acme/{name}", 1, 3) for name in "cba"]
    assert said(Limits(9, 1.0, 9), *equals, asks) == [("acme/a", 2)]


@pytest.mark.parametrize(
    ("in_use", "waiters", "more"), [(0, 2, 0), (0, 3, 1), (2, 1, 0), (2, 2, 1)]
)
def test_what_is_on_its_way_back_is_not_asked_for_twice(
    in_use: int, waiters: int, more: int
) -> None:
    """Of an allotment lowered from three to one, two come back, or one if two are in use."""
    lowered = account("acme/a", in_use, 3)
    lowered.sequence, lowered.allotment, lowered.outstanding[2] = 2, 1, 1
    asks = account("acme/c", 0, 0, [Waiting("normal", waiters, 10.0)])
    expected = [("acme/b", 2 - more)] if more else []
    assert said(Limits(5, 1.0, 9), lowered, account("acme/b", 0, 2), asks) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(9, 1.0, 3, {}, {"acme": 3}), []),
        (Limits(9, 1.0, 3, {"acme/a": 2}), [("acme/a", 0)]),
        (Limits(9, 1.0, 9, {}, {"acme": 2}), [("acme/a", 0)]),
        (Limits(9, 1.0, 9, {}, {"beta": 0}), [("beta/b", 0)]),
        (Limits(3, 1.0, 9), [("acme/a", 0), ("beta/b", 0)]),
        (Limits(4, 1.0, 9), []),
    ],
)
def test_idle_allotments_over_a_limit_are_taken_back_whoever_needs_them(
    limits: Limits, expected: list[tuple[str, int]]
) -> None:
    """Three idle permits of acme's and one of beta's: a limit set below that takes what it can."""
    assert said(limits, account("acme/a", 0, 3), account("beta/b", 0, 1)) == expected


BEYOND = [
    # The limits, and what comes back of b's two idle permits beside a's three of one.
    (Limits(5, 1.0, 9, {"acme/a": 1}), []),
    (Limits(4, 1.0, 9, {"acme/a": 1}), [("acme/b", 0)]),
    (Limits(3, 1.0, 9, {"acme/a": 1}), [("acme/b", 0)]),
    (Limits(9, 1.0, 9, {"acme/a": 1}, {"acme": 5}), []),
    (Limits(9, 1.0, 9, {"acme/a": 1}, {"acme": 4}), [("acme/b", 0)]),
    (Limits(9, 1.0, 9, {"acme/a": 1}, {"beta": 0}), []),
]


@pytest.mark.parametrize(("limits", "expected"), BEYOND)
def test_what_is_in_use_beyond_a_lowered_allotment_counts_against_the_limits_above(
    limits: Limits, expected: list[tuple[str, int]]
) -> None:
    """First a repository's limit is lowered, then one above it: nobody fills what is not free."""
    accounts = (account("acme/a", 3, 1), account("acme/b", 0, 2))
    book = Book("f1", {one.repo: one for one in accounts})
    alone = allotment.over_by_use_alone(book, limits, limits.max_runners, 100.0, {})
    assert alone == bool(expected)
    assert [(a.repo, a.n) for a in rebalanced(book, limits, by_use=False)] == []
    assert [(a.repo, a.n) for a in rebalanced(book, limits, by_use=True)] == expected


def rebalanced(book: Book, limits: Limits, *, by_use: bool) -> list[Allot]:
    """The next words to the semaphores; runs of a former version did not look at what is used."""
    return allotment.rebalance(book, limits, limits.max_runners, 100.0, {}, by_use=by_use)


def test_what_all_lack_together_is_taken_back_at_once() -> None:
    """Two that wait for one permit each: the idlest gives two."""
    asking = [account(f"acme/{name}", 0, 0, [Waiting("normal", 1, 10.0)]) for name in "cd"]
    idle = (account("acme/b", 0, 2), account("acme/a", 0, 3))
    assert said(Limits(5, 1.0, 9), *idle, *asking) == [("acme/a", 1)]


def test_no_more_is_taken_back_than_is_lacking() -> None:
    """What the one that waits has already is not lacking."""
    asking = account("acme/c", 1, 1, [Waiting("normal", 1, 10.0)])
    assert said(Limits(4, 1.0, 9), account("acme/a", 0, 3), asking) == [("acme/a", 2)]


@pytest.mark.parametrize("other", ["acme/b", "beta/b"])
@pytest.mark.parametrize("by_use", [False, True])
def test_the_allotments_of_all_are_held_against_the_fleets_limit(other: str, by_use: bool) -> None:
    """Of one organization or of two; also for runs that look at nothing else."""
    book = Book("f1", {repo: account(repo, 0, 2) for repo in ("acme/a", other)})
    sent = rebalanced(book, Limits(3, 1.0, 9), by_use=by_use)
    assert [(a.repo, a.n) for a in sent] == [("acme/a", 0), (other, 0)]


@pytest.mark.parametrize("last", ["acme/c", "beta/c"])
def test_any_idle_permit_matters(last: str) -> None:
    """Whoever comes after it."""
    accounts = (account("acme/a", 3, 1), account("acme/b", 0, 1), account(last, 1, 1))
    book = Book("f1", {one.repo: one for one in accounts})
    limits = Limits(3, 1.0, 9, {"acme/a": 1})
    assert allotment.over_by_use_alone(book, limits, 3, 100.0, {})
    sent = allotment.rebalance(book, limits, 3, 100.0, {}, exact=False)
    assert [(a.repo, a.n) for a in sent] == [("acme/b", 0)]


@pytest.mark.parametrize(
    ("limits", "accounts"),
    [
        (Limits(2, 1.0, 9), [account("acme/a", 0, 3)]),  # the allotments alone are over it
        (Limits(1, 1.0, 9), [account("acme/a", 3, 1), account("acme/b", 0, 0)]),  # none is idle
        (Limits(9, 1.0, 9), [account("acme/a", 3, 1), account("acme/b", 1, 2)]),  # not over it
        (Limits(0, 1.0, 9), []),
    ],
)
def test_what_is_in_use_changes_nothing_otherwise(limits: Limits, accounts: list[Account]) -> None:
    """So that runs of a former version are told apart only where they do otherwise."""
    book = Book("f1", {one.repo: one for one in accounts})
    assert not allotment.over_by_use_alone(book, limits, limits.max_runners, 100.0, {})


def test_an_allotment_partly_in_use_stays_as_long_as_nobody_needs_it() -> None:
    """Its idle part saves the next job of that repository a message to the Fleet and back."""
    assert said(Limits(9, 1.0, 9), account("acme/a", 1, 3)) == []


def test_what_is_over_the_capacity_comes_down_at_once() -> None:
    """From the largest; a repository that keeps all of its own holds up nobody behind it."""
    accounts = [account("acme/a", 1, 1), account("acme/b", 3, 3)]
    book = Book("f1", {one.repo: one for one in accounts})
    sent = allotment.rebalance(book, Limits(9, 1.0, 9), 3, 100.0, {}, exact=False)
    assert [(a.repo, a.n) for a in sent] == [("acme/b", 2)]


def test_a_repository_that_passes_a_permit_on_is_lowered_below_what_it_has_in_use() -> None:
    """Nothing is free or idle: the next permit that comes back goes to the critical job."""
    busy = account("acme/a", 4, 4, [Waiting("low", 5, 10.0)])
    urgent = account("acme/b", 0, 0, [Waiting("critical", 1, 99.0)])
    assert said(Limits(4, 1.0, 9), busy, urgent) == [("acme/a", 3)]


@pytest.mark.parametrize(
    ("capacity", "waiters", "expected"),
    [(9, 1, [("acme/a", 2)]), (9, 3, [("acme/a", 0)]), (6, 2, [("acme/a", 1)])],
)
def test_only_an_organizations_own_idle_permits_make_room_in_it(
    capacity: int, waiters: int, expected: list[tuple[str, int]]
) -> None:
    """Acme is full and the fleet is not, or by less; beta's idle permits would be of no use."""
    asks = account("acme/c", 0, 0, [Waiting("normal", waiters, 10.0)])
    limits = Limits(capacity, 1.0, 9, orgs={"acme": 3})
    assert said(limits, account("beta/b", 0, 1), account("acme/a", 0, 3), asks) == expected


def test_an_idler_elsewhere_keeps_its_permits_when_only_one_organization_is_full() -> None:
    """The idlest of all is asked for nothing, and the next one is asked all the same."""
    asks = account("acme/c", 0, 0, [Waiting("normal", 1, 10.0)])
    limits = Limits(99, 1.0, 9, orgs={"acme": 3})
    assert said(limits, account("beta/b", 0, 5), account("acme/a", 0, 3), asks) == [("acme/a", 2)]


# What is given


def test_free_permits_are_given_in_turn_and_told_in_one_message_each() -> None:
    """A permit to each before a second to one; the older waiter first."""
    older = account("acme/b", 0, 0, [Waiting("normal", 5, 10.0)])
    younger = account("acme/a", 0, 0, [Waiting("normal", 5, 20.0)])
    assert said(Limits(3, 1.0, 9), younger, older) == [("acme/b", 2), ("acme/a", 1)]


@pytest.mark.parametrize(
    ("limits", "askers"),
    [
        (Limits(4, 1.0, 9), ["beta/b", "gamma/c", "delta/d", "eta/e"]),
        (Limits(9, 1.0, 9, orgs={"acme": 4}), ["acme/b", "acme/c", "acme/d", "acme/e"]),
    ],
    ids=["of-the-fleet", "of-its-organization"],
)
@pytest.mark.parametrize(("lowered_from", "given"), [(2, 2), (3, 1), (4, 0)])
def test_what_is_not_yet_back_is_not_given_away(
    limits: Limits, askers: list[str], lowered_from: int, given: int
) -> None:
    """Of four permits those lowered and not acknowledged are out still: only the others can go."""
    lowered = account("acme/a", 0, lowered_from)
    lowered.sequence, lowered.allotment, lowered.outstanding[2] = 2, 0, 0
    ages = zip(askers, (10.0, 20.0, 30.0, 40.0), strict=True)
    asking = [account(repo, 0, 0, [Waiting("normal", 1, since)]) for repo, since in ages]
    assert said(limits, lowered, *asking) == [(repo, 1) for repo in askers[:given]]


def test_an_organization_that_cools_down_is_given_nothing_and_loses_what_lies_idle() -> None:
    """Until its time is over; others are served meanwhile."""
    idle = account("acme/a", 1, 2)
    asking = [account(repo, 0, 0, [Waiting("low", 1, 10.0)]) for repo in ("acme/b", "beta/c")]
    book = Book("f1", {one.repo: one for one in (idle, *asking)})
    sent = allotment.rebalance(book, Limits(9, 1.0, 9), 9, 100.0, {"acme": 101.0})
    assert [(a.repo, a.n) for a in sent] == [("acme/a", 0), ("beta/c", 1)]
    sent = allotment.rebalance(book, Limits(9, 1.0, 9), 9, 101.0, {"acme": 101.0})
    assert [(a.repo, a.n) for a in sent] == [("acme/b", 1)]


def test_what_is_not_yet_back_may_go_back_to_the_one_that_has_it() -> None:
    """It is reserved for it still: the first in line cannot have it, and holds up nobody."""
    lowered = account("acme/a", 0, 2, [Waiting("low", 1, 10.0)])
    lowered.sequence, lowered.allotment, lowered.outstanding[2] = 2, 0, 0
    first = account("acme/b", 0, 0, [Waiting("critical", 1, 10.0)])
    assert said(Limits(2, 1.0, 9), first, lowered) == [("acme/a", 1)]


def test_an_organization_that_waits_for_its_own_permits_holds_up_no_other() -> None:
    """The fleet has room, acme has none until it is told so; beta's waiter need not wait."""
    lowered = account("acme/a", 0, 2)
    lowered.sequence, lowered.allotment, lowered.outstanding[2] = 2, 0, 0
    first = account("acme/b", 0, 0, [Waiting("critical", 1, 10.0)])
    other = account("beta/c", 0, 0, [Waiting("low", 1, 10.0)])
    limits = Limits(9, 1.0, 9, orgs={"acme": 2})
    assert said(limits, lowered, first, other) == [("beta/c", 1)]


def test_what_a_semaphore_will_do_with_its_permits_is_foreseen() -> None:
    """The first of its line take them; the rest waits on. A permit taken back moves nobody."""
    waiting = [Waiting("high", 2, 10.0), Waiting("normal", 3, 20.0), Waiting("low", 1, 30.0)]
    one = account("acme/a", 0, 0, waiting)
    assert said(Limits(3, 1.0, 9), one) == [("acme/a", 3)]
    left = [Waiting("normal", 2, 20.0), Waiting("low", 1, 30.0)]
    assert (one.likely_in_use, one.in_use, one.waiting) == (3, 0, left)
    assert said(Limits(3, 1.0, 9), one, capacity=1) == [("acme/a", 1)]
    assert (one.likely_in_use, one.waiting) == (3, left)


def test_the_use_of_a_permit_counts_from_when_it_is_given() -> None:
    """Until the report that it came back; a minute of it has faded a little by then."""
    one = account("acme/a", 0, 0, ONE)
    book = Book("f1", {"acme/a": one})
    assert balance(book, 1) == [("acme/a", 1)]
    assert one.usage == Usage(0.0, 100.0, 1)
    allotment.receive(book, report("acme/a", 2, 2, 1, 0))
    assert allotment.rebalance(book, LIMITS, 1, 160.0, {}) == []
    assert one.usage == Usage(pytest.approx(58.0, abs=1.0), 160.0, 0)


def test_of_two_that_wait_alike_who_used_more_lately_goes_behind() -> None:
    """Ten minutes halve what was used: fifty permit-seconds of now outweigh ninety of then."""
    waits = [Waiting("normal", 1, 10.0)]
    then, lately = account("acme/b", 0, 0, waits), account("acme/a", 0, 0, waits)
    then.usage, lately.usage = Usage(90.0, -500.0), Usage(50.0, 100.0)
    assert said(Limits(1, 1.0), lately, then) == [("acme/b", 1)]
    then, lately = account("acme/b", 0, 0, waits), account("acme/a", 0, 0, waits)
    then.usage, lately.usage = Usage(110.0, -500.0), Usage(50.0, 100.0)
    assert said(Limits(1, 1.0), lately, then) == [("acme/a", 1)]


@pytest.mark.parametrize(
    ("in_use", "limits", "expected"),
    [
        ((1, 1, 1, 1), Limits(4, 1.0, 9), {}),
        ((1, 1, 1, 2), Limits(4, 1.0, 9), {"acme/a": 0, "acme/b": 0, "beta/c": 0, "beta/d": 1}),
        ((3, 0, 0, 2), Limits(4, 1.0, 9), {"acme/a": 2, "beta/d": 1}),
        ((3, 2, 1, 0), Limits(9, 1.0, 9, {}, {"acme": 3}), {"acme/a": 1, "acme/b": 0}),
        ((2, 2, 2, 2), Limits(6, 1.0, 9, {}, {"acme": 1}), {
            "acme/a": 0, "acme/b": 0, "beta/c": 0, "beta/d": 0,
        }),
    ],
)  # fmt: skip
def test_nobody_grants_again_while_more_is_in_use_than_a_limit_lets(
    in_use: tuple[int, ...], limits: Limits, expected: dict[str, int]
) -> None:
    """Whoever gives back first, and however often: what comes back up to the excess is gone."""
    repos = ("acme/a", "acme/b", "beta/c", "beta/d")
    accounts = [account(repo, n, n) for repo, n in zip(repos, in_use, strict=True)]
    book = Book("f1", {one.repo: one for one in accounts})
    assert allotment.over_in_use(book, limits, limits.max_runners, 100.0, {}) is bool(expected)
    sent = allotment.rebalance(book, limits, limits.max_runners, 100.0, {})
    assert {a.repo: a.n for a in sent} == expected
    assert not allotment.over_in_use(book, limits, limits.max_runners, 100.0, {})
    assert allotment.rebalance(book, limits, limits.max_runners, 100.0, {}) == []


def test_what_a_silent_repository_may_have_out_stops_nobody() -> None:
    """It is the most that it can be: with its limit as large as the fleet's, all would stand."""
    accounts = [account("acme/a", 4, 4), account("beta/b", 1, 1)]
    accounts[0].silent = True
    book = Book("f1", {one.repo: one for one in accounts})
    assert not allotment.over_in_use(book, Limits(4, 1.0, 9), 4, 100.0, {})
    assert allotment.over_in_use(book, Limits(4, 1.0, 9), 0, 100.0, {})
