"""Launching runners as processes: once, with what they need, and with no secret of ours."""

import asyncio
import os
import signal
import stat
import sys
import time

import pytest

from activities.clients.process_launcher import ACKNOWLEDGED, NAME_KEPT_SECONDS, ProcessLauncher
from activities.errors import LaunchRefused
from activities.github import RunnerToken
from activities.runner_environment import RunnerHome
from activities.runners import LaunchRequest
from demo.site import SIMULATOR
from tests.activities.launching import (
    SECRET,
    TOKEN,
    exit_of,
    in_another_life,
    is_ours,
    lives,
    no_more,
    processes,
    request,
    take,
)
from tests.support import until

TALK = 'echo $$ > "$WORDS"; exec sleep 60'
CANARIES = {
    "PENSTOCK_GITHUB__TOKEN": "canary-1",
    "PENSTOCK_GATEWAY__WEBHOOK_SECRET": "canary-2",
    "AWS_SECRET_ACCESS_KEY": "canary-3",
    "AWS_SESSION_TOKEN": "canary-4",
    "TEMPORAL_API_KEY": "canary-5",
    "GITHUB_TOKEN": "canary-6",
}


async def test_a_launch_tells_who_runs_for_whom(runners):
    """The reference has the runner's name, its keeper and its workflow."""
    launcher = runners.launcher(TALK)
    reference = await launcher.launch(request(), TOKEN)
    started = runners.file(reference.name, "started.json")
    assert started["runner_pid"] == int(await runners.word())
    assert (reference.name, reference.workflow_id, reference.provider_id, reference.alive) == (
        "penstock-1-1",
        "runner-job/acme/api/1",
        str(started["pid"]),
        True,
    )
    assert await launcher.all() == [reference]


async def test_a_second_call_finds_the_first_runner(runners):
    """A launch that is tried again starts nothing."""
    launcher = runners.launcher(TALK)
    first = await launcher.launch(request(), TOKEN)
    await runners.word()
    assert await launcher.launch(request(), TOKEN) == first
    assert runners.words.silent


async def test_calls_at_once_start_one_runner_with_one_end(runners):
    """Ten launches of one name, and its end is told once."""
    launcher = runners.launcher(TALK)
    found = await asyncio.gather(*(launcher.launch(request(), TOKEN) for _ in range(10)))
    assert len(set(found)) == 1
    await runners.word()
    assert runners.words.silent
    await launcher.stop(found[0].name)
    (end,) = await take(launcher)
    assert (end.name, end.alive) == (found[0].name, False)
    await launcher.acknowledge(end.name)
    assert await no_more(launcher)


async def test_a_name_is_kept_for_an_hour_after_its_end(runners):
    """A launch that is tried late finds that its runner has come and gone; then no more."""
    launcher = runners.launcher("exit 0")
    ends = []
    for job in (1, 2):
        await launcher.launch(request(job), TOKEN)
        ends += await take(launcher)
        await launcher.acknowledge(ends[-1].name)
    old, young = (runners.folder / end.name for end in ends)
    long_ago = time.time() - NAME_KEPT_SECONDS - 1
    os.utime(old / ACKNOWLEDGED, (long_ago, long_ago))
    assert await no_more(launcher)
    assert (old.exists(), young.exists()) == (False, True)
    assert not (await launcher.launch(request(2), TOKEN)).alive


async def test_a_try_finds_only_what_was_begun_and_not_yet_told(runners):
    """Nothing under a name that was never launched, or whose end its job has heard."""
    launcher = runners.launcher("exit 0")
    assert await launcher.find("penstock-1-1", 2) is None
    launched = await launcher.launch(request(), TOKEN)
    (end,) = await take(launcher)
    assert (await launcher.find(launched.name, 2)) == end
    await launcher.acknowledge(end.name)
    assert await launcher.find(launched.name, 2) is None


async def test_two_workers_at_once_start_one_runner(runners):
    """The folder's lock decides between two launchers that know nothing of each other."""
    both = [runners.launcher(TALK), runners.launcher(TALK)]
    first, second = await asyncio.gather(*(one.launch(request(), TOKEN) for one in both))
    assert first == second
    await runners.word()
    assert runners.words.silent


async def test_a_runner_outlives_a_worker_that_was_killed(runners):
    """The next worker finds it, launches no second one, hears its end."""
    await in_another_life(runners, TALK, die_at="launched")
    pid = int(await runners.word())
    launcher = runners.launcher(TALK)
    (found,) = await launcher.all()
    assert found.alive
    assert await launcher.launch(request(), TOKEN) == found
    assert runners.words.silent
    assert lives(pid)

    async def alone():  # the program that forked its keeper has ended with its worker
        return {one for one in processes() if is_ours(one, runners.folder)} == {
            pid,
            int(found.provider_id),
        }

    await until(alone)
    await launcher.stop(found.name)
    (end,) = await take(launcher)
    assert (end.name, end.workflow_id, end.alive) == (found.name, found.workflow_id, False)


async def test_the_token_is_for_the_runner_alone_and_gone_after_its_end(runners):
    """Mode 0600 in a folder of mode 0700, and nowhere else."""
    launcher = runners.launcher(f'cat "$PENSTOCK_RUNNER_TOKEN_FILE" > "$WORDS"; {TALK}')
    reference = await launcher.launch(request(), TOKEN)
    folder = runners.folder / reference.name
    token = folder / "token"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (token, folder, folder / "work")]
    assert modes == [0o600, 0o700, 0o700]
    assert (await runners.word()).startswith(SECRET)
    others = [path for path in folder.rglob("*") if path.is_file() and path != token]
    assert others
    assert not [path for path in others if SECRET in path.read_text()]
    await launcher.stop(reference.name)
    assert not token.exists()


