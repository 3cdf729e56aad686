"""One play of the drain, step by step: who starts when, with which draw, what is told of it."""

import math
import random
from dataclasses import replace

import pytest

from policy import drain
from policy.drain import Estimate, Load, forecast, times_to_permits
from policy.lives import PRIOR, PRIOR_SAMPLES, Lives

SPREAD_OUT = sorted(60.0 + 30.0 * i for i in range(11))
MINUTE = math.log(60.0)
# Every life is a minute, and known exactly.
EXACT = Lives((MINUTE, MINUTE), (-1.0, 1.0), 0.0, 60.0, 0.0, 0.0)
VARIED = Lives.of(SPREAD_OUT, 30)


def part(
    ages: list[float], chunks: int, permits: int, lives: Lives = EXACT, group: int = 1
) -> drain._Part:
    """A repository in the play; its number of waiters is that of its chunks."""
    load = Load("o/a", ages, chunks * group, permits)
    return drain._Part(load, lives, "repository", chunks, group)


def plainly(
    parts: list[drain._Part], capacity: int, play: int, watched: int
) -> tuple[list[float], list[list[float]]]:
    """The same course with nothing kept: each time a look at all lines and all that runs."""
    scales = [math.exp(p.lives.scale_error * drain._normal(play, i)) for i, p in enumerate(parts)]
    ends = [0.0] * len(parts)
    starts: list[list[float]] = [[] for _ in range(watched)]
    running: list[tuple[float, int]] = []
    draws = iter(range(len(parts) + 1, 100_000))
    for i, p in enumerate(parts):
        for age in p.load.ages:
            level = drain._level(play, next(draws), drain.MOST_PLAYS)
            running.append((scales[i] * p.lives.left(age / scales[i], level), i))
    waiting = [p.chunks for p in parts]
    able = [i for i in range(watched) if parts[i].load.permits > 0]
    now = 0.0
    while True:
        in_use = [sum(of == i for _, of in running) for i in range(len(parts))]
        lines = [
            (in_use[i], i)
            for i, p in enumerate(parts)
            if waiting[i] and in_use[i] < p.load.permits
        ]
        if len(running) < capacity and lines:
            _, i = min(lines)
            waiting[i] -= 1
            if i < watched:
                starts[i].append(now)
                if not any(waiting[other] for other in able):
                    return ends, starts
            level = drain._level(play, next(draws), drain.MOST_PLAYS)
            running.append((now + drain._life(parts[i], level) * scales[i], i))
        elif running:
            first = min(running)
            running.remove(first)
            now, i = first
            ends[i] = now
        else:
            return ends, starts


@pytest.mark.parametrize("seed", range(30))
def test_the_course_is_that_of_a_plain_simulation(seed: int) -> None:
    """The heaps change nothing: the same ends and the same starts to the last digit."""
    dice = random.Random(seed)
    for play in range(4):
        parts = [
            part(
                [dice.uniform(0.0, 400.0) for _ in range(dice.randrange(4))],
                dice.randrange(6),
                dice.randrange(4),
                dice.choice([VARIED, EXACT, Lives.of(PRIOR, PRIOR_SAMPLES)]),
                dice.choice([1, 1, 3]),
            )
            for _ in range(dice.randrange(1, 4))
        ]
        for one in parts:
            if one.lives is EXACT:  # nothing is left of a life that is over
                one.load.ages[:] = [age % 60.0 for age in one.load.ages]
        capacity, watched = dice.randrange(1, 7), dice.randrange(len(parts) + 1)
        found = drain._play(parts, capacity, play, watched)
        assert found == plainly(parts, capacity, play, watched)


def test_a_line_takes_what_comes_free_within_its_permits() -> None:
    """Two permits, two in use: each end of one is the start of the next in line."""
    ends, starts = drain._play([part([10.0, 30.0], 3, 2), part([], 0, 1)], 9, 0, 1)
    assert starts == [[pytest.approx(30.0), pytest.approx(50.0), pytest.approx(90.0)]]
    assert ends == [pytest.approx(90.0), 0.0], "broken off when the last has begun"
    ends, starts = drain._play([part([10.0, 30.0], 3, 2)], 9, 0)
    assert (ends, starts) == ([pytest.approx(150.0)], [])


def test_the_line_with_the_fewest_permits_goes_first() -> None:
    """Of equals the first named; and no more run than the fleet has room for."""
    parts = [part([5.0, 8.0], 2, 9), part([30.0], 2, 9), part([], 2, 9)]
    _, starts = drain._play(parts, 4, 0, 3)
    assert starts == [
        [pytest.approx(52.0), pytest.approx(55.0)],
        [pytest.approx(30.0), pytest.approx(90.0)],
        [0.0, pytest.approx(60.0)],
    ]


