"""Failed deliveries: what counts as one, when each is sent again, and how a log is read."""

import random
from collections.abc import Iterator

import pytest

from policy import redelivery
from policy.redelivery import Attempt, Debt, HookLog, Reading, due, pause, ready_at, wants_look

NOW = 1_900_000_000.0
DAY = 86400.0


def attempt(
    number: int,
    at: float,
    code: int = 502,
    guid: str = "",
    *,
    event: str = "workflow_job",
    action: str = "queued",
    again: bool = False,
) -> Attempt:
    """One line of a log, `at` seconds before or after NOW."""
    return Attempt(number, guid or f"g{number}", NOW + at, code, event, action, again)


def read(log: HookLog, *pages: list[Attempt], now: float = NOW, most: int = 1000) -> int:
    """Read a log that consists of these pages; how many of them were read."""
    reading = Reading(log, now)
    count = 0
    while reading.cursor is not None and count < most:
        place = int(reading.cursor or 0)
        following = str(place + 1) if place + 1 < len(pages) else ""
        reading.page(pages[place] if pages else [], following)
        count += 1
    reading.end()
    return count


def one_debt(log: HookLog) -> Debt:
    """The only one."""
    (debt,) = log.debts
    return debt


@pytest.mark.parametrize(
    ("code", "ok"), [(0, False), (199, False), (200, True), (399, True), (400, False)]
)
def test_an_answer_from_200_to_399_is_ok(code: int, ok: bool) -> None:
    """A timed-out attempt has code 0."""
    assert attempt(1, -10, code).ok is ok
    log = HookLog("app")
    read(log, [attempt(1, -10, code)])
    assert bool(log.debts) is not ok


def test_one_debt_a_guid_of_which_no_attempt_went_well() -> None:
    """In whatever order they are listed; other events are none of ours."""
    log = HookLog("app")
    newest_first = [
        attempt(9, -10, 200, "paid", again=True),
        attempt(8, -20, 503, "owed", again=True),
        attempt(7, -30, 502, "other", event="push"),
        attempt(6, -40, 0, "owed"),
        attempt(5, -50, 503, "paid"),
        attempt(4, -60, 200, "good"),
    ]
    read(log, newest_first)
    debt = one_debt(log)
    assert (debt.guid, debt.id, debt.code, debt.tries) == ("owed", 8, 503, 1)
    assert (debt.at, debt.answered_at) == (NOW - 40, NOW - 20)
    assert log.read_to == NOW - 10


def test_a_later_success_pays_a_debt_that_was_carried() -> None:
    """A redelivery went well, whoever asked for it."""
    log = HookLog("app")
    read(log, [attempt(1, -100, 503, "g")])
    assert log.debts
    read(log, [attempt(2, -10, 200, "g", again=True), attempt(1, -100, 503, "g")])
    assert log.debts == []


def test_a_new_failure_of_a_carried_debt_is_its_answer() -> None:
    """What was read before, and is read again for the overlap, counts once."""
    log = HookLog("app")
    first, second = attempt(1, -400, 503, "g"), attempt(2, -300, 503, "g", again=True)
    read(log, [second, first])
    debt = one_debt(log)
    debt.asked_at, debt.not_before, debt.looked = NOW - 200, NOW, True
    read(log, [second, first])
    assert (one_debt(log).tries, one_debt(log).asked_at) == (1, NOW - 200)
    third = attempt(3, -100, 0, "g", again=True)
    read(log, [third, second, first])
    debt = one_debt(log)
    assert (debt.tries, debt.id, debt.code) == (2, 3, 0)
    assert (debt.asked_at, debt.not_before, debt.looked) == (0.0, 0.0, False)
    assert debt.at == NOW - 400


def test_of_two_attempts_in_one_second_the_later_number_is_the_answer() -> None:
    """GitHub tells whole seconds, and a refusal takes milliseconds."""
    log = HookLog("app")
    first = attempt(1, -100, 503, "g")
    read(log, [first])
    one_debt(log).asked_at = NOW - 99.5
    read(log, [attempt(2, -100, 503, "g", again=True), first])
    debt = one_debt(log)
    assert (debt.id, debt.tries, debt.asked_at) == (2, 1, 0.0)


def test_an_older_attempt_that_turns_up_makes_a_fresh_debt_older() -> None:
    """Read in a gap, or listed out of order."""
    log = HookLog("app")
    read(log, [attempt(2, -100, 502, "g"), attempt(1, -200, 502, "g")])
    assert (one_debt(log).at, one_debt(log).id) == (NOW - 200, 2)


def test_what_is_older_than_three_days_is_neither_read_nor_carried() -> None:
    """GitHub sends it no more."""
    log = HookLog("app")
    read(log, [attempt(2, -10, 502), attempt(1, -3 * DAY - 1, 502)])
    assert [debt.guid for debt in log.debts] == ["g2"]
    assert redelivery.write_off(log, NOW) == 0
    assert redelivery.write_off(log, NOW + 3 * DAY - 10) == 1
    assert log.debts == []