async def test_a_token_goes_with_its_runner_when_nobody_watches(runners):
    """The worker is dead: the keeper deletes the secret."""
    await in_another_life(runners, TALK, die_at="launched")
    folder = runners.folder / "penstock-1-1"
    assert (folder / "token").exists()
    os.kill(int(await runners.word()), signal.SIGKILL)
    await exit_of(runners.file(folder.name, "started.json")["pid"])
    assert not (folder / "token").exists()


async def test_a_runner_gets_its_instructions_and_no_key_of_ours(runners, monkeypatch):
    """Its environment is what docs/runners.md says; a job is other people's code."""
    for key, value in CANARIES.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("LC_ALL", "C")
    launcher = runners.launcher("env > env.txt; pwd > pwd.txt; ls -a > ls.txt")
    reference = await launcher.launch(request(), TOKEN)
    await take(launcher)
    work = runners.folder / reference.name / "work"
    told = dict(
        line.split("=", 1) for line in (work / "env.txt").read_text().splitlines() if "=" in line
    )
    assert not [value for value in told.values() if "canary" in value]
    assert {key: told[key] for key in told if key.startswith("PENSTOCK_")} == {
        "PENSTOCK_GITHUB_URL": "http://api.github.test",
        "PENSTOCK_RUNNER_URL": "http://github.test/acme/api",
        "PENSTOCK_RUNNER_NAME": "penstock-1-1",
        "PENSTOCK_RUNNER_LABELS": "self-hosted,linux",
        "PENSTOCK_RUNNER_TOKEN_FILE": str(work.parent / "token"),
    }
    assert told["LC_ALL"] == "C"
    assert (work / "pwd.txt").read_text().strip() == str(work)
    assert set((work / "ls.txt").read_text().split()) <= {
        ".",
        "..",
        "env.txt",
        "pwd.txt",
        "ls.txt",
    }


async def test_a_job_reads_no_key_of_ours_at_its_keeper(runners, monkeypatch):
    """Same user, so the job may: what the kernel shows it of its parent, as of itself."""
    for key, value in {**CANARIES, "LC_ALL": "C", "LD_LIBRARY_PATH": "/a/python/lib"}.items():
        monkeypatch.setenv(key, value)
    script = 'for who in $PPID $$; do tr "\\0" "\\n" < /proc/$who/environ > env.$who; done; '
    launcher = runners.launcher(f"{script}{TALK}")
    reference = await launcher.launch(request(), TOKEN)
    runner = int(await runners.word())
    keeper = runners.file(reference.name, "started.json")["pid"]
    work = runners.folder / reference.name / "work"
    of_keeper, of_runner = ((work / f"env.{pid}").read_text() for pid in (keeper, runner))
    assert "LC_ALL=C" in of_keeper, "it was read"
    assert "LC_ALL=C" in of_runner, "it was read"
    assert "canary" not in of_keeper + of_runner
    assert "LD_LIBRARY_PATH=/a/python/lib" in of_keeper, "its Python may need it"
    assert "LD_LIBRARY_PATH" not in of_runner


async def test_a_jit_configuration_comes_by_a_file_of_its_own_name(runners):
    """A runner can tell the two kinds of secret apart."""
    script = 'cat "$PENSTOCK_RUNNER_JITCONFIG_FILE" > out; test -z "$PENSTOCK_RUNNER_TOKEN_FILE"'
    launcher = runners.launcher(script)
    token = RunnerToken("a-jit-configuration", 0.0, 9e9, jit=True)
    reference = await launcher.launch(request(), token)
    await take(launcher)
    folder = runners.folder / reference.name
    assert (folder / "work" / "out").read_text() == "a-jit-configuration"
    assert runners.file(reference.name, "ended.json")["code"] == 0


@pytest.mark.parametrize("kind", ["missing", "not executable", "a folder"])
async def test_a_command_that_cannot_run_is_refused_by_name(runners, tmp_path, kind):
    """The message names the command; nothing is left, and no end is told."""
    command = tmp_path / "a-runner-program"
    if kind == "a folder":
        command.mkdir()
    elif kind == "not executable":
        command.write_text("#!/bin/sh\n")
    launcher = runners.launcher("", str(command))
    with pytest.raises(LaunchRefused, match=f"runner.command cannot be run: {command}: "):
        await launcher.launch(request(), TOKEN)
    assert await launcher.all() == []
    assert list(runners.folder.iterdir()) == []
    assert await no_more(launcher, 0.2)


async def test_the_simulators_runner_does_a_job(site, runners):
    """A real registration token, a real runner process, a real job."""
    pat = await site.call("POST", "pats")
    (job,) = await site.jobs("acme/api", seconds=0.05, deliver=False)
    made = await site._http.post(
        f"{site.url}/repos/acme/api/actions/runners/registration-token",
        headers={"Authorization": f"Bearer {pat['token']}", "User-Agent": "a test"},
    )
    launcher = ProcessLauncher(
        runners.folder,
        [sys.executable, "-I", "-S", str(SIMULATOR / "runner" / "__main__.py")],
        home=RunnerHome(site.url, site.url),
    )
    try:
        wanted = LaunchRequest("w", "acme/api", f"penstock-{job}-1", ["linux"])
        await launcher.launch(wanted, RunnerToken(made.json()["token"], 0.0, 9e9))
        (end,) = await take(launcher)
    finally:
        await launcher.close()
    assert end.name == f"penstock-{job}-1"
    assert (await site.call("GET", f"jobs/{job}"))["runner_name"] == end.name
    assert runners.file(end.name, "ended.json")["code"] == 0