def test_a_watched_line_without_permits_is_not_waited_for() -> None:
    """The course ends when those that may start have started."""
    ends, starts = drain._play([part([], 2, 0), part([], 1, 1), part([], 5, 1)], 1, 0, 2)
    assert (ends, starts) == ([0.0, 0.0, 0.0], [[], [0.0]])


def test_the_hash_is_that_of_splitmix64() -> None:
    """Its first three numbers from the seed 0, as published with its reference code."""
    assert [drain._mixed(i) for i in (1, 2, 3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert drain._mixed(0) == 0


@pytest.mark.parametrize("plays", [2, 29, 199])
def test_over_all_plays_a_draw_goes_through_all_levels(plays: int) -> None:
    """The middles of as many equal parts, each once: a Latin hypercube."""
    middles = [(i + 0.5) / plays for i in range(plays)]
    for dice in range(40):
        assert sorted(drain._level(play, dice, plays) for play in range(plays)) == middles


def test_two_draws_go_through_the_levels_in_different_orders() -> None:
    """By a step and a beginning of their own: else all jobs of a play were long or short."""
    orders = {tuple(drain._level(play, dice, 199) for play in range(199)) for dice in range(60)}
    assert len(orders) == 60
    firsts = {order[0] for order in orders}
    steps = {round((order[1] - order[0]) % 1.0 * 199) for order in orders}
    assert len(firsts) > 40
    assert len(steps) > 40
    assert 0 not in steps


def test_the_errors_of_the_scale_are_normal() -> None:
    """Over the plays as many above as below, and each part has its own."""
    drawn = [drain._normal(play, 0) for play in range(199)]
    assert abs(sum(drawn)) / 199 < 0.15
    assert 0.8 < math.sqrt(sum(x * x for x in drawn) / 199) < 1.2
    assert drawn != [drain._normal(play, 1) for play in range(199)]
    for play, of in ((0, 0), (3, 5)):
        number = drain._mixed(play * 2**20 + of + 1)
        assert drain._normal(play, of) == drain._SPREAD[number % 64]


def test_the_spread_is_the_middles_of_the_normal() -> None:
    """Sixty-four equal parts of it, symmetric."""
    assert len(drain._SPREAD) == 64
    assert drain._SPREAD[0] == pytest.approx(-2.4176, abs=1e-4)
    assert [-x for x in reversed(drain._SPREAD)] == pytest.approx(drain._SPREAD)


@pytest.mark.parametrize(
    ("level", "value"),
    [(0.0, 10.0), (0.5, 30.0), (0.25, 20.0), (0.4, 26.0), (0.9, 84.0), (1.0, 100.0)],
)
def test_a_quantile_lies_between_its_neighbours(level: float, value: float) -> None:
    """In a straight line from one to the next."""
    assert drain._quantile([10.0, 20.0, 30.0, 60.0, 100.0], level) == pytest.approx(value)
    assert drain._quantile([7.0], level) == 7.0


def test_what_is_told_is_rounded_to_a_tenth() -> None:
    """Half, nine tenths (with the level that errors of durations ask for), and the worst."""
    values = [0.04 + 10.0 * i for i in (3, 1, 0, 2, 10, 9, 8, 7, 6, 5, 4)]
    assert drain._summary(values, "prior", 7) == Estimate(40.0, 90.0, 100.0, "prior", 7)
    values = [value + 0.12 for value in values]
    assert drain._summary(values, "prior", 7) == Estimate(40.2, 90.2, 100.2, "prior", 7)


@pytest.mark.parametrize(
    ("jobs", "plays"),
    [(1, 199), (120, 199), (121, 198), (240, 100), (827, 29), (2400, 29)],
)
def test_the_more_jobs_the_fewer_plays(jobs: int, plays: int) -> None:
    """Running ones and groups of waiting ones, of all parts, bound the time of a question."""
    running = jobs // 3
    parts = [part([1.0] * running, 0, 1), part([], jobs - running, 1)]
    assert drain._plays(parts) == plays
    assert drain._plays([]) == 199


@pytest.mark.parametrize(
    ("waiting", "group", "chunks"),
    [(1, 1, 1), (600, 1, 600), (601, 2, 301), (1200, 2, 600), (1201, 3, 401)],
)
def test_a_long_queue_is_grouped_evenly(waiting: int, group: int, chunks: int) -> None:
    """No more groups than `MOST_WAITERS`; the last may be smaller."""
    (one,) = drain._parts([Load("o/a", [], waiting, 1, SPREAD_OUT, 30)])
    assert (one.group, one.chunks) == (group, chunks)
    first, second = drain._parts(
        [Load("o/a", [1.0], 0, 1), Load("o/none", [], 0, 1), Load("o/b", [], waiting, 1)]
    )
    assert (first.load.repo, first.chunks, first.group) == ("o/a", 0, group)
    assert (second.load.repo, second.chunks, second.group) == ("o/b", chunks, group)


def test_a_group_lives_as_long_as_its_members_in_a_row() -> None:
    """The sum of so many lives: mean and spread of sums, never less than a tenth of the mean."""
    lives = replace(VARIED, mean=100.0, deviation=10.0)
    four = part([], 1, 1, lives, 4)
    assert drain._life(four, 0.5) == pytest.approx(400.0)
    assert drain._life(four, 0.975) == pytest.approx(400.0 + 20.0 * 1.959964, abs=1e-3)
    assert drain._life(four, 0.9999) == pytest.approx(400.0 + 20.0 * 3.090232, abs=1e-3)
    assert drain._life(four, 0.0001) == pytest.approx(400.0 - 20.0 * 3.090232, abs=1e-3)
    assert drain._life(replace(four, lives=replace(lives, deviation=500.0)), 0.1) == 40.0
    assert drain._life(part([], 1, 1, lives, 1), 0.3) == lives.life(0.3)


def test_the_lives_of_several_are_counted_by_their_samples() -> None:
    """Twenty-one points; each value stands for as many as its repository's share of samples."""
    mixed = drain._merged(
        [
            Load("o/a", [], 0, 1, [1.0, 3.0, 5.0, 7.0], 12),
            Load("o/b", [], 0, 1, [2.0, 9.0], 4),
        ]
    )
    # 1 3 5 7 weigh 3 each, 2 and 9 weigh 2 each: 16 in all, 0.8 a point.
    reach = [(3.0, 1.0), (5.0, 2.0), (8.0, 3.0), (11.0, 5.0), (14.0, 7.0), (16.0, 9.0)]
    expected = [next(v for end, v in reach if end >= 0.8 * i - 1e-9) for i in range(21)]
    assert mixed == expected
    assert len(drain._merged([Load("o/a", [], 0, 1, [4.0], 1)])) == 21


def test_the_largest_of_several_lives_is_kept() -> None:
    """However few samples stand for it: the tail starts there."""
    many = Load("o/a", [], 0, 1, [10.0] * 11, 10_000)
    assert drain._merged([many, Load("o/b", [], 0, 1, [500.0], 1)]) == [10.0] * 20 + [500.0]


def test_weights_that_do_not_add_up_to_the_last_digit_end_at_the_largest() -> None:
    """Ten times 0.7, added one by one, stay a little below twenty twentieths of their sum."""
    merged = drain._merged([Load("o/a", [], 0, 1, [float(i) for i in range(10)], 7)])
    assert (len(merged), merged[0], merged[-1]) == (21, 0.0, 9.0)


@pytest.mark.parametrize(("samples", "method"), [(19, "repository-few"), (20, "repository")])
def test_twenty_samples_are_enough(samples: int, method: str) -> None:
    """One fewer is taken for want of better."""
    load = Load("o/a", [5.0], 0, 1, SPREAD_OUT, samples)
    assert drain._Known([load]).lives(load) == (Lives.of(SPREAD_OUT, samples), method)


@pytest.mark.parametrize(
    ("samples", "near", "far"),
    [(20, "organization", "fleet"), (19, "repository-few", "repository-few")],
)
def test_a_pool_is_of_all_that_have_samples(samples: int, near: str, far: str) -> None:
    """Of the organization, else of the fleet; those without samples do not count."""
    mine = Load("o/a", [5.0], 0, 1, SPREAD_OUT, 1)
    none = Load("o/c", [], 0, 1, [9.0])
    others = [replace(mine, repo=f"{name}/b", samples=samples - 1) for name in ("o", "p")]
    for other, method in zip(others, (near, far), strict=True):
        known = drain._Known([mine, none, other])
        lives = Lives.of(drain._merged([mine, other]), samples)
        few = Lives.of(SPREAD_OUT, 1)
        assert known.lives(mine) == (few if method == "repository-few" else lives, method)
    unknown = Load("q/a", [5.0], 0, 1)
    few = Lives.of(drain._merged([mine]), 1)
    assert drain._Known([mine, unknown]).lives(unknown) == (few, "fleet-few")
    prior = Lives.of(PRIOR, PRIOR_SAMPLES)
    assert drain._Known([unknown]).lives(unknown) == (prior, "prior")


def test_an_organization_comes_before_the_fleet() -> None:
    """And its own samples, if there are enough, before both."""
    quick, slow = [10.0] * 11, [900.0] * 11
    loads = [
        Load("o/a", [5.0], 0, 1, SPREAD_OUT, 3),
        Load("o/b", [], 0, 1, quick, 40),
        Load("p/b", [], 0, 1, slow, 40),
    ]
    known = drain._Known(loads)
    of = Lives.of(drain._merged(loads[:2]), 43)
    assert known.lives(loads[0]) == (of, "organization")
    assert known.lives(loads[0]) == (of, "organization"), "the same when asked again"
    everybody = Lives.of(drain._merged(loads), 83)
    assert known.lives(Load("q/c", [1.0], 0, 1)) == (everybody, "fleet")


def test_each_part_is_told_with_its_own_method_and_samples() -> None:
    """The whole with all of them, each named once and in order."""
    loads = [
        Load("o/a", [5.0], 1, 1, SPREAD_OUT, 30),
        Load("p/b", [7.0], 0, 1, SPREAD_OUT, 4),
        Load("p/c", [], 0, 1, SPREAD_OUT, 5),
        Load("p/d", [], 2, 1, SPREAD_OUT, 40),
    ]
    told = forecast(loads, 4)
    assert {repo: (one.method, one.samples) for repo, one in told.repos.items()} == {
        "o/a": ("repository", 30),
        "p/b": ("organization", 4),
        "p/d": ("repository", 40),
    }
    assert (told.whole.method, told.whole.samples) == ("organization+repository", 79)


def test_the_estimate_is_what_the_plays_make_of_it() -> None:
    """All plays, each part with its own ends, the whole with the last of each play."""
    loads = [Load("o/a", [5.0], 3, 1, SPREAD_OUT, 30), Load("o/b", [90.0], 2, 1, SPREAD_OUT, 25)]
    parts = drain._parts(loads)
    courses = [drain._play(parts, 2, play)[0] for play in range(199)]
    told = forecast(loads, 2)
    assert told.whole == drain._summary([max(ends) for ends in courses], "repository", 55)
    assert told.repos["o/b"] == drain._summary([ends[1] for ends in courses], "repository", 25)


@pytest.mark.parametrize(("capacity", "method"), [(0, "paused+repository"), (1, "repository")])
def test_only_a_fleet_without_capacity_is_paused(capacity: int, method: str) -> None:
    """With room for one the one that waits starts."""
    told = forecast([Load("o/a", [30.0], 1, 9, [60.0] * 11, 30)], capacity)
    assert told.whole.method == method
    assert told.whole.p50 == pytest.approx(30.0 if capacity == 0 else 90.0, rel=0.1)
    assert told.repos["o/a"].method == "repository"


def test_an_empty_fleet_is_empty_now() -> None:
    """With the samples that are known of it."""
    assert forecast([Load("o/a", [], 0, 1, SPREAD_OUT, 30)], 4) == drain.Forecast(
        Estimate(0.0, 0.0, 0.0, "empty", 30), {}
    )


def test_a_waiters_time_is_what_the_plays_make_of_its_start() -> None:
    """Its place in its own line; those of its line behind the last asked for do not matter."""
    mine = Load("o/a", [20.0], 9, 1, SPREAD_OUT, 30)
    other = Load("o/b", [10.0], 4, 1, SPREAD_OUT, 25)
    parts = drain._parts([replace(mine, waiting=2), other])
    plays = drain._plays(parts)
    starts = [drain._play(parts, 2, play, watched=1)[1][0] for play in range(plays)]
    first, second = times_to_permits([other, mine], [("o/a", 1), ("o/a", 2)], 2)
    assert first == drain._summary([of[0] for of in starts], "repository", 55)
    assert second == drain._summary([of[1] for of in starts], "repository", 55)


def test_a_waiter_that_is_not_counted_yet_is_the_last_of_its_line() -> None:
    """A place of 0 or less is the first; a line that nobody knows has one permit."""
    load = Load("o/a", [], 1, 1, [60.0] * 11, 30)
    assert times_to_permits([load], [("o/a", 0)], 1) == times_to_permits([load], [("o/a", 1)], 1)
    (third,) = times_to_permits([load], [("o/a", 3)], 1)
    assert third is not None
    assert third.p50 == pytest.approx(120.0, rel=0.1)
    (unknown,) = times_to_permits([load], [("o/new", 3)], 9)
    assert unknown is not None
    assert unknown.p50 == pytest.approx(120.0, rel=0.1), "one after the other"
    assert unknown.samples == 30


def test_a_waiter_is_told_as_if_the_fleet_had_room_for_one_at_least() -> None:
    """In maintenance too: what it would be with the least there is."""
    load = Load("o/a", [], 2, 2, [60.0] * 11, 30)
    asked = [("o/a", 2)]
    assert times_to_permits([load], asked, 0) == times_to_permits([load], asked, 1)
    assert times_to_permits([load], asked, 1) != times_to_permits([load], asked, 2)
