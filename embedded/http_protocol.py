"""HTTP/1.1 with deadlines: uvicorn's protocol, and one that is late or greedy is shown out.

uvicorn has no time limit for the receipt of a request, nor for that of its answer, and no order in
which connections go when there are too many (docs/decisions/0007-server-deadlines.md). Each
connection here has one timer for what it must send and one for what it must take:

    new ─byte─▶ head ─blank line─▶ body ─last byte─▶ answering ─answer─▶ idle ─byte─▶ head …

`new` and `head` together have `header_seconds`, `body` has `body_seconds`, however many bytes
arrive meanwhile; `idle` has `keep_alive_seconds`, `answering` as long as the application wants.
"""

import asyncio
import functools
from http import HTTPStatus
from typing import Any, Literal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.problems import Problem, response
from api.security_headers import ALWAYS
from embedded.connections import PARTING_AT_MOST, Connections, State

Phase = Literal["new", "head", "body", "answering", "idle"]
STATES: dict[Phase, State] = {
    "new": "waiting",
    "head": "waiting",
    "body": "waiting",
    "answering": "answering",
    "idle": "idle",
}
# An answer is lost if the connection is closed while its client still sends (RFC 9112, 9.6).
PARTING_SECONDS = 1.0
# When the server closes: for a request that is on its way on a connection already accepted.
LAST_CALL_SECONDS = 1.0
# Of a body that was answered before its end, as too large: dropped, then the client is.
DROPPED_BYTES = 1024 * 1024
FULL = Problem(503, "too many connections", retry_after=5)
LATE = Problem(408, "the request did not arrive in time")
MALFORMED = Problem(400, "this is not HTTP/1.1")
LONG = Problem(431, "the headers are too large")


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration, and the connections that its protocols belong to."""

    def __init__(self, app: Any, connections: Connections, **how: Any) -> None:
        limits = connections.limits
        super().__init__(
            app,
            http=GuardedProtocol,
            ws="none",
            timeout_keep_alive=limits.keep_alive_seconds,
            h11_max_incomplete_event_size=limits.header_bytes,
            server_header=False,
            proxy_headers=False,  # ours: api/forwarded.py
            **how,
        )
        self.connections = connections


class GuardedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, config: GuardedConfig, *how: Any, **more: Any) -> None:
        super().__init__(config, *how, **more)
        self.held = 0
        self._all = config.connections
        self._limits = config.connections.limits
        self._phase: Phase = "new"
        self._parted = False
        self._dropped = 0
        self._to_receive: asyncio.TimerHandle | None = None
        self._to_send: asyncio.TimerHandle | None = None

    # What asyncio and uvicorn call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, or say that there is no room."""
        super().connection_made(transport)
        if self._all.admit(self):
            self._wait(LAST_CALL_SECONDS if self._all.closing else self._limits.header_seconds)
        else:
            self._part(FULL, "full")

    def data_received(self, data: bytes) -> None:
        """Parse; a deadline goes on unless this was the last byte that it is for."""
        if self._parted:
            return
        if self._phase in ("new", "idle"):
            self._enter("head")
        super().data_received(data)
        self._look()
        if self._phase == "body" and not self._parted:
            self._take(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, whoever ended it."""
        if self._parted:
            self._all.parting -= 1
        self._parted = True
        self._all.leave(self)
        self._cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The answer is written, though its client may not have taken it yet."""
        super().on_response_complete()
        if self._phase == "body":  # answered before its end
            self._all.let_go(self)
        self._look()
        self._expect_to_be_read()

    def pause_writing(self) -> None:
        """The client is slower than the answer."""
        super().pause_writing()
        self._expect_to_be_read()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        super().resume_writing()
        if self._to_send:
            self._to_send.cancel()
            self._to_send = None
            self._tell()

    def send_400_response(self, msg: str) -> None:
        """What came is no request."""
        unread = len(self.conn.trailing_data[0])
        if self._phase == "head" and unread > self._limits.header_bytes:
            self._part(LONG, "headers")
        else:
            self._part(MALFORMED, "malformed")

    def shutdown(self) -> None:
        """The server closes: a request that is on its way is answered, the last one."""
        if self._parted:
            return
        if self._phase in ("new", "head"):
            self._wait(LAST_CALL_SECONDS)
        else:
            super().shutdown()

    # What the other connections ask of this one

    def make_room(self) -> None:
        """Another one needs the place."""
        self._part(FULL if self._phase in ("head", "body") else None, "evicted")

    # Phases and deadlines

    def _look(self) -> None:
        """Note the phase in which h11 is."""
        if self._parted or self.transport.is_closing():
            return
        theirs = self.conn.their_state
        if theirs is h11.SEND_BODY:
            self._enter("body")
        elif theirs is not h11.IDLE:
            self._enter("answering")
        elif self.conn.trailing_data[0]:
            self._enter("head")
        elif self._all.closing and self._phase != "new":
            self.transport.close()
        elif self._phase != "new":
            self._enter("idle")

    def _enter(self, phase: Phase) -> None:
        before, self._phase = self._phase, phase
        if phase == before:
            return
        self._tell()
        if before == "body":
            self._all.let_go(self)
        if phase == "body":
            self._dropped = 0
            self._wait(self._limits.body_seconds)
        elif phase == "head" and before != "new":
            self._wait(self._limits.header_seconds)
        elif phase == "idle":  # uvicorn's timer is not there if a body was answered before its end
            self._wait(self._limits.keep_alive_seconds)
        elif phase == "answering" and self._to_receive:
            self._to_receive.cancel()
            self._to_receive = None

    def _tell(self) -> None:
        """Tell the others its state."""
        if not self._parted:
            self._all.move(self, "unread" if self._to_send else STATES[self._phase])

    def _take(self, size: int) -> None:
        """Count bytes of the body: kept until it is whole; dropped if it is answered already."""
        if self.cycle.response_complete:
            self._dropped += size
            if self._dropped > DROPPED_BYTES:
                self._part(None, "body")
        else:
            self._all.hold(self, size)

    def _wait(self, seconds: float) -> None:
        """From now on so long, for all that is to be received in this phase."""
        if self._to_receive:
            self._to_receive.cancel()
        self._to_receive = self.loop.call_later(self._all.about(seconds), self._late)

    def _late(self) -> None:
        if self._phase == "idle":
            self.transport.close()
            return
        why = "late_body" if self._phase == "body" else "late_headers"
        self._part(LATE if self._phase in ("head", "body") else None, why)

    def _expect_to_be_read(self) -> None:
        if self._to_send is None and self.transport.get_write_buffer_size():
            self._to_send = self.loop.call_later(self._limits.send_seconds, self._unread)
            self._tell()

    def _unread(self) -> None:
        self._to_send = None
        if self.transport.get_write_buffer_size():
            self._all.turned_away("unread_answer")
            self.transport.abort()
        else:
            self._tell()

    def _cancel(self) -> None:
        for timer in (self._to_receive, self._to_send):
            if timer:
                timer.cancel()
        self._to_receive = self._to_send = None

    # The end

    def _part(self, problem: Problem | None, why: str) -> None:
        """Say why, where that is still possible, and go; what the client sends now is dropped."""
        if self._parted:
            return
        self._parted = True
        self._all.turned_away(why)
        self._all.leave(self)
        self._all.parting += 1
        self._cancel()
        self._unset_keepalive_if_required()
        started = bool(self.cycle) and self.cycle.response_started
        whole = not self.cycle or self.cycle.response_complete
        if self.cycle and not whole:
            self.cycle.disconnected = True  # the application hears that its client is gone
            self.cycle.message_event.set()
        if self.transport.is_closing() or self._all.parting > PARTING_AT_MOST:
            self.transport.abort()
        elif problem and (whole or not started):
            self.flow.resume_reading()
            date = self.server_state.default_headers[:1]
            self.transport.write(last_words(problem, *date))
            self._to_receive = self.loop.call_later(PARTING_SECONDS, self.transport.abort)
            try:
                self.transport.write_eof()
            except OSError:  # it is gone, its kernel has just said so, asyncio does not know yet
                self.transport.abort()
        else:
            self.transport.abort()


@functools.lru_cache(maxsize=16)  # they may have to be said a thousand times at once
def last_words(problem: Problem, *more: tuple[bytes, bytes]) -> bytes:
    """A whole answer after which the connection ends, for what never becomes a request."""
    answer = response(problem)
    answer.headers.update({**ALWAYS, "Connection": "close"})
    phrase = HTTPStatus(problem.status).phrase.encode()
    head = b"".join(b"%s: %s\r\n" % pair for pair in (*more, *answer.raw_headers))
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (problem.status, phrase, head, bytes(answer.body))
