"""Modes by all three doors: the admin interface, the command line, Temporal's own program."""

import asyncio
import itertools
import json
from collections import Counter

import httpx
import pytest
from temporalio.client import Client

from embedded import temporal_server
from policy import names
from tests.e2e.diagnosis import told_of
from tests.e2e.process import Dev
from tests.support import PATIENCE, ask, deliver, job_payload, until

MODES = ("normal", "draining", "maintenance")
COMMANDS = {"normal": "resume", "draining": "drain", "maintenance": "maintenance"}
SIGNALS = {"normal": "resume", "draining": "drain", "maintenance": "maintenance"}
# From normal to normal over every pair of modes, each once.
TOUR = (
    *("normal", "draining", "draining", "maintenance", "maintenance"),
    *("normal", "maintenance", "draining", "normal"),
)
DOORS = ("admin", "command", "signal")


class Operator:
    """Sets modes by any door, and looks at what has become of it."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.http = httpx.AsyncClient(timeout=PATIENCE)

    async def by(self, door: str, mode: str, reason: str) -> None:
        """One change; it must be taken."""
        if door == "admin":
            answer = await self.http.put(
                f"{self.dev.url}/admin/draining",
                json={"mode": mode, "reason": reason},
                headers=self.head,
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["mode"] in MODES
            return
        if door == "command":
            code, said = await self.dev.run(COMMANDS[mode], "--reason", reason)
        else:
            told = json.dumps({"reason": reason, "actor": "a signal"})
            code, said = await self.dev.temporal(
                *("workflow", "signal", "-w", "fleet", "--name", SIGNALS[mode], "--input", told)
            )
        assert code == 0, said

    @property
    def head(self) -> dict[str, str]:
        """The key that `penstock dev` printed."""
        line = next(line for line in self.dev.lines if line.startswith("admin key"))
        return {"Authorization": f"Bearer {line.split()[-1]}"}

    async def fleet(self, query: str = "drain_status"):
        """The Fleet's own word."""
        client = await Client.connect(self.dev.address)
        return await ask(client.get_workflow_handle(names.FLEET_ID), query)

    async def heard(self, mode: str) -> None:
        """Wait until the gateway acts on the mode, which it does within a second."""

        async def told() -> bool:
            answer = await self.http.get(f"{self.dev.url}/readyz")
            return answer.json()["mode"] == mode

        await until(told)


@pytest.fixture
async def operator(request, tmp_path, site):
    """`penstock dev` runs; it is ended with its Temporal server, whatever a test does."""
    dev = Dev(tmp_path / "dev", site, "max_runners = 2\ndefault = 0")
    await dev.start()
    made = Operator(dev)
    async with told_of(request, dev):
        yield made
    await made.http.aclose()
    if dev.process and dev.process.returncode is None:
        await dev.stop()
    if temporal_server.read(dev.folder / "state"):
        dev.kill_temporal()


def test_the_tour_makes_every_transition_once():
    """All nine."""
    made = Counter(itertools.pairwise(("normal", *TOUR)))
    assert made == Counter(itertools.product(MODES, MODES))


@pytest.mark.parametrize("door", DOORS)
async def test_every_transition_by_every_door(operator, door):
    """Each is made, to the same mode no anew; each is on record; the gateway acts on it."""
    before = await operator.fleet()
    for step, mode in enumerate(TOUR):
        reason = f"{door} {step}"
        await operator.by(door, mode, reason)
        state = await operator.fleet()
        assert (state["mode"], state["reason"]) == (mode, reason)
        if mode == before["mode"]:
            assert state["since"] == before["since"]
        else:
            assert state["since"] > before["since"]
        # The same again changes nothing.
        await operator.by(door, mode, reason)
        again = await operator.fleet()
        told = ("mode", "since", "reason", "deadline_at")
        assert [again[key] for key in told] == [state[key] for key in told]
        await operator.heard(mode)
        before = state
    entries = await operator.fleet("audit")
    found = [(entry["what"], entry["reason"]) for entry in entries if door in entry["reason"]]
    # The admin interface knows what holds already; a signal is a signal, and each is on record.
    times = 1 if door == "admin" else 2
    wanted = [(f"mode {mode}", f"{door} {step}") for step, mode in enumerate(TOUR)]
    assert found == [entry for entry in wanted for _ in range(times)]


async def test_all_doors_at_once(operator):
    """Whatever the order: every change is on record once, and the last one holds for all."""
    changes = list(itertools.product(DOORS, MODES))
    async with asyncio.TaskGroup() as group:
        for turn, (door, mode) in enumerate(changes):
            group.create_task(operator.by(door, mode, f"turn {turn}"))
    entries = [e for e in await operator.fleet("audit") if e["reason"].startswith("turn ")]
    assert Counter((e["what"], e["reason"]) for e in entries) == Counter(
        (f"mode {mode}", f"turn {turn}") for turn, (_, mode) in enumerate(changes)
    )
    last = entries[-1]
    state = await operator.fleet()
    assert (f"mode {state['mode']}", state["reason"]) == (last["what"], last["reason"])
    answer = await operator.http.get(f"{operator.dev.url}/admin/draining", headers=operator.head)
    code, said = await operator.dev.run("status", "-o", "json")
    assert code == 0
    told = (state["mode"], state["since"], state["reason"])
    for other in (answer.json(), json.loads(said)):
        assert (other["mode"], other["since"], other["reason"]) == told
    await operator.heard(state["mode"])


async def test_a_mode_survives_kill_9_of_everything(operator):
    """Gateway, worker and Temporal at once: the mode, its reason, its time and the record stay."""
    dev = operator.dev
    for door, mode in (("signal", "draining"), ("command", "maintenance"), ("admin", "normal")):
        await operator.by(door, mode, f"before the {mode} crash")
        before, record = await operator.fleet(), await operator.fleet("audit")
        dev.kill_temporal()
        await dev.kill()
        await dev.start()

        async def back():
            try:
                return await operator.fleet()
            except Exception:  # the worker has just begun
                return None

        after = await until(back)
        told = ("mode", "since", "reason")
        assert [after[key] for key in told] == [before[key] for key in told]
        assert await operator.fleet("audit") == record
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await _deliver(http, dev, 7001 + MODES.index(mode))
        assert answer.status_code == (200 if mode == "normal" else 503)
    assert await dev.stop() == 0


async def _deliver(http, dev, job):
    secret = (dev.site.folder / "webhook-secret").read_text().strip()
    return await deliver(http, dev.url, secret, job_payload("queued", job))
