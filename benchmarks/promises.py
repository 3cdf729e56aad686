"""What was promised, beside what is measured: one function a subject, each adds its figures."""

import functools
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import (
    day,
    fairness,
    gateway,
    github,
    hardening,
    overload,
    page,
    starvation,
    welch,
)
from benchmarks.fresh import on_fresh_server
from benchmarks.record import Found
from demo import outages

OUTAGE_SECONDS = 20.0


async def fair(console: Console, found: Found) -> None:
    """An elephant beside mice, equals beside each other, a Fleet lost; a bound for every wait."""
    console.print("one elephant beside twenty mice")
    lasts = 30.0 if found.quick else fairness.MEASURED_SECONDS
    seen = await on_fresh_server(functools.partial(fairness.herd, seconds=lasts))
    slot = fairness.SLOT_SECONDS
    found.figure("twenty mice: wait p50", seen.mice.p50 or 0.0, "s")
    found.figure("twenty mice: wait p95", seen.mice.p95 or 0.0, "s", at_most=slot + 2)
    found.figure(
        "the elephant beside them: most permits at once",
        seen.elephant_most,
        at_most=seen.elephant_cap,
    )
    found.figure("longest idle permit beside a waiter", seen.idle_seconds, "s", at_most=1)
    cost = seen.figures
    found.figure("events a job, loaded", cost.history_events_per_job or 0.0, at_most=50)
    found.figure("billable actions a job, loaded", cost.billable_actions_per_job or 0.0, at_most=9)
    found.figure("laws broken", len(seen.violations), at_most=0)
    console.print("six equals on four permits; then the Fleet is terminated")
    equal = await on_fresh_server(fairness.equals)
    found.figure("six equals: Jain's index of permit-seconds", equal.jain, at_least=0.95)
    found.figure(
        "Fleet terminated: longest time without a grant", equal.gap_seconds, "s", at_most=10
    )
    found.figure("Fleet terminated: until all have answered", equal.rebuilt_seconds, "s")
    found.figure("laws broken then", len(equal.violations), at_most=0)
    for violation in (*seen.violations, *equal.violations):
        console.print(f"broken: {violation}", markup=False)
    for where, repo in (("elsewhere", "beta/c"), ("beside it", starvation.BUSY[0])):
        waited, bound = starvation.longest_wait(repo, 2)
        found.figure(
            f"a low job waits, endless critical work {where} (virtual time)",
            waited,
            "s",
            at_most=bound,
        )


async def at_the_gateway(console: Console, found: Found) -> None:
    """Webhooks made durable, beside bare client calls on the same server."""
    console.print("the gateway beside bare client calls")
    number = 2 if found.quick else gateway.ROUNDS
    rounds = await on_fresh_server(functools.partial(gateway.starts, rounds=number))
    bare = ("bare start_workflow", [r.bare.starts for r in rounds])
    both = ("bare start + signal-with-start", [r.both.starts for r in rounds])
    for order, said in (("by_matrix", "a matrix at a time"), ("in_turn", "repositories in turn")):
        starts = [getattr(r, order).starts for r in rounds]
        name = f"starts by webhook, {said}"
        found.figure(name, starts, "1/s", floor=bare, at_least=0.9, of_ratio=True)
        found.figure("the same", starts, "1/s", floor=both)
        found.figure(
            f"processor time a start, {said}",
            [1000 * getattr(r, order).cost for r in rounds],
            "ms",
            floor=("bare start_workflow", [1000 * r.bare.cost for r in rounds]),
        )
    console.print("fifty webhooks a second")
    lasts = 10.0 if found.quick else gateway.SECONDS
    webhooks, calls = await on_fresh_server(functools.partial(gateway.steady, seconds=lasts))
    for part, most in ((50, None), (99, 100)):
        found.figure(
            f"webhook answer p{part} at 50/s",
            1000 * hardening.quantile(webhooks, part),
            "ms",
            floor=("bare start + signal", 1000 * hardening.quantile(calls, part)),
            at_most=most,
        )


async def asked_of_github(console: Console, found: Found) -> None:
    """GitHub's own record: how often it was called, and how often it had to refuse."""
    console.print("GitHub: seven simulated days; a thousand jobs at once")
    days = 1.0 if found.quick else 7.0
    week = await on_fresh_server(functools.partial(github.days, number=days))
    found.figure(
        f"{days:g} days at 20 jobs an hour and repository: GitHub calls a job",
        week.calls_per_job,
        floor=("a token fetched for each", 1.0),
        at_most=0.15,
    )
    found.figure("refused by GitHub (403, 429)", week.limited, at_most=0)
    found.figure("calls before GitHub's time", week.too_early, at_most=0)
    jobs = 200 if found.quick else 1000
    burst = await on_fresh_server(functools.partial(github.at_once, jobs=jobs))
    allowed = 10 + burst.seconds / 6
    found.figure(
        f"{jobs:,} jobs of one org at once: token calls", burst.token_calls, at_most=allowed
    )
    found.figure("GitHub calls a job then", burst.calls_per_job)
    found.figure("refused by GitHub then", burst.limited, at_most=0)
    found.figure("calls before GitHub's time then", burst.too_early, at_most=0)
    console.print("GitHub refuses one organization for a minute")
    seen = await on_fresh_server(github.throttled)
    for said, floor in (("alone", seen.alone), ("beside it, before", seen.before)):
        found.figure(
            "the other organization's wait p95, while one is refused",
            seen.during,
            "s",
            floor=(said, floor),
            at_most=1.1,
            of_ratio=True,
        )
    found.figure("permits of the refused one meanwhile", seen.most_held, at_most=0)


