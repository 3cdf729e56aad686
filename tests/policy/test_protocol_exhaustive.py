"""Every order of a small permit protocol, by breadth-first search over the real policies.

Two repositories of one organization, a few jobs, one restart of each side. Delivering a message
and the receiver's turn are one step here; grants arrive at once.
"""

import os
import pickle
from collections import deque
from collections.abc import Iterator

import pytest

from policy.limits import Limits
from tests.policy.protocol_model import FLEET, Violated, World

STATES = int(os.environ.get("PENSTOCK_MODEL_STATES", "8000"))  # of each search
REPOS = ("acme/a", "acme/b")
Move = tuple[str, str | int]


class Small:
    """The world with what may still happen to it; small enough to pickle often."""

    def __init__(self, capacity: int, restarts: str) -> None:
        self.world = World(REPOS, Limits(capacity, 1.0, 2))
        self.to_submit = {"acme/a": 2, "acme/b": 1}
        self.restarts = restarts  # one letter each: f(leet), c(ontinue as new), t(erminate)

    def moves(self) -> Iterator[Move]:
        for repo, left in self.to_submit.items():
            if left:
                yield "submit", repo
        for job in self.world.jobs.values():
            if job.state.lease:
                yield "end", job.id
        for index in range(len(self.world.bag)):
            yield "deliver", index
        for kind in self.restarts:
            if kind == "f":
                yield "f", FLEET
            else:
                yield from ((kind, repo) for repo in REPOS if self.world.semaphores[repo])

    def make(self, move: Move) -> None:
        kind, what = move
        world = self.world
        if kind == "submit":
            self.to_submit[what] -= 1
            world.submit(what)
        elif kind == "end":
            world.end(world.jobs[what])
        elif kind == "deliver":
            world.deliver(what)
        else:
            self.restarts = self.restarts.replace(kind, "", 1)
            if kind == "f":
                world.start_fleet_afresh()
            elif kind == "c":
                world.continue_as_new(what)
            else:
                world.terminate(what, lambda: True)
                world.revive(what)
        world.check()
        self._react()

    def _react(self) -> None:
        """Whoever has heard something takes its turn; grants go straight to their jobs."""
        world = self.world
        for repo in REPOS:
            world.turn(repo)
            world.check()
        while any(e.kind == "granted" for e in world.bag):
            world.deliver(next(i for i, e in enumerate(world.bag) if e.kind == "granted"))
            for repo in REPOS:
                world.turn(repo)
            world.check()
        if world.fleet_inbox:
            world.turn_fleet()
            world.check()

    def key(self) -> tuple[object, ...]:
        """What tells two states apart."""
        world = self.world
        return (
            tuple(self.to_submit.values()),
            self.restarts,
            tuple(sorted(repr((e.kind, e.to, e.body)) for e in world.bag)),
            repr(list(world.semaphores.values())),
            repr(sorted(world.fleet.book.accounts.items())),
            world.fleet.book.epoch,
            tuple(sorted((j.id, j.state.lease) for j in world.jobs.values())),
        )


def search(capacity: int, restarts: str) -> tuple[int, bool]:
    """All states within the bound: how many, and whether that was all of them."""
    start = Small(capacity, restarts)
    seen = {hash(start.key())}
    todo = deque([pickle.dumps(start, -1)])
    while todo and len(seen) < STATES:
        here = todo.popleft()
        state: Small = pickle.loads(here)
        if not state.world.bag:
            state.world.check_quiet()
        for move in list(state.moves()):
            following: Small = pickle.loads(here)
            following.make(move)
            key = hash(following.key())
            if key not in seen:
                seen.add(key)
                todo.append(pickle.dumps(following, -1))
    return len(seen), not todo


@pytest.mark.parametrize("restarts", ["", "fc", "ft"])
@pytest.mark.parametrize("capacity", [1, 2])
def test_no_order_of_messages_breaks_the_permits(capacity: int, restarts: str) -> None:
    """In each state reachable: nothing over the capacity; with no message left: nothing stuck."""
    states, complete = search(capacity, restarts)
    print(f"capacity {capacity}, restarts {restarts!r}: {states} states", "all" * complete)


def test_the_search_would_find_a_permit_too_many() -> None:
    """The search looks: a Fleet that believes in one more runner than there are is found out."""
    small = Small(1, "")
    small.world.fleet.limits.max_runners = 2
    small.world.cap = lambda key: 1  # type: ignore[method-assign]
    with pytest.raises(Violated):
        for repo in ("acme/a", "acme/a", "acme/b"):
            small.make(("submit", repo))
            while small.world.bag:
                small.make(("deliver", 0))