def pages_of(attempts: list[Attempt], size: int) -> list[list[Attempt]]:
    """As GitHub lists them."""
    ordered = sorted(attempts, key=lambda one: -one.at)
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def test_a_run_reads_what_is_new_and_a_little_more() -> None:
    """Down to the last run's newest less the overlap; what came in late is not missed."""
    every = [attempt(n, -n * 100, 200) for n in range(40)]
    log = HookLog("app")
    assert read(log, *pages_of(every, 5)) == 8
    assert log.read_to == NOW
    late = attempt(77, -150, 502)
    assert read(log, *pages_of([*every, late], 5)) == 2
    assert [debt.guid for debt in log.debts] == ["g77"]


def test_a_run_that_ends_in_the_overlap_leaves_no_gap() -> None:
    """All that is new was read; what was left is read already."""
    log = HookLog("app", NOW - 100, "old", NOW - 9000)
    assert read(log, [attempt(2, -5, 200), attempt(1, -150, 200)], [], most=1) == 1
    assert (log.read_to, log.gap_cursor, log.gap_until) == (NOW - 5, "old", NOW - 9000)


def test_an_empty_log_is_read_in_one_page() -> None:
    """And remembers what was read before."""
    log = HookLog("app", read_to=NOW - 50)
    assert read(log) == 1
    assert (log.read_to, log.gap_cursor) == (NOW - 50, "")


def test_nothing_read_changes_nothing() -> None:
    """No points were left, or GitHub refused the first page."""
    log = HookLog("app", NOW - 50, "7", NOW - 90, [Debt("g", 1, NOW - 9, "queued", 0, NOW - 9)])
    before = repr(log)
    Reading(log, NOW).end()
    assert repr(log) == before


def test_a_long_log_is_read_on_run_by_run_while_new_pages_come_first() -> None:
    """A first start with days of log: nothing is skipped, and what is new is seen at once."""
    every = [attempt(n, -n * 600, 502 if n % 7 == 0 else 200) for n in range(100)]
    log = HookLog("app")
    pages = pages_of(every, 5)
    assert read(log, *pages, most=4) == 4
    assert (log.gap_cursor, log.read_to) == ("4", NOW)
    assert log.gap_until == NOW - 3 * DAY
    assert len(log.debts) == 3
    # The real cursors name a place that stays; here places move only if pages come before.
    fresh = attempt(500, 60, 502)
    reading = Reading(log, NOW + 60)
    reading.page([fresh, *every[:4]], "x")
    assert reading.owed == 4
    assert reading.in_gap
    assert reading.cursor == "4"
    reading.page(pages[4], "5")
    reading.end()
    assert (log.gap_cursor, log.read_to) == ("5", NOW + 60)
    for _ in range(20):
        read(log, *pages, now=NOW + 60, most=4)
    assert log.gap_cursor == ""
    assert {debt.id for debt in log.debts} == {n for n in range(100) if n % 7 == 0} | {500}


def test_a_gap_in_a_gap_reaches_down_to_the_older_end() -> None:
    """More came than a run can read, before the last gap was closed."""
    log = HookLog("app", NOW - 1000, "old", NOW - 90_000)
    reading = Reading(log, NOW)
    reading.page([attempt(1, -5)], "new")
    reading.end()
    assert (log.gap_cursor, log.gap_until) == ("new", NOW - 90_000)
    assert log.read_to == NOW - 5
    log = HookLog("app", NOW - 1000)
    reading = Reading(log, NOW)
    reading.page([attempt(1, -5)], "new")
    reading.end()
    assert log.gap_until == NOW - 1000 - redelivery.OVERLAP_SECONDS


def test_a_cursor_that_github_forgot_has_the_gap_read_from_the_top() -> None:
    """Twice is harmless, never is not."""
    log = HookLog("app", NOW - 1000, "old", NOW - 90_000)
    reading = Reading(log, NOW)
    reading.page([attempt(1, -5)], "")
    assert reading.in_gap
    reading.lost()
    assert reading.cursor is None
    reading.end()
    assert (log.gap_cursor, log.read_to) == ("", NOW - 90_000)


def test_no_failure_is_ever_missed_however_the_runs_are_cut() -> None:
    """A growing log, random budgets: in the end every unpaid guid is a debt, once."""
    dice = random.Random(5)
    for _ in range(300):
        log, every, number = HookLog("app"), list[Attempt](), 0
        for run in range(12):
            now = NOW + run * 120
            for _ in range(dice.randrange(12)):
                number += 1
                at = run * 120 - dice.random() * 100
                every.append(attempt(number, at, dice.choice([200, 502])))
            _run_with_stable_cursors(log, every, now, dice.randrange(4))
        for _ in range(40):
            _run_with_stable_cursors(log, every, NOW + 12 * 120, 12)
        owed = {one.guid for one in every if not one.ok}
        assert [debt.guid for debt in log.debts] == sorted(
            owed, key=lambda guid: next(one.at for one in every if one.guid == guid)
        )


