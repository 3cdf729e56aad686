"""A self-hosted runner: registers, takes one job, holds its connection while it works, reports.

Standard library only, and little of it: many start at once. The fastest way to start it is
`python -I -S .../simulator/runner/__main__.py`. Exit codes are those of the real `run.sh`: 0 hides
how the job ended; 1: not registered, or the server is gone.
"""

import json
import os
import signal
import socket
import sys
from binascii import a2b_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    Json = dict[str, Any]

OK, FAILED = 0, 1
SEND_SECONDS = 30.0


class Interrupted(BaseException):
    """SIGTERM came."""


class ServerGone(Exception):
    """The connection broke, or nobody answers."""


class Connection:
    """One kept HTTP/1.1 connection: opening one per request would cost more than the request."""

    def __init__(self, base_url: str) -> None:
        host, _, port = base_url.split("://", 1)[1].split("/", 1)[0].partition(":")
        self._host = f"{host}:{port}"
        self.secret = ""
        try:
            self._socket = socket.create_connection((host, int(port or 80)), timeout=SEND_SECONDS)
        except OSError as error:
            raise ServerGone(str(error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def post(self, path: str, body: "Json", wait: float = 0.0) -> "tuple[int, Json]":
        """Post; status and JSON. `wait`: how long the server may take on purpose, seconds."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.secret}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            self._socket.settimeout(wait + SEND_SECONDS)
            self._socket.sendall(head.encode() + data)
            return self._answer()
        except (OSError, ValueError, IndexError) as error:
            raise ServerGone(str(error)) from None

    def _answer(self) -> "tuple[int, Json]":
        status = int(self._file.readline().split()[1])
        length = 0
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._file.read(length) if length else b""
        return status, json.loads(body) if body else {}


class Runner:
    """The runner's way, from registration to the end of its one job."""

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._job: int | None = None
        self._id = 0
        self._poll_seconds = float(os.environ.get("SIMULATOR_RUNNER_POLL_SECONDS", "50"))
        self._server = Connection(os.environ["PENSTOCK_GITHUB_URL"])

    def run(self) -> int:
        """Do it all; the exit code."""
        if not self._register():
            return FAILED
        if self._fault == "die_before_job":
            return FAILED
        if self._fault == "ignore_jobs":
            sleep_until_told()
        say("Listening for Jobs")
        while True:
            status, message = self._ask(self._poll_seconds)
            if status == 404 or message.get("type") == "gone":
                say(message.get("message", "gone"))
                return OK
            if status == 409:
                say(message["message"])
                return OK  # run.sh ends with 0 on a session conflict
            if status == 401:
                return FAILED
            if message.get("type") == "job":
                if self._fault == "die_at_offer":
                    os._exit(FAILED)
                if self._accept(message["job_id"]):
                    return self._work(message)

    def leave(self) -> None:
        """SIGTERM: the job in hand ends cancelled; the registration stays."""
        if self._job is not None:
            # The old connection has an unanswered poll on it.
            secret, self._server = (
                self._server.secret,
                Connection(os.environ["PENSTOCK_GITHUB_URL"]),
            )
            self._server.secret = secret
            self._post(
                "finish", {"job_id": self._job, "conclusion": "cancelled", "interrupted": True}
            )

    def _register(self) -> bool:
        jit = os.environ.get("PENSTOCK_RUNNER_JITCONFIG_FILE")
        if jit:
            files = unpack(read(jit))
            self._id = unpack(files[".runner"])["AgentId"]
            self._server.secret = unpack(files[".credentials"])["Data"]["secret"]
            return True
        wanted = {
            "url": os.environ["PENSTOCK_RUNNER_URL"],
            "name": os.environ["PENSTOCK_RUNNER_NAME"],
            "labels": [
                label for label in os.environ.get("PENSTOCK_RUNNER_LABELS", "").split(",") if label
            ],
            "token": read(os.environ["PENSTOCK_RUNNER_TOKEN_FILE"]),
        }
        status, answer = self._server.post("/_runner/register", wanted)
        if status != 201:
            say(f"Http response code: {status} from registration: {answer.get('message')}")
            return False
        self._id, self._server.secret = answer["id"], answer["secret"]
        return True

    def _accept(self, job_id: int) -> bool:
        status, _ = self._post("accept", {"job_id": job_id})
        if status != 200:
            return False
        self._job = job_id
        return True

    def _work(self, message: "Json") -> int:
        """Wait on the connection for the job's length, so that a cancel is seen at once."""
        say(f"Running job: {message['name']}")
        seconds, cancelled = float(message["seconds"]), False
        if self._fault == "die_in_job":
            # In the middle of the work, with the connection open: the server sees it break.
            signal.signal(signal.SIGALRM, die)
            signal.setitimer(signal.ITIMER_REAL, max(seconds / 2, 0.05))
            seconds += 60
        if seconds > 0:
            _, news = self._ask(seconds)
            cancelled = news.get("type") == "cancel"
        job, self._job = self._job, None
        self._post("finish", {"job_id": job, "conclusion": "cancelled" if cancelled else None})
        say(f"Job {message['name']} completed with result: {'Canceled' if cancelled else 'Done'}")
        return OK

    def _ask(self, seconds: float) -> "tuple[int, Json]":
        return self._post("poll", {"wait": seconds}, seconds)

    def _post(self, what: str, body: "Json", wait: float = 0.0) -> "tuple[int, Json]":
        return self._server.post(f"/_runner/{self._id}/{what}", body, wait)


def read(path: str) -> str:
    """A small file's text; builtin open, for pathlib costs a third of the start."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read().strip()


def unpack(text: str) -> "Json":
    """JSON in base64."""
    return json.loads(a2b_base64(text))


def say(text: str) -> None:
    """One line for the log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def sleep_until_told() -> None:
    """Stay alive and do nothing until SIGTERM."""
    while True:
        signal.pause()


def interrupt(_signal: int, _frame: "FrameType | None") -> None:
    """Turn SIGTERM and SIGINT into an exception, once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Interrupted


def die(_signal: int, _frame: "FrameType | None") -> None:
    """End at once, as if killed."""
    os._exit(FAILED)


def main() -> int:
    """Run; the exit code."""
    runner = None
    try:
        signal.signal(signal.SIGTERM, interrupt)
        signal.signal(signal.SIGINT, interrupt)
        fault = os.environ.get("SIMULATOR_RUNNER_FAULT", "")
        if fault == "never_register":
            sleep_until_told()
        runner = Runner(fault)
        return runner.run()
    except Interrupted:
        say("Exiting...")
        try:
            if runner is not None:
                runner.leave()
        except ServerGone:
            return FAILED
        return OK
    except ServerGone as error:
        say(f"Runner connect error: {error}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
