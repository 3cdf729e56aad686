"""How runners end: by themselves, by force, by us; and who is told."""

import asyncio
import os
import signal

import pytest

from activities.clients import process_launcher
from tests.activities.launching import (
    SECONDS,
    TOKEN,
    exit_of,
    in_another_life,
    lives,
    no_more,
    request,
    take,
)

TALK = 'echo $$ > "$WORDS"; exec sleep 60'
# A child that ignores SIGTERM, in the runner's group, and the runner itself.
STUBBORN_CHILD = """sh -c 'trap "" TERM; echo $$ > "$WORDS"; sleep 60' & """
STUBBORN = 'trap "" TERM; echo $$ > "$WORDS"; sleep 60'


@pytest.fixture
def impatient(monkeypatch):
    """A launcher that kills soon."""
    monkeypatch.setattr(process_launcher, "KILL_AFTER_SECONDS", 0.3)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
async def test_the_exit_code_is_written_down(runners, script, code):
    """A signal's number is negative."""
    launcher = runners.launcher(script)
    await launcher.launch(request(), TOKEN)
    (end,) = await take(launcher)
    assert not end.alive
    written = runners.file(end.name, "ended.json")
    assert written == {"code": code, "error": "", "stopped": False}


async def test_an_end_is_told_until_it_is_acknowledged(runners):
    """A worker that dies between the two leaves the telling to the next one."""
    first = runners.launcher("exit 0")
    await first.launch(request(), TOKEN)
    await take(first)
    await first.close()
    second = runners.launcher()
    (end,) = await take(second)
    assert [runner.name for runner in await second.all()] == [end.name]
    await second.acknowledge(end.name)
    assert await second.all() == []
    assert await no_more(runners.launcher(), 0.2)