def _run_with_stable_cursors(log: HookLog, every: list[Attempt], now: float, most: int) -> None:
    """Pages of four; a cursor is the id of the attempt that the page begins behind."""
    ordered = sorted(every, key=lambda one: -one.at)
    reading = Reading(log, now)
    while reading.cursor is not None and most:
        most -= 1
        behind = [i for i, one in enumerate(ordered) if str(one.id) == reading.cursor]
        start = behind[0] + 1 if behind else 0
        page = ordered[start : start + 4]
        reading.page(page, str(page[-1].id) if start + 4 < len(ordered) else "")
    reading.end()


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 0), (1, 120), (2, 240), (5, 1920), (6, 3600), (10_000, 3600)]
)
def test_pauses_double_from_two_minutes_to_an_hour(tries: int, seconds: float) -> None:
    """The first redelivery waits for nothing."""
    assert pause(tries) == seconds


def debt(number: int, at: float, action: str = "completed", **more: float) -> Debt:
    """A debt whose only attempt was `at` seconds after NOW."""
    made = Debt(f"g{number}", number, NOW + at, action, 503, NOW + at)
    for key, value in more.items():
        setattr(made, key, value)
    return made


def test_a_debt_is_ready_after_its_answer_its_pause_and_the_receivers_time() -> None:
    """Whichever is the latest."""
    assert ready_at(debt(1, -50)) == NOW - 50
    assert ready_at(debt(1, -50, tries=2)) == NOW + 190
    assert ready_at(debt(1, -50, not_before=NOW + 7)) == NOW + 7
    assert ready_at(debt(1, -50, tries=2, not_before=NOW + 7)) == NOW + 190
    # Asked for, and not answered yet: GitHub may have lost it, but not within the hour.
    assert ready_at(debt(1, -50, asked_at=NOW - 10)) == NOW + 3590


@pytest.mark.parametrize(
    ("code", "at", "looked", "wants"),
    [
        (503, -599, False, True),
        (429, -10, False, True),
        (503, -600, False, False),
        (503, -10, True, False),
        (500, -10, False, False),
    ],
)
def test_only_a_young_refusal_is_looked_up(
    code: int, at: float, looked: bool, wants: bool
) -> None:
    """Later its Retry-After cannot matter any more; a look costs a call."""
    one = debt(1, at)
    one.code, one.looked = code, looked
    assert wants_look(one, NOW) is wants


def test_a_closed_gateways_time_is_void_once_it_is_open_again() -> None:
    """A 503 from before the mode became normal; a 429, or a later 503, holds."""
    debts = [debt(n, at, not_before=NOW + 50) for n, at in ((1, -50), (2, -50), (3, -10))]
    debts[1].code = 429
    redelivery.lift(HookLog("app", debts=debts), NOW - 20)
    assert [one.not_before for one in debts] == [0.0, NOW + 50, NOW + 50]
    assert [one.looked for one in debts] == [True, False, False]
    redelivery.lift(HookLog("app", debts=debts), 0.0)
    assert debts[2].not_before == NOW + 50, "the mode is not normal"
    redelivery.lift(HookLog("app", debts=debts), NOW - 12)
    assert debts[2].not_before == 0.0, "a gateway had not heard of the mode yet"


def test_what_a_gateway_refused_that_had_not_heard_is_sent_again_at_once() -> None:
    """Right after resume: such a 503 makes no pause, a failure of another kind does."""
    debts = [debt(n, -2, tries=1) for n in (1, 2)]
    debts[1].code = 500
    assert list(numbers(due([HookLog("app", debts=debts)], NOW, room=9))) == []
    redelivery.lift(HookLog("app", debts=debts), NOW - 3)
    assert list(numbers(due([HookLog("app", debts=debts)], NOW, room=9))) == [1]


def numbers(chosen: list[tuple[HookLog, Debt]]) -> Iterator[int]:
    """Their ids."""
    return (one.id for _, one in chosen)


def test_the_oldest_of_all_hooks_is_sent_first() -> None:
    """Those that are not ready are left."""
    logs = [
        HookLog("app", debts=[debt(3, -30), debt(1, -50)]),
        HookLog("hook", debts=[debt(2, -40), debt(4, -20, tries=1)]),
    ]
    chosen = due(logs, NOW, room=0)
    assert list(numbers(chosen)) == [1, 2, 3]
    assert chosen[1][0] is logs[1]


@pytest.mark.parametrize(("room", "sent"), [(0, [2, 4]), (1, [1, 2, 4]), (9, [1, 2, 3, 4])])
def test_what_wants_capacity_is_sent_up_to_the_room(room: int, sent: list[int]) -> None:
    """What frees capacity is sent in every case."""
    debts = [
        debt(1, -50, "queued"),
        debt(2, -40, "in_progress"),
        debt(3, -30, "queued"),
        debt(4, -20),
    ]
    assert list(numbers(due([HookLog("app", debts=debts)], NOW, room))) == sent
