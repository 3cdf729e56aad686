"""Deaths at the worst moment, numbers that pass to another process, folders half there."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from activities.clients import process_launcher
from activities.errors import LaunchRefused, LaunchUnavailable
from tests.activities.launching import (
    TOKEN,
    exit_of,
    in_another_life,
    lives,
    no_more,
    request,
    take,
)
from tests.support import until

TALK = 'echo $$ > "$WORDS"; exec sleep 60'
NAME = "penstock-1-1"
MOMENTS = ["os.mkdir work", "open .launch.json", "open .token", "subprocess.Popen "]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_worker_killed_while_it_prepares_costs_nothing(runners, moment):
    """The launch that is tried again starts the runner; nobody is told that it ended."""
    await in_another_life(runners, TALK, die_at=moment)
    assert runners.words.silent
    launcher = runners.launcher(TALK)
    assert await no_more(launcher, 0.2)
    assert not list(runners.folder.glob("*/token")), "the token of a dead launch is left"
    assert (await launcher.launch(request(), TOKEN)).alive
    pid = int(await runners.word())
    assert lives(pid)
    assert runners.words.silent
    assert await no_more(launcher, 0.2)


async def test_a_keeper_killed_before_it_wrote_that_it_started(runners):
    """The runner lives: it is found by its lock, and launched no second time."""
    (runners.folder / NAME).mkdir(parents=True)
    os.mkfifo(runners.folder / NAME / ".started.json")  # where its keeper stops, until it is read
    launcher = runners.launcher(TALK)
    launch = asyncio.create_task(launcher.launch(request(), TOKEN))
    pid = int(await runners.word())
    os.kill(parent_of(pid), 9)
    assert (await launch).alive
    assert (await launcher.launch(request(), TOKEN)).alive
    assert runners.words.silent
    assert await no_more(launcher)
    os.kill(pid, 9)
    assert [end.name for end in await take(launcher)] == [NAME]


async def test_a_keeper_that_dies_at_once_is_a_refusal(runners):
    """No waiting for a start that will not come; nothing is left, no end is told."""
    (runners.folder / NAME / "runner.log").mkdir(parents=True)  # a keeper cannot write there
    launcher = runners.launcher(TALK)
    with pytest.raises(LaunchRefused, match=f"the keeper of {NAME} ended"):
        await launcher.launch(request(), TOKEN)
    assert list(runners.folder.iterdir()) == []
    assert await no_more(launcher, 0.2)


async def test_a_keeper_that_hangs_is_ended_with_its_launch(runners, monkeypatch):
    """After the refusal no runner begins."""
    monkeypatch.setattr(process_launcher, "START_SECONDS", 0.5)
    (runners.folder / NAME).mkdir(parents=True)
    os.mkfifo(runners.folder / NAME / "runner.log")
    reader = os.open(runners.folder / NAME / "runner.log", os.O_RDONLY | os.O_NONBLOCK)
    os.close(reader)  # nobody reads: the keeper hangs where it opens its log
    launcher = runners.launcher(TALK)
    with pytest.raises(LaunchRefused, match="did not start within"):
        await launcher.launch(request(), TOKEN)
    reader = os.open(runners.folder / NAME / "runner.log", os.O_RDONLY | os.O_NONBLOCK)
    assert [end.alive for end in await take(launcher)] == [False]
    os.close(reader)
    assert runners.words.silent


async def test_the_program_that_keeps_runners_is_killed(runners):
    """Its keepers keep on, and the next launch starts another one."""
    launcher = runners.launcher(TALK)
    first = await launcher.launch(request(), TOKEN)
    await runners.word()
    os.kill(parent_of(int(first.provider_id)), 9)

    async def launched():
        try:
            return await launcher.launch(request(2), TOKEN)
        except LaunchUnavailable:  # asked in the moment of its death: Temporal tries again
            return None

    second = await until(launched)
    await runners.word()
    assert await launcher.all() == [first, second]
    await launcher.stop(second.name)
    await launcher.stop(first.name)
    assert {end.name for end in await take(launcher, 2)} == {first.name, second.name}


async def test_a_launch_whose_program_is_killed_is_tried_again(runners):
    """A keeper that had begun nothing begins nothing afterwards; the second try does."""
    (runners.folder / NAME).mkdir(parents=True)
    log = runners.folder / NAME / "runner.log"
    os.mkfifo(log)  # where the keeper stops, until somebody reads
    launcher = runners.launcher(TALK)
    launch = asyncio.create_task(launcher.launch(request(), TOKEN))

    async def locked():
        return holder(runners.folder / NAME / "runner.lock")

    program = parent_of(await until(locked))
    os.kill(program, 9)
    await exit_of(program)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(LaunchUnavailable, match="was killed"):
        await launch
    os.close(reader)
    assert runners.words.silent
    assert (await launcher.launch(request(), TOKEN)).alive
    await runners.word()
    assert runners.words.silent


async def test_a_number_that_passed_to_a_stranger_is_left_alone(runners):
    """started.json of a former keeper names a process that is somebody else's by now."""
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        folder = runners.folder / NAME
        folder.mkdir(parents=True)
        stale = f'{{"pid": {stranger.pid}, "runner_pid": {stranger.pid}}}'
        (folder / "started.json").write_text(stale)
        launcher = runners.launcher(TALK)
        await launcher.stop(NAME)
        reference = await launcher.launch(request(), TOKEN)
        pid = int(await runners.word())
        assert reference.provider_id != str(stranger.pid)
        await launcher.stop(NAME)
        await exit_of(pid)
        assert lives(stranger.pid)
    finally:
        stranger.kill()
        await stranger.wait()


