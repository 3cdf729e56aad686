"""The Fleet's book: single stories; whole histories are in test_protocol.py."""

import pytest

from policy import allotment
from policy.allotment import Book
from policy.limits import Limits
from policy.messages import Allot, Report, Waiting

LIMITS = Limits(2, 1.0, 2)
ONE = [Waiting("normal", 1, 10.0)]


def balance(book: Book, capacity: int = 2) -> list[tuple[str, int]]:
    """What is sent now, without its bookkeeping."""
    sent = allotment.rebalance(book, LIMITS, capacity, 100.0, {})
    return [(allot.repo, allot.n) for allot in sent]


def report(repo: str, number: int, acked: int, n: int, in_use: int, **rest: object) -> Report:
    """A report of a semaphore that believes Fleet f1."""
    return Report(repo, "e1", number, "f1" if acked else "", acked, n, in_use, **rest)


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
