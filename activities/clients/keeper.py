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


def main(folder: str) -> int:
    """Run the command of FOLDER/launch.json; 3 if another keeper has the folder."""
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
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
        )
    except OSError as problem:
        error = f"{launch['command'][0]}: {problem.strerror}"
    else:
        _write(folder, "started.json", {"pid": os.getpid(), "runner_pid": child.pid})
        _tell()
        if stopped:
            stop(signal.SIGTERM, None)
        code = child.wait()
    _write(folder, "ended.json", {"code": code, "error": error, "stopped": stopped})
    return 0


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