@pytest.mark.parametrize("keeper_too", [False, True])
async def test_another_worker_tells_of_the_runners_of_one_that_ended(
    runners, monkeypatch, keeper_too
):
    """Two workers on a machine, one is stopped: its runner's end is told by the other."""
    monkeypatch.setattr(process_launcher, "LOOK_SECONDS", 0.1)
    stopped, other = runners.launcher(TALK), runners.launcher("exit 0")
    ends = other.ended()
    await other.launch(request(2), TOKEN)
    assert (await anext(ends)).name == "penstock-2-1", "its look at the start is over"
    await other.acknowledge("penstock-2-1")
    launched = await stopped.launch(request(1), TOKEN)
    pid = int(await runners.word())
    await stopped.close()
    if keeper_too:
        os.kill(runners.file(launched.name, "started.json")["pid"], signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        assert (await anext(ends)).name == launched.name
    await ends.aclose()


async def test_exactly_those_that_ended_unwatched_are_told_first(runners):
    """Three runners of a former life: two ended meanwhile, one ends now."""
    former = runners.launcher(TALK)
    names, pids = [], []
    for job in (1, 2, 3):
        names.append((await former.launch(request(job), TOKEN)).name)
        pids.append(int(await runners.word()))
    await former.close()
    keepers = [runners.file(name, "started.json")["pid"] for name in names]
    for pid, keeper in list(zip(pids, keepers, strict=True))[:2]:
        os.kill(pid, signal.SIGKILL)
        await exit_of(keeper)
    launcher = runners.launcher(TALK)
    assert {end.name for end in await take(launcher, 2)} == set(names[:2])
    for name in names[:2]:
        await launcher.acknowledge(name)
    assert await no_more(launcher)
    os.kill(pids[2], signal.SIGKILL)
    assert [end.name for end in await take(launcher)] == names[2:]


async def test_a_killed_runner_takes_its_children_along(runners):
    """kill -9 of the runner alone: its job's processes do not stay behind."""
    launcher = runners.launcher(STUBBORN_CHILD + "wait")
    await launcher.launch(request(), TOKEN)
    child = int(await runners.word())
    os.kill(runners.file("penstock-1-1", "started.json")["runner_pid"], signal.SIGKILL)
    await take(launcher)
    await exit_of(child)


async def test_stop_passes_sigterm_on(runners):
    """A polite runner ends by itself, with its own exit code."""
    script = """trap 'exit 5' TERM; echo $$ > "$WORDS"; while :; do sleep 0.05; done"""
    launcher = runners.launcher(script)
    reference = await launcher.launch(request(), TOKEN)
    await runners.word()
    await launcher.stop(reference.name)
    written = runners.file(reference.name, "ended.json")
    assert written["stopped"]
    assert written["code"] in (5, -signal.SIGTERM)
    await launcher.stop(reference.name)  # again: nothing happens
    await launcher.stop("penstock-9-9")  # nor for one that nobody knows


async def test_stop_kills_a_stubborn_group(runners, impatient):
    """Runner and child both ignore SIGTERM: both are gone when stop is done."""
    launcher = runners.launcher(STUBBORN_CHILD + STUBBORN)
    reference = await launcher.launch(request(), TOKEN)
    pids = [int(await runners.word()) for _ in range(2)]
    await launcher.stop(reference.name)
    (end,) = await take(launcher)
    assert end.name == reference.name
    for pid in pids:
        await exit_of(pid)


async def test_stop_kills_the_child_of_a_polite_runner(runners):
    """The runner follows SIGTERM at once; its stubborn child does not outlive it."""
    launcher = runners.launcher(STUBBORN_CHILD + TALK)
    reference = await launcher.launch(request(), TOKEN)
    pids = [int(await runners.word()) for _ in range(2)]
    await launcher.stop(reference.name)
    for pid in pids:
        await exit_of(pid)


async def killed_keeper(runners, script):
    """A launcher with a runner whose keeper was killed; the runner's number."""
    launcher = runners.launcher(script)
    reference = await launcher.launch(request(), TOKEN)
    pid = int(await runners.word())
    keeper = int(reference.provider_id)
    os.kill(keeper, signal.SIGKILL)
    await exit_of(keeper)
    return launcher, pid


async def test_a_runner_lives_on_when_its_keeper_is_killed(runners):
    """It is not told as ended, is launched no second time, and can be stopped."""
    launcher, pid = await killed_keeper(runners, TALK)
    assert lives(pid)
    assert [runner.alive for runner in await launcher.all()] == [True]
    assert (await launcher.launch(request(), TOKEN)).alive
    assert await no_more(launcher)
    assert runners.words.silent
    await launcher.stop("penstock-1-1")
    await exit_of(pid)
    (end,) = await take(launcher)
    assert (end.name, end.alive) == ("penstock-1-1", False)
    assert not (runners.folder / end.name / "token").exists()


async def test_a_stubborn_runner_without_keeper_is_killed(runners, impatient):
    """SIGKILL reaches its group without the keeper."""
    launcher, pid = await killed_keeper(runners, STUBBORN)
    await launcher.stop("penstock-1-1")
    await exit_of(pid)
    await take(launcher)


async def test_the_next_worker_hears_the_end_of_a_runner_without_keeper(runners):
    """Worker and keeper are dead; the runner ends by itself."""
    await in_another_life(runners, TALK, die_at="launched")
    pid = int(await runners.word())
    keeper = runners.file("penstock-1-1", "started.json")["pid"]
    os.kill(keeper, signal.SIGKILL)
    await exit_of(keeper)
    launcher = runners.launcher()
    telling = asyncio.create_task(take(launcher))
    os.kill(pid, signal.SIGKILL)
    assert [end.name for end in await telling] == ["penstock-1-1"]


async def test_close_leaves_the_runners_alone(runners):
    """A worker that goes in order takes nobody along."""
    launcher = runners.launcher(TALK)
    await launcher.launch(request(), TOKEN)
    pid = int(await runners.word())
    await launcher.close()
    assert lives(pid)
