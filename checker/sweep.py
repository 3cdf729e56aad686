"""Counting over time by sorting: in use at each start, and stretches with something free."""

from collections.abc import Callable, Iterable, Sequence

Interval = tuple[float, float]
FOREVER = float("inf")


def counts_at_starts(spans: Iterable[Interval]) -> list[tuple[float, int]]:
    """How many spans run at the start of each, itself included, in order of time.

    What ends at a moment has made room for what begins at it.
    """
    marks: list[tuple[float, int]] = []
    for begin, end in spans:
        if end > begin:
            marks += [(begin, 1), (end, -1)]
    counts: list[tuple[float, int]] = []
    running = 0
    for at, step in sorted(marks):
        running += step
        if step > 0:
            counts.append((at, running))
    return counts


def highest(spans: Iterable[Interval]) -> int:
    """The most spans that ran at once."""
    return max((count for _, count in counts_at_starts(spans)), default=0)


def below(
    spans: Sequence[Interval], cap: Callable[[float], int], changes: Iterable[float]
) -> list[Interval]:
    """When fewer spans run than `cap` allows; `changes` are the times at which that may change."""
    marks = [(begin, 1) for begin, end in spans if end > begin]
    marks += [(end, -1) for begin, end in spans if end > begin]
    marks += [(at, 0) for at in changes]
    marks.sort()
    free: list[Interval] = []
    since, running, place = -FOREVER, 0, 0
    while True:
        until = marks[place][0] if place < len(marks) else FOREVER
        if until > since and running < cap(since):
            if free and free[-1][1] == since:
                free[-1] = (free[-1][0], until)
            else:
                free.append((since, until))
        if place == len(marks):
            return free
        while place < len(marks) and marks[place][0] == until:
            running += marks[place][1]
            place += 1
        since = until


def union(spans: Iterable[Interval]) -> list[Interval]:
    """The same times, in order and without overlap."""
    joined: list[Interval] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > begin:
            joined.append((begin, end))
    return joined


def both(first: Sequence[Interval], second: Sequence[Interval]) -> list[Interval]:
    """The times in both; each is in order and without overlap."""
    common: list[Interval] = []
    here = there = 0
    while here < len(first) and there < len(second):
        begin = max(first[here][0], second[there][0])
        end = min(first[here][1], second[there][1])
        if begin < end:
            common.append((begin, end))
        if first[here][1] <= second[there][1]:
            here += 1
        else:
            there += 1
    return common


def without(first: Sequence[Interval], second: Iterable[Interval]) -> list[Interval]:
    """The times in the first that are not in the second."""
    gaps: list[Interval] = []
    since = -FOREVER
    for begin, end in union(second):
        if begin > since:
            gaps.append((since, begin))
        since = end
    if since < FOREVER:
        gaps.append((since, FOREVER))
    return both(first, gaps)