async def test_an_end_is_heard_though_the_numbers_are_a_strangers(runners):
    """Nobody waits for the end of a process that is not ours."""
    folder = runners.folder / NAME
    folder.mkdir(parents=True)
    (folder / "launch.json").write_text('{"workflow_id": "w"}')
    (folder / "lock").touch()
    (folder / "started.json").write_text(f'{{"pid": {os.getpid()}, "runner_pid": {os.getpid()}}}')
    (end,) = await take(runners.launcher())
    assert (end.name, end.workflow_id, end.alive) == (NAME, "w", False)


async def test_a_deletion_that_was_cut_short_is_finished(runners):
    """What is half deleted is seen by nobody, and gone with the next worker."""
    left = runners.folder / f".{NAME}"
    (left / "work" / "deep").mkdir(parents=True)
    (left / "launch.json").write_text("{}")
    launcher = runners.launcher()
    assert await launcher.all() == []
    assert await no_more(launcher, 0.2)
    assert not left.exists()


async def test_a_late_acknowledgement_spares_the_next_runner_of_the_name(runners):
    """The end of a former runner is acknowledged after the name was launched again."""
    launcher = runners.launcher(TALK)
    await launcher.launch(request(), TOKEN)
    pid = int(await runners.word())
    await launcher.acknowledge(NAME)
    assert lives(pid)
    assert [runner.alive for runner in await launcher.all()] == [True]
    await launcher.stop(NAME)
    assert [end.name for end in await take(launcher)] == [NAME]


async def test_looking_at_the_locks_never_keeps_a_runner_from_starting(runners):
    """Whoever looks holds the lock for a moment, and a keeper wants it just then."""
    launcher = runners.launcher("exit 0")
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for folder in runners.folder.glob("*"):
                process_launcher._alive(folder)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        found = await asyncio.gather(*(launcher.launch(request(n), TOKEN) for n in range(1, 9)))
    finally:
        done.set()
        looking.join()
    assert len({reference.name for reference in found}) == 8
    assert len(await take(launcher, 8)) == 8


def parent_of(pid: int) -> int:
    """The parent's number."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def holder(path: Path) -> int:
    """The process that holds this file's lock; 0 for none."""
    number = f":{path.stat().st_ino} " if path.exists() else "none"
    held = [line for line in Path("/proc/locks").read_text().splitlines() if number in line]
    return int(held[0].split()[4]) if held else 0


async def test_a_launch_repeated_after_the_runners_end_starts_no_other(runners):
    """The answer of the first try was lost; its runner came, went, and was acknowledged."""
    launcher = runners.launcher('echo once > "$WORDS"')
    await launcher.launch(request(), TOKEN)
    assert await runners.word() == "once"
    assert [end.name for end in await take(launcher)] == [NAME]
    await launcher.acknowledge(NAME)
    assert await launcher.all() == []
    assert not (await launcher.launch(request(), TOKEN)).alive
    assert runners.words.silent, "a second runner was started"
    another = runners.launcher('echo twice > "$WORDS"')
    assert not (await another.launch(request(), TOKEN)).alive
    assert await no_more(another, 0.2)
    assert runners.words.silent
    assert not (runners.folder / NAME / "work").exists()
