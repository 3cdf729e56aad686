"""Keeps one runner process: locks its folder, runs the command, writes down how it ended.

Run as a program of its own (`python -I -S keeper.py FOLDER`), so that a runner outlives the worker
that launched it and is launched once: the lock is held as long as the runner lives, whoever asks.
Standard library only, and little of it: a hundred of these start in a burst.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

LOOKS, LOOK_SECONDS = 20, 0.005  # whoever looks at a lock holds it for a moment


def main(folder: str) -> int:
    """Run the command of FOLDER/launch.json; 3 if another keeper or its runner has the folder."""
    # The second lock is the runner's: it tells that a runner lives whose keeper was killed.
    alive = -1
    if _lock(folder, "lock") < 0 or (alive := _lock(folder, "runner.lock")) < 0:
        return 3
    if os.path.exists(os.path.join(folder, "ended.json")):
        return 3
    with open(os.path.join(folder, "launch.json"), encoding="utf-8") as file:
        launch = json.load(file)
    log = os.open(
        os.path.join(folder, "runner.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    stopped = False
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True
        if child is not None:
            try:
                # The whole group: a runner has children of its own.
                os.killpg(child.pid, number)
            except ProcessLookupError:
                return

    signal.signal(signal.SIGTERM, stop)
    code = 127
    error = ""
    try:
        child = subprocess.Popen(
            launch["command"],
            cwd=os.path.join(folder, "work"),
            env=launch["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(alive,),
        )
    except OSError as problem:
        error = f"{launch['command'][0]}: {problem.strerror}"
    else:
        _write(folder, "started.json", {"pid": os.getpid(), "runner_pid": child.pid})
        _tell()
        if stopped:
            stop(signal.SIGTERM, None)
        _end_group(child.pid)
        code = child.wait()
    try:
        os.unlink(os.path.join(folder, "token"))
    except FileNotFoundError:
        pass
    _write(folder, "ended.json", {"code": code, "error": error, "stopped": stopped})
    return 0


def _lock(folder: str, name: str) -> int:
    """The descriptor that holds the lock; -1 if somebody else does."""
    lock = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
        else:
            return lock
    os.close(lock)
    return -1


def _end_group(leader: int) -> None:
    """Wait for the leader, then end what it left behind."""
    if hasattr(os, "waitid"):  # else macOS on an older Python
        # Unreaped, it keeps the number of its group from passing to another.
        os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
        try:
            os.killpg(leader, signal.SIGKILL)
        except OSError:
            pass


def _tell() -> None:
    """Say on standard output that the runner runs, then let go of it: its reader may die."""
    try:
        os.write(1, b"started\n")
    except OSError:
        pass
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _write(folder: str, name: str, content: object) -> None:
    unfinished = os.path.join(folder, f".{name}")
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(unfinished, os.path.join(folder, name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
