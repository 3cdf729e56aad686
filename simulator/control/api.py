"""What a control path sees."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator.faults import Faults
from simulator.github.api import Backend
from simulator.github.gate import Gate
from simulator.state.changes import Changes
from simulator.state.model import Job
from simulator.state.queue import JobQueue
from simulator.web import Answer, ApiError, Request, Routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Everything inside, for whoever makes the weather; `reset` replaces it all."""

    back: Backend
    gate: Gate
    faults: Faults
    queue: JobQueue
    changes: Changes

    def job(self, request: Request) -> Job:
        """The job of the path; 404."""
        number = request.params["id"]
        found = self.back.jobs.by_id.get(int(number)) if number.isdecimal() else None
        if found is None:
            raise ApiError(404, "no such job")
        return found


ControlHandler = Callable[[Control, Request], Answer | Awaitable[Answer]]
ControlRoutes = Routes[ControlHandler]


def bad(message: str) -> ApiError:
    """The caller asked for something that makes no sense."""
    return ApiError(400, message)
