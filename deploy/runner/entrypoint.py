"""The first process of a runner's container: one secret, one job, and off GitHub's list.

It reads the secret that Penstock keeps under the runner's name, deletes it, and begins anew with
an environment without AWS's credentials: a job is other people's code, and must not read the
secrets of other runners. Then it registers, runs one job, and passes SIGTERM on.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from types import FrameType

HOME = os.environ.get("PENSTOCK_RUNNER_HOME", "/home/runner")
# ECS kills 30 s after SIGTERM by default (stopTimeout).
STOP_SECONDS = float(os.environ.get("PENSTOCK_RUNNER_STOP_SECONDS", "20"))
REMOVE_SECONDS = 8.0
PARAMETER, SECRET_ID = "PENSTOCK_RUNNER_SECRET_PARAMETER", "PENSTOCK_RUNNER_SECRET_ID"
# As `--token`, but not on a command line, which every user of the machine may read.
TOKEN = "ACTIONS_RUNNER_INPUT_TOKEN"  # noqa: S105 - a variable's name
HIDDEN = ("AWS_", "ECS_CONTAINER_METADATA", PARAMETER, SECRET_ID)


class Stopped(Exception):
    """SIGTERM came."""


class Life:
    """The program that runs now, and whether all of it is to end.

    A signal may come at any time, also while a program is being started: so its handler raises
    nothing, it passes the signal on, or leaves word for whoever has just started one.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._program: subprocess.Popen[bytes] | None = None

    def run(self, words: list[str], environment: dict[str, str]) -> int:
        """Run one program to its end; its exit code. Raises Stopped once it has ended."""
        self._program = subprocess.Popen(
            words, cwd=HOME, env=environment, start_new_session=True, stdin=subprocess.DEVNULL
        )
        if self.stopped:  # while it was being started
            self._pass_on()
        code = self._program.wait()
        self._program = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self.stopped:
            raise Stopped
        return code

    def stop(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: the runner cancels its job and says so to GitHub, which takes some seconds."""
        if not self.stopped:
            self.stopped = True
            self._pass_on()

    def too_late(self, number: int, frame: FrameType | None) -> None:
        """SIGALRM: it had its time."""
        self._kill(signal.SIGKILL)

    def _pass_on(self) -> None:
        self._kill(signal.SIGTERM)
        if self._program:
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)

    def _kill(self, number: int) -> None:
        if self._program:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._program.pid, number)


def fetch() -> str:
    """The secret, which nobody can read after this."""
    import boto3  # noqa: PLC0415 - the second life does without

    if name := os.environ.get(PARAMETER):
        ssm = boto3.client("ssm")
        value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        ssm.delete_parameter(Name=name)
        return str(value)
    name = os.environ[SECRET_ID]
    manager = boto3.client("secretsmanager")
    value = manager.get_secret_value(SecretId=name)["SecretString"]
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    return str(value)


def begin_anew(secret: str) -> None:
    """Replace this process by one whose environment no job may not see."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
    readable, writable = os.pipe()
    os.write(writable, secret.encode())  # a pipe holds 64 KiB, a secret has 5
    os.close(writable)
    os.set_inheritable(readable, True)
    program = [sys.executable, "-I", os.path.abspath(__file__), str(readable)]  # noqa: PTH100
    os.execve(sys.executable, program, {**kept, "RUNNER_MANUALLY_TRAP_SIG": "1"})  # noqa: S606


def run(life: Life, secret: str) -> int:
    """Register, run one job; the exit code. Raises Stopped."""
    told, jit = os.environ, os.environ.get("PENSTOCK_RUNNER_MODE") == "jit"
    environment = dict(told)
    if jit:
        environment["ACTIONS_RUNNER_INPUT_JITCONFIG"] = secret
    else:
        words = ["./config.sh", "--unattended", "--ephemeral", "--disableupdate"]
        words += ["--url", told["PENSTOCK_RUNNER_URL"], "--name", told["PENSTOCK_RUNNER_NAME"]]
        words += ["--labels", told["PENSTOCK_RUNNER_LABELS"]]
        if group := told.get("PENSTOCK_RUNNER_GROUP"):
            words += ["--runnergroup", group]
        code = life.run(words, {**environment, TOKEN: secret})
        if code:
            print(f"penstock: the runner could not be registered (config.sh: {code})", flush=True)
            return code
    return life.run(["./run.sh"], environment)


def deregister(secret: str) -> None:
    """Off GitHub's list: a stopped runner stays on it by itself.

    Penstock does so too, where this comes too late or its token is not taken for it.
    """
    if os.environ.get("PENSTOCK_RUNNER_MODE") == "jit":
        return  # such a runner has no token to go with: Penstock takes it off
    try:
        subprocess.run(
            ["./config.sh", "remove"],
            cwd=HOME,
            env={**os.environ, TOKEN: secret},
            timeout=REMOVE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"penstock: not deregistered: {type(error).__name__}", flush=True)


def main() -> int:
    """The exit code: that of run.sh, or 143 after SIGTERM."""
    life = Life()
    signal.signal(signal.SIGTERM, life.stop)
    signal.signal(signal.SIGALRM, life.too_late)
    began = time.monotonic()
    if len(sys.argv) == 1:
        secret = fetch()
        if not life.stopped:
            begin_anew(secret)
        return 143
    with os.fdopen(int(sys.argv[1])) as pipe:
        secret = pipe.read()
    try:
        code = run(life, secret)
    except Stopped:
        deregister(secret)
        code = 143
    print(f"penstock: the runner ended after {time.monotonic() - began:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