async def hardened(console: Console, found: Found) -> None:
    """What rude clients can do to the gateway, and what its time tells of a secret."""
    console.print("a thousand slow clients beside healthy webhooks")
    pairs = 1 if found.quick else hardening.PAIRS
    seen = await on_fresh_server(functools.partial(hardening.beside_slow_clients, pairs=pairs))
    found.figure(
        f"webhook p99 beside {hardening.SLOW:,} slow clients",
        [1000 * seconds for seconds in seen.beside],
        "ms",
        floor=("without them", [1000 * seconds for seconds in seen.without]),
        at_most=2,
        of_ratio=True,
    )
    found.figure("healthy webhooks that failed", seen.failed, at_most=0)
    console.print("signatures wrong at their beginning, and at their end")
    times = await on_fresh_server(hardening.signature_times)
    bound = welch.BOUND
    found.figure(f"signature check, |t| of {hardening.TRIES:,}", times.function, at_most=bound)
    found.figure(f"over HTTP, |t| of {hardening.HTTP_TRIES:,}", times.http, at_most=bound)
    found.figure("a naive comparison, |t| (the test sees it)", times.control, at_least=welch.BOUND)


async def watched(console: Console, found: Found) -> None:
    """What open operations pages cost."""
    console.print("twenty operations pages beside webhooks, 5,000 jobs wait")
    seen = await on_fresh_server(page.beside_pages)
    found.figure(
        f"webhook p99 beside {page.PAGES} pages",
        [1000 * seconds for seconds in seen.beside],
        "ms",
        floor=("without them", [1000 * seconds for seconds in seen.without]),
        at_most=1.1,
        of_ratio=True,
    )
    found.figure("webhooks that failed", seen.failed, at_most=0)
    found.figure(
        f"the page's HTML, {seen.waiting:,} jobs wait",
        [1000 * seconds for seconds in seen.first_seconds],
        "ms",
        at_most=1000,
    )
    if seen.paint_seconds:
        found.figure(
            "first contentful paint (Chromium)",
            [1000 * seconds for seconds in seen.paint_seconds],
            "ms",
            at_most=1000,
        )
    else:
        console.print("no Chromium here: first contentful paint is not measured")
    found.figure("the page's HTML", seen.page_bytes / 1000, "kB")
    found.figure("largest update", seen.largest_update / 1000, "kB", at_most=200)


async def no_job_lost(console: Console, found: Found) -> None:
    """A day, ten times the capacity, and three outages."""
    console.print("normal days in virtual time")
    days = [day.normal_day(seed) for seed in range(1 if found.quick else 3)]
    found.figure(
        "a day with 256-job matrices (virtual time): refused",
        [100 * one.refused / (one.jobs + one.refused) for one in days],
        "%",
        at_most=1,
    )
    found.figure("jobs lost in it", [one.lost for one in days], at_most=0)
    console.print("ten times the capacity for minutes")
    lasts = 60.0 if found.quick else overload.SECONDS
    step = await on_fresh_server(functools.partial(overload.step, seconds=lasts))
    found.figure(
        "goodput at ten times the capacity",
        step.goodput,
        "jobs/s",
        floor=("its best half minute", step.peak),
        at_least=0.95,
        of_ratio=True,
    )
    found.figure("webhook answer p99 then", step.p99, "s", at_most=1)
    found.figure("begins and ends refused", step.ends_refused, at_most=0)
    found.figure("jobs accepted", step.accepted)
    found.figure("jobs refused for a time", step.refused)
    found.figure(
        "memory of gateway and worker at the end",
        step.last_mib,
        "MiB",
        floor=("warm", step.warm_mib),
    )
    found.figure("jobs run twice", step.run_twice, at_most=0)
    console.print("no gateway, Temporal killed, maintenance")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        seen = await outages.play(Path(name), 10.0 if found.quick else OUTAGE_SECONDS)
    found.figure(
        "three outages: jobs that ran once",
        seen.ran_once,
        floor=("jobs", seen.jobs),
        at_least=1,
        of_ratio=True,
    )
    found.figure("deliveries refused or unanswered in them", seen.refused)
    found.figure("events never processed", seen.never_processed, at_most=0)
    found.figure("dead letters left", seen.letters_left, at_most=0)
    found.figure("all paid after the last one", seen.paid_seconds, "s")
    found.figure("laws broken in them", len(seen.violations), at_most=0)
    for violation in seen.violations:
        console.print(f"broken: {violation}", markup=False)
